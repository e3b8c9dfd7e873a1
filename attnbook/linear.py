"""Linear attention: the similarity φ(q) · φ(k), positive features, lets the keys be summed up before any query comes.

    output_i = Σ_j φ(q_i)·φ(k_j) v_j / Σ_j φ(q_i)·φ(k_j) = φ(q_i)ᵀ S / φ(q_i)ᵀ z,   S = Σ_j φ(k_j) v_jᵀ, z = Σ_j φ(k_j)

S and z are the state: however many keys have been seen, it has one size. The same numbers in three ways: `parallel`
(the definition, with the table of weights), `recurrent` (one position after the other, as in decoding), and `chunked`
(tables inside of chunks, the state between them), which is the one to use.

Axes: n queries, m keys (m = n where causal), f features, d_v the size of a value.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from attnbook._validation import check_flag, check_same_kind, check_sequences, check_size, shape
from attnbook.attention import Output, Value
from attnbook.scores import widen

Features = Float[Tensor, "... n f"]


class State(NamedTuple):
    """What is kept of the keys and values seen so far: S and z."""

    sum: Float[Tensor, "... f d_v"]
    normalizer: Float[Tensor, "... f"]


def elu_features(x: Float[Tensor, "... n d"]) -> Float[Tensor, "... n d"]:
    """elu(x) + 1: x + 1 above 0, exp(x) below. Source: Katharopoulos et al. (2020), Eq. 7."""
    return F.elu(x).add_(1)


def linear_attention(
    query: Float[Tensor, "... n d_k"],
    key: Float[Tensor, "... m d_k"],
    value: Value,
    *,
    features: Callable[[Tensor], Tensor] = elu_features,
    causal: bool = False,
    state: State | None = None,
    chunk: int = 64,
) -> tuple[Output, State]:
    """Attention whose similarity is features(query) · features(key), and the state after the last key.

    features: must give no negative numbers. causal: query i sees the keys up to i, and needs as many queries as keys.
    state: what came before, whose keys all queries see; None is nothing. To decode, feed one position at a time with
    causal=True and hand the state on: time and memory for a position do not grow.
    chunk: positions at a time, where causal. A query that sees nothing gets 0.
    Shapes: query (..., n, d_k), key (..., m, d_k), value (..., m, d_v) -> output (..., n, d_v).
    Raises: TypeError or ValueError that names the argument.
    Source: Katharopoulos et al. (2020), Eqs. 4 to 12; Hua et al. (2022), Section 3.2, for the chunks.
    """
    q, k, v, state = _check(query, key, value, features, causal, state)
    check_size("chunk", chunk, least=1)
    if causal:
        output, state = _chunks(q, k, v, state, chunk)
    else:
        state = State(state.sum + k.mT @ v, state.normalizer + k.sum(dim=-2))
        output = _divide(q @ state.sum, q @ state.normalizer.unsqueeze(-1))
    return output.to(value.dtype), state


def linear_attention_parallel(
    query: Float[Tensor, "... n d_k"],
    key: Float[Tensor, "... m d_k"],
    value: Value,
    *,
    features: Callable[[Tensor], Tensor] = elu_features,
    causal: bool = False,
) -> tuple[Output, Float[Tensor, "... n m"]]:
    """The definition: output and weights, with the whole table. Everything else: as `linear_attention`."""
    q, k, v, _ = _check(query, key, value, features, causal, None)
    similarity = q @ k.mT
    similarity = similarity.tril() if causal else similarity
    weights = _divide(similarity, similarity.sum(dim=-1, keepdim=True))
    return (weights @ v).to(value.dtype), weights.to(query.dtype)


def linear_attention_recurrent(
    query: Float[Tensor, "... n d_k"],
    key: Float[Tensor, "... n d_k"],
    value: Value,
    *,
    features: Callable[[Tensor], Tensor] = elu_features,
    state: State | None = None,
) -> tuple[Output, State]:
    """The causal form, one position after the other, as a recurrent network. Everything else: as `linear_attention`."""
    q, k, v, (total, norm) = _check(query, key, value, features, True, state)
    outputs = []
    for q_t, k_t, v_t in zip(*(x.unbind(dim=-2) for x in (q, k, v)), strict=True):
        total = total + k_t.unsqueeze(-1) * v_t.unsqueeze(-2)
        norm = norm + k_t
        outputs.append(_divide((q_t.unsqueeze(-2) @ total).squeeze(-2), (q_t * norm).sum(dim=-1, keepdim=True)))
    output = torch.stack(outputs, dim=-2) if outputs else v[..., :0, :]
    return output.to(value.dtype), State(total, norm)


def _chunks(q: Tensor, k: Tensor, v: Tensor, state: State, chunk: int) -> tuple[Tensor, State]:
    """Output and the state after the last key; a chunk's table is small enough to stay in the cache."""
    total, norm = state
    outputs = [v[..., :0, :]]
    for q_c, k_c, v_c in zip(*(x.split(chunk, dim=-2) for x in (q, k, v)), strict=True):
        own = (q_c @ k_c.mT).tril_()
        own_norm = own.sum(dim=-1, keepdim=True) + q_c @ norm.unsqueeze(-1)
        outputs.append(_divide(own @ v_c + q_c @ total, own_norm))
        total = total + k_c.mT @ v_c
        norm = norm + k_c.sum(dim=-2)
    return torch.cat(outputs, dim=-2), State(total, norm)


def _divide(total: Tensor, norm: Tensor) -> Tensor:
    return total / norm.masked_fill(norm == 0, 1.0)


def _check(
    query: Tensor, key: Tensor, value: Tensor, features: Callable, causal: bool, state: State | None
) -> tuple[Tensor, Tensor, Tensor, State]:
    """The features of query and key, the value, all in at least float32, and the state to begin with."""
    check_flag("causal", causal)
    check_sequences(query, key, value, same_length=causal)
    if not callable(features):
        raise TypeError(f"features must be callable, x -> features of x; got {type(features).__name__}")
    q, k, v = features(widen(query)), features(widen(key)), widen(value)
    if q.shape[-1] != k.shape[-1]:
        raise ValueError(f"features must give query and key the same number; got {q.shape[-1]} and {k.shape[-1]}")
    start = v.new_zeros(*v.shape[:-2], k.shape[-1], v.shape[-1])
    if state is None:
        return q, k, v, State(start, start.sum(dim=-1))
    if state.sum.shape != start.shape:
        raise ValueError(f"state must hold a sum of shape {shape(start)}; got {shape(state.sum)}")
    check_same_kind("state", state.sum, "value", v)
    return q, k, v, state
