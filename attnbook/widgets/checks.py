"""Checks of what explorers are given: each error names the argument, what was expected and what came."""

import math
from collections.abc import Sequence

from attnbook._validation import check_number


def rows(name: str, value: object) -> list[list[float]]:
    """A matrix as a list of rows of finite numbers, all of one length; tensors and arrays are taken too."""
    value = value.tolist() if hasattr(value, "tolist") else value
    if not isinstance(value, list | tuple) or not value or not all(isinstance(row, list | tuple) for row in value):
        raise TypeError(f"{name} must be a list of rows of numbers, such as [[1, 2], [3, 4]]; got {value!r}")
    lengths = {len(row) for row in value}
    if len(lengths) > 1 or 0 in lengths:
        raise ValueError(f"{name} must have rows of one length, at least 1; got lengths {sorted(lengths)}")
    return [[finite(name, x) for x in row] for row in value]


def finite(name: str, value: object) -> float:
    """A finite number."""
    check_number(name, value)
    if not math.isfinite(value):
        raise ValueError(f"{name} must hold finite numbers; got {value}")
    return float(value)


def positive(name: str, value: object) -> float:
    """A finite number above 0."""
    if not finite(name, value) > 0:
        raise ValueError(f"{name} must be positive; got {value}")
    return float(value)


def one_of(name: str, value: object, known: Sequence[str]) -> str:
    """One of the known names."""
    if value not in known:
        raise ValueError(f"{name} must be one of {', '.join(known)}; got {value!r}")
    return value


def size(name: str, value: Sequence, *, rows: int | None = None, columns: int | None = None) -> None:
    """A list of that many rows, of that many columns each."""
    if rows is not None and len(value) != rows:
        raise ValueError(f"{name} must have {rows} rows; got {len(value)}")
    if columns is not None and any(len(row) != columns for row in value):
        raise ValueError(f"{name} must have rows of {columns} entries; got {[len(row) for row in value]}")


def same_shape(name: str, value: list, old: list) -> list:
    """The shape that it had: an explorer's sizes are fixed when it is made (`old` is empty before that)."""
    before, after = [[len(row) for row in x] for x in (old, value)]
    if old and before != after:
        raise ValueError(f"{name} must keep its {len(old)} rows of {before[0]}; got rows of {after}")
    return value


def within(name: str, value: int, allowed: range) -> int:
    """A whole number of a range."""
    if value not in allowed:
        raise ValueError(f"{name} must be from {allowed[0]} to {allowed[-1]}; got {value}")
    return value
