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
    """(b, h, n, d); True may be seen; no weights. It drops in any mode."""
    options = {"attn_mask": mask, "is_causal": causal, "dropout_p": dropout}
    options["enable_gqa"] = query.shape[-3] != key.shape[-3]
    return F.scaled_dot_product_attention(query, key, value, **options), None


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
    """(n, b, h * d) unless batch_first is set; True is hidden.

    All four projections are set to the identity: only the attention is left.
    """
    kind = {"dropout": dropout, "bias": False, "dtype": query.dtype}
    layer = nn.MultiheadAttention(query.shape[-1], heads, **kind)
    identity = torch.eye(query.shape[-1], dtype=query.dtype)
    options = {"attn_mask": mask, "is_causal": causal, "need_weights": weights}
    with torch.no_grad():
        layer.in_proj_weight.copy_(torch.cat([identity] * 3))
        layer.out_proj.weight.copy_(identity)
        layer.train(training)
        return layer(query, key, value, **options)


def flex(query: Array, key: Array, value: Array, *, mask: Mask | None = None) -> Answer:
    """(b, h, n, d); the mask is a function of batch, head, query and key.

    Not compiled here, so that no compiler is needed: PyTorch warns that it is slow.
    """
    from torch.nn.attention import flex_attention as forms

    options = {"enable_gqa": query.shape[1] != key.shape[1]}
    if mask is not None:
        size = (*query.shape[:3], key.shape[2])
        table = mask.expand(size)
        options["block_mask"] = forms.create_block_mask(
            lambda b, h, i, j: table[b, h, i, j],
            *size,
            device="cpu",
        )
    with warnings.catch_warnings():
        message = "flex_attention called without torch.compile"
        warnings.filterwarnings("ignore", message=message)
        return forms.flex_attention(query, key, value, **options), None
