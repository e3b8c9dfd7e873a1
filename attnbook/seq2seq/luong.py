"""The decoder of Luong et al. (2015): take the step first, then attend with the current state."""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from attnbook.data.vocabulary import PAD
from attnbook.seq2seq.encoders import Encoding
from attnbook.seq2seq.recurrence import Recurrence, State

Logits = Float[Tensor, "batch targets vocabulary"]
States = Float[Tensor, "batch targets d_hidden"]
Weights = Float[Tensor, "batch targets sources"]


class LuongDecoder(nn.Module):
    """Predicts y_t from the current state h_t and the context that h_t finds.

    h_t = RNN(E y_{t-1}, h_{t-1}),  c_t = Σ_s alpha_ts h_s
    h~_t = tanh(W_c [c_t; h_t])                                               Eq. 5
    p(y_t) = softmax(W_s h~_t)                                                Eq. 6

    Nothing that attention finds enters the recurrence, so that the whole recurrence runs first and one call attends for
    all steps. alignment: `Global`, `LocalMonotonic` or `LocalPredictive`, with any score.
    The paper: LSTM, four layers of 1000 units, `CopiedStart`, dropout 0.2, no biases written. The book's comparison:
    one layer of GRU and `ProjectedStart`.
    Shapes: target_in (batch, targets) -> logits (batch, targets, vocabulary), weights (batch, targets, sources), state.
    Source: Luong et al. (2015), Section 3.
    """

    def __init__(
        self,
        vocabulary_size: int,
        d_embedding: int,
        d_hidden: int,
        d_annotation: int,
        *,
        alignment: nn.Module,
        start: nn.Module,
        cell: type[nn.RNNBase] = nn.LSTM,
        layers: int = 1,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.start, self.alignment = start, alignment
        self.embedding = nn.Embedding(vocabulary_size, d_embedding, padding_idx=PAD)
        self.dropout = nn.Dropout(dropout)
        self.recurrence = Recurrence(cell, self._input_size(d_embedding, d_hidden), d_hidden, layers=layers)
        self.W_c = nn.Linear(d_annotation + d_hidden, d_hidden)
        self.W_s = nn.Linear(d_hidden, vocabulary_size)

    @staticmethod
    def _input_size(d_embedding: int, d_hidden: int) -> int:
        return d_embedding

    def begin(self, encoding: Encoding) -> State:
        """The first state h_0."""
        return self.start(encoding)

    def forward(
        self, target_in: Int[Tensor, "batch targets"], encoding: Encoding, state: State, first: int = 0
    ) -> tuple[Logits, Weights, State]:
        h, state = self.recurrence(self.dropout(self.embedding(target_in)), state)
        attentional, weights = self.attend(h, encoding, first)
        return self.W_s(self.dropout(attentional)), weights, state

    def attend(self, h: States, encoding: Encoding, first: int) -> tuple[States, Weights]:
        """The attentional states h~_t and the weights alpha_t of the states h_t."""
        weights = self.alignment(h, encoding.annotations, encoding.mask, first)
        context = weights @ encoding.annotations
        return torch.tanh(self.W_c(torch.cat([context, h], dim=-1))), weights


class InputFeedingDecoder(LuongDecoder):
    """`LuongDecoder` whose next step also reads h~: h_t = RNN([E y_{t-1}; h~_{t-1}], h_{t-1}), with h~_0 = 0.

    The model then knows where it looked before, and the steps can no longer run at once.
    Source: Luong et al. (2015), Section 3.3.
    """

    @staticmethod
    def _input_size(d_embedding: int, d_hidden: int) -> int:
        return d_embedding + d_hidden

    def begin(self, encoding: Encoding) -> State:
        """The first state, and h~_0 after it."""
        state = super().begin(encoding)
        return (*state, state[0].new_zeros(state[0].shape[1], 1, self.W_c.out_features))

    def forward(
        self, target_in: Int[Tensor, "batch targets"], encoding: Encoding, state: State, first: int = 0
    ) -> tuple[Logits, Weights, State]:
        *state, fed = state
        embedded = self.dropout(self.embedding(target_in))
        attentional, weights = [], []
        for t in range(target_in.shape[1]):
            h, state = self.recurrence(torch.cat([embedded[:, t : t + 1], fed], dim=-1), tuple(state))
            fed, alpha = self.attend(h, encoding, first + t)
            attentional.append(fed)
            weights.append(alpha)
        logits = self.W_s(self.dropout(torch.cat(attentional, dim=1)))
        return logits, torch.cat(weights, dim=1), (*state, fed)
