"""A diagram of the encoder-decoder Transformer with pre-norm layers."""

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.patches import Circle, FancyBboxPatch

from attnbook.plots.style import INK, KEY, OUTPUT, QUERY, VALUE

PANEL, NORM, GRAY = "#F3F3F3", "#E8E8E8", "#888888"
WIDTH, LOW, HIGH = 1.34, 0.26, 0.36  # of a part; heights of a norm and of a part with one line of text
GAP = 0.27  # between a norm and its part, where the letters stand
PLUS, STREAM = 0.1, 4.5  # radius of a plus; width of the stream, in points
ENCODER, DECODER = (0.92, 1.92), (3.78, 4.84)  # where the parts stand, and the stream that they add to

# Each part from the bottom up, with what it takes from the norm below it.
QKV = {"Q": QUERY, "K": KEY, "V": VALUE}
READS = {"self-attention": QKV, "feed-forward": {}}
WRITES = {"causal\nself-attention": QKV, "cross-attention": {"Q": QUERY}, "feed-forward": {}}


def architecture(ax: Axes | None = None) -> Axes:
    """One thick line a stack, the residual stream: every part reads it through a norm, and adds to it.

    Sizes are in inches, for a figure of 5.6 by 6.2; text does not scale with the axes.
    Source: Vaswani et al. (2017), Figure 1, with the norms where Xiong et al. (2020) put them.
    """
    ax = plt.gca() if ax is None else ax
    _, memory = _stack(ax, *ENCODER, "source", "encoder layer × N", READS)
    (_, attention, _), end = _stack(ax, *DECODER, "target so far", "decoder layer × N", WRITES)
    _memory(ax, memory, attention)
    x, y = DECODER[1], end + LOW / 2
    _arrow(ax, (x, y), (x, y + 0.22), INK)
    _box(ax, x, y + 0.22 + HIGH / 2, 1.16, HIGH, "output layer")
    _arrow(ax, (x, y + 0.22 + HIGH), (x, y + 0.79), INK)
    ax.text(5.55, y + 0.81, "logits of the next symbol", ha="right", va="bottom", size=11)
    ax.plot([0.25, 0.65], [y + 0.4, y + 0.4], color=INK, linewidth=STREAM, solid_capstyle="butt")
    ax.text(0.75, y + 0.4, "residual stream", ha="left", va="center", size=11)
    ax.set(xlim=(0, 5.6), ylim=(0, 6.2), aspect="equal")
    ax.axis("off")
    return ax


def _stack(
    ax: Axes, x: float, stream: float, symbols: str, name: str, parts: dict[str, dict[str, str]]
) -> tuple[list[float], float]:
    """Embedding, one layer and the last norm: the heights of the layer's pluses, and of that norm."""
    _embedding(ax, stream, symbols)
    pluses, top = [], 1.14
    for label, takes in parts.items():
        pluses.append(_part(ax, x, stream, top + 0.28, label, takes))
        top = pluses[-1] + _height(label) / 2
    top, norm = top + 0.14, top + 0.63
    left, panel = x - WIDTH / 2 - 0.14, "round,pad=0,rounding_size=0.1"
    size = (stream + 0.24 - left, top - 1.17)
    ax.add_patch(FancyBboxPatch((left, 1.17), *size, boxstyle=panel, fc=PANEL, ec=GRAY, lw=1, zorder=0))
    ax.text(left, top + 0.05, name, ha="left", va="bottom", size=11)
    ax.plot([stream, stream], [0.7, norm], color=INK, linewidth=STREAM, solid_capstyle="butt", zorder=2)
    _box(ax, stream, norm, 0.66, LOW, "norm", NORM)
    return pluses, norm


def _part(ax: Axes, x: float, stream: float, y: float, label: str, takes: dict[str, str]) -> float:
    """A norm at the height y, which reads the stream, and the part over it, which adds to it: the plus's height."""
    height = _height(label)
    center = y + LOW / 2 + GAP + height / 2
    _box(ax, x, y, WIDTH, LOW, "norm", NORM)
    _box(ax, x, center, WIDTH, height, label)
    _arrow(ax, (stream, y), (x + WIDTH / 2, y), INK)
    for i, (letter, color) in enumerate(takes.items() or [("", INK)]):
        at = x + 0.42 * (i - (max(len(takes), 1) - 1) / 2)
        _arrow(ax, (at, y + LOW / 2), (at, center - height / 2), color)
        ax.text(at + 0.06, center - height / 2 - GAP / 2, letter, ha="left", va="center", color=color, size=10)
    _arrow(ax, (x + WIDTH / 2, center), (stream - PLUS, center), OUTPUT if takes else INK)
    _plus(ax, stream, center)
    return center


def _height(label: str) -> float:
    return HIGH + 0.16 * label.count("\n")


def _embedding(ax: Axes, x: float, symbols: str) -> None:
    ax.text(x, 0.02, symbols, ha="center", va="bottom", size=11)
    _arrow(ax, (x, 0.24), (x, 0.4), INK)
    _box(ax, x, 0.55, 1.06, 0.3, "embedding")
    ax.text(x - 0.52, 0.95, "positions", ha="right", va="center", size=11)
    _arrow(ax, (x - 0.48, 0.95), (x - PLUS, 0.95), INK)
    _plus(ax, x, 0.95)


def _memory(ax: Axes, norm: float, attention: float) -> None:
    """Keys and values, from the encoder's last norm to the decoder's cross-attention."""
    ax.text(ENCODER[1], norm + 0.17, "memory", ha="center", va="bottom", size=11)
    begin, end = ENCODER[1] + 0.33, DECODER[0] - WIDTH / 2
    for letter, color, side, turn in (("K", KEY, 1, 2.74), ("V", VALUE, -1, 2.52)):
        y0, y1 = norm + 0.06 * side, attention + 0.09 * side
        ax.plot([begin, turn, turn, end - 0.1], [y0, y0, y1, y1], color=color, linewidth=1.6, zorder=3)
        _arrow(ax, (end - 0.12, y1), (end, y1), color)
        ax.text(2.84, y1 + 0.04 * side, letter, ha="center", va="bottom" if side > 0 else "top", color=color, size=10)


def _box(ax: Axes, x: float, y: float, width: float, height: float, label: str, fill: str = "white") -> None:
    shape, corner = "round,pad=0,rounding_size=0.06", (x - width / 2, y - height / 2)
    ax.add_patch(FancyBboxPatch(corner, width, height, boxstyle=shape, fc=fill, ec=INK, lw=1.4, zorder=3))
    ax.text(x, y, label, ha="center", va="center", size=11, linespacing=1.0, zorder=4)


def _plus(ax: Axes, x: float, y: float) -> None:
    ax.add_patch(Circle((x, y), PLUS, fc="white", ec=INK, lw=1.4, zorder=4))
    ax.plot([x - 0.055, x + 0.055], [y, y], color=INK, linewidth=1.4, zorder=5)
    ax.plot([x, x], [y - 0.055, y + 0.055], color=INK, linewidth=1.4, zorder=5)


def _arrow(ax: Axes, tail: tuple[float, float], head: tuple[float, float], color: str) -> None:
    look = {"arrowstyle": "-|>", "color": color, "lw": 1.4, "shrinkA": 0, "shrinkB": 0, "mutation_scale": 8}
    ax.annotate("", head, tail, arrowprops=look, zorder=3)
