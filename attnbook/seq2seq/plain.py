"""The decoder without attention: all that it knows of the source is its first state."""

from jaxtyping import Float, Int
from torch import Tensor, nn

from attnbook.data.vocabulary import PAD
from attnbook.seq2seq.encoders import Encoding
from attnbook.seq2seq.recurrence import Recurrence, State


class PlainDecoder(nn.Module):
    """Predicts y_t from the current state alone: h_t = RNN(E y_{t-1}, h_{t-1}), p(y_t) = softmax(W_s h_t).

    The weights it returns are None. The paper: LSTM, four layers of 1000 units, `CopiedStart`, and the source reversed;
    Cho et al. (2014) also show the encoder's last state to every step. The book's comparison: one layer of GRU,
    `ProjectedStart`, the source as it stands.
    Shapes: target_in (batch, targets) -> logits (batch, targets, vocabulary), None, state.
    Source: Sutskever et al. (2014), Section 2.
    """

    def __init__(
        self,
        vocabulary_size: int,
        d_embedding: int,
        d_hidden: int,
        *,
        start: nn.Module,
        cell: type[nn.RNNBase] = nn.LSTM,
        layers: int = 1,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.start = start
        self.embedding = nn.Embedding(vocabulary_size, d_embedding, padding_idx=PAD)
        self.dropout = nn.Dropout(dropout)
        self.recurrence = Recurrence(cell, d_embedding, d_hidden, layers=layers)
        self.W_s = nn.Linear(d_hidden, vocabulary_size)

    def begin(self, encoding: Encoding) -> State:
        """The first state h_0."""
        return self.start(encoding)

    def forward(
        self, target_in: Int[Tensor, "batch targets"], encoding: Encoding, state: State, first: int = 0
    ) -> tuple[Float[Tensor, "batch targets vocabulary"], None, State]:
        h, state = self.recurrence(self.dropout(self.embedding(target_in)), state)
        return self.W_s(self.dropout(h)), None, state
