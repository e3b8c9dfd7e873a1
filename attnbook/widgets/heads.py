"""The attention maps of all heads of a model on one input."""

from collections.abc import Sequence

import numpy as np
import torch
import traitlets
from jaxtyping import Float
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from torch import Tensor

from attnbook.plots.style import WEIGHTS
from attnbook.plots.weights import weight_map
from attnbook.widgets import checks, sources
from attnbook.widgets.explorer import Explorer

ONE = 65535  # a weight of 1, in 16 bits
MANY = 16  # heads: more are drawn without the names of the tokens


class Heads(Explorer):
    """Choose a layer and a head from small maps; see what each token reads, and by whom it is read.

    Heads(weights, tokens=["the", "cat"], source="weights = ...")

    weights (layers, heads, n, m): a tensor, array or list whose rows sum to 1, or to 0 where a query may attend to
    nothing. They are kept in 16 bits, to within 0.00001. tokens: the n labels of the queries; keys: the m labels of
    the keys (the tokens if not given). layer, head and token are chosen from 0; reads: whether the token's row is
    shown, or its column. source: Python that makes `weights`, for *Copy as Python*.
    `weights` are those kept, in float64; `chosen` (n, m) is the map of the chosen head, `entropy` its mean entropy a
    row in bits, `distance` its mean distance read in places (n = m).
    Raises: TypeError or ValueError that names the argument.
    """

    name = "heads"
    _esm = sources.module("heads.js")
    _css = sources.style("heads.css")

    data = traitlets.Bytes().tag(sync=True)
    shape = traitlets.List().tag(sync=True)
    tokens = traitlets.List().tag(sync=True)
    key_tokens = traitlets.List().tag(sync=True)
    layer = traitlets.Int(0).tag(sync=True)
    head = traitlets.Int(0).tag(sync=True)
    token = traitlets.Int(0).tag(sync=True)
    reads = traitlets.Bool(True).tag(sync=True)
    source = traitlets.Unicode("").tag(sync=True)

    def __init__(
        self,
        weights: Tensor | np.ndarray | Sequence,
        tokens: Sequence[str],
        keys: Sequence[str] | None = None,
        **options,
    ) -> None:
        array = _checked(weights)
        layers, heads, n, m = array.shape
        tokens, keys = list(tokens), list(tokens if keys is None else keys)
        checks.size("tokens", tokens, rows=n)
        checks.size("keys", keys, rows=m)
        data = np.rint(array * ONE).astype("<u2").tobytes()
        super().__init__(data=data, shape=[layers, heads, n, m], tokens=tokens, key_tokens=keys, **options)

    @traitlets.validate("layer", "head", "token")
    def _within(self, proposal: dict) -> int:
        name = proposal["trait"].name
        layers, heads, n, m = self.shape
        return checks.within(name, proposal["value"], range({"layer": layers, "head": heads, "token": max(n, m)}[name]))

    @property
    def weights(self) -> Float[Tensor, "layers heads n m"]:
        """All weights, as they are kept."""
        kept = np.frombuffer(self.data, dtype="<u2").astype(np.float64) / ONE
        return torch.from_numpy(kept).reshape(self.shape)

    @property
    def chosen(self) -> Float[Tensor, "n m"]:
        """The weights of the chosen head."""
        return self.weights[self.layer, self.head]

    @property
    def entropy(self) -> float:
        """The mean entropy of a row of the chosen head, in bits."""
        return -torch.special.xlogy(self.chosen, self.chosen).sum(dim=-1).mean().item() / np.log(2)

    @property
    def distance(self) -> float:
        """The mean of |i - j| under the chosen head's weights, in places."""
        _, _, n, m = self.shape
        if n != m:
            raise ValueError(f"distance needs as many keys as queries; got {m} keys and {n} queries")
        places = torch.arange(n)
        return (self.chosen * (places[:, None] - places).abs()).sum(dim=-1).mean().item()

    def draw(self, figure: Figure) -> None:
        """All heads, small, with the chosen one framed; the tokens are named where there is room for it."""
        layers, heads, *_ = self.shape
        if layers * heads > MANY:
            self._draw_many(figure)
            return
        figure.set_size_inches(1.5 * heads, 1.6 * layers + 0.3)
        axes = figure.subplots(layers, heads, squeeze=False)
        for layer in range(layers):
            for head in range(heads):
                ax, edge = axes[layer, head], layer == layers - 1
                names = {"queries": self.tokens if head == 0 else [""] * len(self.tokens)}
                names["keys"] = self.key_tokens if edge else [""] * len(self.key_tokens)
                weight_map(self.weights[layer, head], title=f"layer {layer + 1}, head {head + 1}", ax=ax, **names).set(
                    rasterized=True
                )
                ax.tick_params(labelsize=7)
                ax.title.set_fontsize(8)
                if (layer, head) == (self.layer, self.head):
                    ax.spines[:].set(visible=True, color="#B04A00", linewidth=2)

    def _draw_many(self, figure: Figure) -> None:
        """One grid with a cell for each head; an axes for each of them would take long to lay out."""
        layers, heads, n, m = self.shape
        grid = np.full((layers * (n + 2), heads * (m + 2)), np.nan)
        for layer, head in np.ndindex(layers, heads):
            rows, columns = layer * (n + 2) + 1, head * (m + 2) + 1
            grid[rows : rows + n, columns : columns + m] = self.weights[layer, head]
        height = 7.5 * grid.shape[0] / grid.shape[1]
        figure.set_size_inches(7.5, height + 0.4)
        ax = figure.subplots()
        ax.pcolormesh(grid, cmap=WEIGHTS, vmin=0, vmax=1, rasterized=True)
        ax.set(xlim=(0, grid.shape[1]), ylim=(grid.shape[0], 0), aspect="equal")
        ax.set_xticks((np.arange(heads) + 0.5) * (m + 2), [f"head {k + 1}" for k in range(heads)], fontsize=8)
        ax.set_yticks((np.arange(layers) + 0.5) * (n + 2), [f"layer {k + 1}" for k in range(layers)], fontsize=8)
        ax.tick_params(length=0)
        ax.spines[:].set_visible(False)
        for layer, head in np.ndindex(layers, heads):
            chosen = (layer, head) == (self.layer, self.head)
            corner = (head * (m + 2) + 0.5, layer * (n + 2) + 0.5)
            color, width = ("#B04A00", 2) if chosen else ("#BBBBBB", 0.5)
            ax.add_patch(Rectangle(corner, m + 1, n + 1, fill=False, edgecolor=color, linewidth=width))


def _checked(weights: object) -> np.ndarray:
    if isinstance(weights, Tensor):
        weights = weights.detach().cpu().double().numpy()
    array = np.asarray(weights, dtype=np.float64)
    if array.ndim != 4 or 0 in array.shape:
        raise ValueError(f"weights must have shape (layers, heads, n, m); got {array.shape}")
    sums = array.sum(axis=-1)
    if not (array >= 0).all() or not (np.isclose(sums, 1, atol=1e-3) | np.isclose(sums, 0, atol=1e-6)).all():
        raise ValueError("weights must not be negative, and their rows must sum to 1 (or be all 0)")
    return array
