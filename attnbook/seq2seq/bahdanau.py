"""The decoder of Bahdanau et al. (2015): attend first, with the previous state, then take the step."""

from collections.abc import Callable

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from attnbook import scores
from attnbook.attention import attention_weights
from attnbook.data.vocabulary import PAD
from attnbook.seq2seq.encoders import Encoding
from attnbook.seq2seq.recurrence import State


class BahdanauDecoder(nn.Module):
    """Predicts y_i from the previous state s_{i-1}, the previous symbol y_{i-1} and a context c_i of its own.

    c_i = Σ_j alpha_ij h_j, alpha_i = softmax(score(s_{i-1}, h_j))          Eqs. 5 and 6
    s_i = GRU([E y_{i-1}; c_i], s_{i-1})                                     Appendix A.2.2
    t_i = maxout of pairs of U_o s_{i-1} + V_o E y_{i-1} + C_o c_i + b       Appendix A.2.2
    p(y_i) = softmax(W_o t_i + b)

    The paper: the additive score, 1000 units, E of size 620, t of size 500, `BackwardStart`, no dropout. Its Eq. 4
    names s_i among the inputs of the output layer, its appendix s_{i-1}; this is the appendix. The biases and the place
    of PyTorch's reset gate (see `Recurrence`) differ from the paper. The book's comparison uses `ProjectedStart`.
    Shapes: target_in (batch, targets) -> logits (batch, targets, vocabulary), weights (batch, targets, sources), state.
    """

    def __init__(
        self,
        vocabulary_size: int,
        d_embedding: int,
        d_hidden: int,
        d_annotation: int,
        *,
        score: Callable[[Tensor, Tensor], Tensor],
        start: nn.Module,
        d_maxout: int,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.start, self.score = start, score
        self.embedding = nn.Embedding(vocabulary_size, d_embedding, padding_idx=PAD)
        self.dropout = nn.Dropout(dropout)
        self.cell = nn.GRUCell(d_embedding + d_annotation, d_hidden)
        self.deep = nn.Linear(d_hidden + d_embedding + d_annotation, 2 * d_maxout)  # U_o, V_o and C_o side by side
        self.W_o = nn.Linear(d_maxout, vocabulary_size)

    def begin(self, encoding: Encoding) -> State:
        """The first state s_0."""
        return self.start(encoding)

    def forward(
        self, target_in: Int[Tensor, "batch targets"], encoding: Encoding, state: State, first: int = 0
    ) -> tuple[Float[Tensor, "batch targets vocabulary"], Float[Tensor, "batch targets sources"], State]:
        embedded = self.dropout(self.embedding(target_in))
        s = state[0][0]  # one layer, (batch, d_hidden)
        score = with_key(self.score, encoding.annotations)
        previous, contexts, weights = [], [], []
        for y in embedded.unbind(dim=1):
            alpha = attention_weights(score(s.unsqueeze(1)), encoding.mask.unsqueeze(1))  # (batch, 1, sources)
            c = (alpha @ encoding.annotations).squeeze(1)
            previous.append(s)
            contexts.append(c)
            weights.append(alpha)
            s = self.cell(torch.cat([y, c], dim=-1), s)
        # The output layer feeds nothing back, so that it runs once for all steps.
        t = self.deep(torch.cat([torch.stack(previous, dim=1), embedded, torch.stack(contexts, dim=1)], dim=-1))
        t = t.unflatten(-1, (-1, 2)).amax(dim=-1)
        return self.W_o(self.dropout(t)), torch.cat(weights, dim=1), (s.unsqueeze(0),)


def with_key(score: Callable[[Tensor, Tensor], Tensor], key: Tensor) -> Callable[[Tensor], Tensor]:
    """The score of any query against a key that stays: query -> score(query, key).

    For the additive score, W_k h_j does not depend on the query and is computed once, not once a step, as Bahdanau
    et al. (2015) point out (Appendix A.1.2).
    """
    if not isinstance(score, scores.Additive):
        return lambda query: score(query, key)
    projected = score.W_k(key).unsqueeze(-3)  # (batch, 1, sources, d_hidden)
    return lambda query: score.v(torch.tanh(score.W_q(query).unsqueeze(-2) + projected)).squeeze(-1)
