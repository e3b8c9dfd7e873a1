"""The timeline and the two decoder diagrams: what stands in them, and where."""

import matplotlib.pyplot as plt
import pytest

from attnbook.plots.decoders import bahdanau_step, luong_step
from attnbook.plots.timeline import timeline

EVENTS = [(2017.5, "third", "b"), (2013.25, "first", "a"), (2014.75, "second", "b")]


@pytest.fixture
def ax():
    figure, ax = plt.subplots()
    yield ax
    plt.close(figure)


def texts(ax):
    return [text.get_text() for text in ax.texts]


def test_the_timeline_puts_dots_at_their_dates_and_labels_in_order(ax):
    timeline(EVENTS, {"a": "red", "b": "blue"}, years=(2013, 2018), ax=ax)
    dots = [float(line.get_ydata()[0]) for line in ax.lines if line.get_marker() not in ("None", None, "")]
    assert dots == [2013.25, 2014.75, 2017.5]
    assert texts(ax) == [str(year) for year in range(2013, 2019)] + ["first", "second", "third"]
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["a", "b"]
    first, last = ax.get_ylim()
    assert first > last  # time runs down the page


@pytest.mark.parametrize(
    ("events", "colors", "message"),
    [([], {"a": "red"}, "events must hold at least one event"), (EVENTS, {"a": "red"}, "colors must have a color")],
)
def test_the_timeline_names_what_is_wrong(events, colors, message, ax):
    with pytest.raises(ValueError, match=message):
        timeline(events, colors, years=(2013, 2018), ax=ax)


def arrows(ax):
    """(tail, head) of every arrow."""
    return [(text.xyann, text.xy) for text in ax.texts if getattr(text, "arrow_patch", None)]


@pytest.mark.parametrize(
    ("draw", "query", "other"), [(bahdanau_step, "$s_{i-1}$", "$s_i$"), (luong_step, "$h_t$", "$h_{t-1}$")]
)
def test_the_query_is_the_state_before_bahdanaus_step_and_after_luongs(draw, query, other, ax):
    draw(ax)
    boxes = {text.get_text(): text.get_position() for text in ax.texts if text.get_text()}
    below, above = boxes[query][1], boxes["attention"][1]
    into_attention = [tail for tail, head in arrows(ax) if below < tail[1] < head[1] < above]
    assert [tail[0] for tail in into_attention] == [boxes[query][0]]
    assert boxes[query][0] != boxes[other][0]
