"""Fewer key heads than query heads: each key head serves a group of neighboring query heads."""

import torch
from torch import Tensor

from attnbook._validation import check_leading, shape


def share_heads(query: Tensor, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
    """Repeat the heads of key and value until there is one for each query head, where they have fewer.

    Heads are axis -3 of tensors with four axes or more. Without such an axis, or with heads that broadcast, nothing is
    repeated. Source: Ainslie et al. (2023), grouped-query attention.
    """
    return _share("key", key, query), _share("value", value, query)


def leading_shape(query: Tensor, key: Tensor, value: Tensor) -> torch.Size:
    """The leading axes of the output, without repeating anything."""
    key, value = share_heads(*(x.detach()[..., :0, :0] for x in (query, key, value)))
    return torch.broadcast_shapes(query.shape[:-2], key.shape[:-2], value.shape[:-2])


def _share(name: str, x: Tensor, query: Tensor) -> Tensor:
    if query.dim() >= 4 and x.dim() >= 4:
        heads, query_heads = x.shape[-3], query.shape[-3]
        if 1 < heads < query_heads:
            if query_heads % heads:
                raise ValueError(
                    f"{name} must have heads (axis -3) whose number divides the query's, {query_heads}; got {shape(x)}"
                )
            x = x.repeat_interleave(query_heads // heads, dim=-3)
    check_leading(name, x, "query", query)
    return x
