"""Scores: how well each query fits each key, before the softmax.

A score is anything that takes (query, key) and gives one number for each pair. The functions have no parameters; the
modules learn some. All give float32 scores for half-precision inputs, because a sum of products overflows there
(the largest float16 is 65504).

Axes: n queries, m keys, d_q and d_k their sizes (equal for dot, scaled_dot and cosine).
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn

from attnbook._validation import (
    broadcast_leading,
    check_dim,
    check_number,
    check_same_kind,
    check_size,
    check_vectors,
    shape,
)

Query = Float[Tensor, "*#leading n d_q"]
Key = Float[Tensor, "*#leading m d_k"]
SameSizeQuery = Float[Tensor, "*#leading n d_k"]
Scores = Float[Tensor, "*leading n m"]


def widen(x: Tensor) -> Tensor:
    """float16 and bfloat16 as float32; anything else unchanged."""
    return x.float() if x.dtype in (torch.float16, torch.bfloat16) else x


def _check_pair(query: Tensor, key: Tensor) -> None:
    check_vectors("query", query)
    check_vectors("key", key)
    check_same_kind("key", key, "query", query)
    broadcast_leading("key", key, key.shape[:-2], "query", query.shape[:-2])


def _check_comparable(query: Tensor, key: Tensor) -> None:
    _check_pair(query, key)
    check_dim("key", key, query.shape[-1], "the size of the query, as the two are multiplied")


def dot(query: SameSizeQuery, key: Key) -> Scores:
    """Dot product: s_ij = q_i · k_j.

    Shapes: query (..., n, d_k), key (..., m, d_k) -> (..., n, m); leading axes broadcast.
    Raises: TypeError for a tensor that is not floating-point or dtypes that differ; ValueError for sizes that differ.
    Source: Luong et al. (2015), Section 3.1, "dot".
    """
    _check_comparable(query, key)
    return widen(query) @ widen(key).transpose(-2, -1)


def scaled_dot(query: SameSizeQuery, key: Key) -> Scores:
    """Scaled dot product: s_ij = q_i · k_j / sqrt(d_k).

    Shapes and errors as for `dot`; also ValueError where the vectors have no components (d_k = 0).
    Source: Vaswani et al. (2017), Eq. 1.
    """
    _check_comparable(query, key)
    d_k = key.shape[-1]
    if d_k == 0:
        raise ValueError(f"key must have at least one component to scale by sqrt(d_k); got shape {shape(key)}")
    # Dividing the query, n x d_k numbers, spares a pass over the n x m scores.
    return (widen(query) / math.sqrt(d_k)) @ widen(key).transpose(-2, -1)


def cosine(query: SameSizeQuery, key: Key, *, temperature: float | Float[Tensor, ""] = 1.0) -> Scores:
    """Cosine similarity: s_ij = q_i · k_j / (|q_i| |k_j| temperature).

    Each row is divided by its own length, so a cosine lies in [-1, 1] and, at temperature 1, no weight can exceed
    another by more than e² = 7.389; a smaller temperature sharpens. A row of zeros has no direction and scores 0.

    Shapes and errors as for `dot`; also ValueError unless temperature > 0.
    Source: Graves et al. (2014), Eqs. 5 and 6, where the key strength is 1 / temperature.
    """
    if not isinstance(temperature, Tensor):
        check_number("temperature", temperature)
    elif temperature.dim() > 0:
        raise ValueError(f"temperature must be a single number; got shape {shape(temperature)}")
    if not temperature > 0:
        raise ValueError(f"temperature must be positive; got {float(temperature):g}")
    _check_comparable(query, key)
    return dot(_unit_rows(query), _unit_rows(key)) / temperature


def _unit_rows(x: Tensor) -> Tensor:
    x = widen(x)
    length = torch.linalg.vector_norm(x, dim=-1, keepdim=True)
    return x / torch.where(length > 0, length, torch.ones_like(length))


class General(nn.Module):
    """Bilinear score: s_ij = q_iᵀ W k_j, with W learned. Query and key may differ in size.

    Shapes: query (..., n, d_query), key (..., m, d_key) -> (..., n, m).
    Raises: ValueError for sizes other than those given here; TypeError for dtypes that differ.
    Source: Luong et al. (2015), Section 3.1, "general"; also called multiplicative attention.
    """

    def __init__(self, d_query: int, d_key: int) -> None:
        super().__init__()
        _check_sizes(d_query=d_query, d_key=d_key)
        self.d_query, self.d_key = d_query, d_key
        self.W = nn.Linear(d_key, d_query, bias=False)

    def forward(self, query: Query, key: Key) -> Scores:
        _check_learned(self, query, key)
        return dot(query, self.W(key))


class Additive(nn.Module):
    """Additive score: s_ij = vᵀ tanh(W_q q_i + W_k k_j), a network with one hidden layer that reads both.

    Shapes: query (..., n, d_query), key (..., m, d_key) -> (..., n, m). It forms n·m hidden vectors of size d_hidden.
    Raises: as `General`.
    Source: Bahdanau et al. (2015), Section 3.1 and Appendix A.1.2, the alignment model a(s, h).
    """

    def __init__(self, d_query: int, d_key: int, d_hidden: int) -> None:
        super().__init__()
        _check_sizes(d_query=d_query, d_key=d_key, d_hidden=d_hidden)
        self.d_query, self.d_key = d_query, d_key
        self.W_q = nn.Linear(d_query, d_hidden, bias=False)
        self.W_k = nn.Linear(d_key, d_hidden, bias=False)
        self.v = nn.Linear(d_hidden, 1, bias=False)

    def forward(self, query: Query, key: Key) -> Scores:
        _check_learned(self, query, key)
        hidden = torch.tanh(self.W_q(query).unsqueeze(-2) + self.W_k(key).unsqueeze(-3))  # (..., n, m, d_hidden)
        return widen(self.v(hidden).squeeze(-1))


class Concat(nn.Module):
    """Concatenation score: s_ij = vᵀ tanh(W [q_i; k_j]).

    Splitting W into the columns that meet q and those that meet k gives `Additive`: one form, written in two ways.

    Shapes and errors as `Additive`.
    Source: Luong et al. (2015), Section 3.1, "concat".
    """

    def __init__(self, d_query: int, d_key: int, d_hidden: int) -> None:
        super().__init__()
        _check_sizes(d_query=d_query, d_key=d_key, d_hidden=d_hidden)
        self.d_query, self.d_key = d_query, d_key
        self.W = nn.Linear(d_query + d_key, d_hidden, bias=False)
        self.v = nn.Linear(d_hidden, 1, bias=False)

    def forward(self, query: Query, key: Key) -> Scores:
        _check_learned(self, query, key)
        leading = torch.broadcast_shapes(query.shape[:-2], key.shape[:-2])
        n, m = query.shape[-2], key.shape[-2]
        every_query = query.unsqueeze(-2).expand(*leading, n, m, self.d_query)
        every_key = key.unsqueeze(-3).expand(*leading, n, m, self.d_key)
        hidden = torch.tanh(self.W(torch.cat([every_query, every_key], dim=-1)))  # (..., n, m, d_hidden)
        return widen(self.v(hidden).squeeze(-1))


class Location(nn.Module):
    """Location score: s_ij = (W q_i)_j. It reads the query and the key's position, never the key itself.

    Shapes: query (..., n, d_query), key (..., m, d_key) with m <= max_keys -> (..., n, m); the key gives only m.
    Raises: ValueError for more than max_keys keys or another query size; TypeError for dtypes that differ.
    Source: Luong et al. (2015), Eq. 8, "location".
    """

    def __init__(self, d_query: int, max_keys: int) -> None:
        super().__init__()
        _check_sizes(d_query=d_query, max_keys=max_keys)
        self.d_query, self.max_keys = d_query, max_keys
        self.W = nn.Linear(d_query, max_keys, bias=False)

    def forward(self, query: Query, key: Key) -> Scores:
        _check_pair(query, key)
        check_dim("query", query, self.d_query, "d_query of this score")
        check_same_kind("query", query, "the score's weights", self.W.weight)
        n, m = query.shape[-2], key.shape[-2]
        if m > self.max_keys:
            raise ValueError(f"key must have at most max_keys = {self.max_keys} rows; got shape {shape(key)}")
        leading = torch.broadcast_shapes(query.shape[:-2], key.shape[:-2])
        return widen(self.W(query)[..., :m]).expand(*leading, n, m)


def _check_sizes(**sizes: int) -> None:
    for name, size in sizes.items():
        check_size(name, size, least=1)


def _check_learned(score: nn.Module, query: Tensor, key: Tensor) -> None:
    _check_pair(query, key)
    check_dim("query", query, score.d_query, "d_query of this score")
    check_dim("key", key, score.d_key, "d_key of this score")
    check_same_kind("query", query, "the score's weights", next(score.parameters()))
