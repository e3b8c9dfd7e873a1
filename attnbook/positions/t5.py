"""Relative positions after T5: one learned number per head and bucket of distances, added to the scores."""

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from attnbook._validation import check_flag, check_size, check_whole_numbers
from attnbook.positions.distances import distances


def t5_bucket(
    distance: Int[Tensor, "*shape"], *, n_buckets: int = 32, max_distance: int = 128, bidirectional: bool = True
) -> Int[Tensor, "*shape"]:
    """The bucket of each distance j - i (key minus query): near ones have one each, far ones share.

    One direction has N buckets: half of n_buckets if bidirectional, all of them if not. With E = N/2, rounded down, a
    distance r < E has bucket r. The other buckets begin at E · (max_distance / E)^(b / (N - E)), b = 0, 1, ...: each is
    wider than the one before by the same factor, and the last has no end. With a logarithm, as it is often written:
    E + floor((N - E) · log(r / E) / log(max_distance / E)), at most N - 1.
    Bidirectional: keys after the query (j > i) get the second half of the buckets. Otherwise those count as distance
    0, for the causal mask hides them.

    Shape: distance of any shape, whole numbers -> the same shape, 0 ... n_buckets - 1.
    Raises: TypeError or ValueError for a distance that is not of whole numbers, fewer than 2 buckets a direction, an
    odd n_buckets if bidirectional, or a max_distance that the buckets of single distances already reach.
    Source: Raffel et al. (2020), Section 2.1; the formula is in its published code.
    """
    check_whole_numbers("distance", distance)
    n_own = _one_direction(n_buckets, max_distance, bidirectional)
    exact = n_own // 2
    if bidirectional:
        first, r = (distance > 0).long() * n_own, distance.long().abs()
    else:
        first, r = torch.zeros_like(distance, dtype=torch.long), (-distance.long()).clamp(min=0)
    shared = n_own - exact
    edges = [exact * (max_distance / exact) ** (b / shared) for b in range(1, shared)]
    # As whole numbers, and cut a little: an edge that is one must not come out above itself for a rounding error.
    first_of_bucket = torch.tensor([math.ceil(edge * (1 - 1e-12)) for edge in edges], dtype=torch.long)
    far = exact + torch.bucketize(r, first_of_bucket.to(r.device), right=True)
    return first + torch.where(r < exact, r, far)


def _one_direction(n_buckets: int, max_distance: int, bidirectional: bool) -> int:
    """The number of buckets for one direction, the arguments checked."""
    check_flag("bidirectional", bidirectional)
    check_size("n_buckets", n_buckets, least=4 if bidirectional else 2)
    if bidirectional and n_buckets % 2:
        raise ValueError(f"n_buckets must be even, half for each direction; got {n_buckets}")
    n_own = n_buckets // 2 if bidirectional else n_buckets
    check_size("max_distance", max_distance, least=n_own // 2 + 1)
    return n_own


class RelativeT5(nn.Module):
    """bias[h, i, j] = weight[bucket(j - i), h]: how much head h likes a distance, whatever the tokens are.

    `weight` has shape (n_buckets, n_heads) and starts from a normal distribution with standard deviation 0.02. In T5
    all layers of a stack share one table. T5's attention does NOT divide by sqrt(d_k) (its first weights are drawn
    smaller instead): its numbers are `attention(query, key, value, score=dot, bias=...)`.
    Source: Raffel et al. (2020), Section 2.1.
    """

    def __init__(self, n_heads: int, n_buckets: int = 32, max_distance: int = 128, bidirectional: bool = True) -> None:
        super().__init__()
        check_size("n_heads", n_heads, least=1)
        _one_direction(n_buckets, max_distance, bidirectional)
        self.n_heads, self.n_buckets = n_heads, n_buckets
        self.max_distance, self.bidirectional = max_distance, bidirectional
        self.weight = nn.Parameter(torch.empty(n_buckets, n_heads))
        nn.init.normal_(self.weight, std=0.02)

    def forward(self, n: int, m: int | None = None) -> Float[Tensor, "heads n m"]:
        """The bias for the last n of m positions (m = n if not given), to be added to the scores: (n_heads, n, m)."""
        bucket = t5_bucket(
            distances(n, m, device=self.weight.device),
            n_buckets=self.n_buckets,
            max_distance=self.max_distance,
            bidirectional=self.bidirectional,
        )
        return self.weight[bucket].permute(2, 0, 1)

    def extra_repr(self) -> str:
        return (
            f"n_heads={self.n_heads}, n_buckets={self.n_buckets}, max_distance={self.max_distance}, "
            f"bidirectional={self.bidirectional}"
        )
