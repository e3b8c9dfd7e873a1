"""Sinusoidal positions: a fixed table of sines and cosines, added to the vectors of the tokens."""

import torch
from jaxtyping import Float
from torch import Tensor

from attnbook._validation import check_number, check_size


def sinusoidal(
    length: int,
    d_model: int,
    *,
    base: float = 10000.0,
    start: int = 0,
    device: torch.device | str | None = None,
    dtype: torch.dtype | None = None,
) -> Float[Tensor, "length d_model"]:
    """PE(p, 2k) = sin(p / base^(2k/d_model)), PE(p, 2k+1) = cos of the same angle, for p = start, start + 1, ...

    Sines and cosines alternate, as in the paper; many programs put all sines first, which is the same table with its
    columns in another order. The angles are computed in float64, whatever the dtype (PyTorch's default if None).
    In the paper the vectors of the tokens are multiplied by sqrt(d_model) before the table is added (Section 3.4).

    Shape: (length, d_model).
    Raises: TypeError or ValueError for sizes that are not whole numbers, an odd d_model, or a base that is not above 1.
    Source: Vaswani et al. (2017), Section 3.5.
    """
    check_size("length", length)
    check_size("start", start)
    check_even("d_model", d_model)
    position = torch.arange(start, start + length, dtype=torch.float64, device="cpu").unsqueeze(1)
    angle = position * frequencies(d_model, base)
    table = torch.stack((angle.sin(), angle.cos()), dim=-1).flatten(-2)
    return table.to(device=device, dtype=torch.get_default_dtype() if dtype is None else dtype)


def frequencies(size: int, base: float) -> Float[Tensor, " half"]:
    """base^(-2k/size) for k = 0 ... size/2 - 1, in float64: radians per position, from 1 down to almost 1/base."""
    check_number("base", base)
    if not 1 < base < float("inf"):
        raise ValueError(f"base must be a finite number above 1; got {base}")
    return base ** (-torch.arange(0, size, 2, dtype=torch.float64, device="cpu") / size)


def check_even(name: str, value: object) -> None:
    """A whole number of at least 2 that pairs of components can fill."""
    check_size(name, value, least=2)
    if value % 2:
        raise ValueError(f"{name} must be even, as components are taken in pairs; got {value}")
