"""The feed-forward part of a layer: the same two-layer network at every position, which sees that position alone."""

from functools import partial

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from attnbook._validation import check_size

ACTIVATIONS = {"relu": F.relu, "gelu": F.gelu, "gelu-tanh": partial(F.gelu, approximate="tanh")}


class FeedForward(nn.Module):
    """FFN(x) = activation(x W_1 + b_1) W_2 + b_2, from d_model to d_hidden (the paper: 4 d_model) and back.

    activation: "relu" as in the paper, "gelu" (x times the normal distribution's Φ(x)) as in BERT, or "gelu-tanh", the
    approximation of it that GPT-2 computes. dropout: on the hidden values, where PyTorch has it; the
    paper has none there.
    The weights start Xavier-uniform with zero biases.
    Shapes: (..., d_model) -> (..., d_model).
    Raises: ValueError for another activation; TypeError or ValueError for sizes below 1.
    Source: Vaswani et al. (2017), Eq. 2; Hendrycks and Gimpel (2016) for GELU.
    """

    def __init__(self, d_model: int, d_hidden: int, *, activation: str = "relu", dropout: float = 0.0) -> None:
        super().__init__()
        check_size("d_model", d_model, least=1)
        check_size("d_hidden", d_hidden, least=1)
        if activation not in ACTIVATIONS:
            raise ValueError(f"activation must be one of {', '.join(ACTIVATIONS)}; got {activation!r}")
        self.activation = ACTIVATIONS[activation]
        self.W_1, self.W_2 = nn.Linear(d_model, d_hidden), nn.Linear(d_hidden, d_model)
        self.dropout = nn.Dropout(dropout)
        for linear in (self.W_1, self.W_2):
            nn.init.xavier_uniform_(linear.weight)
            nn.init.zeros_(linear.bias)

    def forward(self, x: Float[Tensor, "... d_model"]) -> Float[Tensor, "... d_model"]:
        return self.W_2(self.dropout(self.activation(self.W_1(x))))
