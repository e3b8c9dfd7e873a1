"""What a head looks at, as one number a head: the token before, what followed the same token earlier, the first token.

Each takes every layer's weights, as a model gives them with need_weights=True: (batch, n_heads, n, n) each, causal, the
first layer's first. Each gives a table (n_layers, n_heads) of numbers from 0 to 1, means over the batch and the
positions that are named. They describe where weight goes; what a head does to the output is told by taking it out
(`head_ablation`).
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from attnbook._validation import check_size

Weights = Sequence[Float[Tensor, "batch n_heads n n"]]
Scores = Float[Tensor, "n_layers n_heads"]


def previous_token(weights: Weights) -> Scores:
    """The mean weight on the token just before, over all positions but the first."""
    return at_distance(weights, 1)


def induction(weights: Weights, period: int) -> Scores:
    """The mean weight on the token after the earlier copy of this one, in a text that repeats with this period.

    Position t holds the token that stood at t - period, and an induction head looks at what came next, at
    t - period + 1. Counted are the positions that have such a copy: give random tokens, or a head that knows the
    language passes for one that matches.
    Raises: ValueError for a text that is not longer than the period.
    Source: Olsson et al. (2022), "prefix matching" and its score.
    """
    check_size("period", period, least=2)
    n = weights[0].shape[-1]
    if n <= period:
        raise ValueError(f"period must be less than the length of the text, {n}; got {period}")
    return at_distance(weights, period - 1, since=period)


def first_token(weights: Weights) -> Scores:
    """The mean weight on the first token, over all positions but the first, which sees nothing else.

    Equal weights would give the mean of 1/2, 1/3, ... 1/n.
    """
    return torch.stack([layer[:, :, 1:, 0].mean(dim=(0, 2)) for layer in weights])


def at_distance(weights: Weights, distance: int, *, since: int | None = None) -> Scores:
    """The mean weight on the key `distance` positions back, over the queries from position `since` on."""
    check_size("distance", distance, least=0)
    since = distance if since is None else since
    diagonals = (layer.diagonal(-distance, dim1=2, dim2=3)[:, :, since - distance :] for layer in weights)
    return torch.stack([diagonal.mean(dim=(0, 2)) for diagonal in diagonals])


def best(scores: Scores, count: int) -> list[tuple[int, int]]:
    """The (layer, head) of the largest scores, the largest first."""
    check_size("count", count, least=1)
    return [divmod(i, scores.shape[1]) for i in scores.flatten().argsort(descending=True)[:count].tolist()]
