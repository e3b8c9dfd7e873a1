"""ALiBi, attention with linear biases: each head lowers the scores in proportion to the distance."""

import torch
from jaxtyping import Float
from torch import Tensor

from attnbook._validation import check_flag, check_size
from attnbook.positions.distances import distances

Device = torch.device | str | None


def alibi_slopes(n_heads: int, *, device: Device = None) -> Float[Tensor, " heads"]:
    """One slope for each head: 2^(-8/h), 2^(-16/h), ..., 2^-8 for h heads, h a power of two.

    For other h: the slopes of the next lower power of two, then every other slope of twice as many heads, starting
    with the first, until there are h. That rule is in the paper's published code and in Bloom, not in the paper.
    Shape: (n_heads,). Raises: TypeError or ValueError unless n_heads is a whole number of at least 1.
    Source: Press et al. (2022), Section 3.
    """
    check_size("n_heads", n_heads, least=1)
    lower = 2 ** (n_heads.bit_length() - 1)  # the largest power of two within n_heads
    slopes = _geometric(lower) + _geometric(2 * lower)[::2][: n_heads - lower]
    return torch.tensor(slopes, dtype=torch.get_default_dtype(), device=device)


def _geometric(n_heads: int) -> list[float]:
    return [2.0 ** (-8 * h / n_heads) for h in range(1, n_heads + 1)]


def alibi(
    n_heads: int, n: int, m: int | None = None, *, symmetric: bool = False, device: Device = None
) -> Float[Tensor, "heads n m"]:
    """bias[h, i, j] = -slope_h · (i - j) for the last n of m positions (m = n if not given), added to the scores.

    It is for causal attention: beyond the diagonal it would be a reward, and a causal mask has to hide that part.
    symmetric=True gives -slope_h · |i - j|, for attention in both directions (not in the paper).
    Bloom's code adds slope_h · j instead. In each row that differs by the constant slope_h · i, so the weights are the
    same; the numbers in this form stay small near the diagonal, however long the sequence.
    Shape: (n_heads, n, m).
    Raises: TypeError or ValueError for sizes that are not whole numbers, or symmetric that is no flag.
    Source: Press et al. (2022), Section 3.
    """
    check_flag("symmetric", symmetric)
    slopes = alibi_slopes(n_heads, device=device)[:, None, None]
    distance = distances(n, m, device=device)  # j - i
    return slopes * (-distance.abs() if symmetric else distance)
