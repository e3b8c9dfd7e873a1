"""The encoder: layers of self-attention and feed-forward. With a causal mask the same layers are a decoder-only model.

Axes: n positions, d_model the size of the vectors, the same from the first layer to the last.
"""

from collections.abc import Sequence

from jaxtyping import Float
from torch import Tensor, nn

from attnbook._validation import check_size
from attnbook.attention import Mask
from attnbook.cache import Cache
from attnbook.multihead import MultiHeadAttention
from attnbook.transformer.feed_forward import FeedForward
from attnbook.transformer.residual import Residual, final_norm

Vectors = Float[Tensor, "batch n d_model"]
Weights = Float[Tensor, "batch n_heads n _"]


class EncoderLayer(nn.Module):
    """Self-attention, by which positions exchange what they hold; then feed-forward, by which each works on its own.

    d_hidden: the inner size of the feed-forward part. norm: "pre" or "post" (the paper), see `Residual`.
    dropout: on the attention weights, on the feed-forward part's hidden values and on the change that each part adds,
    as in PyTorch; the paper has the last alone. eps: of the layer norms.
    Raises: TypeError or ValueError for sizes, norm or activation that cannot be.
    Source: Vaswani et al. (2017), Section 3.1 and Figure 1, left.
    """

    def __init__(
        self,
        d_model: int,
        n_heads: int,
        d_hidden: int,
        *,
        norm: str = "pre",
        activation: str = "relu",
        dropout: float = 0.0,
        eps: float = 1e-5,
    ) -> None:
        super().__init__()
        self.self_attention = MultiHeadAttention(d_model, n_heads, dropout=dropout)
        self.after_self_attention = Residual(d_model, norm=norm, dropout=dropout, eps=eps)
        self.feed_forward = FeedForward(d_model, d_hidden, activation=activation, dropout=dropout)
        self.after_feed_forward = Residual(d_model, norm=norm, dropout=dropout, eps=eps)

    def forward(
        self,
        x: Vectors,
        *,
        mask: Mask | None = None,
        causal: bool = False,
        need_weights: bool = False,
        cache: Cache | None = None,
    ) -> tuple[Vectors, Weights | None]:
        """The new vectors and, with need_weights, the attention weights of each head (batch, n_heads, n, m).

        mask, causal, cache: as in `MultiHeadAttention`; for padding, a mask of shape (batch, 1, 1, n).
        """
        change, weights = self.self_attention(
            self.after_self_attention.read(x), mask=mask, causal=causal, need_weights=need_weights, cache=cache
        )
        x = self.after_self_attention.add(x, change)
        change = self.feed_forward(self.after_feed_forward.read(x))
        return self.after_feed_forward.add(x, change), weights


class Encoder(nn.Module):
    """n_layers encoder layers one after the other and, with pre-norm, a last layer norm.

    PyTorch's nn.TransformerEncoder leaves that last norm to the caller; nn.Transformer has it with post-norm too.
    Options: as `EncoderLayer`.
    """

    def __init__(
        self, n_layers: int, d_model: int, n_heads: int, d_hidden: int, *, norm: str = "pre", **options: object
    ) -> None:
        super().__init__()
        check_size("n_layers", n_layers, least=1)
        layers = (EncoderLayer(d_model, n_heads, d_hidden, norm=norm, **options) for _ in range(n_layers))
        self.layers = nn.ModuleList(layers)
        self.norm = final_norm(d_model, norm=norm, eps=options.get("eps", 1e-5))

    def forward(
        self,
        x: Vectors,
        *,
        mask: Mask | None = None,
        causal: bool = False,
        need_weights: bool = False,
        caches: Sequence[Cache] | None = None,
    ) -> tuple[Vectors, list[Weights] | None]:
        """The vectors after the last layer and, with need_weights, each layer's weights, the first layer's first.

        Shapes: x (batch, n, d_model) -> (batch, n, d_model). mask, causal: the same for every layer. caches:
        one a layer.
        Raises: ValueError for another number of caches.
        """
        if caches is not None and len(caches) != len(self.layers):
            raise ValueError(f"caches must be one for each of the {len(self.layers)} layers; got {len(caches)}")
        every = []
        for layer, cache in zip(self.layers, caches or [None] * len(self.layers), strict=True):
            x, weights = layer(x, mask=mask, causal=causal, need_weights=need_weights, cache=cache)
            every.append(weights)
        return self.norm(x), every if need_weights else None
