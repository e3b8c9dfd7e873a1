"""Pictures of look-ups where keys and values are plain numbers: keys along the axis, values above them."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
from matplotlib.axes import Axes

from attnbook.plots.style import INK, KEY, MARKERS, OUTPUT, QUERY, VALUE, WEIGHTS

Numbers = Sequence[float]


def entries(key: Numbers, value: Numbers, *, floor: float = 0.0, ax: Axes | None = None) -> Axes:
    """Each entry as its key on the floor, its value above, and a dotted line that ties them.

    Raises: ValueError unless there is one value for each key.
    """
    if len(key) != len(value):
        raise ValueError(f"value must have one number for each key, {len(key)}; got {len(value)}")
    ax = plt.gca() if ax is None else ax
    for k, v in zip(key, value, strict=True):
        ax.plot([k, k], [floor, v], ":", color=INK, linewidth=0.8, zorder=1)
    ax.plot(key, [floor] * len(key), MARKERS["key"], color=KEY, markersize=7, clip_on=False, zorder=4, label="key")
    ax.plot(key, value, MARKERS["value"], color=VALUE, markersize=7, zorder=3, label="value")
    return ax


def question(query: float, answer: float, *, floor: float = 0.0, ax: Axes | None = None) -> None:
    """The query on the floor, among the keys, and the output above it."""
    ax = plt.gca() if ax is None else ax
    ax.plot([query, query], [floor, answer], color=QUERY, linewidth=1, zorder=1)
    ax.plot([query], [floor], MARKERS["query"], color=QUERY, markersize=12, clip_on=False, zorder=5, label="query")
    ax.plot([query], [answer], MARKERS["output"], color=OUTPUT, markersize=8, zorder=5, label="output")


def shares(key: Numbers, weights: Numbers, *, width: float = 0.5, ax: Axes | None = None) -> None:
    """The weight of each entry as a bar over its key, with the number on top."""
    ax = plt.gca() if ax is None else ax
    ax.bar(key, weights, width, color=WEIGHTS(0.75))
    for k, weight in zip(key, weights, strict=True):
        ax.annotate(f"{weight:.2f}", (k, weight), (0, 2), textcoords="offset points", ha="center", size=9)
    ax.set(ylim=(0, 1.15), yticks=[0, 1], ylabel="weight")


def read_entries(weights, labels: Sequence[Sequence[str]], *, ax: Axes | None = None) -> None:
    """Writes each entry's label into its cell of a weight map: rows are dictionaries, columns are entries."""
    ax = plt.gca() if ax is None else ax
    for i, row in enumerate(labels):
        for j, label in enumerate(row):
            ink = "white" if weights[i][j] > 0.64 else "black"  # a contrast of at least 4.5 to 1
            ax.text(j + 0.5, i + 0.5, label, ha="center", va="center", color=ink, size=9)
