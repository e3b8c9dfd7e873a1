"""Sparse attention without the full table of scores: each block of queries meets only the keys that it may see.

A pattern is a list of pieces: some queries, the keys to fetch for them, and which of these pairs are allowed. The
pieces are computed one after the other by the fused kernel, and once more backward, so that memory grows with n and not
with n m. Each form equals attention under its mask in `attnbook.masks`, and like there, with fewer queries than keys
the queries are the last positions.

Axes: n queries, m keys and values.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.autograd.function import once_differentiable

from attnbook import masks
from attnbook._heads import leading_shape
from attnbook._validation import check_flag, check_size, shape
from attnbook.attention import Key, Output, Value, check_inputs
from attnbook.fused import scaled_dot_product_attention

Query = Float[Tensor, "... n d_k"]
BLOCK = 128  # queries at a time: fewer cost more calls, more fetch more keys that most of them do not see


class Piece(NamedTuple):
    """Queries, keys, and which pairs of them are allowed, as options of scaled_dot_product_attention."""

    rows: slice | Tensor
    columns: slice | Tensor
    options: dict


def sliding_window_attention(
    query: Query,
    key: Key,
    value: Value,
    *,
    before: int,
    after: int,
    global_tokens: Sequence[int] = (),
    causal: bool = False,
) -> Output:
    """Each query sees itself, `before` keys before it and `after` keys after it; global tokens see and are seen by all.

    Equals `attention` under sliding_window(n, m, before=before, after=after) | global_tokens(n, m, tokens=...) and,
    with causal, & causal(n, m); see `attnbook.masks`. Shapes: as `attention`.
    Raises: TypeError or ValueError that names the argument.
    Source: Beltagy et al. (2020), Section 3.1.
    """
    check_size("before", before)
    check_size("after", after)
    n, m = _check(query, key, value, causal)
    global_tokens = list(global_tokens)
    masks.global_tokens(0, m, tokens=global_tokens)  # an error where they are no positions
    chosen = torch.tensor(sorted({token % m for token in global_tokens}), dtype=torch.long, device=query.device)
    pieces, first = [], m - n  # the position of the first query
    for i in range(0, n, BLOCK):
        rows = torch.arange(i, min(i + BLOCK, n), device=query.device)
        low = max(0, i + first - before)
        high = max(low, min(m, i + len(rows) + first + (0 if causal else after)))
        columns = torch.arange(low, high, device=query.device)
        if len(chosen):
            rows = rows[~torch.isin(rows + first, chosen)]
            columns = torch.cat([chosen[(chosen < low) | (chosen >= high)], columns])
        place = rows[:, None] + first
        allowed = (place - before <= columns) & (columns <= place + after) | torch.isin(columns, chosen)
        allowed = allowed & (columns <= place) if causal else allowed
        if len(chosen):
            pieces.append(Piece(rows, columns, {"mask": allowed}))
        else:  # views instead of copies
            pieces.append(Piece(slice(i, i + len(rows)), slice(low, high), {"mask": allowed}))
    rows = (chosen - first)[chosen >= first]
    if len(rows):  # global queries see every key
        allowed = torch.arange(m, device=query.device) <= rows[:, None] + first if causal else None
        pieces.append(Piece(rows, slice(0, m), {"mask": allowed}))
    return _attend(query, key, value, pieces)


def strided_attention(query: Query, key: Key, value: Value, *, stride: int, causal: bool = False) -> Output:
    """Each query sees every stride-th key, counted from itself in both directions.

    Equals `attention` under strided(n, m, stride=stride) and, with causal, & causal(n, m): one dense attention for each
    of the `stride` classes of positions. Shapes: as `attention`.
    Raises: TypeError or ValueError that names the argument.
    Source: Child et al. (2019), Section 4.2, without the window that some of their heads have instead.
    """
    check_size("stride", stride, least=1)
    n, m = _check(query, key, value, causal)
    pieces = [
        Piece(slice(i, n, stride), slice((i + m - n) % stride, m, stride), {"causal": causal})
        for i in range(min(stride, n))
    ]
    return _attend(query, key, value, pieces)


def block_sparse_attention(
    query: Query,
    key: Key,
    value: Value,
    *,
    blocks: Bool[Tensor, "row_blocks column_blocks"],
    size: int,
    causal: bool = False,
) -> Output:
    """Positions are cut into blocks of `size`; queries of block r see the keys of block c where blocks[r, c] is True.

    blocks: boolean, ceil(m / size) by ceil(m / size). It is a mask for blocks, so that `masks` make it. BigBird's, for
    N blocks: sliding_window(N, before=1, after=1) | global_tokens(N, tokens=[0]) | random_block(N, size=1, count=3,
    seed=0). Equals `attention` under that mask with each entry repeated size times in both directions and, with causal,
    & causal(n, m). Shapes: as `attention`.
    Raises: TypeError or ValueError that names the argument.
    Source: Zaheer et al. (2020), Section 2 and Appendix D.
    """
    check_size("size", size, least=1)
    n, m = _check(query, key, value, causal)
    number = -(-m // size)
    if not isinstance(blocks, Tensor) or blocks.dtype != torch.bool:
        raise TypeError(f"blocks must be a boolean tensor; got {getattr(blocks, 'dtype', type(blocks).__name__)}")
    if blocks.shape != (number, number):
        expected = f"{(number, number)}, a row and a column for each block of {size} positions"
        raise ValueError(f"blocks must have shape {expected}; got {shape(blocks)}")
    every = torch.arange(m, device=query.device)
    pieces = []
    for r, chosen in enumerate(blocks.tolist()):
        rows = slice(max(0, r * size - (m - n)), max(0, min(r * size + size, m) - (m - n)))
        if rows.start == rows.stop:
            continue
        seen = [c for c, allowed in enumerate(chosen) if allowed and not (causal and c > r)]
        columns = torch.cat([every[:0], *(every[c * size : c * size + size] for c in seen)])
        allowed = columns <= every[rows.start + m - n : rows.stop + m - n, None] if causal and r in seen else None
        pieces.append(Piece(rows, columns, {"mask": allowed}))
    return _attend(query, key, value, pieces)


def _check(query: Tensor, key: Tensor, value: Tensor, causal: bool) -> tuple[int, int]:
    """n and m."""
    check_inputs(query, key, value)
    check_flag("causal", causal)
    n, m = query.shape[-2], key.shape[-2]
    if n > m:
        raise ValueError(f"query must have at most as many rows as key, {m}; got shape {shape(query)}")
    return n, m


def _attend(query: Tensor, key: Tensor, value: Tensor, pieces: list[Piece]) -> Tensor:
    leading_shape(query, key=key, value=value)  # an error where the leading axes do not fit
    return _Pieces.apply(query, key, value, pieces)


def _fetch(x: Tensor, where: slice | Tensor) -> Tensor:
    return x[..., where, :] if isinstance(where, slice) else x.index_select(-2, where)


class _Pieces(torch.autograd.Function):
    """The pieces one after the other; each is computed again backward, so that nothing but the inputs is kept."""

    @staticmethod
    def forward(ctx, query, key, value, pieces):
        leading = leading_shape(query, key=key, value=value)
        output = query.new_zeros(*leading, query.shape[-2], value.shape[-1])
        for rows, columns, options in pieces:
            output[..., rows, :] = scaled_dot_product_attention(
                _fetch(query, rows), _fetch(key, columns), _fetch(value, columns), **options
            )
        ctx.save_for_backward(query, key, value)
        ctx.pieces = pieces
        return output

    @staticmethod
    @once_differentiable
    def backward(ctx, grad_output):
        query, key, value = ctx.saved_tensors
        grads = [torch.zeros_like(x) for x in (query, key, value)]
        for rows, columns, options in ctx.pieces:
            places = (rows, columns, columns)
            piece = [
                _fetch(x, where).detach().requires_grad_() for x, where in zip((query, key, value), places, strict=True)
            ]
            with torch.enable_grad():
                output = scaled_dot_product_attention(*piece, **options)
            parts = torch.autograd.grad(output, piece, grad_output[..., rows, :])
            for grad, where, part in zip(grads, places, parts, strict=True):
                if isinstance(where, slice):
                    grad[..., where, :] += part
                else:
                    grad.index_add_(-2, where, part)
        return *grads, None
