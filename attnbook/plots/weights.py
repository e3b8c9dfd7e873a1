"""Pictures of score and weight matrices: one row a query, one column a key."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from torch import Tensor

from attnbook.plots.style import SCORES, WEIGHTS

Matrix = Tensor | np.ndarray


def weight_map(
    weights: Matrix,
    *,
    queries: Sequence[str] | None = None,
    keys: Sequence[str] | None = None,
    numbers: bool = False,
    title: str = "",
    ax: Axes | None = None,
) -> QuadMesh:
    """Attention weights (n, m) as a grid from 0 (blank) to 1 (dark); `numbers` prints each weight in its cell."""
    return _grid(weights, WEIGHTS, (0.0, 1.0), "{:.2f}", queries, keys, numbers, title, ax)


def score_map(
    scores: Matrix,
    *,
    queries: Sequence[str] | None = None,
    keys: Sequence[str] | None = None,
    numbers: bool = False,
    title: str = "",
    ax: Axes | None = None,
) -> QuadMesh:
    """Scores (n, m) as a grid on a diverging scale: blank at 0, blue above, brown below."""
    finite = np.asarray(_array(scores))[np.isfinite(_array(scores))]
    reach = float(np.abs(finite).max()) if finite.size else 1.0
    return _grid(scores, SCORES, (-(reach or 1.0), reach or 1.0), "{:.2f}", queries, keys, numbers, title, ax)


def _array(matrix: Matrix) -> np.ndarray:
    return matrix.detach().cpu().double().numpy() if isinstance(matrix, Tensor) else np.asarray(matrix, dtype=float)


def _grid(matrix, colors, limits, number_format, queries, keys, numbers, title, ax) -> QuadMesh:
    values = _array(matrix)
    if values.ndim != 2:
        raise ValueError(f"a matrix of shape (queries, keys) can be drawn; got shape {values.shape}")
    n, m = values.shape
    ax = plt.gca() if ax is None else ax
    grid = ax.pcolormesh(values, cmap=colors, vmin=limits[0], vmax=limits[1], edgecolor="#DDDDDD", linewidth=0.4)
    ax.set(xlim=(0, m), ylim=(n, 0), aspect="equal", title=title)
    ax.set_xticks(np.arange(m) + 0.5, range(m) if keys is None else keys)
    ax.set_yticks(np.arange(n) + 0.5, range(n) if queries is None else queries)
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    if numbers:
        drawn = grid.to_rgba(grid.get_array())  # minus infinity is left blank
        for i, j in np.ndindex(n, m):
            text, ink = number_format.format(values[i, j]).replace("-", "−"), _ink(drawn[i, j])
            ax.text(j + 0.5, i + 0.5, text, ha="center", va="center", color=ink, size=9)
    return grid


def _ink(cell: np.ndarray) -> str:
    """Black or white: on any color one of them has a contrast of at least 4.5 to 1 (WCAG 2, relative luminance)."""
    rgb = cell[:3] * cell[3] + 1 - cell[3]
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    return "white" if linear @ [0.2126, 0.7152, 0.0722] < 0.179 else "black"
