"""A diagram of two encoder-decoders: the source through one vector, and the source kept for attention."""

from collections.abc import Sequence
from itertools import pairwise

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.patches import FancyBboxPatch

from attnbook.plots.style import INK, KEY, OUTPUT, QUERY

GRAY = "#666666"
SIDE = 0.74  # of a box
Point = tuple[float, float]


def one_vector(source: Sequence[str], target: Sequence[str], *, ax: Axes | None = None) -> Axes:
    """All that the decoder knows of the source passes through one vector. Source: Sutskever et al. (2014)."""
    return _chain(source, target, ax)[0]


def with_attention(
    source: Sequence[str], target: Sequence[str], *, step: int, weights: Sequence[float], ax: Axes | None = None
) -> Axes:
    """The annotations stay, and each step of the decoder averages them; drawn for one step.

    step: which of the target's symbols is being written, from 0; the state before it is the query. weights: one for
    each symbol of the source, drawn as the widths of the lines.
    Raises: ValueError for a step outside the target, or a number of weights other than the source's length.
    Source: Bahdanau et al. (2015).
    """
    if not 0 <= step < len(target):
        raise ValueError(f"step must lie between 0 and {len(target) - 1}; got {step}")
    if len(weights) != len(source):
        raise ValueError(f"weights must have one entry for each of the {len(source)} symbols read; got {len(weights)}")
    ax, annotations, start, states = _chain(source, target, ax)
    context = (start[0], 2.1)
    for (x, y), weight in zip(annotations, weights, strict=True):
        ax.plot([x, context[0]], [y + SIDE / 2, context[1]], color=KEY, linewidth=0.5 + 4.5 * weight, zorder=1)
    _box(ax, context, f"$c_{step + 1}$", OUTPUT)
    (asks, y), (takes, _) = ([start, *states][step], states[step])
    query = _arrow(QUERY) | {"linestyle": "--"}
    ax.annotate("", (context[0] + 0.1, context[1] - SIDE / 2), (asks, y + SIDE / 2), arrowprops=query)
    ax.annotate("", (takes - 0.1, y + SIDE / 2), (context[0] + SIDE / 2, context[1]), arrowprops=_arrow(OUTPUT))
    ax.text(context[0] - 0.5, context[1] + 0.1, "weights", ha="right", va="bottom", color=KEY, size=11)
    ax.text(context[0] + 0.5, context[1] + 0.1, "their average", ha="left", va="bottom", color=OUTPUT, size=11)
    ax.text(context[0] + 0.14, context[1] - 0.95, "query", ha="right", va="center", color=QUERY, size=11)
    ax.set_ylim(top=2.6)
    return ax


def _chain(
    source: Sequence[str], target: Sequence[str], ax: Axes | None
) -> tuple[Axes, list[Point], Point, list[Point]]:
    """Encoder, first state and decoder from left to right: the axes, and where the boxes stand."""
    ax = plt.gca() if ax is None else ax
    annotations = [(float(j), 0.0) for j in range(len(source))]
    start = (len(source) + 0.35, 0.0)
    states = [(start[0] + 1.35 + i, 0.0) for i in range(len(target))]
    for j, (place, symbol) in enumerate(zip(annotations, source, strict=True), 1):
        _box(ax, place, f"$h_{j}$", KEY)
        _symbol(ax, place, symbol, above=False)
    _box(ax, start, "$s_0$", INK, fill="#E8E8E8")
    for i, (place, symbol) in enumerate(zip(states, target, strict=True), 1):
        _box(ax, place, f"$s_{i}$", QUERY)
        _symbol(ax, place, symbol, above=True)
        _symbol(ax, place, target[i - 2] if i > 1 else "begin", above=False)
    for left, right in pairwise(annotations):
        _link(ax, left, right, KEY, both=True)
    _link(ax, annotations[-1], start, INK)
    for left, right in pairwise([start, *states]):
        _link(ax, left, right, QUERY)
    ax.text(annotations[0][0] - SIDE / 2, -1.5, "encoder reads", ha="left", va="center", color=KEY, size=11)
    ax.text(states[0][0] - SIDE / 2, -1.5, "decoder writes", ha="left", va="center", color=QUERY, size=11)
    ax.set(xlim=(-0.5, states[-1][0] + 0.5), ylim=(-1.75, 1.2), aspect="equal")
    ax.axis("off")
    return ax, annotations, start, states


def _box(ax: Axes, center: Point, label: str, color: str, fill: str = "white") -> None:
    corner = (center[0] - SIDE / 2, center[1] - SIDE / 2)
    style = "round,pad=0,rounding_size=0.12"
    ax.add_patch(FancyBboxPatch(corner, SIDE, SIDE, boxstyle=style, fc=fill, ec=color, lw=1.6, zorder=2))
    ax.text(*center, label, ha="center", va="center", zorder=3, size=12)


def _symbol(ax: Axes, center: Point, symbol: str, *, above: bool) -> None:
    """A symbol over or under a box, with its arrow out of or into it."""
    x, y = center
    edge = y + (SIDE / 2 if above else -SIDE / 2)
    far = edge + (0.4 if above else -0.4)
    tail, head = ((x, edge), (x, far)) if above else ((x, far), (x, edge))
    ax.annotate("", head, tail, arrowprops=_arrow(GRAY))
    ax.text(x, far, symbol, ha="center", va="bottom" if above else "top", color=INK, size=11)


def _link(ax: Axes, left: Point, right: Point, color: str, *, both: bool = False) -> None:
    arrow = _arrow(color) | ({"arrowstyle": "<|-|>"} if both else {})
    ax.annotate("", (right[0] - SIDE / 2, right[1]), (left[0] + SIDE / 2, left[1]), arrowprops=arrow)


def _arrow(color: str) -> dict:
    return {"arrowstyle": "-|>", "color": color, "lw": 1.2, "shrinkA": 0, "shrinkB": 0, "mutation_scale": 8}
