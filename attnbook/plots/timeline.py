"""A timeline: dots at their dates on an axis of years, labels spread out beside them."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

from attnbook.plots.style import INK

MARKERS = ["o", "s", "D", "^", "v"]


def timeline(
    events: Sequence[tuple[float, str, str]], colors: dict[str, str], *, years: tuple[int, int], ax: Axes | None = None
) -> Axes:
    """Events (date as a year with fraction, label, kind), from the earliest at the top; each kind has color and marker.

    colors: the color of each kind, in the order of the legend. years: the first and the last year on the axis.
    Raises: ValueError for no events, or a kind without a color.
    """
    if not events:
        raise ValueError("events must hold at least one event; got none")
    unknown = {kind for _, _, kind in events} - set(colors)
    if unknown:
        raise ValueError(f"colors must have a color for each kind; got none for {sorted(unknown)}")
    ax = plt.gca() if ax is None else ax
    first, last = years
    ax.plot([0, 0], [first, last], color=INK, linewidth=1.2)
    for year in range(first, last + 1):
        ax.plot([-0.12, 0], [year, year], color=INK, linewidth=1.2)
        ax.text(-0.2, year, str(year), ha="right", va="center")
    events = sorted(events)
    rows = np.linspace(first, last, len(events) + 2)[1:-1]
    markers = dict(zip(colors, MARKERS, strict=False))
    for (date, label, kind), row in zip(events, rows, strict=True):
        ax.plot([0, 0.55, 0.75], [date, row, row], color=colors[kind], linewidth=0.9)
        ax.plot(0, date, marker=markers[kind], color=colors[kind], markersize=7, zorder=3)
        ax.text(0.85, row, label, va="center", color=INK, linespacing=1.25)
    handles = [plt.Line2D([], [], color=colors[k], marker=markers[k], linestyle="none", label=k) for k in colors]
    ax.legend(handles=handles, loc="upper center", bbox_to_anchor=(0.5, -0.01), ncols=3, handletextpad=0.2)
    ax.set(xlim=(-0.7, 4.6), ylim=(last + 0.1, first - 0.1))
    ax.axis("off")
    return ax
