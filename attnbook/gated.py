"""Gated linear attention: the state fades by a factor before something is added, so that old keys can be forgotten.

    S_t = exp(g_t) S_{t-1} + k_t v_t^T,   o_t = S_t^T q_t

g_t <= 0, one number for each head and position, is computed from the text by whoever calls. Nothing is normalized: in
use, queries, keys and outputs are. As in `attnbook.linear`, one result in three ways.

Axes: n positions, d_k the size of a query and a key, d_v the size of a value.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from attnbook._validation import check_dim, check_same_kind, check_sequences, check_size, shape
from attnbook.scores import widen

Vectors = Float[Tensor, "... n d_k"]
Values = Float[Tensor, "... n d_v"]
LogDecay = Float[Tensor, "... n"]
Memory = Float[Tensor, "... d_k d_v"]


def gated_linear_attention(
    query: Vectors,
    key: Vectors,
    value: Values,
    log_decay: LogDecay,
    *,
    state: Memory | None = None,
    chunk: int = 64,
) -> tuple[Values, Memory]:
    """Output and the state after the last position; tables inside of chunks, the state between them.

    log_decay: g, at most 0; 0 keeps everything, -inf nothing. One number fades the whole state; in the paper's full
    form each of its d_k rows has a gate of its own. state: what came before; None is nothing.
    Shapes: query, key (..., n, d_k), value (..., n, d_v), log_decay (..., n), state (..., d_k, d_v).
    Raises: TypeError or ValueError that names the argument.
    Source: Yang et al. (2024), Section 4; with one number for each head: Dao and Gu (2024), Section 6.
    """
    q, k, v, g, s = _check(query, key, value, log_decay, state)
    check_size("chunk", chunk, least=1)
    if not query.shape[-2]:
        return v.to(value.dtype), s
    outputs = []
    for q_c, k_c, v_c, g_c in zip(*(x.split(chunk, dim=-2) for x in (q, k, v, g)), strict=True):
        between = _between(g_c)
        begun = g_c.cumsum(dim=-2).exp()  # (..., chunk, 1): what is left of the state from before the chunk
        outputs.append((q_c @ k_c.mT * between) @ v_c + begun * (q_c @ s))
        s = begun[..., -1:, :] * s + (k_c * between[..., -1:, :].mT).mT @ v_c
    return torch.cat(outputs, dim=-2).to(value.dtype), s


def gated_linear_attention_parallel(query: Vectors, key: Vectors, value: Values, log_decay: LogDecay) -> Values:
    """The definition: o_i = sum over j <= i of exp(g_{j+1} + ... + g_i) (q_i . k_j) v_j, with the whole table."""
    q, k, v, g, _ = _check(query, key, value, log_decay, None)
    return ((q @ k.mT * _between(g)) @ v).to(value.dtype)


def gated_linear_attention_recurrent(
    query: Vectors, key: Vectors, value: Values, log_decay: LogDecay, *, state: Memory | None = None
) -> tuple[Values, Memory]:
    """One position after the other. Everything else: as `gated_linear_attention`."""
    q, k, v, g, s = _check(query, key, value, log_decay, state)
    outputs = []
    for q_t, k_t, v_t, g_t in zip(*(x.unbind(dim=-2) for x in (q, k, v, g)), strict=True):
        s = g_t.exp().unsqueeze(-1) * s + k_t.unsqueeze(-1) * v_t.unsqueeze(-2)
        outputs.append((q_t.unsqueeze(-2) @ s).squeeze(-2))
    return (torch.stack(outputs, dim=-2) if outputs else v[..., :0, :]).to(value.dtype), s


def _between(log_decay: Tensor) -> Tensor:
    """exp(g_{j+1} + ... + g_i), 0 where j is later: (..., n, 1) -> (..., n, n).

    Each column is summed up by itself. The difference of two sums from the start would lose the digits of weak decay
    behind strong decay, and -inf less -inf is no number.
    """
    n = log_decay.shape[-2]
    later = torch.ones(n, n, dtype=torch.bool, device=log_decay.device).triu(1)
    summed = log_decay.expand(*log_decay.shape[:-1], n).tril(-1).cumsum(dim=-2)
    return summed.masked_fill(later, -torch.inf).exp()


def _check(
    query: Tensor, key: Tensor, value: Tensor, log_decay: Tensor, state: Tensor | None
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """All in at least float32, log_decay as (..., n, 1), and the state to begin with."""
    inputs = check_recurrence(query, key, value, "log_decay", log_decay, state)
    if not (log_decay <= 0).all():
        raise ValueError(f"log_decay must be at most 0; got {log_decay.max().item():.4g}")
    return inputs


def check_recurrence(
    query: Tensor, key: Tensor, value: Tensor, name: str, x: object, state: Tensor | None
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """All in at least float32, x, one number a position, as (..., n, 1), and the state to begin with."""
    check_sequences(query, key, value, same_length=True)
    check_dim("key", key, query.shape[-1], "the size of the query, as the two are multiplied")
    if not isinstance(x, Tensor):
        raise TypeError(f"{name} must be a torch.Tensor of shape (..., n); got {type(x).__name__}")
    check_same_kind(name, x, "query", query)
    if x.shape != query.shape[:-1]:
        raise ValueError(f"{name} must have shape {tuple(query.shape[:-1])}, as query; got {shape(x)}")
    q, k, v = widen(query), widen(key), widen(value)
    return q, k, v, widen(x).unsqueeze(-1), _start(k, v, state)


def _start(key: Tensor, value: Tensor, state: Tensor | None) -> Tensor:
    """The state (..., d_k, d_v) to begin with; key and value are wide already."""
    empty = value.new_zeros(*value.shape[:-2], key.shape[-1], value.shape[-1])
    if state is None:
        return empty
    if not isinstance(state, Tensor):
        raise TypeError(f"state must be a torch.Tensor or None; got {type(state).__name__}")
    if state.shape != empty.shape:
        raise ValueError(f"state must have shape {shape(empty)}; got {shape(state)}")
    state = widen(state)
    check_same_kind("state", state, "value", value)
    return state
