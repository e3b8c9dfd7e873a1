"""Diagrams of several heads: what one average hides, project-split-attend-join-project, pieces of rows, shared keys."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch, Rectangle

from attnbook.plots.style import INK, KEY, OUTPUT, QUERY, SERIES, VALUE

HEAD = SERIES[4]  # apart from the colors of queries, keys, values and outputs
HEADS = [SERIES[5], HEAD, SERIES[0], SERIES[3]]
PALE = 0.22  # how strongly a box is filled


def two_looks(
    words: Sequence[str],
    values: Sequence[str],
    shares: Sequence[Sequence[float]],
    output: str,
    *,
    reader: int,
    labels: Sequence[str],
    ax: Axes | None = None,
) -> Axes:
    """Words in a row with their values; above them, one arc a head and word looked at, as thick as its share.

    labels: one for each arc, in the order of heads, then words.
    """
    if any(len(row) != len(words) for row in shares):
        raise ValueError(f"shares must have one number for each of the {len(words)} words; got {shares}")
    ax = plt.gca() if ax is None else ax
    for j, (word, value) in enumerate(zip(words, values, strict=True)):
        ax.text(j, 0, word, ha="center", va="center", size=11, weight="bold" if j == reader else "normal")
        ax.text(j, -0.34, value, ha="center", va="center", size=10, color=VALUE)
    names = iter(labels)
    for head, row in enumerate(shares):
        for j, share in enumerate(row):
            if share > 0.01 and j != reader:
                bend = 0.55 if j > reader else -0.55
                ax.add_patch(
                    FancyArrowPatch((reader, 0.18), (j, 0.18), connectionstyle=f"arc3,rad={-bend}", arrowstyle="-|>",
                                    mutation_scale=11, linewidth=0.8 + 3 * share, color=HEADS[head],
                                    linestyle=["-", (0, (2.5, 1.2))][head % 2], shrinkA=2, shrinkB=2)
                )  # fmt: skip
                ax.text((reader + j) / 2, 0.6, next(names), ha="center", va="bottom", size=9.5)
    ax.text((len(words) - 1) / 2, -0.85, output, ha="center", va="center", size=11, color=OUTPUT)
    ax.set(xlim=(-0.6, len(words) - 0.4), ylim=(-1.1, 0.95), xticks=[], yticks=[])
    ax.spines[:].set_visible(False)
    return ax


def pipeline(heads: int = 4, ax: Axes | None = None) -> Axes:
    """Project, split, attend, join, project: the five stages from left to right, with their shapes."""
    ax = plt.gca() if ax is None else ax
    top = float(heads)
    middle = top / 2
    _box(ax, 0.0, middle, 0.8, top * 0.8, "$X$", INK, "$(n, d)$")
    for row, (name, color) in enumerate((("$W_Q$", QUERY), ("$W_K$", KEY), ("$W_V$", VALUE))):
        y = middle + (1 - row) * top * 0.31
        _box(ax, 1.6, y, 0.95, top * 0.2, name, color)
        _arrow(ax, (0.42, middle), (1.1, y))
        ax.plot([2.1, 2.45], [y, y], color=INK, linewidth=1.1)
    ax.plot([2.45, 2.45], [0.5, top - 0.5], color=INK, linewidth=1.1)
    for i in range(heads):
        y = top - i - 0.5
        _box(ax, 4.15, y, 1.7, 0.74, f"head {i + 1}", HEAD)
        _arrow(ax, (2.45, y), (3.27, y))
        _box(ax, 6.5, y, 0.85, 0.97, f"$o^{{({i + 1})}}$", OUTPUT)
        _arrow(ax, (5.03, y), (6.05, y))
    _box(ax, 8.15, middle, 0.95, top * 0.5, "$W_O$", INK)
    _arrow(ax, (6.95, middle), (7.65, middle))
    _box(ax, 9.75, middle, 0.8, top * 0.8, "out", OUTPUT, "$(n, d)$")
    _arrow(ax, (8.65, middle), (9.33, middle))
    stages = [(1.45, "project"), (2.8, "split"), (4.15, "attend"), (6.5, "join"), (8.15, "project")]
    for x, name in stages:
        ax.text(x, top + 0.28, name, ha="center", size=10)
    ax.text(6.5, -0.32, "$(n, h\\,d_h)$", ha="center", size=9.5)
    ax.text(4.15, -0.32, "$(n, d_h)$ each", ha="center", size=9.5)
    ax.set(xlim=(-0.6, 10.3), ylim=(-0.55, top + 0.65), xticks=[], yticks=[])
    ax.spines[:].set_visible(False)
    return ax


def pieces(rows: Sequence[Sequence[str]], title: str, *, tokens: str, ax: Axes | None = None) -> Axes:
    """A table of pieces such as "c2", the second piece of token c; the tint says the token, so does the letter."""
    ax = plt.gca() if ax is None else ax
    for i, row in enumerate(rows):
        for j, piece in enumerate(row):
            color = HEADS[tokens.index(piece[0]) % len(HEADS)]
            ax.add_patch(Rectangle((j, i), 1, 1, facecolor=color, alpha=PALE, linewidth=0))
            ax.add_patch(Rectangle((j, i), 1, 1, facecolor="none", edgecolor=INK, linewidth=0.7))
            ax.text(j + 0.5, i + 0.5, piece, ha="center", va="center", size=11)
    width = max(len(row) for row in rows)
    ax.set(xlim=(-0.1, width + 0.1), ylim=(len(rows) + 0.1, -0.1), aspect="equal", xticks=[], yticks=[])
    ax.set_title(title, size=10)
    ax.spines[:].set_visible(False)
    return ax


def sharing(n_heads: int, n_kv_heads: int, title: str, *, ax: Axes | None = None) -> Axes:
    """Query heads above, key heads below, and a line from each query head to the key head that it reads."""
    if n_heads % n_kv_heads:
        raise ValueError(f"n_kv_heads must divide n_heads = {n_heads}; got {n_kv_heads}")
    ax = plt.gca() if ax is None else ax
    group = n_heads // n_kv_heads
    for i in range(n_heads):
        below = (i // group + 0.5) * group - 0.5
        ax.plot([i, below], [0.74, 0.22], color="#777777", linewidth=1.2)
        _box(ax, i, 1.0, 0.78, 0.5, str(i + 1), QUERY)
    for j in range(n_kv_heads):
        _box(ax, (j + 0.5) * group - 0.5, 0.0, 0.78, 0.44, str(j + 1), KEY)
    ax.text(-0.8, 1.0, "queries", ha="right", va="center", size=10, color=QUERY)
    ax.text(-0.8, 0.0, "keys, values", ha="right", va="center", size=10, color=KEY)
    ax.set(xlim=(-3.6, n_heads - 0.4), ylim=(-0.35, 1.35), xticks=[], yticks=[])
    ax.set_title(title, size=10, loc="left")
    ax.spines[:].set_visible(False)
    return ax


def _box(ax: Axes, x: float, y: float, width: float, height: float, text: str, color: str, below: str = "") -> None:
    low = (x - width / 2, y - height / 2)
    style = "round,pad=0,rounding_size=0.08"
    ax.add_patch(FancyBboxPatch(low, width, height, boxstyle=style, facecolor="white", linewidth=0))
    ax.add_patch(FancyBboxPatch(low, width, height, boxstyle=style, facecolor=color, alpha=PALE, linewidth=0))
    ax.add_patch(FancyBboxPatch(low, width, height, boxstyle=style, facecolor="none", edgecolor=color, linewidth=1.3))
    ax.text(x, y, text, ha="center", va="center", size=10)
    if below:
        ax.text(x, low[1] - 0.3, below, ha="center", va="center", size=9.5)


def _arrow(ax: Axes, start: tuple[float, float], end: tuple[float, float], color: str = INK) -> None:
    ax.annotate("", end, start, arrowprops={"arrowstyle": "-|>", "color": color, "linewidth": 1.1, "shrinkA": 0,
                                            "shrinkB": 0})  # fmt: skip
