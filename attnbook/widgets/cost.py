"""What a layer costs in several forms: counted for any size, timed for some."""

import json
from pathlib import Path
from typing import ClassVar

import traitlets
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from attnbook import costs, plots
from attnbook.widgets import sources
from attnbook.widgets.explorer import Explorer

MEASURED = Path(__file__).parent / "cost_measured.json"
LENGTHS = [2**e for e in range(6, 17)]


class Cost(Explorer):
    """Multiply-adds and memory of attention layers and a recurrent one, beside a table of measured times.

    Cost(n=1024, d=256, h=4, w=128)

    n tokens, d the size of their vectors, h heads, w keys in a window: powers of two, n 64 to 65536, d 64 to 4096, h 1
    to 64 and at most d, w 16 to 4096. measured: the table that benchmarks/layers.py writes: times of one
    layer over those of the fused form, on one thread of a CPU, for one width, number of heads and window.
    `operations` and `memory` are attnbook.costs for each form; `cheapest` has the fewest multiply-adds, `fastest` the
    least time in the table at this length, None where nothing was measured.
    Raises: TypeError or ValueError that names the argument.
    """

    name = "cost"
    _esm = sources.module("cost.js")
    _css = sources.style("cost.css")

    n = traitlets.Int(1024).tag(sync=True)
    d = traitlets.Int(256).tag(sync=True)
    h = traitlets.Int(4).tag(sync=True)
    w = traitlets.Int(128).tag(sync=True)
    measured = traitlets.Dict().tag(sync=True)

    limits: ClassVar = {"n": (6, 16), "d": (6, 12), "h": (0, 6), "w": (4, 12)}

    def __init__(self, **options: object) -> None:
        super().__init__(**({"measured": json.loads(MEASURED.read_text(encoding="utf-8"))} | options))

    @traitlets.validate(*limits)
    def _power_of_two(self, proposal: dict) -> int:
        name, value = proposal["trait"].name, proposal["value"]
        low, high = self.limits[name]
        if value not in [2**e for e in range(low, high + 1)]:
            raise ValueError(f"{name} must be a power of two from {2**low} to {2**high}; got {value}")
        return value

    @property
    def operations(self) -> dict[str, int]:
        """Multiply-adds of each form, projections included."""
        return {form: sum(costs.operations(form, **self._sizes).values()) for form in costs.FORMS}

    @property
    def memory(self) -> dict[str, int]:
        """Numbers that each form keeps."""
        return {form: sum(costs.memory(form, **self._sizes).values()) for form in costs.FORMS}

    @property
    def cheapest(self) -> str:
        """The form with the fewest multiply-adds (the first of equals)."""
        return min(self.operations, key=self.operations.get)

    @property
    def fastest(self) -> str | None:
        """The form with the least measured time at this length."""
        lengths, ratios = self.measured["lengths"], self.measured["ratios"]
        if self.n not in lengths:
            return None
        at = lengths.index(self.n)
        times = {"full": ratios["full"][at], "fused": 1.0} | {
            f: ratios[f][at] for f in ("window", "linear", "recurrent")
        }
        return min((form for form in times if times[form] is not None), key=times.get)

    @property
    def _sizes(self) -> dict[str, int]:
        return {"n": self.n, "d": self.d, "h": self.h, "w": self.w}

    def draw(self, figure: Figure) -> None:
        """Multiply-adds a token over the length, and the measured times."""
        figure.set_size_inches(6.4, 3.0)
        left, right = figure.subplots(1, 2)
        styles = dict(zip(costs.FORMS, ("-", "--", ":", "-.", "-"), strict=True))
        for (form, style), color in zip(styles.items(), plots.SERIES, strict=False):
            total = [sum(costs.operations(form, **(self._sizes | {"n": n})).values()) / n for n in LENGTHS]
            left.plot(LENGTHS, total, style, color=color, label=form)
            lengths = self.measured["lengths"]
            times = self.measured["ratios"].get(form, [1.0] * len(lengths))
            timed = [(n, time) for n, time in zip(lengths, times, strict=True) if time is not None]
            right.plot(*zip(*timed, strict=True), style, color=color, marker="o", markersize=3)
        for ax, title in ((left, "multiply-adds a token"), (right, "time over the fused kernel's")):
            ax.set(xscale="log", yscale="log", xlabel="length n", title=title)
            ax.xaxis.set_minor_formatter(NullFormatter())
            ax.axvline(self.n, color="#222222", linestyle=":", linewidth=1)
        left.legend(fontsize=8)
