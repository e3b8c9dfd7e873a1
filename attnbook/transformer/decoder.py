"""The decoder: causal self-attention over what is written, cross-attention to what was read, feed-forward.

Axes: n target positions, m source positions, d_model the size of the vectors of both.
"""

from typing import NamedTuple

from jaxtyping import Float, Int
from torch import Tensor, nn

from attnbook._validation import check_size
from attnbook.attention import Mask
from attnbook.cache import KeyValueCache
from attnbook.multihead import MultiHeadAttention
from attnbook.transformer.cross_attention import CrossAttention, MemoryCache
from attnbook.transformer.feed_forward import FeedForward
from attnbook.transformer.residual import Residual, final_norm

Target = Float[Tensor, "batch n d_model"]
Memory = Float[Tensor, "batch m d_model"]


class DecoderWeights(NamedTuple):
    """The attention weights of one decoder layer, each head's own."""

    self_attention: Float[Tensor, "batch n_heads n n_so_far"]
    cross_attention: Float[Tensor, "batch n_heads n m"]


class LayerCache:
    """What one decoder layer keeps while it writes: keys and values of the target so far, and of the memory."""

    def __init__(self, max_length: int) -> None:
        self.target, self.memory = KeyValueCache(max_length), MemoryCache()

    def reorder(self, index: Int[Tensor, " new_batch"]) -> None:
        """Row b of the batch goes on from what row index[b] has written and read."""
        self.target.reorder(index)
        self.memory.reorder(index)


class DecoderLayer(nn.Module):
    """Self-attention to the positions up to each one's own, cross-attention to the memory, feed-forward.

    Options: as `EncoderLayer`. Source: Vaswani et al. (2017), Section 3.1 and Figure 1, right.
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
        self.cross_attention = CrossAttention(d_model, n_heads, dropout=dropout)
        self.after_cross_attention = Residual(d_model, norm=norm, dropout=dropout, eps=eps)
        self.feed_forward = FeedForward(d_model, d_hidden, activation=activation, dropout=dropout)
        self.after_feed_forward = Residual(d_model, norm=norm, dropout=dropout, eps=eps)

    def forward(
        self,
        x: Target,
        memory: Memory,
        *,
        memory_mask: Mask | None = None,
        need_weights: bool = False,
        cache: LayerCache | None = None,
    ) -> tuple[Target, DecoderWeights | None]:
        """The new vectors and, with need_weights, the weights of both attentions.

        memory_mask: True where the memory may be attended to; for padding, of shape (batch, 1, 1, m). The target needs
        no padding mask as long as its padding comes last: no symbol looks ahead, and what padding sees is ignored.
        """
        change, to_target = self.self_attention(
            self.after_self_attention.read(x),
            causal=True,
            need_weights=need_weights,
            cache=None if cache is None else cache.target,
        )
        x = self.after_self_attention.add(x, change)
        change, to_memory = self.cross_attention(
            self.after_cross_attention.read(x),
            memory,
            mask=memory_mask,
            need_weights=need_weights,
            cache=None if cache is None else cache.memory,
        )
        x = self.after_cross_attention.add(x, change)
        change = self.feed_forward(self.after_feed_forward.read(x))
        x = self.after_feed_forward.add(x, change)
        return x, DecoderWeights(to_target, to_memory) if need_weights else None


class Decoder(nn.Module):
    """n_layers decoder layers one after the other and, with pre-norm, a last layer norm. Options: as `EncoderLayer`."""

    def __init__(
        self, n_layers: int, d_model: int, n_heads: int, d_hidden: int, *, norm: str = "pre", **options: object
    ) -> None:
        super().__init__()
        check_size("n_layers", n_layers, least=1)
        layers = (DecoderLayer(d_model, n_heads, d_hidden, norm=norm, **options) for _ in range(n_layers))
        self.layers = nn.ModuleList(layers)
        self.norm = final_norm(d_model, norm=norm, eps=options.get("eps", 1e-5))

    def caches(self, max_length: int) -> list[LayerCache]:
        """Empty caches, one a layer, for a target of at most max_length positions."""
        return [LayerCache(max_length) for _ in self.layers]

    def forward(
        self,
        x: Target,
        memory: Memory,
        *,
        memory_mask: Mask | None = None,
        need_weights: bool = False,
        caches: list[LayerCache] | None = None,
    ) -> tuple[Target, list[DecoderWeights] | None]:
        """The vectors after the last layer and, with need_weights, each layer's weights. With caches, x is what is new.

        Shapes: x (batch, n, d_model), memory (batch, m, d_model) -> (batch, n, d_model). Every layer sees the same
        memory.
        Raises: ValueError for another number of caches than layers.
        """
        if caches is not None and len(caches) != len(self.layers):
            raise ValueError(f"caches must be one for each of the {len(self.layers)} layers; got {len(caches)}")
        every = []
        for layer, cache in zip(self.layers, caches or [None] * len(self.layers), strict=True):
            x, weights = layer(x, memory, memory_mask=memory_mask, need_weights=need_weights, cache=cache)
            every.append(weights)
        return self.norm(x), every if need_weights else None
