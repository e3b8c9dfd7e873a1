"""Results of a reader's function: as tensors, compared, and shown."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

CLOSE = {"rtol": 1e-4, "atol": 2e-5}  # single precision, and any order of summation


class Unreadable(Exception):
    """A result that is no number, tensor, array or sequence of these."""


def plain(result: object) -> Tensor | tuple:
    """Numbers, arrays, lists of numbers and tensors as tensors on the CPU; tuples stay tuples."""
    try:
        return _plain(result)
    except (TypeError, ValueError, RuntimeError, RecursionError) as error:
        raise Unreadable(f"a result of type {type(result).__name__} ({error})") from None


def _plain(result: object) -> Tensor | tuple:
    if isinstance(result, Tensor):
        if result.is_complex():
            raise TypeError("complex numbers")
        return result.detach().cpu()
    if isinstance(result, np.ndarray | np.generic):
        return torch.from_numpy(np.asarray(result).copy())
    if isinstance(result, bool | int | float):
        return torch.tensor(result)
    if isinstance(result, Sequence) and not isinstance(result, str):
        return _sequence(result)
    raise TypeError("no number, array or tensor")


def _sequence(items: Sequence) -> Tensor | tuple:
    parts = [_plain(item) for item in items]
    if isinstance(items, list) and parts and all(isinstance(part, Tensor) for part in parts):
        shapes = {part.shape for part in parts}
        if len(shapes) == 1 and not isinstance(items[0], Tensor):
            return torch.stack(parts)
    return tuple(parts)


def like(result: Tensor | tuple, expected: Tensor | tuple) -> Tensor | tuple:
    """The same numbers in the form of the expected ones: a list of tensors where one tensor was asked, or back."""
    if isinstance(expected, Tensor) and isinstance(result, tuple) and result:
        alike = all(isinstance(part, Tensor) and part.shape == expected.shape[1:] for part in result)
        if alike and expected.dim() > 0 and len(result) == expected.shape[0]:
            return torch.stack(result)
    if isinstance(expected, tuple) and isinstance(result, Tensor) and result.shape[:1] == (len(expected),):
        alike = all(isinstance(part, Tensor) and part.shape == result.shape[1:] for part in expected)
        return tuple(result) if alike else result
    return result


def same(result: Tensor | tuple, expected: Tensor | tuple) -> bool:
    """Equal in shape and, within rounding, in value. True and False are not 1 and 0."""
    if isinstance(result, tuple) or isinstance(expected, tuple):
        both = isinstance(result, tuple) and isinstance(expected, tuple)
        return both and len(result) == len(expected) and all(map(same, result, expected))
    if result.shape != expected.shape or (result.dtype == torch.bool) != (expected.dtype == torch.bool):
        return False
    return torch.allclose(result.double(), expected.double(), equal_nan=True, **CLOSE)


def show(value: object, digits: int = 4) -> str:
    """As a reader would type it: [[0.5, −1], [2, 0]]. Large tensors are shown by their shape."""
    if isinstance(value, tuple):
        return "(" + ", ".join(show(part, digits) for part in value) + ("," if len(value) == 1 else "") + ")"
    if isinstance(value, Tensor):
        if value.numel() > 60:
            return f"a tensor of shape {tuple(value.shape)}"
        text = _nested(value.detach().cpu().tolist(), digits)
        return text if value.dim() else f"{text}"
    if isinstance(value, float):
        return _number(value, digits)
    return repr(value)


def _nested(value: object, digits: int) -> str:
    if isinstance(value, list):
        return "[" + ", ".join(_nested(item, digits) for item in value) + "]"
    return _number(value, digits) if isinstance(value, float) else str(value)


def _number(x: float, digits: int) -> str:
    if x != x or x in (float("inf"), float("-inf")):
        return {"nan": "nan", "inf": "inf", "-inf": "-inf"}[str(x)]
    text = f"{x:.{digits}g}"
    return "0" if float(text) == 0 else text
