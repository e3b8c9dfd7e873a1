"""Attention in one sentence: score the pairs, mask, normalize, average the values.

Axes: n queries, m keys and values, d_k the size of a query and a key, d_v the size of a value. The leading axes are
(batch, heads) by convention and broadcast.
"""

from collections.abc import Callable

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from attnbook._heads import share_heads
from attnbook._validation import broadcast, check_bias, check_mask, check_same_kind, check_vectors, shape
from attnbook.scores import scaled_dot, widen

Query = Float[Tensor, "... n d_q"]
Key = Float[Tensor, "... m d_k"]
Value = Float[Tensor, "... m d_v"]
Mask = Bool[Tensor, "..."]
Bias = Float[Tensor, "..."]
Output = Float[Tensor, "... n d_v"]
Weights = Float[Tensor, "... n m"]


def attention_weights(scores: Float[Tensor, "... n m"], mask: Mask | None = None) -> Weights:
    """Softmax over the keys that are allowed: alpha_ij = exp(s_ij) / sum_j' exp(s_ij').

    A score of -inf and a False in the mask mean the same: weight 0. A query that may attend to nothing gets weights
    that are all 0 (and zero gradients), not NaN. Half precision is normalized in float32 and cast back.

    Shapes: scores (..., n, m); mask boolean, True where attention is allowed, broadcast to the scores -> (..., n, m).
    Raises: TypeError unless scores is floating-point and mask boolean; ValueError for a mask that does not fit.
    Source: Bahdanau et al. (2015), Eq. 6.
    """
    return _normalize(scores, mask, in_place=False)


def _normalize(scores: Tensor, mask: Tensor | None, *, in_place: bool) -> Tensor:
    """The weights, written over the scores where nobody else holds those and no gradient needs them.

    At thousands of tokens, fetching memory for a second n x m tensor costs more than the softmax itself.
    """
    check_vectors("scores", scores)
    in_place = in_place and not torch.is_grad_enabled()
    if mask is not None:
        check_mask(mask, scores.shape, scores.device)
        scores = scores.masked_fill_(~mask, -torch.inf) if in_place else scores.masked_fill(~mask, -torch.inf)
    nothing_allowed = _nothing_allowed(scores)
    if nothing_allowed is not None:  # 0/0: such scores are replaced before the softmax, so that no gradient is NaN
        scores = scores.masked_fill(nothing_allowed, 0.0)
    wide = widen(scores)
    weights = torch.softmax(wide, dim=-1, out=wide if in_place else None)
    if nothing_allowed is not None:
        weights = weights.masked_fill(nothing_allowed, 0.0)
    return weights.to(scores.dtype)


def _nothing_allowed(scores: Tensor) -> Tensor | None:
    """Which rows, (..., n, 1), hold nothing but -inf; None where there are none.

    One column tells nearly always: a row whose first score is not -inf allows something. (On a GPU, each question asked
    of the data waits for its answer.)
    """
    if not (scores[..., :1] == -torch.inf).any():
        return None
    nothing_allowed = scores.amax(dim=-1, keepdim=True) == -torch.inf
    return nothing_allowed if nothing_allowed.any() else None


def attention(
    query: Query,
    key: Key,
    value: Value,
    *,
    score: Callable[[Tensor, Tensor], Tensor] = scaled_dot,
    mask: Mask | None = None,
    bias: Bias | None = None,
) -> tuple[Output, Weights]:
    """The definition: weights = softmax(score(query, key) + bias, where mask allows); output = weights @ value.

    Shapes: query (..., n, d_q), key (..., m, d_k), value (..., m, d_v) -> output (..., n, d_v), weights (..., n, m).
    Leading axes broadcast. With four axes or more, key and value may have fewer heads than query if their number
    divides the query's: each key head then serves a group of neighboring query heads.
    mask: boolean, True where attention is allowed. bias: added to the scores. Both broadcast to (..., n, m).
    A query that may attend to nothing gives a zero output. Half precision is computed in float32 and cast back.
    Inputs must be finite, also where masked: 0 times NaN is NaN.
    Raises: TypeError or ValueError that names the argument, what was expected and what came.
    Source: Vaswani et al. (2017), Section 3.2, with any score in the place of theirs.
    """
    check_inputs(query, key, value)
    key, value = share_heads(query, key, value)
    if not callable(score):
        raise TypeError(f"score must be callable, (query, key) -> scores; got {type(score).__name__}")
    scores = score(query, key)
    expected = (*broadcast(query.shape[:-2], key.shape[:-2]), query.shape[-2], key.shape[-2])
    if not isinstance(scores, Tensor):
        raise TypeError(f"score must return a torch.Tensor of shape {expected}; got {type(scores).__name__}")
    if scores.shape != expected:
        raise ValueError(f"score must return shape (..., queries, keys) = {expected}; got {shape(scores)}")
    if bias is not None:
        check_bias(bias, scores.shape, scores.device)
        scores = scores + bias.to(scores.dtype)
    weights = _normalize(scores, mask, in_place=score is scaled_dot or bias is not None)
    wide = widen(value)
    output = weights.to(wide.dtype) @ wide
    return output.to(value.dtype), weights.to(query.dtype)


def check_inputs(query: Tensor, key: Tensor, value: Tensor) -> None:
    """What attention asks of its three inputs, whatever the score."""
    for name, x in (("query", query), ("key", key), ("value", value)):
        check_vectors(name, x)
    check_same_kind("key", key, "query", query)
    check_same_kind("value", value, "query", query)
    if value.shape[-2] != key.shape[-2]:
        raise ValueError(f"value must have one row for each key, {key.shape[-2]}; got shape {shape(value)}")
