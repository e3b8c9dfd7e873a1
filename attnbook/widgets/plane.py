"""A query that is dragged among keys in the plane, and its output among the values."""

from collections.abc import Callable

import torch
import traitlets
from matplotlib.figure import Figure
from torch import Tensor

from attnbook import plots, scores
from attnbook.attention import attention
from attnbook.widgets import checks, sources
from attnbook.widgets.explorer import Explorer

SCORES = ("dot", "scaled_dot", "cosine")


class Plane(Explorer):
    """Weights as areas, and the output inside the convex hull of the values.

    Plane(query=[1, 1], key=[[1, 0], [0, 1]], value=[[0, 2], [2, 0]], key_names=["A", "B"])

    query holds 2 numbers; key and value are m rows of 2. score: "dot", "scaled_dot" or "cosine"; it is divided by
    `temperature`. reach: the planes show -reach to reach both ways.
    `scores` (m,), `weights` (m,) and `output` (2,) are what attnbook computes, in float64; `score_function` is the
    chosen score over the temperature, for tensors of your own.
    Raises: TypeError or ValueError that names the argument.
    """

    name = "plane"
    _esm = sources.module("plane.js")
    _css = sources.style("plane.css")

    query = traitlets.List().tag(sync=True)
    key = traitlets.List().tag(sync=True)
    value = traitlets.List().tag(sync=True)
    key_names = traitlets.List().tag(sync=True)
    score = traitlets.Unicode("dot").tag(sync=True)
    temperature = traitlets.Float(1.0).tag(sync=True)
    reach = traitlets.Float(3.0).tag(sync=True)

    def __init__(self, query: list, key: list, value: list, **options: object) -> None:
        key, value = checks.rows("key", key), checks.rows("value", value)
        given = {"key_names": [f"key {j}" for j in range(1, len(key) + 1)]} | options
        super().__init__(query=query, key=key, value=value, **given)
        checks.size("key", self.key, columns=2)
        checks.size("value", self.value, rows=len(key), columns=2)
        checks.size("key_names", self.key_names, rows=len(key))

    @traitlets.validate("query")
    def _point(self, proposal: dict) -> list:
        (point,) = checks.rows("query", [proposal["value"]])
        checks.size("query", point, rows=2)
        return point

    @traitlets.validate("key", "value")
    def _points(self, proposal: dict) -> list:
        name = proposal["trait"].name
        return checks.same_shape(name, checks.rows(name, proposal["value"]), getattr(self, name))

    @traitlets.validate("score")
    def _known(self, proposal: dict) -> str:
        return checks.one_of("score", proposal["value"], SCORES)

    @traitlets.validate("temperature", "reach")
    def _positive(self, proposal: dict) -> float:
        return checks.positive(proposal["trait"].name, proposal["value"])

    @property
    def score_function(self) -> Callable[[Tensor, Tensor], Tensor]:
        """The chosen score divided by the temperature."""
        rule, temperature = getattr(scores, self.score), self.temperature
        return lambda query, key: rule(query, key) / temperature

    @property
    def scores(self) -> Tensor:
        """The scores (m,), divided by the temperature."""
        return self.score_function(self._tensor([self.query]), self._tensor(self.key))[0]

    @property
    def weights(self) -> Tensor:
        """The attention weights (m,)."""
        return self._attend()[1][0]

    @property
    def output(self) -> Tensor:
        """The output (2,)."""
        return self._attend()[0][0]

    def _tensor(self, rows: list) -> Tensor:
        return torch.tensor(rows, dtype=torch.float64)

    def _attend(self) -> tuple[Tensor, Tensor]:
        query, key, value = (self._tensor(rows) for rows in ([self.query], self.key, self.value))
        return attention(query, key, value, score=self.score_function)

    def draw(self, figure: Figure) -> None:
        """The two planes side by side."""
        figure.set_size_inches(6.4, 3.3)
        left, right = figure.subplots(1, 2)
        weights, output = self.weights.tolist(), self.output.tolist()
        areas = [3600 * weight for weight in weights]
        for ax, points, color, marker in ((left, self.key, plots.KEY, "o"), (right, self.value, plots.VALUE, "s")):
            ax.scatter(*zip(*points, strict=True), s=areas, color=color, marker=marker, alpha=0.28, linewidth=0)
            ax.scatter(*zip(*points, strict=True), s=25, color=color, marker=marker)
            for (x, y), name, weight in zip(points, self.key_names, weights, strict=True):
                ax.annotate(f"{name} {weight:.2f}", (x, y), (6, 5), textcoords="offset points", color=color)
            ax.set(xlim=(-self.reach, self.reach), ylim=(-self.reach, self.reach), aspect="equal")
        arrow = {"arrowstyle": "-|>", "color": plots.QUERY, "shrinkA": 0, "shrinkB": 0}
        left.annotate("", self.query, (0, 0), arrowprops=arrow)
        left.plot(*self.query, plots.MARKERS["query"], color=plots.QUERY, markersize=10)
        left.annotate("query", self.query, (4, 4), textcoords="offset points", color=plots.QUERY)
        for point, weight in zip(self.value, weights, strict=True):
            right.plot(*zip(point, output, strict=True), color=plots.OUTPUT, alpha=0.5, linewidth=7 * weight)
        right.plot(*output, plots.MARKERS["output"], color=plots.OUTPUT, markersize=9)
        right.annotate("output", output, (8, -4), textcoords="offset points", color=plots.OUTPUT)
        left.set(title="keys, and the query")
        right.set(title="values, and the output")
