"""The diagram of the two encoder-decoders and the table of answers in parts."""

import matplotlib.pyplot as plt
import pytest
from matplotlib.colors import same_color

from attnbook import plots
from attnbook.plots.answers import answer_parts
from attnbook.plots.encoder_decoder import one_vector, with_attention

SOURCE, TARGET = ["c", "a", "t", "⏎"], ["K", "AE", "⏎"]


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def texts(ax):
    return [text.get_text() for text in ax.texts]


def test_one_vector_stands_between_encoder_and_decoder():
    drawn = texts(one_vector(SOURCE, TARGET))
    assert {"$h_4$", "$s_0$", "$s_3$", "begin"} <= set(drawn) and "$h_5$" not in drawn
    assert not [text for text in drawn if text.startswith("$c_")]
    assert drawn.count("K") == 2  # written once, read once


def test_weights_are_the_widths_of_the_lines():
    ax = with_attention(SOURCE, TARGET, step=1, weights=[0.1, 0.6, 0.3, 0.0])
    assert "$c_2$" in texts(ax)
    widths = [line.get_linewidth() for line in ax.lines]
    assert len(widths) == 4 and sorted(range(4), key=lambda j: widths[j]) == [3, 0, 2, 1]
    assert widths[1] - widths[3] == pytest.approx(2 * (widths[2] - widths[3]))  # in proportion, above the least


REFUSED = [(3, [0.25] * 4, "step"), (-1, [0.25] * 4, "step"), (0, [1.0], "weights")]


@pytest.mark.parametrize(("step", "weights", "message"), REFUSED)
def test_what_cannot_be_drawn_is_refused(step, weights, message):
    with pytest.raises(ValueError, match=f"{message} must .*; got"):
        with_attention(SOURCE, TARGET, step=step, weights=weights)


def test_only_wrong_parts_stand_out():
    expected = [("1900", "7"), ("2075", "7")]
    ax = answer_parts(["a", "b"], expected, {"m": [("1900", "1"), ("2075", "7")]}, widths=(1, 1))
    boxed = [text.get_text() for text in ax.texts if text.get_bbox_patch() is not None]
    orange = [text.get_text() for text in ax.texts if same_color(text.get_color(), plots.KEY)]
    assert boxed == orange == ["1"]
    assert {"source", "m", "a", "b", "2075"} <= set(texts(ax))


def test_rows_and_parts_must_agree():
    with pytest.raises(ValueError, match="m must have one answer for each of the 2 sources; got 1"):
        answer_parts(["a", "b"], [("1",), ("2",)], {"m": [("1",)]}, widths=(1,))
    with pytest.raises(ValueError, match="m must have 1 parts in each answer"):
        answer_parts(["a"], [("1",)], {"m": [("1", "2")]}, widths=(1,))
