"""Which source positions a decoder state may look at, and how much: global, local-m and local-p.

Each is called as `alignment(query, annotations, mask, first)` and gives the weights alpha_ts over the source.
Axes: n queries (decoder states h_t, at target positions t = first, first + 1, ...), m annotations at positions
s = 0 ... m - 1. The paper counts from 1; since t and s both start at 0 here, local-m is the same.
"""

from collections.abc import Callable

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from attnbook._validation import check_size
from attnbook.attention import attention_weights

Query = Float[Tensor, "batch n d_query"]
Annotations = Float[Tensor, "batch m d_key"]
SourceMask = Bool[Tensor, "batch m"]
Weights = Float[Tensor, "batch n m"]
Score = Callable[[Tensor, Tensor], Tensor]


class Global(nn.Module):
    """Every source position: alpha_ts = softmax_s(score(h_t, h_s)).

    Source: Luong et al. (2015), Section 3.1, Eq. 7; with the additive score, Bahdanau et al. (2015), Eq. 6.
    """

    def __init__(self, score: Score) -> None:
        super().__init__()
        self.score = score

    def forward(self, query: Query, annotations: Annotations, mask: SourceMask, first: int = 0) -> Weights:
        return attention_weights(self.score(query, annotations), mask.unsqueeze(-2))


class LocalMonotonic(nn.Module):
    """local-m: a window of 2D + 1 positions around p_t = t, with a softmax inside it.

    Where the whole window lies past the end of the source, there is nothing to attend to: weights and context are 0.
    Source: Luong et al. (2015), Section 3.2.
    """

    def __init__(self, score: Score, half_width: int) -> None:
        super().__init__()
        check_size("half_width", half_width)
        self.score, self.half_width = score, half_width

    def forward(self, query: Query, annotations: Annotations, mask: SourceMask, first: int = 0) -> Weights:
        t = torch.arange(first, first + query.shape[-2], device=query.device).unsqueeze(-1)
        s = torch.arange(annotations.shape[-2], device=query.device)
        window = (s - t).abs() <= self.half_width
        return attention_weights(self.score(query, annotations), mask.unsqueeze(-2) & window)


class LocalPredictive(nn.Module):
    """local-p: a window around a predicted position, its weights lowered by a Gaussian.

    p_t = S sigmoid(v_pᵀ tanh(W_p h_t)), with S the length of the row's own source;
    alpha_ts = softmax_s(score(h_t, h_s), |s - p_t| <= D) * exp(-(s - p_t)² / (2 σ²)), σ = D / 2.
    As in the paper the product is not normalized again, so that a row sums to less than 1; p_t learns through the
    Gaussian only, since the window's edges have no gradient.
    Source: Luong et al. (2015), Section 3.2; there D = 10 words.
    """

    def __init__(self, score: Score, d_query: int, half_width: int) -> None:
        super().__init__()
        check_size("half_width", half_width, least=1)
        self.score, self.half_width = score, half_width
        self.W_p = nn.Linear(d_query, d_query, bias=False)
        self.v_p = nn.Linear(d_query, 1, bias=False)

    def position(self, query: Query, mask: SourceMask) -> Float[Tensor, "batch n 1"]:
        """p_t, a real number between 0 and the row's length."""
        lengths = mask.sum(dim=-1)[:, None, None]
        return lengths * torch.sigmoid(self.v_p(torch.tanh(self.W_p(query))))

    def forward(self, query: Query, annotations: Annotations, mask: SourceMask, first: int = 0) -> Weights:
        distance = torch.arange(annotations.shape[-2], device=query.device) - self.position(query, mask)
        window = distance.abs() <= self.half_width
        aligned = attention_weights(self.score(query, annotations), mask.unsqueeze(-2) & window)
        return aligned * torch.exp(-distance.square() / (2 * (self.half_width / 2) ** 2))
