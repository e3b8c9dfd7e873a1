"""From numbers to vectors: what a token is, plus where it stands."""

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from attnbook._validation import check_size
from attnbook.data.vocabulary import PAD
from attnbook.positions import sinusoidal


class SinusoidalPositions(nn.Module):
    """The fixed table of `attnbook.positions.sinusoidal`, of any length, called as `LearnedPositions` is."""

    def __init__(self, d_model: int) -> None:
        super().__init__()
        self.d_model = d_model

    def forward(self, length: int, start: int = 0) -> Float[Tensor, "length d_model"]:
        """The rows start ... start + length - 1, in float64."""
        return sinusoidal(length, self.d_model, start=start, dtype=torch.float64)


class TokenEmbedding(nn.Module):
    """dropout(sqrt(d_model) E[token] + position).

    E starts normal with standard deviation 1/sqrt(d_model), so that a token's vector, once multiplied, has components
    of about the size of the sines and cosines that are added. The row of PAD is 0 and stays so.
    positions: called as positions(length, start) -> (length, d_model); None adds nothing.
    Shapes: numbers (batch, n) -> (batch, n, d_model). start: the position of the first one.
    Source: Vaswani et al. (2017), Sections 3.4 and 5.4.
    """

    def __init__(
        self, vocabulary_size: int, d_model: int, *, positions: nn.Module | None, dropout: float = 0.0
    ) -> None:
        super().__init__()
        check_size("vocabulary_size", vocabulary_size, least=1)
        check_size("d_model", d_model, least=1)
        self.tokens = nn.Embedding(vocabulary_size, d_model, padding_idx=PAD)
        self.positions = positions
        self.dropout = nn.Dropout(dropout)
        nn.init.normal_(self.tokens.weight, std=1 / math.sqrt(d_model))
        with torch.no_grad():
            self.tokens.weight[PAD] = 0

    def forward(self, numbers: Int[Tensor, "batch n"], start: int = 0) -> Float[Tensor, "batch n d_model"]:
        x = self.tokens(numbers) * math.sqrt(self.tokens.embedding_dim)
        if self.positions is not None:
            x = x + self.positions(numbers.shape[1], start).to(x)
        return self.dropout(x)
