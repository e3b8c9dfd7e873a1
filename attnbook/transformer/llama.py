"""A Llama-type model: the decoder-only Transformer with RMSNorm, rotary positions, shared key heads and SwiGLU."""

from collections.abc import Sequence

from jaxtyping import Float, Int
from torch import Tensor, nn

from attnbook._validation import check_size
from attnbook.attention import Mask
from attnbook.cache import Cache
from attnbook.multihead import MultiHeadAttention
from attnbook.positions import Rotary
from attnbook.transformer.generation import DecoderOnly
from attnbook.transformer.initialization import start_small
from attnbook.transformer.swiglu import SwiGlu

Tokens = Int[Tensor, "batch n"]
Vectors = Float[Tensor, "batch n d_model"]
Weights = Float[Tensor, "batch n_heads n _"]


class LlamaLayer(nn.Module):
    """x + attention(norm(x)), then x + SwiGLU(norm(x)): pre-norm with RMSNorm, and no biases anywhere.

    RMSNorm divides each position's vector by the root of its mean square and multiplies by a learned gain; layer norm
    without its mean and shift. Source: Touvron et al. (2023), Section 2.2; Zhang and Sennrich (2019), Eq. 4.
    """

    def __init__(
        self, d_model: int, n_heads: int, n_kv_heads: int, d_hidden: int, *, rotary: nn.Module, eps: float
    ) -> None:
        super().__init__()
        self.attention_norm = nn.RMSNorm(d_model, eps=eps)
        self.self_attention = MultiHeadAttention(d_model, n_heads, n_kv_heads, bias=False, rotary=rotary)
        self.feed_forward_norm = nn.RMSNorm(d_model, eps=eps)
        self.feed_forward = SwiGlu(d_model, d_hidden)

    def forward(
        self, x: Vectors, *, mask: Mask | None = None, need_weights: bool = False, cache: Cache | None = None
    ) -> tuple[Vectors, Weights | None]:
        """The new vectors and, with need_weights, the attention weights of each head (batch, n_heads, n, m)."""
        change, weights = self.self_attention(
            self.attention_norm(x), mask=mask, causal=True, need_weights=need_weights, cache=cache
        )
        x = x + change
        return x + self.feed_forward(self.feed_forward_norm(x)), weights


class Llama(DecoderOnly):
    """Token vectors, n_layers of `LlamaLayer`, a last RMSNorm, logits from the token embedding (tied).

    Positions come in by the rotary turns of queries and keys alone, so that there is no table of positions and no
    longest text. The sizes by default are those of SmolLM2-135M; larger Llamas have an output matrix of their own.
    layout: which components rotary positions turn together, see `Rotary`; trained weights fit one of the two.
    Raises: TypeError or ValueError for sizes that cannot be.
    Source: Touvron et al. (2023), Section 2.2; Ainslie et al. (2023) for the shared key heads.
    """

    def __init__(
        self,
        vocabulary_size: int,
        *,
        d_model: int = 576,
        n_heads: int = 9,
        n_kv_heads: int = 3,
        n_layers: int = 30,
        d_hidden: int = 1536,
        base: float = 100_000.0,
        layout: str = "interleaved",
        eps: float = 1e-5,
    ) -> None:
        super().__init__()
        check_size("vocabulary_size", vocabulary_size, least=1)
        check_size("n_layers", n_layers, least=1)
        check_size("n_heads", n_heads, least=1)
        self.n_layers = n_layers
        self.tokens = nn.Embedding(vocabulary_size, d_model)
        rotary = Rotary(d_model // n_heads, base=base, layout=layout)  # it learns nothing: all layers share it
        self.layers = nn.ModuleList(
            LlamaLayer(d_model, n_heads, n_kv_heads, d_hidden, rotary=rotary, eps=eps) for _ in range(n_layers)
        )
        self.norm = nn.RMSNorm(d_model, eps=eps)
        start_small(self)

    def forward(
        self,
        tokens: Tokens,
        *,
        mask: Mask | None = None,
        need_weights: bool = False,
        caches: Sequence[Cache] | None = None,
    ) -> tuple[Float[Tensor, "batch n vocabulary"], list[Weights] | None]:
        """The logits of the token after each one, and each layer's weights or None.

        mask: True where attention is allowed, beside the causal mask; the same for every layer. caches: one a layer;
        tokens are then what comes after those that the caches have seen.
        Raises: ValueError for another number of caches than layers.
        """
        if caches is not None and len(caches) != len(self.layers):
            raise ValueError(f"caches must be one for each of the {len(self.layers)} layers; got {len(caches)}")
        x, every = self.tokens(tokens), []
        for layer, cache in zip(self.layers, caches or [None] * len(self.layers), strict=True):
            x, weights = layer(x, mask=mask, need_weights=need_weights, cache=cache)
            every.append(weights)
        return self.norm(x) @ self.tokens.weight.T, every if need_weights else None
