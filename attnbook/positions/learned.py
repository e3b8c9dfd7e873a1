"""Learned positions: a table with one trained row for each position, added to the vectors of the tokens."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from attnbook._validation import check_size


class LearnedPositions(nn.Module):
    """One learned vector for each position up to max_length. There is none beyond, and none that was never trained.

    `weight` has shape (max_length, d_model); it starts from a normal distribution with standard deviation 0.02, as in
    BERT and GPT-2.
    Source: Gehring et al. (2017), Section 3.1; Devlin et al. (2019) for BERT.
    """

    def __init__(self, max_length: int, d_model: int) -> None:
        super().__init__()
        check_size("max_length", max_length, least=1)
        check_size("d_model", d_model, least=1)
        self.max_length, self.d_model = max_length, d_model
        self.weight = nn.Parameter(torch.empty(max_length, d_model))
        nn.init.normal_(self.weight, std=0.02)

    def forward(self, length: int, start: int = 0) -> Float[Tensor, "length d_model"]:
        """The rows start ... start + length - 1, to be added to the vectors of the tokens there.

        Raises: ValueError for a position at or past max_length; TypeError for sizes that are not whole numbers.
        """
        check_size("length", length)
        check_size("start", start)
        if start + length > self.max_length:
            raise ValueError(
                f"length must end within max_length = {self.max_length} positions; got start {start} + length {length}"
            )
        return self.weight[start : start + length]

    def extra_repr(self) -> str:
        return f"max_length={self.max_length}, d_model={self.d_model}"
