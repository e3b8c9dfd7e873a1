"""The Transformer's diagram: what adds to the stream, where queries, keys and values come from, and room for words."""

from itertools import combinations

import matplotlib.pyplot as plt
import pytest
from matplotlib.colors import to_hex
from matplotlib.patches import Circle

from attnbook.plots import KEY, OUTPUT, QUERY, VALUE
from attnbook.plots.transformer import architecture


@pytest.fixture
def ax():
    figure = plt.figure(figsize=(5.6, 6.2))
    yield architecture(figure.add_axes((0, 0, 1, 1)))
    plt.close(figure)


def places(ax, word):
    """Where a word stands, from the left and then from the bottom."""
    return sorted(text.get_position() for text in ax.texts if text.get_text() == word)


def arrows(ax, color=None):
    """(tail, head) of every arrow, or of those of a color."""
    found = [text for text in ax.texts if getattr(text, "arrow_patch", None)]
    colors = [to_hex(text.arrow_patch.get_edgecolor()).upper() for text in found]
    return [(text.xyann, text.xy) for text, its in zip(found, colors, strict=True) if color in (None, its)]


def streams(ax):
    """(x, bottom, top) of every thick upright line."""
    lines = [(set(line.get_xdata()), list(line.get_ydata())) for line in ax.lines if line.get_linewidth() > 3]
    return [(xs.pop(), *ys) for xs, ys in lines if len(xs) == 1]


def test_every_part_adds_to_a_straight_stream(ax):
    pluses = [patch.center for patch in ax.patches if isinstance(patch, Circle)]
    parts = {}
    for word in ("positions", "causal\nself-attention", "self-attention", "cross-attention", "feed-forward"):
        parts[word] = places(ax, word)
    assert [len(found) for found in parts.values()] == [2, 1, 1, 1, 2]
    (left, _, _), (right, _, _) = streams(ax)
    assert [sum(x == stream for x, _ in pluses) for stream in (left, right)] == [3, 4]
    for word, found in parts.items():
        for place in found:
            head = min(head for tail, head in arrows(ax) if head[0] > tail[0] > place[0] and tail[1] == place[1])
            # From the part itself to the nearest stream on its right, where a plus stands.
            stream = min(x for x in (left, right) if x > place[0])
            assert (stream, place[1]) in pluses and 0 < stream - head[0] < 0.2, word


def test_every_part_of_a_layer_reads_through_a_norm(ax):
    norms = places(ax, "norm")
    parts = [place for word in ("self-attention", "cross-attention", "feed-forward") for place in places(ax, word)]
    for x, y in [*parts, *places(ax, "causal\nself-attention")]:
        below = max(norm for norm in norms if norm[0] == x and norm[1] < y)
        tail = min(tail for tail, head in arrows(ax) if tail[0] > head[0] > x and head[1] == below[1])
        assert tail[0] == min(stream for stream, _, _ in streams(ax) if stream > x)
        into = [tail for tail, head in arrows(ax) if tail[0] == head[0] and below[1] < tail[1] < head[1] < y]
        assert any(abs(tail[0] - x) < 0.6 for tail in into)
    assert len(norms) == 5 + 2
    for stream, bottom, top in streams(ax):
        [(_, last)] = [norm for norm in norms if norm[0] == stream]
        assert bottom < min(y for _, y in norms) and top == last == max(y for x, y in norms if x <= stream)


def test_the_decoder_asks_and_the_memory_answers(ax):
    [(x, y)] = places(ax, "cross-attention")
    assert len(arrows(ax, QUERY)) == 3
    asks = [(tail, head) for tail, head in arrows(ax, QUERY) if tail[0] == head[0] == x]
    assert [tail[1] < head[1] < y for tail, head in asks] == [True]
    encoder, _ = streams(ax)
    for color, letter in ((KEY, "K"), (VALUE, "V")):
        assert len(places(ax, letter)) == 3
        [line] = [line for line in ax.lines if line.get_color() == color]
        assert 0 < line.get_xdata()[0] - encoder[0] < 0.5 and abs(line.get_ydata()[0] - encoder[2]) < 0.13
        [into] = [head for tail, head in arrows(ax, color) if tail[1] == head[1]]
        assert into[1] == line.get_ydata()[-1] and into[0] < x and abs(into[1] - y) < 0.18
    assert sorted(tail[1] for tail, _ in arrows(ax, OUTPUT)) == sorted(
        y for word in ("self-attention", "causal\nself-attention", "cross-attention") for _, y in places(ax, word)
    )


def test_no_word_lies_on_another_or_leaves_the_figure(ax):
    ax.figure.canvas.draw()
    boxes = [text.get_window_extent() for text in ax.texts if text.get_text()]
    assert not [pair for pair in combinations(boxes, 2) if pair[0].overlaps(pair[1])]
    page = ax.figure.bbox
    assert all(page.x0 <= box.x0 and box.x1 <= page.x1 and page.y0 <= box.y0 and box.y1 <= page.y1 for box in boxes)
