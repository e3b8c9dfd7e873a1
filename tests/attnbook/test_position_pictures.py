"""The pictures of positions show the numbers that they are given."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from matplotlib.patches import Arc

from attnbook.plots import positions as pictures


@pytest.fixture
def ax():
    figure, ax = plt.subplots()
    yield ax
    plt.close(figure)


def test_a_table_is_drawn_row_by_row_around_zero(ax):
    pictures.position_table(torch.tensor([[1.0, -3.0], [0.0, 2.0]]), ax=ax)
    (image,) = ax.images
    assert np.asarray(image.get_array()).tolist() == [[1, -3], [0, 2]] and image.get_clim() == (-3, 3)
    with pytest.raises(ValueError, match=r"^table must have shape \(length, size\); got shape \(2,\)"):
        pictures.position_table(torch.zeros(2))


def test_whole_numbers_stand_in_their_cells(ax):
    pictures.whole_numbers(torch.tensor([[0, 1, 2], [-1, 0, 1]]), ax=ax)
    found = {(t.get_position()[1], t.get_position()[0]): t.get_text() for t in ax.texts}
    assert found == {
        (0.5, 0.5): "0",
        (0.5, 1.5): "1",
        (0.5, 2.5): "2",
        (1.5, 0.5): "−1",
        (1.5, 1.5): "0",
        (1.5, 2.5): "1",
    }
    assert ax.get_ylim() == (2, 0)
    with pytest.raises(ValueError, match=r"^grid must have shape"):
        pictures.whole_numbers(torch.zeros(3))


@pytest.mark.parametrize(
    ("query", "key", "between"), [((1, 0), (0, 2), 90), ((-1, 0.01), (-1, -0.01), 1.146), ((0, -1), (1, 0), 90)]
)
def test_the_arc_is_the_smaller_angle_between_the_arrows(query, key, between, ax):
    pictures.turned_pair(query, key, labels=("q", "k"), ax=ax)
    (arc,) = (patch for patch in ax.patches if isinstance(patch, Arc))
    assert arc.theta2 - arc.theta1 == pytest.approx(between, abs=0.01)
    assert [t.get_text() for t in ax.texts] == ["q", "k"]
    ends = [tuple(line.get_xydata()[0]) for line in ax.lines if len(line.get_xydata()) == 1]
    assert ends == [query, key]


@pytest.mark.parametrize(
    ("layout", "pairs"), [("half", [(0, 3), (1, 4), (2, 5)]), ("interleaved", [(0, 1), (2, 3), (4, 5)])]
)
def test_pairs_are_joined(layout, pairs, ax):
    pictures.pairing(6, layout, ax=ax)
    assert [(line.get_xdata()[0], line.get_xdata()[-1]) for line in ax.lines] == pairs
    assert sorted(t.get_text() for t in ax.texts) == [f"$x_{c}$" for c in range(6)]


def test_a_panel_for_each_kind():
    plt.close("all")
    shares = {kind: {"a": torch.tensor([1.0, 0.5]), "b": torch.tensor([0.2, 0.1])} for kind in ("x", "y", "z")}
    pictures.beyond_training(shares, width=16, trained=16, chance={"a": 0.1, "b": 0.05})
    axes = plt.gcf().axes
    assert [ax.get_title(loc="left") for ax in axes] == ["x", "y", "z", ""]
    curve = axes[1].lines[0]
    assert curve.get_label() == "a" and curve.get_xydata().tolist() == [[8, 1.0], [24, 0.5]]
    assert [t.get_text() for t in axes[3].get_legend().get_texts()] == ["a", "b"]
    plt.close("all")
