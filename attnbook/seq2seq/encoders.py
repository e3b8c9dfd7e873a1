"""Encoders: a source sequence becomes one annotation a position, and a last state."""

from typing import NamedTuple

from jaxtyping import Bool, Float, Int
from torch import Tensor, arange, nn

from attnbook._validation import shape
from attnbook.data.vocabulary import PAD
from attnbook.seq2seq.recurrence import Recurrence, State, join_directions


class Encoding(NamedTuple):
    """What every decoder gets from every encoder."""

    annotations: Float[Tensor, "batch sources d_annotation"]  # h_1 ... h_m: keys and values of the attention
    mask: Bool[Tensor, "batch sources"]  # True where there is a symbol, False where there is padding
    state: State  # after the last symbol (and, backward, after the first)


class Encoder(nn.Module):
    """Reads the source from left to right: h_j = f(x_j, h_{j-1}).

    The papers: Sutskever et al. (2014) and Luong et al. (2015) stack four layers of LSTM with 1000 units.
    Shapes: source (batch, sources), padded on the right with PAD -> annotations (batch, sources, d_hidden).
    Raises: TypeError or ValueError for a source that is not a batch of whole numbers with trailing padding.
    """

    def __init__(
        self,
        vocabulary_size: int,
        d_embedding: int,
        d_hidden: int,
        *,
        cell: type[nn.RNNBase] = nn.LSTM,
        layers: int = 1,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary_size, d_embedding, padding_idx=PAD)
        self.dropout = nn.Dropout(dropout)
        self.recurrence = Recurrence(cell, d_embedding, d_hidden, layers=layers)

    def forward(self, source: Int[Tensor, "batch sources"]) -> Encoding:
        mask = symbols(source)
        annotations, state = self.recurrence(self.dropout(self.embedding(source)), lengths=mask.sum(dim=1))
        return Encoding(annotations, mask, state)


class BidirectionalEncoder(nn.Module):
    """Reads the source in both directions: h_j = [→h_j; ←h_j], so that an annotation knows both sides of its symbol.

    The paper: one layer of GRU with 1000 units in each direction. Its state here is [→h_m; ←h_1], the last of each.
    Shapes: source (batch, sources) -> annotations (batch, sources, 2 * d_direction).
    Raises: as `Encoder`.
    Source: Bahdanau et al. (2015), Section 3.2 and Appendix A.2.1.
    """

    def __init__(
        self,
        vocabulary_size: int,
        d_embedding: int,
        d_direction: int,
        *,
        cell: type[nn.RNNBase] = nn.GRU,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary_size, d_embedding, padding_idx=PAD)
        self.dropout = nn.Dropout(dropout)
        self.recurrence = Recurrence(cell, d_embedding, d_direction, bidirectional=True)

    def forward(self, source: Int[Tensor, "batch sources"]) -> Encoding:
        mask = symbols(source)
        annotations, state = self.recurrence(self.dropout(self.embedding(source)), lengths=mask.sum(dim=1))
        return Encoding(annotations, mask, join_directions(state))


def symbols(source: Int[Tensor, "batch sources"]) -> Bool[Tensor, "batch sources"]:
    """True where the source has a symbol. Checks that each row has one, and that padding comes only after the last.

    An empty word is a row of its own end symbol, and so not empty.
    """
    if not isinstance(source, Tensor):
        raise TypeError(f"source must be a torch.Tensor of shape (batch, sources); got {type(source).__name__}")
    if source.is_floating_point() or source.is_complex() or source.dim() != 2:
        raise ValueError(
            f"source must hold whole numbers, shape (batch, sources); got dtype {source.dtype}, shape {shape(source)}"
        )
    mask = source != PAD
    lengths = mask.sum(dim=1, keepdim=True)
    if source.shape[0] == 0 or (lengths == 0).any():
        raise ValueError(
            f"source must have at least one row, and each row a symbol (the end symbol of an empty word counts); "
            f"got shape {shape(source)} with {int((lengths == 0).sum())} rows of padding only"
        )
    if (mask != (arange(source.shape[1], device=source.device) < lengths)).any():
        raise ValueError("source must be padded on the right only; got a symbol after padding")
    return mask
