"""Sparse attention on GPUs: PyTorch compiles a kernel for the pattern, which skips blocks where nothing is allowed.

A launch for each piece, as in `attnbook.sparse`, leaves a GPU idle; one kernel for all does not. The first call for a
pattern and a length compiles, which takes seconds. Source: Dong et al. (2024).
"""

from collections.abc import Callable
from functools import cache

import torch
from jaxtyping import Bool
from torch import Tensor
from torch.nn.attention.flex_attention import BlockMask, flex_attention

SIDE = 128  # queries and keys in a block of the kernel
Allowed = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]  # (batch, head, query, key) -> True where allowed


def serves(query: Tensor, key: Tensor, value: Tensor) -> bool:
    """Whether the compiled kernel takes these inputs: a GPU of 2020 or later, at most 32 bits, even sizes."""
    if not query.is_cuda or torch.cuda.get_device_capability(query.device) < (8, 0):
        return False
    d, d_v = query.shape[-1], value.shape[-1]
    even = d == d_v and d >= 16 and d & (d - 1) == 0
    return even and query.dtype.itemsize <= 4 and query.shape[-2] == key.shape[-2] >= SIDE


def attend(query: Tensor, key: Tensor, value: Tensor, allowed: Allowed, table: Bool[Tensor, "rows columns"]) -> Tensor:
    """Attention where `allowed`, which is asked only in the blocks where `table` is True. Inputs (batch, h, n, d)."""
    kernel = _compiled() if query.is_cuda else flex_attention
    return kernel(query, key, value, block_mask=block_mask(allowed, table, query.shape[-2]))


def block_mask(allowed: Allowed, table: Bool[Tensor, "rows columns"], n: int) -> BlockMask:
    """PyTorch's form of a pattern for n queries and keys, made without the mask of n by n."""
    counts = table.sum(dim=-1, dtype=torch.int32)
    order = table.int().argsort(dim=-1, descending=True, stable=True).to(torch.int32)  # the columns that are in first
    return BlockMask.from_kv_blocks(
        counts[None, None], order[None, None], BLOCK_SIZE=SIDE, mask_mod=allowed, seq_lengths=(n, n)
    )


def window(
    n: int, before: int, after: int, chosen: Tensor, causal: bool
) -> tuple[Allowed, Bool[Tensor, "rows columns"]]:
    """The pattern of `sliding_window_attention`; chosen: the global tokens, from 0 to n - 1."""
    every = torch.zeros(n, dtype=torch.bool, device=chosen.device)
    every[chosen] = True

    first = torch.arange(0, n, SIDE, device=chosen.device)
    r, c = first[:, None], first
    table = (c + SIDE - 1 >= r - before) & (c <= r + SIDE - 1 + after)
    held = torch.zeros(len(first), dtype=torch.bool, device=chosen.device)
    held[chosen // SIDE] = True
    table = table | held[:, None] | held
    if causal:  # lambdas, since the kernel's compiler cannot see through a function whose annotations are checked
        table = table & (c <= r)
        return lambda _b, _h, i, j: (((i - j <= before) & (j - i <= after)) | every[i] | every[j]) & (j <= i), table
    return lambda _b, _h, i, j: ((i - j <= before) & (j - i <= after)) | every[i] | every[j], table


def blocks(
    n: int, given: Bool[Tensor, "row_blocks column_blocks"], size: int, causal: bool
) -> tuple[Allowed, Bool[Tensor, "rows columns"]]:
    """The pattern of `block_sparse_attention`; size must be a multiple of SIDE."""

    many = size // SIDE
    rows = -(-n // SIDE)
    table = given.repeat_interleave(many, 0).repeat_interleave(many, 1)[:rows, :rows]
    if causal:
        return lambda _b, _h, i, j: given[i // size, j // size] & (j <= i), table.tril()
    return lambda _b, _h, i, j: given[i // size, j // size], table


@cache
def _compiled() -> Callable:
    return torch.compile(flex_attention, dynamic=False)
