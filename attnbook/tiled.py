"""Exact attention without the table of scores: one tile of it at a time, by the online softmax, in memory O(n).

A row of the softmax needs its largest score and its sum over all keys. Both can be kept up to date while the keys come
by, tile after tile: when a larger score turns up, what was summed so far is scaled down. Backward, the tiles are
computed again from each row's log-sum-exp, which is all that has to be kept.

Axes: n queries, m keys and values, d_k the size of a query and a key, d_v the size of a value.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable

from attnbook._heads import leading_shape, share_heads
from attnbook._validation import check_bias, check_dim, check_flag, check_mask, check_number, check_size
from attnbook.attention import Bias, Key, Mask, Output, Value, attention_weights, check_inputs
from attnbook.scores import widen

LOG2_E = math.log2(math.e)  # exp(x) = 2^(x log2 e): powers of 2 take a CPU half the time
# What was fastest: on CPUs a tile fits into the cache of a core, GPUs want large products.
TILES = {"cpu": (512, 512), "cuda": (2048, 2048)}


def tiled_attention(
    query: Float[Tensor, "... n d_k"],
    key: Key,
    value: Value,
    *,
    mask: Mask | None = None,
    bias: Bias | None = None,
    causal: bool = False,
    scale: float | None = None,
    tile: tuple[int, int] | None = None,
) -> Output:
    """The output of `attention` with the scaled dot product; memory grows with n + m, not with n m, backward as well.

    causal: each query sees the keys up to its own position, aligned at the end; tiles that it hides are skipped.
    scale: what the dot products are multiplied by; 1/sqrt(d_k) if None. tile: queries and keys at a time;
    None picks by the device.
    Shapes, mask, bias (each takes the memory of its own shape), heads, rows with nothing to attend to and errors: as
    `attention`.
    Source: Milakov and Gimelshein (2018) for the online softmax; Rabe and Staats (2021) and Dao et al. (2022) for
    attention by it.
    """
    return partial_attention(query, key, value, mask=mask, bias=bias, causal=causal, scale=scale, tile=tile)[0]


def partial_attention(
    query: Float[Tensor, "... n d_k"],
    key: Key,
    value: Value,
    *,
    mask: Mask | None = None,
    bias: Bias | None = None,
    causal: bool = False,
    scale: float | None = None,
    tile: tuple[int, int] | None = None,
) -> tuple[Output, Float[Tensor, "... n"]]:
    """Attention to some of the keys, and the log-sum-exp of each row's scores, by which `merge` joins such parts.

    A row with nothing to attend to has output 0 and log-sum-exp -inf. Everything else: as `tiled_attention`.
    """
    check_inputs(query, key, value)
    check_dim("key", key, query.shape[-1], "the size of the query, as the two are multiplied")
    check_flag("causal", causal)
    scale = 1 / math.sqrt(query.shape[-1]) if scale is None else scale
    check_number("scale", scale)
    tile = TILES.get(query.device.type, TILES["cuda"]) if tile is None else tile
    for name, size in zip(("tile[0]", "tile[1]"), tile, strict=True):
        check_size(name, size, least=1)
    leading = leading_shape(query, key=key, value=value)
    n, m = query.shape[-2], key.shape[-2]
    for x, check in ((mask, check_mask), (bias, check_bias)):
        if x is not None:
            check(x, (*leading_shape(query, key=key), n, m), query.device)
    key, value = share_heads(query, key, value)
    q, k, v = (widen(x).expand(*leading, *x.shape[-2:]) for x in (query, key, value))
    mask, bias = (x if x is None else x[(None,) * (len(leading) + 2 - x.dim())] for x in (mask, bias))
    output, lse = _Tiled.apply(q, k, v, mask, bias, _Tiling(n, m, causal, scale, *tile))
    return output.to(query.dtype), lse


def merge(outputs: Sequence[Output], lses: Sequence[Float[Tensor, "... n"]]) -> tuple[Output, Float[Tensor, "... n"]]:
    """Join what `partial_attention` found in separate sets of keys: output and log-sum-exp over all of them.

    It is attention over the parts: their log-sum-exps are the scores, their outputs the values.
    """
    lse = torch.stack(list(lses), dim=-1)  # (..., n, parts)
    weights = attention_weights(lse).unsqueeze(-2)
    output = (torch.stack(list(outputs), dim=-1) * weights).sum(dim=-1)
    return output.to(outputs[0].dtype), lse.logsumexp(dim=-1)


@dataclass(frozen=True)
class _Tiling:
    """Which tiles there are, and the scores of one of them."""

    n: int
    m: int
    causal: bool
    scale: float
    rows: int
    columns: int

    def tiles(self) -> Iterator[tuple[slice, list[slice]]]:
        """Each tile's rows, with the columns of all tiles that these rows may see."""
        for i in range(0, self.n, self.rows):
            rows = slice(i, min(i + self.rows, self.n))
            end = max(0, rows.stop + self.m - self.n) if self.causal else self.m
            yield rows, [slice(j, min(j + self.columns, end)) for j in range(0, end, self.columns)]

    def hide(self, scores: Tensor, rows: slice, columns: slice, mask: Tensor | None) -> None:
        """Scores of pairs that are not allowed become -inf."""
        if mask is not None:
            scores.masked_fill_(~mask, -torch.inf)
        first_hidden = rows.start + self.m - self.n + 1 - columns.start  # for the first of the rows
        if self.causal and first_hidden < scores.shape[-1]:
            later = torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device).triu(first_hidden)
            scores.masked_fill_(later, -torch.inf)


def _tile(x: Tensor | None, at: tuple, rows: slice, columns: slice) -> Tensor | None:
    """A tile of a mask or bias, any axis of which may be 1 long; a view, so that gradients can be written to it."""
    if x is None:
        return None
    whole = slice(None)
    heads = (0 if size == 1 else i for i, size in zip(at, x.shape[:-2], strict=False))
    return x[(*heads, ..., rows if x.shape[-2] > 1 else whole, columns if x.shape[-1] > 1 else whole)]


def _heads(x: Tensor) -> Iterable[tuple[int, ...]]:
    """On a CPU head after head, so that a tile stays in the cache; elsewhere all at once."""
    return product(*map(range, x.shape[:-2])) if x.device.type == "cpu" else [()]


class _Room:
    """Memory for a tile that serves for the next one too: fetching it anew would take as long as filling it."""

    def __init__(self, like: Tensor, tiling: _Tiling) -> None:
        heads = 1 if like.device.type == "cpu" else math.prod(like.shape[:-2])
        self.room = like.new_empty(heads * tiling.rows * tiling.columns)

    def product(self, a: Tensor, b: Tensor) -> Tensor:
        """a b^T."""
        size = (*a.shape[:-1], b.shape[-2])
        return torch.matmul(a, b.mT, out=self.room[: math.prod(size)].view(size))


class _Tiled(torch.autograd.Function):
    """Forward: the online softmax. Backward: Dao et al. (2022), Appendix B.4. Scores are in units of log 2."""

    @staticmethod
    def forward(ctx, query, key, value, mask, bias, tiling):
        output = query.new_empty(*query.shape[:-1], value.shape[-1])
        lse = query.new_empty(query.shape[:-1])  # of base 2
        room = _Room(query, tiling)
        lowest = torch.finfo(query.dtype).min
        for at in _heads(query):
            k, v = key[at], value[at]
            for rows, seen in tiling.tiles():
                q = query[at][..., rows, :] * (tiling.scale * LOG2_E)
                largest = q.new_full((*q.shape[:-1], 1), lowest)
                total, mean = torch.zeros_like(largest), q.new_zeros(*q.shape[:-1], v.shape[-1])
                for columns in seen:
                    scores = room.product(q, k[..., columns, :])
                    if bias is not None:
                        scores += LOG2_E * _tile(bias, at, rows, columns)
                    tiling.hide(scores, rows, columns, _tile(mask, at, rows, columns))
                    new_largest = torch.maximum(largest, scores.amax(dim=-1, keepdim=True))
                    shrink = (largest - new_largest).exp2_()
                    weights = scores.sub_(new_largest).exp2_()  # not divided yet
                    total.mul_(shrink).add_(weights.sum(dim=-1, keepdim=True))
                    mean.mul_(shrink).add_(weights @ v[..., columns, :])
                    largest = new_largest
                empty = total == 0
                output[at][..., rows, :] = mean / total.masked_fill_(empty, 1.0)
                lse[at][..., rows] = (largest + total.log2()).masked_fill_(empty, -torch.inf).squeeze(-1)
        ctx.save_for_backward(query, key, value, mask, bias, output, lse)
        ctx.tiling = tiling
        return output, lse / LOG2_E

    @staticmethod
    @once_differentiable
    def backward(ctx, grad_output, grad_lse):
        query, key, value, mask, bias, output, lse = ctx.saved_tensors
        tiling = ctx.tiling
        grad_query, grad_key, grad_value = (
            torch.zeros_like(x, memory_format=torch.contiguous_format) for x in (query, key, value)
        )
        grad_bias = torch.zeros_like(bias) if bias is not None and ctx.needs_input_grad[4] else None
        weights_room, grads_room = _Room(query, tiling), _Room(query, tiling)
        for at in _heads(query):
            k, v = key[at], value[at]
            for rows, seen in tiling.tiles():
                q, grad = query[at][..., rows, :], grad_output[at][..., rows, :]
                row_lse = lse[at][..., rows].unsqueeze(-1)
                row_lse = row_lse.masked_fill(row_lse == -torch.inf, 0.0)  # all its scores are -inf
                # The softmax's Jacobian takes the weighted mean of the gradients off, which is grad . output.
                mean = (grad * output[at][..., rows, :]).sum(-1, keepdim=True) - grad_lse[at][..., rows].unsqueeze(-1)
                for columns in seen:
                    scores = weights_room.product(q * (tiling.scale * LOG2_E), k[..., columns, :])
                    if bias is not None:
                        scores += LOG2_E * _tile(bias, at, rows, columns)
                    tiling.hide(scores, rows, columns, _tile(mask, at, rows, columns))
                    weights = scores.sub_(row_lse).exp2_()
                    grad_value[at][..., columns, :] += weights.mT @ grad
                    grad_scores = grads_room.product(grad, v[..., columns, :]).sub_(mean).mul_(weights)
                    if grad_bias is not None:
                        part = _tile(grad_bias, at, rows, columns)
                        part += grad_scores.sum_to_size(part.shape)
                    grad_query[at][..., rows, :] += grad_scores @ k[..., columns, :] * tiling.scale
                    grad_key[at][..., columns, :] += grad_scores.mT @ (q * tiling.scale)
        return grad_query, grad_key, grad_value, None, grad_bias, None
