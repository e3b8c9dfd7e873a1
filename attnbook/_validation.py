"""Checks of arguments: each error names the argument, what was expected and what came."""

from collections.abc import Sequence

import torch
from torch import Tensor


def shape(x: Tensor) -> str:
    """A shape as readers write it: (2, 8, 5, 64)."""
    return str(tuple(x.shape))


def broadcast(*shapes: Sequence[int]) -> torch.Size:
    """The shape that all of them broadcast to. Asking PyTorch takes 0.1 ms; mostly they are equal."""
    first = tuple(shapes[0])
    return torch.Size(first) if all(tuple(s) == first for s in shapes) else torch.broadcast_shapes(*shapes)


def check_vectors(name: str, x: object) -> None:
    """A floating-point tensor of shape (..., length, dim): vectors as rows."""
    if not isinstance(x, Tensor):
        raise TypeError(f"{name} must be a torch.Tensor of shape (..., length, dim); got {type(x).__name__}")
    if not x.is_floating_point():
        raise TypeError(f"{name} must be a floating-point tensor; got dtype {x.dtype}")
    if x.dim() < 2:
        raise ValueError(f"{name} must have shape (..., length, dim), at least 2 axes; got shape {shape(x)}")


def check_same_kind(name: str, x: Tensor, other_name: str, other: Tensor) -> None:
    """The same dtype and device as another argument."""
    if x.dtype != other.dtype:
        raise TypeError(f"{name} must have the dtype of {other_name}, {other.dtype}; got {x.dtype}")
    if x.device != other.device:
        raise ValueError(f"{name} must be on the device of {other_name}, {other.device}; got {x.device}")


def check_dim(name: str, x: Tensor, expected: int, meaning: str) -> None:
    """The size of the last axis."""
    if x.shape[-1] != expected:
        raise ValueError(f"{name} must have last axis {expected} ({meaning}); got shape {shape(x)}")


def check_sequences(query: object, key: object, value: object, *, same_length: bool) -> None:
    """Vectors of one kind, the same leading axes, a value for each key and, with same_length, a key for each query."""
    for name, x in (("query", query), ("key", key), ("value", value)):
        check_vectors(name, x)
        check_same_kind(name, x, "query", query)
        if x.shape[:-2] != query.shape[:-2]:
            raise ValueError(
                f"{name} must have the leading axes of query, {tuple(query.shape[:-2])}; got shape {shape(x)}"
            )
    if value.shape[-2] != key.shape[-2]:
        raise ValueError(f"value must have one row for each key, {key.shape[-2]}; got shape {shape(value)}")
    if same_length and query.shape[-2] != key.shape[-2]:
        raise ValueError(
            f"key must have as many rows as query, {query.shape[-2]}, where causal; got shape {shape(key)}"
        )


def broadcast_leading(name: str, x: Tensor, own: Sequence[int], other: str, leading: Sequence[int]) -> torch.Size:
    """The leading axes (all but the last two) of x, as `own`, broadcast against those of the arguments before it."""
    try:
        return broadcast(leading, own)
    except RuntimeError:
        raise ValueError(
            f"{name} must have leading axes that broadcast with those of {other}, {tuple(leading)}; "
            f"got shape {shape(x)}"
        ) from None


def check_fits_scores(name: str, x: Tensor, scores_shape: Sequence[int], device: torch.device) -> None:
    """A mask or bias must broadcast to the scores, not make them larger: an extra axis is nearly always a mistake."""
    if x.device != device:
        raise ValueError(f"{name} must be on the device of the scores, {device}; got {x.device}")
    try:
        fits = torch.broadcast_shapes(x.shape, scores_shape) == torch.Size(scores_shape)
    except RuntimeError:
        fits = False
    if not fits:
        raise ValueError(
            f"{name} must broadcast to the scores' shape (..., queries, keys) = {tuple(scores_shape)}; got {shape(x)}"
        )


def check_mask(mask: object, scores_shape: Sequence[int], device: torch.device) -> None:
    """A boolean tensor that broadcasts to the scores."""
    if not isinstance(mask, Tensor):
        raise TypeError(f"mask must be a boolean tensor, True where attention is allowed; got {type(mask).__name__}")
    if mask.dtype != torch.bool:
        raise TypeError(
            f"mask must be boolean, True where attention is allowed; got dtype {mask.dtype} "
            "(numbers that are added to the scores go in as bias)"
        )
    check_fits_scores("mask", mask, scores_shape, device)


def check_bias(bias: object, scores_shape: Sequence[int], device: torch.device) -> None:
    """A floating-point tensor that broadcasts to the scores."""
    if not isinstance(bias, Tensor):
        raise TypeError(f"bias must be a floating-point torch.Tensor; got {type(bias).__name__}")
    if not bias.is_floating_point():
        raise TypeError(
            f"bias must be a floating-point tensor, added to the scores; got dtype {bias.dtype} "
            "(True/False goes in as mask)"
        )
    check_fits_scores("bias", bias, scores_shape, device)


def check_whole_numbers(name: str, x: object) -> None:
    """A tensor of an integer dtype."""
    if not isinstance(x, Tensor):
        raise TypeError(f"{name} must be a torch.Tensor of whole numbers; got {type(x).__name__}")
    if x.dtype.is_floating_point or x.dtype.is_complex or x.dtype == torch.bool:
        raise TypeError(f"{name} must be a tensor of whole numbers; got dtype {x.dtype}")


def check_size(name: str, value: object, *, least: int = 0) -> None:
    """A whole number of at least `least`."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} must be an integer; got {type(value).__name__}")
    if value < least:
        raise ValueError(f"{name} must be at least {least}; got {value}")


def check_number(name: str, value: object) -> None:
    """A Python number, no tensor and no flag."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{name} must be a number; got {type(value).__name__}")


def check_flag(name: str, value: object) -> None:
    """True or False."""
    if not isinstance(value, bool):
        raise TypeError(f"{name} must be True or False; got {type(value).__name__}")
