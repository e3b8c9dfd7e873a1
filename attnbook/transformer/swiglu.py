"""SwiGLU: the feed-forward part of Llama's family, in which one projection decides how much of another passes."""

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from attnbook._validation import check_size


class SwiGlu(nn.Module):
    """SwiGLU(x) = (silu(x W_gate) * (x W_up)) W_down, with silu(z) = z * sigmoid(z), from d_model to d_hidden and back.

    No biases. Three matrices instead of two: at 2/3 of the hidden units it has as many parameters as `FeedForward`.
    The weights start Xavier-uniform.
    Shapes: (..., d_model) -> (..., d_model). Each position is computed by itself.
    Raises: TypeError or ValueError for sizes below 1.
    Source: Shazeer (2020), Section 2, Eq. 6, with beta = 1.
    """

    def __init__(self, d_model: int, d_hidden: int) -> None:
        super().__init__()
        check_size("d_model", d_model, least=1)
        check_size("d_hidden", d_hidden, least=1)
        self.W_gate, self.W_up = (nn.Linear(d_model, d_hidden, bias=False) for _ in range(2))
        self.W_down = nn.Linear(d_hidden, d_model, bias=False)
        for linear in (self.W_gate, self.W_up, self.W_down):
            nn.init.xavier_uniform_(linear.weight)

    def forward(self, x: Float[Tensor, "... d_model"]) -> Float[Tensor, "... d_model"]:
        return self.W_down(F.silu(self.W_gate(x)) * self.W_up(x))
