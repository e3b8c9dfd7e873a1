"""The delta rule: a state into which a key's new value is written in the place of its old one.

    S_t = S_{t-1} + beta_t k_t (v_t - S_{t-1}^T k_t)^T,   o_t = S_t^T q_t

With keys of length 1, beta = 1 replaces what the key read before, and beta = 0 writes nothing. Nothing is normalized.
As in `attnbook.linear`, one result in three ways. The chunks rest on this: what all positions of a chunk write, u_t =
beta_t (v_t - S_{t-1}^T k_t), solves one triangular system.

Axes: n positions, d_k the size of a query and a key, d_v the size of a value.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from attnbook._validation import check_size
from attnbook.gated import Memory, Values, Vectors, check_recurrence

Strength = Float[Tensor, "... n"]


def delta_rule(
    query: Vectors,
    key: Vectors,
    value: Values,
    beta: Strength,
    *,
    state: Memory | None = None,
    chunk: int = 64,
) -> tuple[Values, Memory]:
    """Output and the state after the last position; a triangular system in each chunk, the state between them.

    beta: how much of the value is written, from 0 to 1. state: what came before; None is nothing.
    Shapes: query, key (..., n, d_k), value (..., n, d_v), beta (..., n), state (..., d_k, d_v).
    Raises: TypeError or ValueError that names the argument.
    Source: Schlag et al. (2021), Section 4.2, for the rule; Yang et al. (2024b), Section 3, for the chunks.
    """
    q, k, v, b, s = _check(query, key, value, beta, state)
    check_size("chunk", chunk, least=1)
    outputs = [v[..., :0, :]]
    for q_c, k_c, v_c, b_c in zip(*(x.split(chunk, dim=-2) for x in (q, k, v, b)), strict=True):
        written = _written(k_c, v_c - k_c @ s, b_c)
        outputs.append((q_c @ k_c.mT).tril_() @ written + q_c @ s)
        s = s + k_c.mT @ written
    return torch.cat(outputs, dim=-2).to(value.dtype), s


def delta_rule_parallel(query: Vectors, key: Vectors, value: Values, beta: Strength) -> Values:
    """The whole text as one chunk, with tables of n by n."""
    q, k, v, b, _ = _check(query, key, value, beta, None)
    return ((q @ k.mT).tril() @ _written(k, v, b)).to(value.dtype)


def delta_rule_recurrent(
    query: Vectors, key: Vectors, value: Values, beta: Strength, *, state: Memory | None = None
) -> tuple[Values, Memory]:
    """The definition, one position after the other. Everything else: as `delta_rule`."""
    q, k, v, b, s = _check(query, key, value, beta, state)
    outputs = []
    for q_t, k_t, v_t, b_t in zip(*(x.unbind(dim=-2) for x in (q, k, v, b)), strict=True):
        held = (k_t.unsqueeze(-2) @ s).squeeze(-2)
        s = s + k_t.unsqueeze(-1) * (b_t * (v_t - held)).unsqueeze(-2)
        outputs.append((q_t.unsqueeze(-2) @ s).squeeze(-2))
    return (torch.stack(outputs, dim=-2) if outputs else v[..., :0, :]).to(value.dtype), s


def _written(key: Tensor, value: Tensor, beta: Tensor) -> Tensor:
    """u with u_t = beta_t (v_t - sum over s < t of (k_t . k_s) u_s): what each position adds under its key."""
    overlap = (beta * (key @ key.mT)).tril(-1)
    # (1 + overlap) u = beta v; unitriangular is the 1
    return torch.linalg.solve_triangular(overlap, beta * value, upper=False, unitriangular=True)


def _check(
    query: Tensor, key: Tensor, value: Tensor, beta: Tensor, state: Tensor | None
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """All in at least float32, beta as (..., n, 1), and the state to begin with."""
    inputs = check_recurrence(query, key, value, "beta", beta, state)
    if not ((beta >= 0) & (beta <= 1)).all():
        raise ValueError(f"beta must lie between 0 and 1; got {beta.min().item():.4g} to {beta.max().item():.4g}")
    return inputs
