"""Stored alignments of several forms of attention on the same input, side by side."""

import json
from pathlib import Path

import traitlets
from matplotlib.figure import Figure
from torch import Tensor, tensor

from attnbook.plots.weights import weight_map
from attnbook.widgets import checks, sources
from attnbook.widgets.explorer import Explorer

STORED = Path(__file__).parent / "alignments.json"


class Alignments(Explorer):
    """The weights of Bahdanau's and Luong's forms on four words and two dates; stored, not computed in the page.

    Alignments(item=4)

    items: inputs, as site/scripts/align_examples.py writes them, with the answer and the weights (in thousandths) of
    each form. item: which input; step: which row is marked, from 0.
    `weights` gives the weights of the chosen input by form, each (symbols written, symbols read).
    Raises: TypeError or ValueError that names the argument.
    """

    name = "alignments"
    _esm = sources.module("alignments.js")
    _css = sources.style("alignments.css")

    items = traitlets.List().tag(sync=True)
    item = traitlets.Int(0).tag(sync=True)
    step = traitlets.Int(0).tag(sync=True)

    def __init__(self, **options: object) -> None:
        super().__init__(**({"items": json.loads(STORED.read_text(encoding="utf-8"))} | options))

    @traitlets.validate("item")
    def _among(self, proposal: dict) -> int:
        return checks.within("item", proposal["value"], range(len(self.items)))

    @traitlets.validate("step")
    def _from_0(self, proposal: dict) -> int:
        return checks.within("step", proposal["value"], range(100))

    @property
    def weights(self) -> dict[str, Tensor]:
        """The weights of the chosen input, by form."""
        return {answer["form"]: tensor(answer["weights"]) / 1000 for answer in self.items[self.item]["answers"]}

    def draw(self, figure: Figure) -> None:
        """The maps of the chosen input."""
        chosen = self.items[self.item]
        read, answers = chosen["read"], chosen["answers"]
        columns = 3 if len(read) <= 14 else 1
        rows = -(-len(answers) // columns)
        figure.set_size_inches(6.4, 2.2 * rows)
        axes = figure.subplots(rows, columns, squeeze=False).flat
        for ax in axes:
            ax.set_axis_off()
        for ax, answer in zip(axes, answers, strict=False):
            ax.set_axis_on()
            verdict = "right" if answer["right"] else "wrong"
            grid = weight_map(
                tensor(answer["weights"]) / 1000,
                queries=answer["written"],
                keys=read,
                title=f"{answer['form']} ({verdict})",
                ax=ax,
            )
            grid.set_rasterized(True)
            ax.tick_params(labelsize=8)
            ax.title.set_fontsize(9)
