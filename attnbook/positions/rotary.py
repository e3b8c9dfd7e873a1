"""Rotary positions: queries and keys are turned by an angle that grows with their position."""

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from attnbook._validation import check_dim, check_size, check_vectors, shape
from attnbook.positions.sinusoidal import check_even, frequencies
from attnbook.scores import widen

Layout = Literal["half", "interleaved"]


class Rotary(nn.Module):
    """Turns pair k of a vector at position p by the angle p · base^(-2k/d_head), counterclockwise.

    (a, b) becomes (a cos - b sin, a sin + b cos). A dot product of two turned vectors depends on their positions only
    through the difference. Queries and keys are turned, values are not. It learns nothing and knows no longest length.

    layout says which components are a pair, and has no default because a wrong one raises no error:
      "interleaved": (x_0, x_1), (x_2, x_3), ... as in the paper, GPT-J, and Llama's own code;
      "half": (x_0, x_d/2), (x_1, x_d/2+1), ... as in GPT-NeoX, and Llama in the library transformers.
    The two give different numbers. Trained weights fit one of them; `interleaved_to_half` moves them to the other.

    The angles are computed in float64 on the CPU at each call, so that they are exact at any position; half precision
    is turned in float32 and cast back.
    Raises: ValueError for a d_head that is odd, a base that is not above 1, an unknown layout.
    Source: Su et al. (2024), Section 3.2, Eqs. 14, 15 and 34.
    """

    def __init__(self, d_head: int, *, base: float = 10000.0, layout: Layout) -> None:
        super().__init__()
        check_even("d_head", d_head)
        if layout not in ("half", "interleaved"):
            raise ValueError(f'layout must be "half" or "interleaved"; got {layout!r}')
        self.d_head, self.base, self.layout = d_head, base, layout
        # A plain attribute, not a buffer: model.half() must not round the frequencies.
        self.frequencies = frequencies(d_head, base)

    def angles(self, length: int, start: int = 0) -> Float[Tensor, "length pairs"]:
        """The angle of each pair at positions start, start + 1, ..., in radians, float64."""
        check_size("length", length)
        check_size("start", start)
        position = torch.arange(start, start + length, dtype=torch.float64, device="cpu")
        return position.unsqueeze(1) * self.frequencies

    def forward(self, x: Float[Tensor, "... length d_head"], start: int = 0) -> Float[Tensor, "... length d_head"]:
        """x turned, row r as position start + r. Same shape and dtype.

        Raises: TypeError or ValueError for an x that is not floating-point or has another last axis than d_head, or a
        start below 0.
        """
        check_vectors("x", x)
        check_dim("x", x, self.d_head, "d_head of these positions")
        wide = widen(x)
        angle = self.angles(x.shape[-2], start)
        cos, sin = angle.cos().to(wide), angle.sin().to(wide)
        # The two layouts differ in nothing but the axis on which the partners of a pair lie.
        sizes, axis = ((2, -1), -2) if self.layout == "half" else ((-1, 2), -1)
        a, b = wide.unflatten(-1, sizes).unbind(axis)
        return torch.stack((a * cos - b * sin, a * sin + b * cos), dim=axis).flatten(-2).to(x.dtype)

    def extra_repr(self) -> str:
        return f"d_head={self.d_head}, base={self.base}, layout={self.layout!r}"


def interleaved_to_half(projection: Float[Tensor, "rows ..."], n_heads: int) -> Float[Tensor, "rows ..."]:
    """Reorders the rows of a query or key projection, so that a model trained with one layout runs with the other.

    In each head the even components come first, then the odd ones. Queries and keys must both be moved; their dot
    products, and so all weights and outputs, stay the same.

    Shape: weight (n_heads · d_head, d_model) or bias (n_heads · d_head,) of an nn.Linear -> the same.
    Raises: TypeError for a projection that is no tensor; ValueError for rows that are not n_heads times an even d_head.
    """
    check_size("n_heads", n_heads, least=1)
    if not isinstance(projection, Tensor):
        raise TypeError(f"projection must be a torch.Tensor, a weight or a bias; got {type(projection).__name__}")
    if projection.dim() < 1 or projection.shape[0] % (2 * n_heads):
        raise ValueError(
            f"projection must have n_heads · d_head rows, n_heads = {n_heads} and d_head even; got {shape(projection)}"
        )
    pairs = projection.unflatten(0, (n_heads, -1, 2))  # (heads, pair, partner, ...)
    return pairs.transpose(1, 2).flatten(0, 2)  # (heads, partner, pair, ...)
