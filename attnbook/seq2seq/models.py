"""The book's models: one encoder, one cell and one size, so that only the attention differs.

All read the source with the same bidirectional GRU, d_hidden / 2 units a direction, and start the decoder's GRU of
d_hidden units from s_0 = tanh(W_s [→h_m; ←h_1] + b). The papers' own choices are in the decoders' docstrings.
"""

from collections.abc import Callable

from torch import Tensor, nn

from attnbook import scores
from attnbook.data.vocabulary import Vocabulary
from attnbook.seq2seq.alignments import Global
from attnbook.seq2seq.bahdanau import BahdanauDecoder
from attnbook.seq2seq.encoders import BidirectionalEncoder
from attnbook.seq2seq.luong import LuongDecoder
from attnbook.seq2seq.model import Seq2Seq
from attnbook.seq2seq.plain import PlainDecoder
from attnbook.seq2seq.starts import ProjectedStart


def without_attention(
    source: Vocabulary, target: Vocabulary, *, d_embedding: int = 64, d_hidden: int = 128, dropout: float = 0.0
) -> Seq2Seq:
    """An encoder-decoder whose decoder sees the source through its first state only."""
    decoder = PlainDecoder(
        len(target), d_embedding, d_hidden, start=ProjectedStart(d_hidden, d_hidden), cell=nn.GRU, dropout=dropout
    )
    return Seq2Seq(_encoder(source, d_embedding, d_hidden, dropout), decoder)


def bahdanau(
    source: Vocabulary, target: Vocabulary, *, d_embedding: int = 64, d_hidden: int = 128, dropout: float = 0.0
) -> Seq2Seq:
    """Additive attention from the previous decoder state; the context enters the recurrence."""
    decoder = BahdanauDecoder(
        len(target),
        d_embedding,
        d_hidden,
        d_hidden,
        score=scores.Additive(d_hidden, d_hidden, d_hidden),
        start=ProjectedStart(d_hidden, d_hidden),
        d_maxout=d_hidden // 2,  # the paper's ratio: 500 to 1000
        dropout=dropout,
    )
    return Seq2Seq(_encoder(source, d_embedding, d_hidden, dropout), decoder)


def luong(
    source: Vocabulary,
    target: Vocabulary,
    *,
    score: Callable[[Tensor, Tensor], Tensor] = scores.dot,
    alignment: nn.Module | None = None,
    d_embedding: int = 64,
    d_hidden: int = 128,
    dropout: float = 0.0,
) -> Seq2Seq:
    """Attention from the current decoder state, without input feeding; global with the given score, or any alignment.

    Queries and annotations have size d_hidden: `luong(source, target, score=scores.General(128, 128))`.
    """
    decoder = LuongDecoder(
        len(target),
        d_embedding,
        d_hidden,
        d_hidden,
        alignment=Global(score) if alignment is None else alignment,
        start=ProjectedStart(d_hidden, d_hidden),
        cell=nn.GRU,
        dropout=dropout,
    )
    return Seq2Seq(_encoder(source, d_embedding, d_hidden, dropout), decoder)


def _encoder(source: Vocabulary, d_embedding: int, d_hidden: int, dropout: float) -> BidirectionalEncoder:
    if d_hidden % 2:
        raise ValueError(f"d_hidden must be even, half for each direction of the encoder; got {d_hidden}")
    return BidirectionalEncoder(len(source), d_embedding, d_hidden // 2, dropout=dropout)
