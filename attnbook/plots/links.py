"""One sequence on both sides: each element asks on the left, and a line leads to every element that it attends to."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.axes import Axes
from torch import Tensor

from attnbook.plots.style import INK, KEY, MARKERS, QUERY

WIDEST = 8.0  # points, for a weight of 1


def links(tokens: Sequence[str], weights: Tensor | np.ndarray, *, least: float = 0.02, ax: Axes | None = None) -> Axes:
    """The tokens as queries (left) and as keys (right), joined by lines as wide as the weights (n, n).

    Weights below `least` are not drawn.
    Raises: ValueError unless weights has one row and one column for each token.
    """
    values = (weights.detach().cpu() if isinstance(weights, Tensor) else torch.as_tensor(weights)).double().numpy()
    if values.shape != (len(tokens), len(tokens)):
        raise ValueError(f"weights must have shape {(len(tokens), len(tokens))}, one row a token; got {values.shape}")
    ax = plt.gca() if ax is None else ax
    for i, j in np.argwhere(values >= least):
        ax.plot([0, 1], [i, j], color=INK, linewidth=WIDEST * values[i, j], alpha=0.55, solid_capstyle="butt", zorder=1)
    for x, color, name, side in ((0, QUERY, "query", "right"), (1, KEY, "key", "left")):
        ax.plot([x] * len(tokens), range(len(tokens)), MARKERS[name], color=color, markersize=9, zorder=2)
        for i, token in enumerate(tokens):
            ax.text(x + (-0.07 if side == "right" else 0.07), i, token, ha=side, va="center", color=color, size=14)
    ax.set(xlim=(-0.5, 1.5), ylim=(len(tokens) - 0.5, -0.9))
    ax.text(0, -0.75, "asks", ha="center", color=QUERY, size=13)
    ax.text(1, -0.75, "is asked", ha="center", color=KEY, size=13)
    ax.axis("off")
    return ax
