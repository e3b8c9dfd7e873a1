"""The pictures of chapter 1 say what the numbers say."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch

from attnbook.plots.distance import influence_map, paths

WORDS = ["The", "keys", "to", "the", "cabinet", "are", "missing"]


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def test_paths_counts_the_steps_of_the_chain():
    ax = paths(WORDS, 1, 5)
    written = [text.get_text() for text in ax.texts]
    assert written[: len(WORDS)] == WORDS
    assert "word by word: 4 steps" in written and "look directly: 1 step" in written
    assert {text.get_text() for text in ax.texts if text.get_weight() == "bold"} == {"keys", "are"}
    assert len(ax.patches) == len(WORDS) - 1 + 1  # an arrow between neighbors, and the direct one
    direct = ax.patches[-1]
    assert direct.get_facecolor() != ax.patches[1].get_facecolor()
    thick = [patch.get_linewidth() for patch in ax.patches[:-1]]
    assert [width > 2 for width in thick] == [False, True, True, True, True, False]


@pytest.mark.parametrize(("start", "end"), [(2, 2), (3, 1), (-1, 2), (0, 7)])
def test_paths_refuses_places_that_are_not_in_order(own_errors, start, end):
    with pytest.raises(ValueError, match="start and end"):
        paths(WORDS, start, end)


def test_influence_map_has_outputs_as_rows_and_leaves_zero_blank():
    influence = torch.tensor([[1.0, 0.0, 0.0], [0.1, 0.5, 0.0], [1e-9, 0.02, 1.0]])
    mesh = influence_map(influence, title="one")
    drawn = mesh.get_array()
    assert np.ma.getmaskarray(drawn).reshape(3, 3).tolist() == (influence == 0).tolist()
    assert np.allclose(drawn.reshape(3, 3).filled(0), influence)
    assert mesh.axes.get_ylim()[0] > mesh.axes.get_ylim()[1] and mesh.axes.get_title() == "one"
    strength = mesh.to_rgba(drawn.reshape(3, 3))[..., :3].sum(-1)
    assert strength[0, 0] < strength[1, 1] < strength[2, 1]  # a larger influence has the stronger color


@pytest.mark.parametrize("wrong", [np.ones(3), np.ones((2, 3)), -np.ones((2, 2))])
def test_influence_map_refuses_what_is_no_influence(own_errors, wrong):
    with pytest.raises(ValueError, match="influence must be a square matrix"):
        influence_map(wrong)


@pytest.mark.parametrize("draw", [lambda ax: paths(WORDS, 1, 5, ax=ax), lambda ax: influence_map(np.eye(2), ax=ax)])
def test_pictures_go_where_they_are_asked_to(draw):
    _, (left, right) = plt.subplots(1, 2)
    draw(right)
    assert (right.patches or right.collections) and not (left.patches or left.collections)
