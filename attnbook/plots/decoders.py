"""Two diagrams of one decoder step: where attention sits in Bahdanau et al. (2015) and in Luong et al. (2015)."""

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.patches import FancyBboxPatch

from attnbook.plots.style import INK, KEY, OUTPUT, QUERY

GRAY = "#777777"

Box = tuple[float, float, float, float]  # center x and y, half the width, half the height


def bahdanau_step(ax: Axes | None = None) -> Axes:
    """Attend with the previous state, then take the recurrent step with what was found. Source: their Eqs. 4 to 6."""
    ax = _canvas(ax)
    previous = _box(ax, 1.0, 1.0, r"$s_{i-1}$", QUERY)
    attend = _box(ax, 2.9, 3.0, "attention", INK, width=2.0)
    notes = _box(ax, 2.9, 4.7, r"annotations $h_1 \ldots h_m$", KEY, width=4.0)
    context = _box(ax, 5.4, 3.0, r"$c_i$", OUTPUT)
    step = _box(ax, 5.4, 1.0, "RNN", INK)
    state = _box(ax, 7.5, 1.0, r"$s_i$", QUERY)
    answer = _box(ax, 9.4, 1.0, r"$y_i$", GRAY)
    symbol = _box(ax, 5.4, -0.6, r"$y_{i-1}$", GRAY)
    _arrow(ax, previous, attend, QUERY, "1  query", (0.75, 2.2))
    _arrow(ax, notes, attend, KEY, "keys, values", (4.15, 3.86))
    _arrow(ax, attend, context, OUTPUT, "2", (4.35, 3.3))
    _arrow(ax, context, step, OUTPUT, "3  into the recurrence", (7.5, 2.2))
    _arrow(ax, previous, step, INK)
    _arrow(ax, symbol, step, GRAY)
    _arrow(ax, step, state, INK)
    _arrow(ax, state, answer, INK)
    return ax


def luong_step(ax: Axes | None = None) -> Axes:
    """Take the recurrent step, then attend with the new state; input feeding dashed. Source: Eqs. 5 to 7 and 3.3."""
    ax = _canvas(ax)
    previous = _box(ax, 1.0, 1.0, r"$h_{t-1}$", QUERY)
    step = _box(ax, 2.9, 1.0, "RNN", INK)
    state = _box(ax, 4.8, 1.0, r"$h_t$", QUERY)
    attend = _box(ax, 4.8, 3.0, "attention", INK, width=2.0)
    notes = _box(ax, 4.8, 4.7, r"annotations $\bar{h}_1 \ldots \bar{h}_m$", KEY, width=4.0)
    context = _box(ax, 7.3, 3.0, r"$c_t$", OUTPUT)
    combined = _box(ax, 7.3, 1.0, r"$\tilde{h}_t$", OUTPUT)
    answer = _box(ax, 9.4, 1.0, r"$y_t$", GRAY)
    symbol = _box(ax, 2.9, -0.6, r"$y_{t-1}$", GRAY)
    _arrow(ax, previous, step, INK)
    _arrow(ax, symbol, step, GRAY)
    _arrow(ax, step, state, INK, "1", (3.85, 1.3))
    _arrow(ax, state, attend, QUERY, "2  query", (3.9, 2.0))
    _arrow(ax, notes, attend, KEY, "keys, values", (6.05, 3.86))
    _arrow(ax, attend, context, OUTPUT)
    _arrow(ax, context, combined, OUTPUT, "3  combined", (8.5, 2.0))
    _arrow(ax, state, combined, INK)
    _arrow(ax, combined, answer, INK)
    ax.plot([7.3, 7.3, 9.0], [0.5, -0.4, -0.4], color=OUTPUT, linewidth=1.4, linestyle="--")
    ax.annotate("", (9.6, -0.4), (8.9, -0.4), arrowprops=_style(OUTPUT))
    ax.text(7.0, -0.75, "input feeding: to the next step's RNN", va="center", ha="center", color=OUTPUT, size=9)
    return ax


def _canvas(ax: Axes | None) -> Axes:
    ax = plt.gca() if ax is None else ax
    ax.set(xlim=(0, 10.2), ylim=(-1.1, 5.2))
    ax.axis("off")
    return ax


def _box(ax: Axes, x: float, y: float, label: str, color: str, width: float = 1.3) -> Box:
    height, rounded = 0.9, "round,pad=0.02,rounding_size=0.15"
    corner = (x - width / 2, y - height / 2)
    ax.add_patch(FancyBboxPatch(corner, width, height, boxstyle=rounded, fc="white", ec=color, lw=1.6))
    ax.text(x, y, label, ha="center", va="center")
    return x, y, width / 2, height / 2


def _arrow(
    ax: Axes, start: Box, end: Box, color: str, label: str = "", place: tuple[float, float] = (0.0, 0.0)
) -> None:
    """An arrow between two boxes, from edge to edge: sideways if they share a row, else up or down."""
    (x0, y0, w0, h0), (x1, y1, w1, h1) = start, end
    if y0 == y1:
        tail, head = (x0 + w0, y0), (x1 - w1, y1)
    else:
        up = 1 if y1 > y0 else -1
        tail, head = (x0, y0 + up * h0), (min(max(x0, x1 - w1 + 0.3), x1 + w1 - 0.3), y1 - up * h1)
    ax.annotate("", head, tail, arrowprops=_style(color))
    if label:
        ax.text(*place, label, ha="center", va="center", color=color, size=9)


def _style(color: str) -> dict:
    return {"arrowstyle": "-|>", "color": color, "lw": 1.4, "shrinkA": 1, "shrinkB": 1, "mutation_scale": 11}
