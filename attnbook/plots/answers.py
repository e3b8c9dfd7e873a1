"""A table of answers, part by part, in which the wrong parts stand out."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
from matplotlib.axes import Axes

from attnbook.plots.style import INK, KEY

Parts = Sequence[str]


def answer_parts(
    sources: Sequence[str],
    expected: Sequence[Parts],
    answers: Mapping[str, Sequence[Parts]],
    *,
    widths: Sequence[float],
    ax: Axes | None = None,
) -> Axes:
    """One row a source; for each model its answer in parts. A part other than the expected one is boxed and orange.

    answers: model -> one answer for each source, cut into as many parts as `widths` has. widths: of each part, in
    inches of a figure that is 6.4 wide.
    Raises: ValueError where the numbers of rows or parts differ.
    """
    for name, given in {"expected": expected, **answers}.items():
        if len(given) != len(sources):
            raise ValueError(f"{name} must have one answer for each of the {len(sources)} sources; got {len(given)}")
        if any(len(parts) != len(widths) for parts in given):
            raise ValueError(f"{name} must have {len(widths)} parts in each answer, as widths has")
    ax = plt.gca() if ax is None else ax
    total = sum(widths)
    lefts = {name: 6.4 - (len(answers) - k) * (total + 0.1) for k, name in enumerate(answers)}
    ax.text(0, -1, "source", va="center", color=INK, weight="bold", size=9)
    for name, left in lefts.items():
        ax.text(left, -1, name, va="center", color=INK, weight="bold", size=9)
    for row, source in enumerate(sources):
        ax.text(0, row, source, va="center", color=INK, size=9)
        for name, left in lefts.items():
            place = left
            for part, right, width in zip(answers[name][row], expected[row], widths, strict=True):
                wrong = part != right
                box = {"boxstyle": "square,pad=0.15", "fc": "white", "ec": KEY, "lw": 1.0} if wrong else None
                ax.text(place, row, part, va="center", color=KEY if wrong else INK, size=9, bbox=box)
                place += width
    ax.set(xlim=(0, 6.4), ylim=(len(sources) - 0.4, -1.6))
    ax.axis("off")
    return ax
