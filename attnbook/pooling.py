"""From one vector for each token to one for the text.

Axes: n tokens, d the size of their vectors. tokens tells where there is padding: PAD counts for nothing.
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from attnbook._validation import check_mask, check_size, check_vectors, shape
from attnbook.attention import attention_weights


def mean_pooling(x: Float[Tensor, "batch n d"], mask: Bool[Tensor, "batch n"]) -> Float[Tensor, "batch d"]:
    """The mean of the vectors where mask is True (a token), not where it is False (padding); 0 where there is none.

    Raises: TypeError or ValueError for x or mask of another kind or shape.
    """
    _check(x, mask)
    counted = mask.unsqueeze(-1).to(x.dtype)
    return (x * counted).sum(dim=1) / counted.sum(dim=1).clamp(min=1)


class AttentionPooling(nn.Module):
    """Attention with one learned query for all texts: weights = softmax_j(v · tanh(W x_j + b)), output = weights x.

    The score is the additive one with the query in v and b. d: size of the vectors; d_hidden: of the tanh layer.
    Source: Lin et al. (2017), Section 2.1, with one row of attention; Yang et al. (2016), Eqs. 5 to 7.
    """

    def __init__(self, d: int, d_hidden: int) -> None:
        super().__init__()
        check_size("d", d, least=1)
        check_size("d_hidden", d_hidden, least=1)
        self.W = nn.Linear(d, d_hidden)
        self.v = nn.Linear(d_hidden, 1, bias=False)

    def forward(
        self, x: Float[Tensor, "batch n d"], mask: Bool[Tensor, "batch n"]
    ) -> tuple[Float[Tensor, "batch d"], Float[Tensor, "batch n"]]:
        """One vector for each text, and the weight of each token. Raises: as `mean_pooling`."""
        _check(x, mask)
        scores = self.v(torch.tanh(self.W(x))).squeeze(-1)
        weights = attention_weights(scores, mask)
        return (weights.unsqueeze(1) @ x).squeeze(1), weights


def _check(x: Tensor, mask: Tensor) -> None:
    check_vectors("x", x)
    if x.dim() != 3:
        raise ValueError(f"x must have shape (batch, n, d); got {shape(x)}")
    check_mask(mask, x.shape[:2], x.device)
    if mask.shape != x.shape[:2]:
        raise ValueError(f"mask must have shape (batch, n), {tuple(x.shape[:2])}; got {shape(mask)}")
