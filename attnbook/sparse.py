"""Sparse attention without the full table of scores: each block of queries meets only the keys that it may see.

A pattern is a list of pieces: some queries, the keys to fetch for them, and which of these pairs are allowed. The
pieces are computed one after the other by PyTorch's fused kernel, and once more backward, so that memory grows with n
and not with n m; on GPUs `attnbook.flex` takes over where it can. Each form equals attention under its mask in
`attnbook.masks`, and like there, with fewer queries than keys the queries are the last positions.

Axes: n queries, m keys and values.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor
from torch.autograd.function import once_differentiable

from attnbook import flex, masks
from attnbook._heads import leading_shape, share_heads
from attnbook._validation import check_dim, check_flag, check_size, shape
from attnbook.attention import Key, Output, Value, check_inputs

Query = Float[Tensor, "... n d_k"]
BLOCK = 64  # queries at a time: fewer cost more calls, more fetch more keys that most of them do not see


class Piece(NamedTuple):
    """Queries, keys, and what is added to the scores of their pairs: 0, or -inf where not allowed (None: nothing).

    Each query sees at least one key. Queries that see none are in no piece, and their output stays 0.
    """

    rows: slice | Tensor
    columns: slice | Tensor
    bias: Tensor | None


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
    after = 0 if causal else after
    if flex.serves(query, key, value):
        return _flexibly(query, key, value, *flex.window(n, before, after, chosen, causal))
    # Row r of a block sees the columns r ... r + before + after of the keys fetched for it.
    band = _bias(masks.sliding_window(BLOCK, BLOCK + before + after, before=before + after, after=0), query)
    pieces, first = [], m - n  # the position of the first query
    for i in range(0, n, BLOCK):
        end = min(i + BLOCK, n)
        low, high = max(0, i + first - before), min(m, end + first + after)
        start = i + first - before  # the position of the band's first column
        bias = band[: end - i, low - start : high - start]
        rows, columns = slice(i, end), slice(low, high)
        if len(chosen):
            rows, columns, bias = _with_global(rows, columns, bias, chosen, first, causal)
        if bias.numel():
            pieces.append(Piece(rows, columns, bias))
    rows = (chosen - first)[chosen >= first]
    if len(rows):  # global queries see every key
        past = masks.causal(n, m, device=query.device)[rows] if causal else None
        pieces.append(Piece(rows, slice(0, m), None if past is None else _bias(past, query)))
    return _attend(query, key, value, pieces)


def _with_global(
    rows: slice, columns: slice, bias: Tensor, chosen: Tensor, first: int, causal: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """The piece with the global keys fetched too, and without the global queries, which have a piece of their own."""
    rows = torch.arange(rows.start, rows.stop, device=chosen.device)
    columns = torch.arange(columns.start, columns.stop, device=chosen.device)
    bias = bias.masked_fill(torch.isin(columns, chosen), 0.0)
    elsewhere = chosen[~torch.isin(chosen, columns)]
    bias = torch.cat([bias.new_zeros(len(rows), len(elsewhere)), bias], dim=1)
    columns = torch.cat([elsewhere, columns])
    if causal:
        bias = bias.masked_fill(columns > rows[:, None] + first, -torch.inf)
    kept = ~torch.isin(rows + first, chosen)
    return rows[kept], columns, bias[kept]


def strided_attention(query: Query, key: Key, value: Value, *, stride: int, causal: bool = False) -> Output:
    """Each query sees every stride-th key, counted from itself in both directions.

    Equals `attention` under strided(n, m, stride=stride) and, with causal, & causal(n, m): one dense attention for each
    of the `stride` classes of positions. Shapes: as `attention`.
    Raises: TypeError or ValueError that names the argument.
    Source: Child et al. (2019), Section 4.2, without the window that some of their heads have instead.
    """
    check_size("stride", stride, least=1)
    n, m = _check(query, key, value, causal)
    pieces = []
    for i in range(min(stride, n)):
        rows, columns = slice(i, n, stride), slice((i + m - n) % stride, m, stride)
        past = masks.causal(len(range(n)[rows]), len(range(m)[columns]), device=query.device) if causal else None
        pieces.append(Piece(rows, columns, None if past is None else _bias(past, query)))
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
    if size % flex.SIDE == 0 and flex.serves(query, key, value):
        return _flexibly(query, key, value, *flex.blocks(n, blocks, size, causal))
    every = torch.arange(m, device=query.device)
    pieces = []
    for r, chosen in enumerate(blocks.tolist()):
        rows = slice(max(0, r * size - (m - n)), max(0, min(r * size + size, m) - (m - n)))
        seen = [c for c, allowed in enumerate(chosen) if allowed and not (causal and c > r)]
        if rows.start == rows.stop or not seen:
            continue
        columns = torch.cat([every[c * size : c * size + size] for c in seen])
        past = columns <= every[rows.start + m - n : rows.stop + m - n, None] if causal and r in seen else None
        pieces.append(Piece(rows, columns, None if past is None else _bias(past, query)))
    return _attend(query, key, value, pieces)


def _check(query: Tensor, key: Tensor, value: Tensor, causal: bool) -> tuple[int, int]:
    """n and m."""
    check_inputs(query, key, value)
    check_dim("key", key, query.shape[-1], "the size of the query, as the two are multiplied")
    check_flag("causal", causal)
    n, m = query.shape[-2], key.shape[-2]
    if n > m:
        raise ValueError(f"query must have at most as many rows as key, {m}; got shape {shape(query)}")
    return n, m


def _bias(mask: Tensor, like: Tensor) -> Tensor:
    """As the kernel wants it, made once rather than at every call."""
    return torch.zeros(mask.shape, dtype=like.dtype, device=like.device).masked_fill_(~mask.to(like.device), -torch.inf)


def _attend(query: Tensor, key: Tensor, value: Tensor, pieces: list[Piece]) -> Tensor:
    inputs, back = _four_axes(query, key, value)
    return _Pieces.apply(*inputs, pieces).reshape(back)


def _flexibly(query: Tensor, key: Tensor, value: Tensor, allowed: flex.Allowed, table: Tensor) -> Tensor:
    inputs, back = _four_axes(query, key, value)
    return flex.attend(*inputs, allowed, table.to(query.device)).reshape(back)


def _four_axes(query: Tensor, key: Tensor, value: Tensor) -> tuple[list[Tensor], tuple[int, ...]]:
    """Query, key and value as (1, heads of all, length, dim), and the shape of the output."""
    leading = leading_shape(query, key=key, value=value)
    key, value = share_heads(query, key, value)
    every = [x.expand(*leading, *x.shape[-2:]).reshape(1, leading.numel(), *x.shape[-2:]) for x in (query, key, value)]
    return every, (*leading, query.shape[-2], value.shape[-1])


def _fetch(x: Tensor, where: slice | Tensor) -> Tensor:
    return x[..., where, :] if isinstance(where, slice) else x.index_select(-2, where)


class _Pieces(torch.autograd.Function):
    """The pieces one after the other; each is computed again backward, so that nothing but the inputs is kept."""

    @staticmethod
    def forward(ctx, query, key, value, pieces):
        ctx.save_for_backward(query, key, value)
        ctx.pieces = pieces
        output = query.new_zeros(*query.shape[:-1], value.shape[-1])
        for rows, columns, bias in pieces:
            q, k, v = _fetch(query, rows), _fetch(key, columns), _fetch(value, columns)
            output[..., rows, :] = F.scaled_dot_product_attention(q, k, v, attn_mask=bias)
        return output

    @staticmethod
    @once_differentiable
    def backward(ctx, grad_output):
        inputs = ctx.saved_tensors
        grads = [torch.zeros_like(x) for x in inputs]
        for rows, columns, bias in ctx.pieces:
            places = (rows, columns, columns)
            with torch.enable_grad():
                piece = [_fetch(x, at).detach().requires_grad_() for x, at in zip(inputs, places, strict=True)]
                output = F.scaled_dot_product_attention(*piece, attn_mask=bias)
            parts = torch.autograd.grad(output, piece, grad_output[..., rows, :])
            for grad, at, part in zip(grads, places, parts, strict=True):
                if isinstance(at, slice):
                    grad[..., at, :] += part
                else:
                    grad.index_add_(-2, at, part)
        return *grads, None
