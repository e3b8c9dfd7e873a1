"""How long vectors saturate the softmax: scores, weights and gradient, with the scale and without."""

from typing import ClassVar

import numpy as np
import torch
import traitlets
from jaxtyping import Float
from matplotlib.figure import Figure
from torch import Tensor

from attnbook import plots, scores
from attnbook.attention import attention_weights
from attnbook.plots.weights import score_map
from attnbook.widgets import checks, sources
from attnbook.widgets.explorer import Explorer

SIZES = [2**e for e in range(11)]
SAMPLES = 400  # queries for each point of the curves


class Saturation(Explorer):
    """Scores of a random query with random keys, the weights, and the softmax's Jacobian.

    Saturation(d_k=64, scaled=False)

    d_k: 1, 2, 4, ..., 1024 components, standard normal; a longer vector begins with the shorter one. scaled: whether
    the scores are divided by √d_k (Vaswani et al., 2017, Eq. 1). seed: 0 to 31, which vectors. n_keys: 2 to 12.
    `scores`, `weights` (n_keys,) and `jacobian` (n_keys, n_keys) are what attnbook computes, in float64.
    `curves` holds the median Frobenius norm of the Jacobian over 400 random queries for each size.
    Raises: TypeError or ValueError that names the argument.
    """

    name = "saturation"
    _esm = sources.module("saturation.js")
    _css = sources.style("saturation.css")

    d_k = traitlets.Int(64).tag(sync=True)
    scaled = traitlets.Bool(False).tag(sync=True)
    seed = traitlets.Int(0).tag(sync=True)
    n_keys = traitlets.Int(8).tag(sync=True)
    curves = traitlets.Dict().tag(sync=True)

    limits: ClassVar = {"seed": range(32), "n_keys": range(2, 13)}

    def __init__(self, **options: object) -> None:
        super().__init__(**options)
        if not self.curves:
            self.curves = {"scaled": _norms(self.n_keys, scaled=True), "unscaled": _norms(self.n_keys, scaled=False)}

    @traitlets.validate("d_k")
    def _size(self, proposal: dict) -> int:
        if proposal["value"] not in SIZES:
            raise ValueError(f"d_k must be a power of two from 1 to 1024; got {proposal['value']}")
        return proposal["value"]

    @traitlets.validate("seed", "n_keys")
    def _within(self, proposal: dict) -> int:
        name = proposal["trait"].name
        return checks.within(name, proposal["value"], self.limits[name])

    @property
    def scores(self) -> Float[Tensor, " keys"]:
        """The scores."""
        score = scores.scaled_dot if self.scaled else scores.dot
        return score(*vectors(self.n_keys, self.d_k, self.seed))[0]

    @property
    def weights(self) -> Float[Tensor, " keys"]:
        """The attention weights."""
        return attention_weights(self.scores[None])[0]

    @property
    def jacobian(self) -> Float[Tensor, "keys keys"]:
        """The derivative of weight i (row) by score j (column)."""
        return torch.func.jacrev(lambda s: attention_weights(s[None])[0])(self.scores)

    def draw(self, figure: Figure) -> None:
        """Scores, weights and Jacobian side by side."""
        figure.set_size_inches(6.4, 2.9)
        first, second, third = figure.subplots(1, 3)
        keys = range(1, self.n_keys + 1)
        for ax, numbers, title in ((first, self.scores, "scores"), (second, self.weights, "weights")):
            ax.barh(keys, numbers, color=plots.QUERY)
            ax.set(title=title, yticks=keys, ylim=(self.n_keys + 0.6, 0.4))
        first.set(ylabel="key")
        second.set(xlim=(0, 1))
        image = score_map(self.jacobian, queries=keys, keys=keys, title="gradient", ax=third)
        image.set_clim(-0.25, 0.25)


def vectors(n_keys: int, d_k: int, seed: int) -> tuple[Float[Tensor, "1 d_k"], Float[Tensor, "{n_keys} d_k"]]:
    """A query and keys of standard normal components, the same numbers as in the page.

    The components are hashes of their places (Wellons's lowbias32), made normal by Box and Muller (1958).
    """
    rows = np.arange(n_keys + 1, dtype=np.uint32)[:, None]
    counter = (np.uint32(seed * 64) + rows) * np.uint32(1024) + np.arange(d_k, dtype=np.uint32)
    u, v = ((_hash(2 * counter + np.uint32(k)).astype(np.float64) + 0.5) / 2**32 for k in (0, 1))
    normal = torch.from_numpy(np.sqrt(-2 * np.log(u)) * np.cos(2 * np.pi * v))
    return normal[:1], normal[1:]


def _hash(x: np.ndarray) -> np.ndarray:
    x = (x ^ (x >> np.uint32(16))) * np.uint32(0x7FEB352D)
    x = (x ^ (x >> np.uint32(15))) * np.uint32(0x846CA68B)
    return x ^ (x >> np.uint32(16))


def _norms(n_keys: int, *, scaled: bool) -> list[float]:
    generator = torch.Generator().manual_seed(0)
    medians = []
    for d_k in SIZES:
        query, key = (torch.randn(SAMPLES, n, d_k, generator=generator).double() for n in (1, n_keys))
        score = scores.scaled_dot if scaled else scores.dot
        weights = attention_weights(score(query, key))[:, 0]
        jacobian = torch.diag_embed(weights) - weights[:, :, None] * weights[:, None, :]
        medians.append(float(f"{jacobian.norm(dim=(-2, -1)).median():.3g}"))
    return medians
