"""PyTorch's own: the fused function, the multi-head module, and flex_attention, in their layouts and conventions.

Axes: b batch, h heads, n queries, m keys, d the size of a head.
"""

import warnings

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

Array = Float[Tensor, "..."]
Mask = Bool[Tensor, "..."]
Answer = tuple[Array, Array | None]


def sdpa(
    query: Array,
    key: Array,
    value: Array,
    *,
    mask: Mask | None = None,
    causal: bool = False,
    dropout: float = 0.0,
) -> Answer:
    """(b, h, n, d); True may be seen; no weights. It has no training mode: it drops in any."""
    grouped = query.shape[-3] != key.shape[-3]
    output = F.scaled_dot_product_attention(
        query, key, value, attn_mask=mask, is_causal=causal, dropout_p=dropout, enable_gqa=grouped
    )
    return output, None


def multihead(
    query: Array,
    key: Array,
    value: Array,
    *,
    heads: int = 1,
    mask: Mask | None = None,
    causal: bool = False,
    dropout: float = 0.0,
    training: bool = False,
    weights: bool = True,
) -> Answer:
    """(n, b, h * d) unless batch_first is set; True is hidden; weights are a mean over heads.

    All four projections are set to the identity, so that only the attention is left.
    """
    d_model, dtype = query.shape[-1], query.dtype
    layer = nn.MultiheadAttention(d_model, heads, bias=False, dropout=dropout, dtype=dtype)
    identity = torch.eye(d_model, dtype=dtype)
    with torch.no_grad():
        layer.in_proj_weight.copy_(torch.cat([identity] * 3))
        layer.out_proj.weight.copy_(identity)
        layer.train(training)
        return layer(query, key, value, attn_mask=mask, is_causal=causal, need_weights=weights)


def flex(query: Array, key: Array, value: Array, *, mask: Mask | None = None) -> Answer:
    """(b, h, n, d); True may be seen. The mask is a function of batch, head, query and key.

    Not compiled here, so that no compiler is needed: PyTorch warns that this is slow.
    """
    from torch.nn.attention.flex_attention import create_block_mask, flex_attention

    block_mask = None
    if mask is not None:
        size = (*query.shape[:3], key.shape[2])
        table = mask.expand(size)
        block_mask = create_block_mask(lambda b, h, i, j: table[b, h, i, j], *size, device="cpu")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="flex_attention called without torch.compile")
        grouped = query.shape[1] != key.shape[1]
        return flex_attention(query, key, value, block_mask=block_mask, enable_gqa=grouped), None
