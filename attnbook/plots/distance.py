"""Pictures of distance: the steps between two words, and how strongly each position feels each other one."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.colors import LogNorm
from matplotlib.patches import FancyArrowPatch
from torch import Tensor

from attnbook.plots.style import INK, KEY, QUERY, WEIGHTS


def paths(words: Sequence[str], start: int, end: int, *, ax: Axes | None = None) -> Axes:
    """A sentence with two ways from words[start] to words[end]: along the chain below, in one step above.

    Raises: ValueError unless 0 <= start < end < len(words).
    """
    if not 0 <= start < end < len(words):
        raise ValueError(f"start and end must be places with 0 <= start < end < {len(words)}; got {start} and {end}")
    ax = plt.gca() if ax is None else ax
    for place, word in enumerate(words):
        ends = place in (start, end)
        ax.text(place, 0, word, ha="center", va="center", weight="bold" if ends else "normal", color=INK)
        ax.plot(place, -1, "o", color=KEY if start <= place <= end else "#999999", markersize=9)
    for place in range(len(words) - 1):
        color, width = (KEY, 2.2) if start <= place < end else ("#999999", 1.0)
        _arrow(ax, (place, -1), (place + 1, -1), color, width, bend=0)
    _arrow(ax, (start, 0.2), (end, 0.2), QUERY, 2.2, bend=-0.3)
    middle, steps = (start + end) / 2, end - start
    ax.text(middle, 1.32, "look directly: 1 step", ha="center", va="bottom", color=QUERY)
    ax.text(middle, -1.35, f"word by word: {steps} steps", ha="center", va="top", color=KEY)
    ax.set(xlim=(-0.6, len(words) - 0.4), ylim=(-1.9, 1.9))
    ax.axis("off")
    return ax


def influence_map(influence: Tensor | np.ndarray, *, title: str = "", ax: Axes | None = None) -> QuadMesh:
    """How strongly output i (row) feels input j (column), on a logarithmic scale from 0.001 to 1; zero is left blank.

    Raises: ValueError for anything but a square matrix without negative numbers.
    """
    grid = np.asarray(influence.detach() if isinstance(influence, Tensor) else influence, dtype=float)
    if grid.ndim != 2 or grid.shape[0] != grid.shape[1] or (grid < 0).any():
        raise ValueError(f"influence must be a square matrix without negative numbers; got shape {grid.shape}")
    ax = plt.gca() if ax is None else ax
    shown = np.ma.masked_equal(grid, 0.0)
    mesh = ax.pcolormesh(shown, cmap=WEIGHTS, norm=LogNorm(1e-3, 1, clip=True), edgecolor="#DDDDDD", linewidth=0.4)
    n = len(grid)
    ticks = range(0, n, max(1, n // 4))
    ax.set(xlim=(0, n), ylim=(n, 0), aspect="equal", title=title, xlabel="input at position")
    ax.set_xticks([i + 0.5 for i in ticks], [str(i + 1) for i in ticks])
    ax.set_yticks([i + 0.5 for i in ticks], [str(i + 1) for i in ticks])
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    return mesh


def _arrow(ax, tail, head, color, width, bend) -> None:
    style = {"arrowstyle": "-|>", "mutation_scale": 12, "shrinkA": 7, "shrinkB": 7}
    ax.add_patch(FancyArrowPatch(tail, head, connectionstyle=f"arc3,rad={bend}", color=color, linewidth=width, **style))
