"""Low-rank attention: the table of weights as a product of thin tables, so that no table of n by m is made.

Both forms mix positions before any query is known. So they know no causal mask, and are for encoders.

Axes: n queries, m keys and values, r columns of a thin table, d_k and d_v the sizes of a key and of a value.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from attnbook._validation import check_dim, check_flag, check_same_kind, check_sequences, check_size, shape
from attnbook.attention import Key, Output, Value
from attnbook.fused import scaled_dot_product_attention
from attnbook.scores import widen

Query = Float[Tensor, "... n d_k"]


def linformer_attention(
    query: Query,
    key: Key,
    value: Value,
    *,
    key_projection: Float[Tensor, "r m"],
    value_projection: Float[Tensor, "r m"],
) -> Output:
    """softmax(Q (E K)^T / sqrt(d_k)) F V: the m keys and values are mixed into r, by E for keys and F for values.

    E and F have a column for each key, so where they are learned they fix the length. With E = F = the identity this is
    exact attention. Shapes: query (..., n, d_k), key (..., m, d_k), value (..., m, d_v), projections (r, m) -> output
    (..., n, d_v). Raises: TypeError or ValueError that names the argument.
    Source: Wang et al. (2020), "Linformer", Eq. 7.
    """
    check_sequences(query, key, value, same_length=False)
    check_dim("key", key, query.shape[-1], "the size of the query, as the two are multiplied")
    for name, x in (("key_projection", key_projection), ("value_projection", value_projection)):
        if not isinstance(x, Tensor):
            raise TypeError(f"{name} must be a torch.Tensor of shape (r, m); got {type(x).__name__}")
        check_same_kind(name, x, "key", key)
        if x.dim() != 2 or x.shape[-1] != key.shape[-2]:
            raise ValueError(f"{name} must have shape (r, {key.shape[-2]}), a column for each key; got {shape(x)}")
    if key_projection.shape != value_projection.shape:
        raise ValueError(
            f"value_projection must have the shape of key_projection, {shape(key_projection)}; "
            f"got {shape(value_projection)}"
        )
    e, f = widen(key_projection), widen(value_projection)
    return scaled_dot_product_attention(widen(query), e @ widen(key), f @ widen(value)).to(query.dtype)


class Linformer(nn.Module):
    """`linformer_attention` with learned projections, the same for all heads, for texts of up to `longest` positions.

    A shorter text uses the first columns. Raises: ValueError for a longer one. Source: Wang et al. (2020), Section 4.
    """

    def __init__(self, longest: int, rank: int) -> None:
        super().__init__()
        check_size("longest", longest, least=1)
        check_size("rank", rank, least=1)
        self.key_projection = nn.Parameter(torch.randn(rank, longest) / longest**0.5)
        self.value_projection = nn.Parameter(torch.randn(rank, longest) / longest**0.5)

    def forward(self, query: Query, key: Key, value: Value) -> Output:
        """Shapes: as `linformer_attention`."""
        check_sequences(query, key, value, same_length=False)
        m, longest = key.shape[-2], self.key_projection.shape[-1]
        if m > longest:
            raise ValueError(f"key must have at most {longest} rows; got shape {shape(key)}")
        return linformer_attention(
            query,
            key,
            value,
            key_projection=self.key_projection[:, :m],
            value_projection=self.value_projection[:, :m],
        )


def nystrom_attention(query: Query, key: Key, value: Value, *, landmarks: int, exact: bool = False) -> Output:
    """softmax(Q K~^T) softmax(Q~ K~^T)^+ softmax(Q~ K^T) V, where Q~ and K~ are `landmarks` means of neighbors.

    All scores are divided by sqrt(d_k). Where the length is no multiple of `landmarks`, neighboring means share a
    position. exact: the pseudo-inverse by singular values instead of six steps of the paper's iteration, which is
    faster and an estimate. The paper's convolution beside it is not part of this.
    Shapes: as `attention`, with at least `landmarks` queries and as many keys.
    Raises: TypeError or ValueError that names the argument. Source: Xiong et al. (2021), Eqs. 11 to 14.
    """
    to_landmarks, between, q = _nystrom(query, key, value, landmarks, exact)
    summary = F.scaled_dot_product_attention(q, widen(key), widen(value))  # what each landmark reads
    return (to_landmarks @ (between @ summary)).to(query.dtype)


def nystrom_weights(query: Query, key: Key, *, landmarks: int, exact: bool = False) -> Float[Tensor, "... n m"]:
    """The definition: the table that `nystrom_attention` multiplies the values by. Its entries may be negative."""
    to_landmarks, between, q = _nystrom(query, key, key, landmarks, exact)
    from_landmarks = (q @ widen(key).mT * key.shape[-1] ** -0.5).softmax(dim=-1)
    return (to_landmarks @ between @ from_landmarks).to(query.dtype)


def _nystrom(query: Tensor, key: Tensor, value: Tensor, landmarks: int, exact: bool) -> tuple[Tensor, Tensor, Tensor]:
    """The thin table from queries to landmarks, the inverse of that between landmarks, and the query landmarks."""
    check_sequences(query, key, value, same_length=False)
    check_dim("key", key, query.shape[-1], "the size of the query, as the two are multiplied")
    check_size("landmarks", landmarks, least=1)
    check_flag("exact", exact)
    for name, x in (("query", query), ("key", key)):
        if x.shape[-2] < landmarks:
            raise ValueError(f"{name} must have at least {landmarks} rows, one a landmark; got shape {shape(x)}")
    scale = query.shape[-1] ** -0.5
    q, k = (_means(widen(x), landmarks) for x in (query, key))
    to_landmarks = (widen(query) @ k.mT * scale).softmax(dim=-1)
    between = (q @ k.mT * scale).softmax(dim=-1)
    return to_landmarks, torch.linalg.pinv(between) if exact else _inverse(between), q


def _means(x: Tensor, count: int) -> Tensor:
    """(..., n, d) -> (..., count, d)."""
    n = x.shape[-2]
    if n % count == 0:
        return x.unflatten(-2, (count, n // count)).mean(dim=-2)
    return F.adaptive_avg_pool1d(x.flatten(0, -3).mT if x.dim() > 3 else x.mT, count).mT.reshape(
        *x.shape[:-2], count, x.shape[-1]
    )


def _inverse(matrix: Tensor) -> Tensor:
    """Six steps toward the pseudo-inverse of a softmax's table. Source: Xiong et al. (2021), Eq. 16."""
    eye = torch.eye(matrix.shape[-1], dtype=matrix.dtype, device=matrix.device)
    found = matrix.mT / matrix.sum(dim=-2, keepdim=True).amax(dim=-1, keepdim=True)  # its rows sum to 1
    for _ in range(6):
        product = matrix @ found
        found = found @ (13 * eye - product @ (15 * eye - product @ (7 * eye - product))) / 4
    return found
