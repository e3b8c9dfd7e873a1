"""Pictures of what each token holds: its query, key and value as rows of numbered cells."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from attnbook.plots.style import INK, KEY, MARKERS, QUERY, VALUE

GAP = 0.9  # between two vectors, in cells
PITCH = 1.35  # from one token's row to the next


def token_vectors(
    tokens: Sequence[str],
    query: Sequence[Sequence[float]],
    key: Sequence[Sequence[float]],
    value: Sequence[Sequence[float]],
    *,
    ax: Axes | None = None,
) -> Axes:
    """One line a token: its name, then its query, key and value, one cell a component, in the book's three colors."""
    ax = plt.gca() if ax is None else ax
    left = 0.0
    for name, color, rows in (("query", QUERY, query), ("key", KEY, key), ("value", VALUE, value)):
        size = len(rows[0])
        ax.plot(left + 0.25, -0.55, MARKERS[name], color=color, markersize=8, clip_on=False)
        ax.text(left + 0.6, -0.55, name, color=color, va="center", size=11)
        for i, row in enumerate(rows):
            for c, number in enumerate(row):
                ax.add_patch(Rectangle((left + c, i * PITCH), 1, 1, facecolor="none", edgecolor=color, linewidth=1.4))
                text = f"{number:g}".replace("-", "\N{MINUS SIGN}")
                ax.text(left + c + 0.5, i * PITCH + 0.5, text, ha="center", va="center", color=INK, size=11)
        left += size + GAP
    for i, token in enumerate(tokens):
        ax.text(-0.4, i * PITCH + 0.5, token, ha="right", va="center", size=11)
    ax.set(xlim=(-2.4, left - GAP + 0.1), ylim=((len(tokens) - 1) * PITCH + 1.1, -1.1), aspect="equal")
    ax.axis("off")
    return ax
