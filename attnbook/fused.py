"""Scaled dot-product attention on PyTorch's fused kernel: the same output as the definition, without the weights."""

import math

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from attnbook import masks
from attnbook._heads import leading_shape, share_heads
from attnbook._validation import broadcast, check_bias, check_dim, check_flag, check_mask, check_number, shape
from attnbook.attention import Bias, Key, Mask, Output, Value, attention, check_inputs
from attnbook.scores import dot, widen


def scaled_dot_product_attention(
    query: Float[Tensor, "... n d_k"],
    key: Key,
    value: Value,
    *,
    mask: Mask | None = None,
    bias: Bias | None = None,
    causal: bool = False,
    scale: float | None = None,
) -> Output:
    """The output of `attention` with the scaled dot product, from PyTorch's fused kernel, which keeps no weights.

    causal: each query sees the keys up to its own position, aligned at the end: the last query sees every key. This is
    what a cache needs when there are fewer queries than keys; PyTorch's own is_causal aligns at the start.
    scale: what the dot products are multiplied by; 1/sqrt(d_k) if None.
    PyTorch picks the routine. On the CPU its fused one needs values as wide as the keys; plain arithmetic serves the
    rest, with the same result.
    Everything else (shapes, mask, bias, heads, rows with nothing to attend to, errors) is as in `attention`.
    Source: Vaswani et al. (2017), Eq. 1; Dao et al. (2022) for the kernel's way of computing it.
    """
    check_inputs(query, key, value)
    check_dim("key", key, query.shape[-1], "the size of the query, as the two are multiplied")
    if query.shape[-1] == 0:
        raise ValueError(f"key must have at least one component to scale by sqrt(d_k); got shape {shape(key)}")
    check_flag("causal", causal)
    scale = 1 / math.sqrt(query.shape[-1]) if scale is None else scale
    check_number("scale", scale)
    if not math.isfinite(scale):
        raise ValueError(f"scale must be finite; got {scale}")
    leading = leading_shape(query, key=key, value=value)
    n, m, d_v = query.shape[-2], *value.shape[-2:]
    scores_shape = (*leading_shape(query, key=key), n, m)
    if mask is not None:
        check_mask(mask, scores_shape, query.device)
    dtype = query.dtype
    if bias is not None:
        check_bias(bias, scores_shape, query.device)
        if bias.dtype != dtype:  # the kernel wants one dtype: widen half precision rather than round the bias to it
            query, key, value = widen(query), widen(key), widen(value)
            bias = bias.to(query.dtype)

    causal = causal and n > 1  # a single query, the last, sees every key
    if causal and (n != m or mask is not None or bias is not None):
        # The kernel's own flag aligns at the start and excludes a mask, so it serves only the plain square case.
        past = masks.causal(n, m, device=query.device)
        mask, causal = (past if mask is None else mask & past), False
    if 0 in (*leading, n, m, d_v):  # nothing to speed up, and the kernels differ in what they make of no keys
        return attention(query, key, value, score=lambda q, k: dot(q, k) * scale, mask=mask, bias=bias)[0].to(dtype)

    attend, nothing_allowed = _combine(mask, bias)
    # The kernels share heads only where key and value have the same number, on GPUs only in half precision.
    if key.shape[-3:-2] != value.shape[-3:-2] or (query.is_cuda and query.dtype.itemsize > 2):
        key, value = share_heads(query, key, value)
    q, k, v, attend = _four_axes(query, key, value, attend)
    if attend is not None and attend.is_cuda:  # a last axis that broadcasts is refused there
        attend = attend.expand(*attend.shape[:-1], m).contiguous()
    output = F.scaled_dot_product_attention(
        q, k, v, attn_mask=attend, is_causal=causal, scale=scale, enable_gqa=q.shape[1] != k.shape[1]
    ).reshape(*leading, n, d_v)
    return (output if nothing_allowed is None else output.masked_fill(nothing_allowed, 0.0)).to(dtype)


def _combine(mask: Tensor | None, bias: Tensor | None) -> tuple[Tensor | None, Tensor | None]:
    """Mask and bias as the one tensor that the kernel takes, and which rows may attend to nothing.

    Such a row is opened for the kernel and closed in the result: no NaN there, and no gradient.
    """
    if mask is None and bias is None:
        return None, None
    if bias is None:
        nothing_allowed = ~mask.any(dim=-1, keepdim=True)
        return mask | nothing_allowed, nothing_allowed
    bias = bias if mask is None else bias.masked_fill(~mask, -torch.inf)
    nothing_allowed = (bias == -torch.inf).all(dim=-1, keepdim=True)
    return bias.masked_fill(nothing_allowed, 0.0), nothing_allowed


def _four_axes(query: Tensor, key: Tensor, value: Tensor, attend: Tensor | None) -> tuple[Tensor | None, ...]:
    """The kernel is fused only for exactly (batch, heads, length, dim): add axes, or fold them into the batch."""
    query, key, value = (x[(None,) * (4 - x.dim())] if x.dim() < 4 else x for x in (query, key, value))
    batch = broadcast(query.shape[:-3], key.shape[:-3], value.shape[:-3])
    key_heads = max(key.shape[-3], value.shape[-3])
    query_heads = max(query.shape[-3], key_heads)

    def fold(x: Tensor, heads: int) -> Tensor:
        return x.expand(*batch, heads, *x.shape[-2:]).reshape(-1, heads, *x.shape[-2:])

    if attend is not None:
        attend = attend[(None,) * (4 - attend.dim())] if attend.dim() < 4 else attend
        if len(batch) > 1:
            attend = attend.expand(*batch, *attend.shape[-3:]).reshape(-1, *attend.shape[-3:])
    return fold(query, query_heads), fold(key, key_heads), fold(value, key_heads), attend
