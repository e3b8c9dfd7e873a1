"""Pictures of what a score compares: a query and keys in the plane, and the outputs that two values allow."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from torch import Tensor

from attnbook.plots.style import INK, KEY, MARKERS, OUTPUT, QUERY, VALUE

Matrix = Tensor | np.ndarray
GUIDE = "#888888"


def plane(query: Matrix, keys: Matrix, labels: Sequence[str], *, ax: Axes | None = None) -> Axes:
    """One query (2,) and keys (m, 2) as arrows; a dotted line drops each key onto the line of the query."""
    ax = plt.gca() if ax is None else ax
    query, keys = _array(query), _array(keys)
    along = query / np.linalg.norm(query)
    reach = 1.1 * max(np.abs(keys @ along).max(), np.linalg.norm(query))
    ax.axline((0, 0), tuple(along), color=QUERY, linewidth=0.8, linestyle=(0, (4, 3)))
    for key, label in zip(keys, labels, strict=True):
        foot = (key @ along) * along
        ax.plot(*np.transpose([key, foot]), color=GUIDE, linewidth=0.8, linestyle=":")
        _arrow(ax, key, KEY, MARKERS["key"], 7)
        # Beyond the tip and turned away from the query's line, so that no label stands on it.
        turn = 1 if (along[0] * key[1] - along[1] * key[0]) * (along @ key) > 0 else -1  # 1: counterclockwise
        outward = np.array([[0.8, -0.6 * turn], [0.6 * turn, 0.8]]) @ key / np.linalg.norm(key)
        ax.annotate(
            label,
            key,
            xytext=tuple(12 * outward),
            textcoords="offset points",
            ha="center",
            va="center",
            color=KEY,
            size=13,
        )
    _arrow(ax, query, QUERY, MARKERS["query"], 13)
    ax.annotate("query", query, xytext=(6, -14), textcoords="offset points", color=QUERY, size=12)
    ends = np.vstack([keys, query, -0.25 * reach * along, reach * along])
    ax.set(xlim=(ends[:, 0].min() - 0.5, ends[:, 0].max() + 0.5), ylim=(ends[:, 1].min() - 0.5, ends[:, 1].max() + 0.5))
    ax.set(aspect="equal", xticks=[], yticks=[])
    ax.spines[:].set_visible(False)
    return ax


def rankings(columns: dict[str, Matrix], labels: Sequence[str], *, ax: Axes | None = None) -> Axes:
    """Each column ranks the same keys, best at the top, with the score beside it; a line follows each key."""
    ax = plt.gca() if ax is None else ax
    scores = np.array([_array(column) for column in columns.values()])  # (columns, keys)
    places = (-scores).argsort(axis=1).argsort(axis=1)
    last = len(columns) - 1
    for j, label in enumerate(labels):
        ax.plot(range(last + 1), places[:, j], color=KEY, marker=MARKERS["key"], markersize=7, linewidth=1.4)
        first, final = (f"{score:.2f}".replace("-", "\N{MINUS SIGN}") for score in scores[[0, -1], j])
        ax.text(-0.12, places[0, j], f"{label}  {first}", ha="right", va="center", size=12)
        ax.text(last + 0.12, places[-1, j], f"{final}  {label}", ha="left", va="center", size=12)
    ax.set(xlim=(-1.1, last + 1.1), ylim=(len(labels) - 0.5, -0.6), yticks=[])
    ax.set_xticks(range(last + 1), columns)
    ax.xaxis.tick_top()
    ax.tick_params(length=0, labelsize=12)
    ax.spines[:].set_visible(False)
    return ax


def possible_outputs(values: Matrix, points: dict[str, Matrix], *, ax: Axes | None = None) -> Axes:
    """Components 1 and 2 of two values (2, d_v), the segment of their weighted averages, and named points (d_v,)."""
    ax = plt.gca() if ax is None else ax
    values = _array(values)[:, :2]
    ax.plot(*values.T, color=VALUE, linewidth=6, alpha=0.35, solid_capstyle="round")
    ax.plot(*values.T, color=VALUE, marker=MARKERS["value"], markersize=9, linestyle="none")
    for j, value in enumerate(values, start=1):
        ax.annotate(f"$v_{j}$", value, xytext=(-16, 6), textcoords="offset points", color=VALUE, size=12)
    for name, point in points.items():
        point = _array(point)[:2]
        ax.plot(*point, color=OUTPUT, marker=MARKERS["output"], markersize=7)
        ax.annotate(name, point, xytext=(12, -5), textcoords="offset points", va="top", color=INK, size=11)
    ax.set(xlabel="component 1 of the output", ylabel="component 2 of the output", aspect="equal")
    return ax


def _arrow(ax: Axes, tip: np.ndarray, color: str, marker: str, size: float) -> None:
    ax.plot([0, tip[0]], [0, tip[1]], color=color, linewidth=1.6)
    ax.plot(*tip, color=color, marker=marker, markersize=size, zorder=3)


def _array(matrix: Matrix) -> np.ndarray:
    return matrix.detach().cpu().double().numpy() if isinstance(matrix, Tensor) else np.asarray(matrix, dtype=float)
