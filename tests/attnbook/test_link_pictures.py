"""The picture of a sequence that attends to itself says what the weights say."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch

from attnbook.plots.links import WIDEST, links

WEIGHTS = np.array([[0.7, 0.3, 0.0], [0.01, 0.09, 0.9], [0.2, 0.3, 0.5]])


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


@pytest.mark.parametrize("kind", [np.asarray, torch.tensor])
def test_a_line_leads_from_each_query_to_each_key_it_attends_to(kind):
    ax = links(["a", "b", "c"], kind(WEIGHTS))
    drawn = {}
    for line in ax.lines:
        x, y = line.get_data()
        if list(x) == [0, 1]:
            drawn[int(y[0]), int(y[1])] = line.get_linewidth()
    expected = {(i, j): WIDEST * WEIGHTS[i, j] for i, j in np.ndindex(3, 3) if WEIGHTS[i, j] >= 0.02}
    assert drawn == pytest.approx(expected)
    assert (1, 0) not in drawn and (0, 2) not in drawn


def test_the_tokens_stand_on_both_sides_from_the_top_down():
    ax = links(["a", "b", "c"], WEIGHTS)
    places = {(text.get_text(), text.get_position()[0] > 0.5): text.get_position()[1] for text in ax.texts}
    assert [places[token, side] for side in (False, True) for token in "abc"] == [0, 1, 2] * 2
    assert ax.yaxis_inverted()


@pytest.mark.usefixtures("own_errors")
def test_weights_of_another_size_are_refused():
    with pytest.raises(ValueError, match=r"weights must have shape \(2, 2\).*got \(3, 3\)"):
        links(["a", "b"], WEIGHTS)
