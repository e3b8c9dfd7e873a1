"""The diagrams of heads draw what they are given: arcs as thick as shares, pieces in place, heads at their key head."""

import matplotlib.pyplot as plt
import pytest
from matplotlib.colors import same_color
from matplotlib.patches import FancyArrowPatch, Rectangle

from attnbook import plots
from attnbook.plots import heads

WORDS, VALUES = ["cat", "saw", "dog"], ["(4, 1)", "(0, 0)", "(2, 3)"]


@pytest.fixture(autouse=True)
def own_figure():
    with plt.rc_context():
        plots.use_style()
        yield
    plt.close("all")


def texts(ax):
    return [text.get_text() for text in ax.texts]


def arcs(ax):
    return [patch for patch in ax.patches if isinstance(patch, FancyArrowPatch)]


def test_an_arc_for_each_word_that_a_head_looks_at():
    ax = heads.two_looks(WORDS, VALUES, [[0.8, 0, 0.2]], "output", reader=1, labels=["0.8", "0.2"])
    loud, quiet = arcs(ax)
    assert loud.get_linewidth() > quiet.get_linewidth()
    assert {*WORDS, *VALUES, "output", "0.8", "0.2"} <= set(texts(ax))
    [left] = [text for text in ax.texts if text.get_text() == "0.8"]
    [right] = [text for text in ax.texts if text.get_text() == "0.2"]
    assert left.get_position()[0] < 1 < right.get_position()[0]


def test_heads_differ_in_color_and_in_line():
    ax = heads.two_looks(WORDS, VALUES, [[1, 0, 0], [0, 0, 1]], "output", reader=1, labels=["head 1", "head 2"])
    first, second = arcs(ax)
    assert not same_color(first.get_edgecolor(), second.get_edgecolor())
    assert first.get_linestyle() != second.get_linestyle()


def test_shares_for_every_word_or_an_error(own_errors):
    with pytest.raises(ValueError, match="one number for each of the 3 words"):
        heads.two_looks(WORDS, VALUES, [[0.5, 0.5]], "output", reader=1, labels=["a", "b"])


@pytest.mark.parametrize("count", [1, 4])
def test_the_pipeline_has_a_box_for_each_head(count):
    shown = texts(heads.pipeline(count))
    assert [f"head {i + 1}" in shown for i in range(count + 1)] == [True] * count + [False]


def test_pieces_stand_in_their_cells_in_the_color_of_their_token():
    ax = heads.pieces([["a1", "a2"], ["b1", "b2"]], "title", tokens="ab")
    places = {text.get_text(): text.get_position() for text in ax.texts}
    assert places["a2"] == (1.5, 0.5) and places["b1"] == (0.5, 1.5)
    tints = [p.get_facecolor()[:3] for p in ax.patches if isinstance(p, Rectangle) and p.get_facecolor()[3] > 0]
    assert same_color(tints[0], tints[1]) and same_color(tints[2], tints[3]) and not same_color(tints[1], tints[2])
    assert ax.yaxis_inverted() or ax.get_ylim()[0] > ax.get_ylim()[1]  # row 1 is at the top


@pytest.mark.parametrize("kv_heads", [8, 2, 1])
def test_neighbors_are_joined_to_one_key_head(kv_heads):
    ax = heads.sharing(8, kv_heads, "title")
    ends = {int(line.get_xdata()[0]): line.get_xdata()[1] for line in ax.lines}
    group = 8 // kv_heads
    assert sorted(ends) == list(range(8)) and len(set(ends.values())) == kv_heads
    for first in range(0, 8, group):
        members = range(first, first + group)
        assert len({ends[i] for i in members}) == 1
        assert ends[first] == sum(members) / group  # below the middle of its group


def test_key_heads_must_divide_query_heads(own_errors):
    with pytest.raises(ValueError, match="n_kv_heads must divide n_heads = 8"):
        heads.sharing(8, 3, "title")
