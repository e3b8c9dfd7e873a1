"""Fewer key heads than query heads: each key head serves a group of neighboring query heads."""

import torch
from torch import Tensor

from attnbook._validation import broadcast_leading, shape


def share_heads(query: Tensor, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
    """Repeat the heads of key and value until there is one for each query head, where they have fewer.

    Heads are axis -3 of tensors with four axes or more. Without such an axis, or with heads that broadcast, nothing is
    repeated. Source: Ainslie et al. (2023), grouped-query attention.
    """
    leading_shape(query, key=key, value=value)  # an error where they do not fit
    key, value = (
        x.repeat_interleave(query.shape[-3] // x.shape[-3], dim=-3) if _in_groups(query, x) else x for x in (key, value)
    )
    return key, value


def leading_shape(query: Tensor, **others: Tensor) -> torch.Size:
    """The leading axes of the result once heads are shared, without repeating anything."""
    leading, names = query.shape[:-2], "query"
    for name, x in others.items():
        own = list(x.shape[:-2])
        if _in_groups(query, x):
            if query.shape[-3] % own[-1]:
                raise ValueError(
                    f"{name} must have heads (axis -3) whose number divides the query's, {query.shape[-3]}; "
                    f"got shape {shape(x)}"
                )
            own[-1] = query.shape[-3]
        leading = broadcast_leading(name, x, own, names, leading)
        names += f" and {name}"
    return leading


def _in_groups(query: Tensor, x: Tensor) -> bool:
    return query.dim() >= 4 and x.dim() >= 4 and 1 < x.shape[-3] < query.shape[-3]
