"""Pictures of masks, and of what really reaches what, as the leak test finds it: one row a query, one column a key."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.colors import ListedColormap
from torch import Tensor

from attnbook.plots.style import INK, KEY

Matrix = Tensor | np.ndarray

LARGE = 200  # cells; more of them would weigh too much as a path each
OPEN = ListedColormap(["#FFFFFF", "#5AA3CF"], "open")  # hidden, allowed


def mask_map(
    mask: Matrix,
    *,
    queries: Sequence[str] | None = None,
    keys: Sequence[str] | None = None,
    title: str = "",
    ax: Axes | None = None,
) -> QuadMesh:
    """A mask (n, m) as a grid: filled where attention is allowed, blank where it is not. No names, no ticks."""
    cells = _array(mask)
    n, m = cells.shape
    ax = plt.gca() if ax is None else ax
    grid = ax.pcolormesh(cells, cmap=OPEN, vmin=0, vmax=1, edgecolor="#DDDDDD", linewidth=0.4)
    grid.set_rasterized(cells.size > LARGE)
    ax.set(xlim=(0, m), ylim=(n, 0), aspect="equal", title=title)
    ax.set_xticks([] if keys is None else np.arange(m) + 0.5, [] if keys is None else keys)
    ax.set_yticks([] if queries is None else np.arange(n) + 0.5, [] if queries is None else queries)
    ax.tick_params(length=0)
    ax.spines[:].set(visible=True, color="#AAAAAA", linewidth=0.6)
    return grid


def influence_map(found: Matrix, mask: Matrix, **options: object) -> QuadMesh:
    """What reaches what (n, m) as `mask_map`, with a cross on each leak and a ring where something should be seen.

    found: as attnbook.leaks.influence gives it. mask: what ought to be. options as in `mask_map`.
    """
    grid = mask_map(found, **options)
    found, mask = _array(found), _array(mask)
    if found.shape != mask.shape:
        raise ValueError(f"mask must have the shape of found, {found.shape}; got {mask.shape}")
    for wrong, marker, face in ((found & ~mask, "X", KEY), (mask & ~found, "o", "none")):
        i, j = np.nonzero(wrong)
        edge = "white" if marker == "X" else INK
        shape = {"s": 46, "marker": marker, "facecolor": face, "edgecolor": edge, "linewidth": 1.1}
        grid.axes.scatter(j + 0.5, i + 0.5, **shape, zorder=3)
    return grid


def _array(matrix: Matrix) -> np.ndarray:
    array = matrix.detach().cpu().numpy() if isinstance(matrix, Tensor) else np.asarray(matrix)
    if array.ndim != 2 or array.dtype != bool:
        raise ValueError(f"a boolean matrix of shape (queries, keys) can be drawn; got {array.dtype}, {array.shape}")
    return array
