"""Positions as functions of the distance: sinusoidal, rotary, ALiBi and T5's relative bias."""

from typing import ClassVar

import torch
import traitlets
from jaxtyping import Float
from matplotlib.figure import Figure
from torch import Tensor

from attnbook import plots
from attnbook.positions import Rotary, alibi, distances, sinusoidal, t5_bucket
from attnbook.widgets import checks, sources
from attnbook.widgets.explorer import Explorer

FORMS = ("sinusoidal", "rotary", "alibi", "t5")
REACH = 48
# Made up: a head that likes the key just before, and looks back further than ahead.
BIASES = [round(1.2 - 0.15 * b, 2) for b in range(16)] + [round(0.6 - 0.2 * b, 2) for b in range(16)]


class Positions(Explorer):
    """What a query at one position and a key at another get from their positions alone.

    Positions(form="rotary", query_position=12, key_position=8)

    form: "sinusoidal" (dot product of the two rows of the table, over size / 2), "rotary" (score of the turned query
    and key, over size / 2; each pair of components of the query is (1, 0), of the key the same turned by `angle`
    degrees), "alibi" (the symmetric bias of `head`), "t5" (`biases`, one for each of 32 buckets; by default made up).
    Positions are 0 to 48; size is 2, 4, ..., 64 components; pair is the one that is drawn.
    `value` is the number for the two positions, `matrix(n)` that for n queries and n keys; both are computed by
    attnbook.positions. Raises: TypeError or ValueError that names the argument.
    """

    name = "positions"
    _esm = sources.module("positions.js")
    _css = sources.style("positions.css")

    form = traitlets.Unicode("rotary").tag(sync=True)
    query_position = traitlets.Int(12).tag(sync=True)
    key_position = traitlets.Int(8).tag(sync=True)
    size = traitlets.Int(16).tag(sync=True)
    pair = traitlets.Int(0).tag(sync=True)
    base = traitlets.Float(10000.0).tag(sync=True)
    angle = traitlets.Int(0).tag(sync=True)
    n_heads = traitlets.Int(8).tag(sync=True)
    head = traitlets.Int(1).tag(sync=True)
    biases = traitlets.List(BIASES).tag(sync=True)
    max_distance = traitlets.Int(128).tag(sync=True)

    limits: ClassVar = {
        "query_position": range(REACH + 1),
        "key_position": range(REACH + 1),
        "pair": range(32),
        "angle": range(181),
        "head": range(8),
        "max_distance": range(9, 1025),
    }

    @traitlets.validate(*limits)
    def _within(self, proposal: dict) -> int:
        name = proposal["trait"].name
        return checks.within(name, proposal["value"], self.limits[name])

    @traitlets.validate("form")
    def _known(self, proposal: dict) -> str:
        return checks.one_of("form", proposal["value"], FORMS)

    @traitlets.validate("size", "n_heads")
    def _power(self, proposal: dict) -> int:
        name, known = proposal["trait"].name, (8,) if proposal["trait"].name == "n_heads" else (2, 4, 8, 16, 32, 64)
        if proposal["value"] not in known:
            raise ValueError(f"{name} must be one of {', '.join(map(str, known))}; got {proposal['value']}")
        return proposal["value"]

    @traitlets.validate("base")
    def _above_1(self, proposal: dict) -> float:
        if not checks.finite("base", proposal["value"]) > 1:
            raise ValueError(f"base must be a number above 1; got {proposal['value']}")
        return proposal["value"]

    @traitlets.validate("biases")
    def _buckets(self, proposal: dict) -> list:
        (row,) = checks.rows("biases", [proposal["value"]])
        checks.size("biases", row, rows=32)
        return row

    @property
    def value(self) -> float:
        """The number for the query and the key where they stand."""
        length = max(self.query_position, self.key_position) + 1
        return self.matrix(length)[self.query_position, self.key_position].item()

    def matrix(self, n: int) -> Float[Tensor, "n n"]:
        """The numbers for n queries (rows) and n keys (columns), at positions 0 to n - 1."""
        if self.form == "sinusoidal":
            table = sinusoidal(n, self.size, base=self.base, dtype=torch.float64)
            return table @ table.T / (self.size / 2)
        if self.form == "alibi":
            return alibi(self.n_heads, n, symmetric=True)[self.head].double()
        if self.form == "t5":
            buckets = t5_bucket(distances(n), n_buckets=len(self.biases), max_distance=self.max_distance)
            return torch.tensor(self.biases, dtype=torch.float64)[buckets]
        turn = torch.deg2rad(torch.tensor(self.angle, dtype=torch.float64))
        query = torch.tensor([1.0, 0.0], dtype=torch.float64).repeat(n, self.size // 2)
        key = torch.stack([turn.cos(), turn.sin()]).repeat(n, self.size // 2)
        rotary = Rotary(self.size, base=self.base, layout="interleaved")
        return rotary(query) @ rotary(key).T / (self.size / 2)

    def draw(self, figure: Figure) -> None:
        """The form's numbers over the distance, the present distance marked."""
        figure.set_size_inches(5.8, 2.4)
        ax = figure.subplots()
        matrix = self.matrix(REACH + 1)
        curve = torch.cat([matrix[1:, 0].flip(0), matrix[0]])  # a column up, then a row along
        steps = "steps-mid" if self.form == "t5" else "default"
        ax.plot(range(-REACH, REACH + 1), curve, color=plots.OUTPUT, drawstyle=steps)
        ax.plot(self.key_position - self.query_position, self.value, "o", color="#222222")
        ax.axhline(0, color="#999999", linewidth=0.6)
        ax.set(xlabel="distance: position of the key minus that of the query", ylabel=self.form)
