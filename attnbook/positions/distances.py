"""How far each key stands from each query: what every relative kind of position is made of."""

import torch
from jaxtyping import Int
from torch import Tensor

from attnbook._validation import check_size


def distances(n: int, m: int | None = None, *, device: torch.device | str | None = None) -> Int[Tensor, "n m"]:
    """j - i: the position of key j minus that of query i. Negative for keys that came before the query.

    Shape: (n, m); m = n if not given. With fewer queries than keys the queries are the last positions (query i stands
    at position i + m - n), so that decoding with a cache gives the rows that it would give without one.
    Raises: TypeError or ValueError for sizes that are not whole numbers of at least 0.
    """
    m = n if m is None else m
    check_size("n", n)
    check_size("m", m)
    return torch.arange(m, device=device) - torch.arange(m - n, m, device=device).unsqueeze(1)
