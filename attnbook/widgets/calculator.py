"""Attention on a few small vectors, with every intermediate number in view."""

from collections.abc import Callable

import torch
import traitlets
from matplotlib.figure import Figure
from torch import Tensor

from attnbook import scores
from attnbook.attention import attention
from attnbook.plots.weights import score_map, weight_map
from attnbook.widgets import checks, sources
from attnbook.widgets.explorer import Explorer

SCORES = ("dot", "scaled_dot", "cosine", "additive")
PRINTED = ("products", "scores", "weights", "output")


class Calculator(Explorer):
    """Score, scale, mask, softmax and output as stages over editable queries, keys and values.

    Calculator(query=[[1, 0, 0, 2]], key=[[2, 0, -1, 0], [2, 0, 1, 1]], value=[[1, 0], [5, 1]])

    query (n, d_k), key (m, d_k) and value (m, d_v) are lists of rows. score: "dot", "scaled_dot", "cosine" (with
    `temperature`) or "additive" (with W_q, W_k of shape (d_hidden, d_k) and v of d_hidden numbers; by default one
    hidden unit for each component). mask (n, m): True where attention is allowed. query_names and key_names label the
    rows. printed: numbers of another source to show beside the computed ones, by stage ("products", "scores",
    "weights", "output").
    `scores`, `weights` and `output` are what attnbook computes, in float64, for what the reader set;
    `score_function` is the chosen score, for tensors of your own.
    Raises: TypeError or ValueError that names the argument.
    """

    name = "calculator"
    _esm = sources.module("calculator.js")
    _css = sources.style("calculator.css")

    query = traitlets.List().tag(sync=True)
    key = traitlets.List().tag(sync=True)
    value = traitlets.List().tag(sync=True)
    mask = traitlets.List().tag(sync=True)
    score = traitlets.Unicode("scaled_dot").tag(sync=True)
    temperature = traitlets.Float(1.0).tag(sync=True)
    W_q = traitlets.List().tag(sync=True)
    W_k = traitlets.List().tag(sync=True)
    v = traitlets.List().tag(sync=True)
    query_names = traitlets.List().tag(sync=True)
    key_names = traitlets.List().tag(sync=True)
    printed = traitlets.Dict().tag(sync=True)

    def __init__(self, query: list, key: list, value: list, **options: object) -> None:
        query, key, value = (checks.rows(name, x) for name, x in (("query", query), ("key", key), ("value", value)))
        n, m, d_k = len(query), len(key), len(key[0])
        units = [[float(u == c) for c in range(d_k)] for u in range(d_k)]
        given = {
            "mask": [[True] * m for _ in range(n)],
            "query_names": [f"query {i}" for i in range(1, n + 1)] if n > 1 else ["query"],
            "key_names": [f"key {j}" for j in range(1, m + 1)],
            "W_q": units,
            "W_k": units,
            "v": [1.0] * d_k,
        } | options
        super().__init__(query=query, key=key, value=value, **given)
        self._check()

    def _check(self) -> None:
        n, m, d_k = len(self.query), len(self.key), len(self.key[0])
        checks.size("query", self.query, columns=d_k)
        checks.size("value", self.value, rows=m)
        checks.size("mask", self.mask, rows=n, columns=m)
        checks.size("W_q", self.W_q, rows=len(self.v), columns=d_k)
        checks.size("W_k", self.W_k, rows=len(self.v), columns=d_k)
        for name, rows in (("query_names", n), ("key_names", m)):
            checks.size(name, getattr(self, name), rows=rows)

    @traitlets.validate("query", "key", "value", "W_q", "W_k")
    def _numbers(self, proposal: dict) -> list:
        name = proposal["trait"].name
        return checks.same_shape(name, checks.rows(name, proposal["value"]), getattr(self, name))

    @traitlets.validate("score")
    def _known(self, proposal: dict) -> str:
        return checks.one_of("score", proposal["value"], SCORES)

    @traitlets.validate("temperature")
    def _positive(self, proposal: dict) -> float:
        return checks.positive("temperature", proposal["value"])

    @traitlets.validate("printed")
    def _stages(self, proposal: dict) -> dict:
        for stage in proposal["value"]:
            checks.one_of("printed", stage, PRINTED)
        return proposal["value"]

    @property
    def scores(self) -> Tensor:
        """The scores (n, m), before the mask."""
        query, key = self._tensor("query"), self._tensor("key")
        return self.score_function(query, key)

    @property
    def weights(self) -> Tensor:
        """The attention weights (n, m)."""
        return self._attend()[1]

    @property
    def output(self) -> Tensor:
        """The outputs (n, d_v)."""
        return self._attend()[0]

    def _tensor(self, name: str) -> Tensor:
        return torch.tensor(getattr(self, name), dtype=torch.float64)

    @property
    def score_function(self) -> Callable[[Tensor, Tensor], Tensor]:
        """The chosen score, as attnbook's function or module, for tensors of your own."""
        if self.score == "cosine":
            return lambda query, key: scores.cosine(query, key, temperature=self.temperature)
        if self.score != "additive":
            return getattr(scores, self.score)
        score = scores.Additive(len(self.query[0]), len(self.key[0]), len(self.v)).double()
        for parameter, given in ((score.W_q, self.W_q), (score.W_k, self.W_k), (score.v, [self.v])):
            parameter.weight = torch.nn.Parameter(torch.tensor(given, dtype=torch.float64), requires_grad=False)
        return score

    def _attend(self) -> tuple[Tensor, Tensor]:
        query, key, value = (self._tensor(name) for name in ("query", "key", "value"))
        return attention(query, key, value, score=self.score_function, mask=torch.tensor(self.mask))

    def draw(self, figure: Figure) -> None:
        """Scores, weights and outputs side by side."""
        figure.set_size_inches(6.4, 0.9 + 0.55 * len(self.query))
        axes = figure.subplots(1, 3, width_ratios=[len(self.key), len(self.key), len(self.value[0])])
        names = {"queries": self.query_names, "numbers": True}
        score_map(self.scores, keys=self.key_names, title="scores", ax=axes[0], **names)
        weight_map(self.weights, keys=self.key_names, title="weights", ax=axes[1], **names)
        components = [str(c + 1) for c in range(len(self.value[0]))]
        score_map(self.output, keys=components, title="output", ax=axes[2], **names)
