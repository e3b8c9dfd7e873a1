"""Pictures of outputs as mixtures: values of size 2 as corners in a plane, and what attention makes of them."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from torch import Tensor

from attnbook.plots.style import MARKERS, OUTPUT, VALUE

Rows = Tensor | np.ndarray | Sequence[Sequence[float]]


def value_triangle(value: Rows, labels: Sequence[str], *, ax: Axes | None = None) -> Axes:
    """Three values in their plane, and the triangle of all their weighted averages."""
    corners = np.asarray(value, dtype=float)
    if corners.shape != (3, 2):
        raise ValueError(f"value must be three rows of two components; got shape {corners.shape}")
    ax = plt.gca() if ax is None else ax
    ax.fill(*corners.T, facecolor=VALUE, alpha=0.10, edgecolor=VALUE, linewidth=1)
    ax.plot(*corners.T, MARKERS["value"], color=VALUE, markersize=8)
    for corner, label in zip(corners, labels, strict=True):
        if corner[0] == corners[:, 0].max():  # beside the rightmost corner; above or below the others
            place = {"xytext": (9, 0), "ha": "left", "va": "center"}
        elif corner[1] == corners[:, 1].max():
            place = {"xytext": (0, 8), "ha": "center", "va": "bottom"}
        else:
            place = {"xytext": (0, -8), "ha": "center", "va": "top"}
        ax.annotate(label, corner, textcoords="offset points", color=VALUE, **place)
    ax.set(aspect="equal", xlabel="first component", ylabel="second component")
    return ax


def outputs(
    points: Rows,
    labels: Sequence[str],
    *,
    offset: tuple[float, float] = (8, 0),
    filled: bool = True,
    ax: Axes | None = None,
) -> None:
    """Outputs as diamonds, labeled at an offset in points; hollow ones are for what is not an attention output."""
    ax = plt.gca() if ax is None else ax
    for point, label in zip(np.asarray(points, dtype=float), labels, strict=True):
        ax.plot(*point, MARKERS["output"], color=OUTPUT, markersize=8, fillstyle="full" if filled else "none")
        ax.annotate(label, point, offset, textcoords="offset points", va="center", color=OUTPUT)


def pulls(value: Rows, weights: Sequence[float], *, ax: Axes | None = None) -> None:
    """A line from the weighted average to each value, as thick as the value's weight, which is printed beside it."""
    corners, shares = np.asarray(value, dtype=float), np.asarray(weights, dtype=float)
    ax = plt.gca() if ax is None else ax
    output = shares @ corners
    for corner, share in zip(corners, shares, strict=True):
        ax.plot(*np.stack([output, corner]).T, color=OUTPUT, linewidth=0.6 + 7 * share, alpha=0.35, zorder=1)
        middle, (across, up) = (output + corner) / 2, np.abs(corner - output)
        if up > across:  # left of a steep line, below a flat one
            place = {"xytext": (-6, 0), "ha": "right", "va": "center"}
        else:
            place = {"xytext": (0, -8), "ha": "center", "va": "top"}
        ax.annotate(f"{share:.2f}", middle, textcoords="offset points", size=9, **place)
