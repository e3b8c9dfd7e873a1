"""Properties that right answers have, whatever their code: each says in a sentence what was seen where it is broken.

They call the attempt on inputs of a case, changed in one way. `call(inputs)` gives tensors; `part` picks one of several
results.
"""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from attnbook.exercises.kinds import Property
from attnbook.exercises.values import same, show


def _part(result: Tensor | tuple, part: int | None) -> Tensor:
    return result if part is None else result[part]


def rows_sum_to_one(part: int | None = None) -> Property:
    """The weights of each query sum to 1; rows of zeros are left out."""

    def broken(call: Callable, inputs: Mapping) -> str | None:
        sums = _part(call(inputs), part).double().sum(dim=-1)
        off = [x for x in sums.flatten().tolist() if abs(x) > 1e-4 and not abs(x - 1) < 1e-3]
        return f"a row of weights sums to {show(off[0])}" if off else None

    return Property("normalization", "The weights of each query sum to 1.", broken)


def not_negative(part: int | None = None) -> Property:
    def broken(call: Callable, inputs: Mapping) -> str | None:
        smallest = _part(call(inputs), part).double().min().item()
        return f"a weight is {show(smallest)}" if smallest < -1e-5 else None

    return Property("sign", "No weight is negative.", broken)


def inside_hull(value: str = "value", part: int | None = None) -> Property:
    """Every component of an output lies between the smallest and the largest of the values, or the output is 0."""

    def broken(call: Callable, inputs: Mapping) -> str | None:
        output = _part(call(inputs), part).double()
        values = inputs[value].double()
        low, high = (
            getattr(values, name)(dim=-2, keepdim=True) - 1e-3 * sign for name, sign in (("amin", 1), ("amax", -1))
        )
        outside = ((output < low) | (output > high)) & (output.abs() > 1e-6)
        return (
            f"an output has the component {show(output[outside][0].item())}, outside of its values"
            if outside.any()
            else None
        )

    return Property("hull", "An output is an average: it lies between the values.", broken)


def unchanged(
    name: str, sentence: str, change: Callable[[dict], dict], what: str, rows: Callable | None = None
) -> Property:
    """The result stays when the inputs are changed by `change`; `rows(result, inputs)` picks what must stay."""

    def broken(call: Callable, inputs: Mapping) -> str | None:
        changed = change(dict(inputs))
        if changed is None:
            return None
        before, after = call(inputs), call(changed)
        if rows is not None:
            before, after = rows(before, inputs), rows(after, inputs)
        return None if same(after, before) else f"{what}, and the result moved by up to {_distance(before, after)}"

    return Property(name, sentence, broken)


def _distance(before: Tensor | tuple, after: Tensor | tuple) -> str:
    if isinstance(before, tuple):
        before, after = before[0], after[0]
    if before.shape != after.shape:
        return "another shape"
    return show((before.double() - after.double()).abs().max().item(), 2)


def any_order(*names: str, part: int | None = None) -> Property:
    """Keys and values in another order, together: the output stays."""

    def change(inputs: dict) -> dict:
        return {**inputs, **{name: inputs[name].flip(-2) for name in names}}

    return unchanged(
        "permutation",
        "The order of the keys does not matter, as long as values follow their keys.",
        change,
        f"{' and '.join(names)} were put in another order",
        lambda result, inputs: _part(result, part),
    )


def no_leak(*names: str, part: int | None = None) -> Property:
    """Causal: the last row of `names` changes, and no output but the last may move."""

    def change(inputs: dict) -> dict | None:
        if inputs[names[0]].shape[-2] < 2:
            return None
        out = dict(inputs)
        for name in names:
            out[name] = inputs[name].clone()
            out[name][..., -1, :] += 3.0
        return out

    return unchanged(
        "leak",
        "No output depends on what comes after it.",
        change,
        "the last token was changed",
        lambda result, inputs: _part(result, part)[..., :-1, :],
    )


def finite() -> Property:
    def broken(call: Callable, inputs: Mapping) -> str | None:
        result = call(inputs)
        parts = result if isinstance(result, tuple) else (result,)
        return None if all(torch.isfinite(x.double()).all() for x in parts) else "the result holds NaN or infinity"

    return Property("finite", "The result is finite: no NaN, no infinity.", broken)


def equal_to(name: str, sentence: str, other: Callable[[Callable, dict], Tensor | None], what: str) -> Property:
    """The result equals another way to get it: `other(call, inputs)`."""

    def broken(call: Callable, inputs: Mapping) -> str | None:
        expected = other(call, dict(inputs))
        if expected is None:
            return None
        result = call(inputs)
        return None if same(result, expected) else f"{what}: they differ by up to {_distance(result, expected)}"

    return Property(name, sentence, broken)
