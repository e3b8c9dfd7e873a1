"""Pictures of positions: tables, distances, turned vectors, pairs of components, accuracy beyond a length."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Arc
from torch import Tensor

from attnbook.plots.style import INK, KEY, MARKERS, QUERY, SCORES, SERIES

Numbers = Tensor | np.ndarray | Sequence[float]


def _array(numbers: Numbers) -> np.ndarray:
    return np.asarray(numbers.detach().cpu() if isinstance(numbers, Tensor) else numbers, dtype=float)


def position_table(table: Numbers, *, ax: Axes | None = None) -> None:
    """A table of positions (length, size): one row a position, on the diverging scale of scores."""
    values = _array(table)
    if values.ndim != 2:
        raise ValueError(f"table must have shape (length, size); got shape {values.shape}")
    ax = plt.gca() if ax is None else ax
    reach = np.abs(values).max() or 1.0
    ax.imshow(values, cmap=SCORES, vmin=-reach, vmax=reach, aspect="auto", interpolation="nearest")
    ax.set(xlabel="component", ylabel="position")


def whole_numbers(grid: Numbers, *, ax: Axes | None = None) -> None:
    """A grid of whole numbers, one row a query and one column a key, each number in its cell."""
    values = _array(grid)
    if values.ndim != 2:
        raise ValueError(f"grid must have shape (queries, keys); got shape {values.shape}")
    ax = plt.gca() if ax is None else ax
    n, m = values.shape
    reach = 1.6 * (np.abs(values).max() or 1.0)  # stays light enough for black numbers
    ax.pcolormesh(values, cmap=SCORES, vmin=-reach, vmax=reach, edgecolor="#DDDDDD", linewidth=0.4)
    for i, j in np.ndindex(n, m):
        ax.text(j + 0.5, i + 0.5, f"{values[i, j]:.0f}".replace("-", "−"), ha="center", va="center", size=8, color=INK)
    ax.set(xlim=(0, m), ylim=(n, 0), aspect="equal", xlabel="key at position", ylabel="query at position")
    ax.set_xticks(np.arange(m) + 0.5, range(m))
    ax.set_yticks(np.arange(n) + 0.5, range(n))
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)


def turned_pair(query: Numbers, key: Numbers, *, labels: tuple[str, str], ax: Axes | None = None) -> None:
    """A query and a key of two components each as arrows in their plane, with the angle between them as an arc."""
    ax = plt.gca() if ax is None else ax
    circle = np.linspace(0, 2 * np.pi, 200)
    angles = []
    for vector, label, role, color in zip((query, key), labels, ("query", "key"), (QUERY, KEY), strict=True):
        x, y = _array(vector)
        length = np.hypot(x, y)
        ax.plot(length * np.cos(circle), length * np.sin(circle), color=color, linewidth=0.5, alpha=0.5)
        ax.plot([0, x], [0, y], color=color)
        ax.plot(x, y, MARKERS[role], color=color, markersize=9 if role == "query" else 7)
        away = (x / length, y / length)
        ax.annotate(label, (x, y), (13 * away[0], 13 * away[1]), textcoords="offset points", color=color,
                    ha="left" if x > 0 else "right", va="center", fontsize=9)  # fmt: skip
        angles.append(np.degrees(np.arctan2(y, x)))
    first, last = sorted(angles)
    if last - first > 180:
        first, last = last, first + 360
    ax.add_patch(Arc((0, 0), 0.7, 0.7, theta1=first, theta2=last, color=INK, linewidth=1.2))
    ax.set(aspect="equal", xticks=[], yticks=[])
    ax.spines[:].set_visible(False)


def pairing(size: int, layout: str, *, ax: Axes | None = None) -> None:
    """The components of one vector as boxes, with an arc over each pair that is turned together."""
    ax = plt.gca() if ax is None else ax
    if layout == "half":
        pairs = [(k, k + size // 2) for k in range(size // 2)]
    else:
        pairs = [(2 * k, 2 * k + 1) for k in range(size // 2)]
    for k, (a, b) in enumerate(pairs):
        color = SERIES[k % len(SERIES)]
        height = 0.35 + 0.16 * (b - a) + 0.2 * (k if b - a > 1 else 0)
        ax.plot([a, a, b, b], [0.5, 0.5 + height, 0.5 + height, 0.5], color=color, linewidth=1.5)
        for c in (a, b):
            ax.add_patch(plt.Rectangle((c - 0.42, -0.42), 0.84, 0.84, facecolor="none", edgecolor=color, linewidth=1.5))
            ax.text(c, 0, f"$x_{c}$", ha="center", va="center", color=INK)
    ax.set(xlim=(-0.7, size - 0.3), ylim=(-0.6, 0.7 + height), aspect="equal", xticks=[], yticks=[])
    ax.set_title(f'layout="{layout}"', loc="left", fontsize=9)
    ax.spines[:].set_visible(False)


def beyond_training(
    accuracies: Mapping[str, Mapping[str, Numbers]], *, width: int, trained: int, chance: Mapping[str, float]
) -> None:
    """One small panel a kind: accuracy against position, one line a task, the trained lengths shaded.

    accuracies: kind -> task -> accuracy in each bin of `width` positions. chance: task -> accuracy of guessing.
    """
    kinds = list(accuracies)
    rows = (len(kinds) + 2) // 2
    figure, axes = plt.subplots(rows, 2, figsize=(5.6, 1.45 * rows), sharex=True, sharey=True)
    styles = [("-", "o", SERIES[0]), ("--", "s", SERIES[1])]
    for ax, kind in zip(axes.flat, kinds, strict=False):
        for (task, values), (line, marker, color) in zip(accuracies[kind].items(), styles, strict=False):
            shares = _array(values)
            middle = (np.arange(len(shares)) + 0.5) * width
            ax.plot(middle, shares, line, marker=marker, markersize=4, color=color, label=task)
            ax.axhline(chance[task], color=color, linewidth=0.7, linestyle=":")
        ax.axvspan(0, trained, color="#000000", alpha=0.07, linewidth=0)
        ax.set_title(kind, loc="left", fontsize=9)
        ax.set(ylim=(0, 1.08), xlim=(0, width * len(shares)), yticks=[0, 0.5, 1], xticks=trained * np.arange(5))
    spare = axes.flat[len(kinds)]
    for ax in axes.flat[len(kinds) :]:
        ax.set_axis_off()
    spare.legend(*axes.flat[0].get_legend_handles_labels(), loc="center", title="shaded: trained\ndotted: guessing")
    for ax in axes[-1]:
        ax.set_xlabel("position")
    axes[-2, 1].tick_params(labelbottom=True)
    figure.supylabel("share of right answers", fontsize=10)
