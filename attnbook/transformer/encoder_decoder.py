"""The Transformer: an encoder reads the source, a decoder writes the target, attention alone connects positions.

Axes: m source positions (sources), n target positions (targets). PAD, number 0, fills up a batch on the right.
"""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from attnbook._validation import shape
from attnbook.seq2seq.encoders import symbols
from attnbook.transformer.decoder import Decoder, DecoderWeights, LayerCache
from attnbook.transformer.decoding import greedy
from attnbook.transformer.embedding import SinusoidalPositions, TokenEmbedding
from attnbook.transformer.encoder import Encoder

Source = Int[Tensor, "batch sources"]
Target = Int[Tensor, "batch targets"]
Logits = Float[Tensor, "batch targets vocabulary"]
Averaged = Float[Tensor, "batch targets sources"]


class Memory(NamedTuple):
    """What the decoder may attend to."""

    vectors: Float[Tensor, "batch sources d_model"]
    mask: Bool[Tensor, "batch 1 1 sources"]  # True where there is a symbol, False where there is padding


class AttentionMaps(NamedTuple):
    """All weights of one pass: for each layer, the first first, those of each head."""

    encoder: list[Float[Tensor, "batch n_heads sources sources"]]
    decoder: list[DecoderWeights]


class Writing:
    """How far a batch has been written: the memory, the layers' caches, and the number of symbols so far."""

    def __init__(self, memory: Memory, caches: list[LayerCache]) -> None:
        self.memory, self.caches, self.written = memory, caches, 0

    def reorder(self, index: Int[Tensor, " new_batch"]) -> None:
        """Row b goes on from row index[b]; rows may be repeated or left out."""
        self.memory = Memory(*(x.index_select(0, index) for x in self.memory))
        for cache in self.caches:
            cache.reorder(index)


class Transformer(nn.Module):
    """p(y_1 ... y_n | x) = Π_t p(y_t | y_1 ... y_{t-1}, x), every position of the target computed at once in training.

    The sizes by default are the paper's base model. The paper: norm="post", one matrix for both embeddings and the
    output layer (here three, as the two alphabets may differ), dropout 0.1. dropout: where `EncoderLayer` has it, and
    on the embeddings. source_size, target_size: how many symbols the vocabularies have, the special ones included.
    Trained by `attnbook.training.train`, decoded by `attnbook.seq2seq.decode`.
    Raises: TypeError or ValueError for sizes, norm or activation that cannot be.
    Source: Vaswani et al. (2017), Section 3 and Figure 1.
    """

    def __init__(
        self,
        source_size: int,
        target_size: int,
        *,
        d_model: int = 512,
        n_heads: int = 8,
        n_layers: int = 6,
        d_hidden: int = 2048,
        norm: str = "pre",
        activation: str = "relu",
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        sizes, options = (n_layers, d_model, n_heads, d_hidden), {"activation": activation, "dropout": dropout}
        positions = SinusoidalPositions(d_model)
        self.source_embedding = TokenEmbedding(source_size, d_model, positions=positions, dropout=dropout)
        self.target_embedding = TokenEmbedding(target_size, d_model, positions=positions, dropout=dropout)
        self.encoder = Encoder(*sizes, norm=norm, **options)
        self.decoder = Decoder(*sizes, norm=norm, **options)
        self.output = nn.Linear(d_model, target_size)

    def forward(
        self, source: Source, target_in: Target, *, need_weights: bool = False
    ) -> tuple[Logits, Averaged | None]:
        """Teacher forcing: the logits of every next symbol, given the true ones before it.

        target_in begins with BOS: the target shifted right by one, so that position t predicts symbol t. With
        need_weights also the cross-attention weights (batch, targets, sources): the last layer's, averaged over its
        heads. (`attention_maps` has them all.) Logits after padding mean nothing.
        Raises: TypeError or ValueError for a source or target_in that is not a batch padded on the right.
        """
        check_target(target_in)
        memory, _ = self.encode(source)
        logits, weights = self.decode(target_in, memory, need_weights=need_weights)
        return logits, averaged(weights)

    def encode(
        self, source: Source, *, need_weights: bool = False
    ) -> tuple[Memory, list[Float[Tensor, "batch n_heads sources sources"]] | None]:
        """The memory and, with need_weights, each layer's self-attention weights."""
        mask = symbols(source)[:, None, None, :]  # hides keys: the same for every head and every query
        vectors, weights = self.encoder(self.source_embedding(source), mask=mask, need_weights=need_weights)
        return Memory(vectors, mask), weights

    def decode(
        self, target_in: Target, memory: Memory, *, need_weights: bool = False, writing: Writing | None = None
    ) -> tuple[Logits, list[DecoderWeights] | None]:
        """The logits and, with need_weights, each layer's weights. With writing, target_in is what comes next."""
        rows = memory.vectors.shape[0]
        if target_in.shape[0] != rows:
            raise ValueError(f"target_in must have as many rows as source, {rows}; got {target_in.shape[0]}")
        x = self.target_embedding(target_in, 0 if writing is None else writing.written)
        caches = None if writing is None else writing.caches
        x, weights = self.decoder(x, memory.vectors, memory_mask=memory.mask, need_weights=need_weights, caches=caches)
        return self.output(x), weights

    def attention_maps(self, source: Source, target_in: Target) -> AttentionMaps:
        """Every attention weight of one pass. Raises: as `forward`."""
        check_target(target_in)
        memory, encoder = self.encode(source, need_weights=True)
        return AttentionMaps(encoder, self.decode(target_in, memory, need_weights=True)[1])

    def start(self, source: Source, max_length: int) -> Writing:
        """Read the source, ready to write at most max_length symbols."""
        return Writing(self.encode(source)[0], self.decoder.caches(max_length))

    def step(
        self, last: Int[Tensor, "batch 1"], writing: Writing
    ) -> tuple[Float[Tensor, "batch vocabulary"], Float[Tensor, "batch sources"] | None]:
        """Take the last symbol of each row (BOS at first): the logits of the next, and the weights as in `forward`."""
        logits, weights = self.decode(last, writing.memory, need_weights=True, writing=writing)
        writing.written += 1
        weights = averaged(weights)
        return logits[:, 0], None if weights is None else weights[:, 0]

    def greedy(
        self, source: Source, *, max_length: int
    ) -> tuple[Int[Tensor, "batch targets"], Float[Tensor, "batch targets sources"] | None]:
        """The most probable next symbol, again and again: see `attnbook.transformer.greedy`."""
        return greedy(self, source, max_length=max_length)


def averaged(weights: list[DecoderWeights] | None) -> Averaged | None:
    """The last layer's cross-attention weights, averaged over the heads; None where there are none."""
    if weights is None or weights[-1].cross_attention is None:
        return None
    return weights[-1].cross_attention.mean(dim=1)


def check_target(target_in: object) -> None:
    """Whole numbers (batch, targets), with the begin symbol at least."""
    if not isinstance(target_in, torch.Tensor):
        raise TypeError(f"target_in must be a torch.Tensor (batch, targets); got {type(target_in).__name__}")
    if target_in.is_floating_point() or target_in.dim() != 2 or 0 in target_in.shape:
        raise ValueError(
            "target_in must hold whole numbers with shape (batch, targets), targets at least 1 (the begin symbol); "
            f"got dtype {target_in.dtype}, shape {shape(target_in)}"
        )
