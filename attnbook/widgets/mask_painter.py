"""Masks made of parts and by hand: their cost, and what a stack of layers sees through them."""

from functools import cache
from typing import ClassVar

import torch
import traitlets
from jaxtyping import Bool
from matplotlib.figure import Figure
from torch import Tensor

from attnbook import masks
from attnbook._validation import check_size
from attnbook.plots.masks import mask_map
from attnbook.widgets import checks, sources
from attnbook.widgets.explorer import Explorer

PARTS = ("window", "strided", "global", "block", "random")
LARGEST = 16
SEEDS = range(8)


class MaskPainter(Explorer):
    """A mask of n queries on n keys: parts united, then cut by causal and padding, then painted over.

    MaskPainter(n=12, parts=["window", "global"], half_width=1, n_global=1, causal=True, layers=2)

    parts: any of "window" (`half_width` keys to each side), "strided" (every `stride`-th key), "global" (the first
    `n_global` tokens), "block" (`block_size`), "random" (`n_random` keys a row, drawn with `seed`); none of them opens
    every pair. causal, and `padded` positions at the end. painted: [query, key, open] triples, which lie over the rest.
    layers: 1 to 6. seed: 0 to 7, as the page has to bring along what PyTorch draws (`orders`, which nobody sets).
    `mask` and `reach` (n, n) and `share` are computed by attnbook.masks. reach: whether the output of query i can
    depend on input j after `layers` layers with this mask and residual connections.
    Raises: TypeError or ValueError that names the argument.
    """

    name = "mask_painter"
    _esm = sources.module("mask_painter.js")
    _css = sources.style("mask_painter.css")

    n = traitlets.Int(12).tag(sync=True)
    layers = traitlets.Int(1).tag(sync=True)
    causal = traitlets.Bool(False).tag(sync=True)
    padded = traitlets.Int(0).tag(sync=True)
    parts = traitlets.List().tag(sync=True)
    half_width = traitlets.Int(1).tag(sync=True)
    stride = traitlets.Int(3).tag(sync=True)
    n_global = traitlets.Int(1).tag(sync=True)
    block_size = traitlets.Int(4).tag(sync=True)
    n_random = traitlets.Int(2).tag(sync=True)
    seed = traitlets.Int(0).tag(sync=True)
    painted = traitlets.List().tag(sync=True)
    orders = traitlets.Dict().tag(sync=True)

    limits: ClassVar = {
        "n": range(4, LARGEST + 1),
        "layers": range(1, 7),
        "padded": range(7),
        "half_width": range(7),
        "stride": range(2, 7),
        "n_global": range(1, 5),
        "block_size": range(2, 9),
        "n_random": range(1, 7),
        "seed": SEEDS,
    }

    def __init__(self, **options: object) -> None:
        super().__init__(**options | {"orders": _orders()})

    @traitlets.validate(*limits)
    def _within(self, proposal: dict) -> int:
        name = proposal["trait"].name
        return checks.within(name, proposal["value"], self.limits[name])

    @traitlets.validate("parts")
    def _known(self, proposal: dict) -> list:
        return [checks.one_of("parts", part, PARTS) for part in proposal["value"]]

    @traitlets.validate("painted")
    def _triples(self, proposal: dict) -> list:
        for triple in proposal["value"]:
            if not isinstance(triple, list | tuple) or len(triple) != 3 or not isinstance(triple[2], bool):
                raise TypeError(f"painted must hold [query, key, open] triples; got {triple!r}")
            for place in triple[:2]:
                check_size("painted", place)
                checks.within("painted", place, range(LARGEST))
        return [list(triple) for triple in proposal["value"]]

    @property
    def mask(self) -> Bool[Tensor, "n n"]:
        """True where attention is allowed."""
        mask = self.mask_of(self.n)
        for i, j, is_open in self.painted:
            if i < self.n and j < self.n:
                mask[i, j] = is_open
        return mask

    def mask_of(self, n: int) -> Bool[Tensor, "n n"]:
        """The same parts and cuts for any number of tokens, without the painting."""
        make = {
            "window": lambda: masks.sliding_window(n, before=self.half_width, after=self.half_width),
            "strided": lambda: masks.strided(n, stride=self.stride),
            "global": lambda: masks.global_tokens(n, tokens=list(range(min(self.n_global, n)))),
            "block": lambda: masks.block(n, size=self.block_size),
            "random": lambda: masks.random_block(n, size=1, count=self.n_random, seed=self.seed),
        }
        mask = torch.ones(n, n, dtype=torch.bool)
        if self.parts:
            mask = torch.stack([make[part]() for part in self.parts]).any(dim=0)
        if self.causal:
            mask = mask & masks.causal(n)
        return mask & masks.padding(torch.tensor([max(n - self.padded, 0)]), n)[0, 0]

    @property
    def share(self) -> float:
        """The share of pairs that are open."""
        return self.mask.double().mean().item()

    @property
    def reach(self) -> Bool[Tensor, "n n"]:
        """Whether output i can depend on input j after `layers` layers, each of which adds to its input."""
        paths = self.mask | torch.eye(self.n, dtype=torch.bool)
        return torch.linalg.matrix_power(paths.double(), self.layers) > 0

    def draw(self, figure: Figure) -> None:
        """The mask, and beside it what is seen after the layers."""
        figure.set_size_inches(6.2, 3.2)
        left, right = figure.subplots(1, 2)
        plural = "s" if self.layers > 1 else ""
        for ax, cells, title in (
            (left, self.mask, f"mask, {100 * self.share:.1f}% open"),
            (right, self.reach, f"seen after {self.layers} layer{plural}"),
        ):
            mask_map(cells, ax=ax).set_rasterized(True)
            ax.set(title=title, xlabel="key")
        left.set_ylabel("query")


@cache
def _orders() -> dict[str, dict[str, str]]:
    """What PyTorch draws, for the page: by seed and n, the rank of each key in each row, one hexadecimal digit a pair.

    `rank < count` is masks.random_block(n, size=1, count=count, seed=seed). The corner of a larger mask would not do:
    it may hold fewer than `count` keys of a row.
    """
    return {str(seed): {str(n): _order(n, seed) for n in MaskPainter.limits["n"]} for seed in SEEDS}


def _order(n: int, seed: int) -> str:
    ranks = torch.zeros(n, n, dtype=torch.long)
    for count in range(1, n):
        ranks += ~masks.random_block(n, size=1, count=count, seed=seed)
    return "".join(f"{rank:x}" for rank in ranks.flatten().tolist())
