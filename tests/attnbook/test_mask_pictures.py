"""Pictures of masks fill the cells that are open, and mark what is not as it should be."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from matplotlib.colors import to_hex

from attnbook import plots
from attnbook.plots.masks import influence_map, mask_map

MASK = torch.tensor([[True, False, True], [False, True, True]])


@pytest.fixture(autouse=True)
def own_figure():
    with plt.rc_context():
        plots.use_style()
        yield
    plt.close("all")


@pytest.mark.parametrize("given", [MASK, MASK.numpy()])
def test_a_cell_is_filled_where_attention_is_allowed(given):
    grid = mask_map(given, queries=["a", "b"], keys=["x", "y", "z"], title="title")
    colors = [to_hex(c) for c in grid.to_rgba(grid.get_array()).reshape(-1, 4)]
    filled = [c != "#ffffff" for c in colors]
    assert filled == MASK.flatten().tolist() and len(set(colors)) == 2
    ax = grid.axes
    assert [t.get_text() for t in ax.get_yticklabels()] == ["a", "b"]
    assert [t.get_text() for t in ax.get_xticklabels()] == ["x", "y", "z"]
    assert ax.get_ylim() == (2, 0) and ax.get_title() == "title"  # the first query on top


def test_without_names_there_are_no_ticks():
    ax = mask_map(MASK).axes
    assert len(ax.get_xticks()) == len(ax.get_yticks()) == 0


def marks(ax):
    return [set(map(tuple, (np.asarray(c.get_offsets()) - 0.5).astype(int).tolist())) for c in ax.collections[1:]]


def test_a_cross_on_each_leak_and_a_ring_on_each_gap():
    """Offsets are (column, row)."""
    found = torch.tensor([[True, True, False], [False, True, True]])
    leaks, gaps = marks(influence_map(found, MASK).axes)
    assert leaks == {(1, 0)} and gaps == {(2, 0)}


def test_no_mark_where_all_is_as_it_should_be():
    assert marks(influence_map(MASK, MASK).axes) == [set(), set()]


@pytest.mark.parametrize("bad", [MASK.float(), MASK[0], MASK[None]])
def test_only_a_boolean_matrix_can_be_drawn(bad):
    with pytest.raises(ValueError, match="a boolean matrix"):
        mask_map(bad)


def test_the_two_shapes_must_agree():
    with pytest.raises(ValueError, match=r"mask must have the shape of found, \(2, 3\); got \(3, 2\)"):
        influence_map(MASK, MASK.T)
