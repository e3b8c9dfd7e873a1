"""A GPT-type model: the encoder's layers with a causal mask, which predict each next token from those before it."""

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from attnbook.cache import Cache
from attnbook.positions import LearnedPositions
from attnbook.transformer.encoder import Encoder
from attnbook.transformer.generation import DecoderOnly
from attnbook.transformer.initialization import start_small

Tokens = Int[Tensor, "batch n"]
Weights = list[Float[Tensor, "batch n_heads n _"]] | None


class Gpt(DecoderOnly):
    """Token + position vectors, pre-norm layers with causal self-attention and GELU, logits from the token embedding.

    There is no memory and so no cross-attention: what the decoder-only model continues and what it writes are one
    sequence. The sizes by default are those of the smallest GPT-2; d_hidden is 4 d_model. "gelu-tanh" is what GPT-2
    computes. The projections that end each part start smaller, by 1/sqrt(2 n_layers), as their sum grows
    with the depth.
    Source: Radford et al. (2019), Section 2.3; Press and Wolf (2017) for the shared output matrix.
    """

    def __init__(
        self,
        vocabulary_size: int,
        *,
        max_length: int = 1024,
        d_model: int = 768,
        n_heads: int = 12,
        n_layers: int = 12,
        activation: str = "gelu-tanh",
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        self.n_layers = n_layers
        self.tokens = nn.Embedding(vocabulary_size, d_model)
        self.positions = LearnedPositions(max_length, d_model)
        self.dropout = nn.Dropout(dropout)
        self.layers = Encoder(
            n_layers, d_model, n_heads, 4 * d_model, norm="pre", activation=activation, dropout=dropout
        )
        start_small(self)
        with torch.no_grad():
            for layer in self.layers.layers:
                for last in (layer.self_attention.out_proj, layer.feed_forward.W_2):
                    last.weight /= math.sqrt(2 * n_layers)

    def forward(
        self, tokens: Tokens, *, need_weights: bool = False, caches: list[Cache] | None = None
    ) -> tuple[Float[Tensor, "batch n vocabulary"], Weights]:
        """The logits of the token after each one, and each layer's weights or None.

        caches: one a layer; tokens are then what comes after those that the caches have seen. Padding goes on
        the right.
        Raises: ValueError for more tokens than max_length.
        """
        start = 0 if caches is None else caches[0].seen
        x = self.dropout(self.tokens(tokens) + self.positions(tokens.shape[1], start))
        x, weights = self.layers(x, causal=True, need_weights=need_weights, caches=caches)
        return x @ self.tokens.weight.T, weights
