"""Which mistake is it? First the known ones of the exercise, alone and in pairs, then what any function can have."""

from collections.abc import Mapping, Sequence
from functools import cache
from itertools import combinations

import torch
from torch import Tensor

from attnbook.exercises.kinds import FunctionExercise, Mistake
from attnbook.exercises.running import AttemptError, NeverEnds, call
from attnbook.exercises.values import Unreadable, like, plain, same

Outcome = Tensor | tuple | str | None  # what a call gave; a str names the error


def outcome(function: object, inputs: Mapping, expected: Tensor | tuple | None = None) -> Outcome:
    try:
        result = call(function, inputs)
    except AttemptError as error:
        return type(error.error).__name__
    except Unreadable:
        return "Unreadable"
    return result if expected is None or not isinstance(result, Tensor | tuple) else like(result, expected)


def agree(one: Outcome, other: Outcome) -> bool:
    if isinstance(one, Tensor | tuple) and isinstance(other, Tensor | tuple):
        return same(one, other)
    return type(one) is type(other) and one == other


@cache
def inputs_of(exercise: FunctionExercise) -> tuple[dict, ...]:
    return tuple(exercise.make(case, seed) for seed, case in enumerate(exercise.cases))


@cache
def expected_of(exercise: FunctionExercise) -> tuple[Tensor | tuple, ...]:
    return tuple(plain(call(exercise.reference, inputs)) for inputs in inputs_of(exercise))


@cache
def mistaken(exercise: FunctionExercise, mistakes: tuple[Mistake, ...]) -> tuple[Outcome, ...] | None:
    """What the solution gives with these mistakes in it; None if they do not go together or change nothing."""
    function = exercise.variant(mistakes)
    if function is None:
        return None
    pairs = zip(inputs_of(exercise), expected_of(exercise), strict=True)
    outcomes = tuple(outcome(function, inputs, expected) for inputs, expected in pairs)
    return None if all(map(agree, outcomes, expected_of(exercise))) else outcomes


def recognized(exercise: FunctionExercise, outcomes: Sequence[Outcome]) -> tuple[Mistake, ...]:
    """The known mistake, or the two, that give the same results on every case; empty if none does.

    Results must be there to compare: errors alone, alike in their type, prove nothing. For two mistakes at least half
    of the results must be finite, since many pairs end in the same NaN.
    """
    if not any(isinstance(one, Tensor | tuple) for one in outcomes):
        return ()
    telling = 2 * sum(map(_finite, outcomes)) >= len(outcomes)
    for count in (1, 2) if telling else (1,):
        for mistakes in combinations(exercise.mistakes, count):
            known = mistaken(exercise, mistakes)
            if known is not None and all(map(agree, outcomes, known)):
                return mistakes
    return ()


def _finite(one: Outcome) -> bool:
    if isinstance(one, tuple):
        return all(map(_finite, one))
    return isinstance(one, Tensor) and bool(torch.isfinite(one.double()).all())


def general(exercise: FunctionExercise, function: object, outcomes: Sequence[Outcome]) -> tuple[str, str] | None:
    """A mistake that any function can have: its name and what was seen; None if none is recognized."""
    expected = expected_of(exercise)
    pairs = [(a, b) for a, b in zip(outcomes, expected, strict=True) if not agree(a, b)]
    if all(one is None for one in outcomes):
        return "nothing returned", "The function gives None back. Does it end with return?"
    kinds = [
        (name, text)
        for test in (_too_many, _form, _shape, _not_finite, _factor)
        if (found := test(pairs))
        for name, text in [found]
    ]
    return kinds[0] if kinds else _unused(exercise, function, outcomes)


SHAPES = ("shape", "size", "dimension", "broadcast", "index out of range", "Dimension")


def error_name(error: BaseException) -> tuple[str, str]:
    """A short name for an error that an attempt raised on every input, and what Python or PyTorch said."""
    said = f"{type(error).__name__}: {str(error) or 'no message'}"
    if isinstance(error, NeverEnds):
        return "it never ends", f"{str(error).capitalize()}."
    if isinstance(error, NameError):
        return "a name that is not defined", said
    if isinstance(error, SyntaxError | IndentationError):
        return "not Python", said
    if isinstance(error, TypeError) and "argument" in str(error) and "positional" in str(error):
        return "another number of arguments", f"{said}. Keep the arguments of the exercise, in their order."
    if isinstance(error, RuntimeError | ValueError | IndexError) and any(word in str(error) for word in SHAPES):
        return "shapes that do not fit", said
    return "an error", said


def _too_many(pairs: list) -> tuple[str, str] | None:
    if all(isinstance(a, tuple) and isinstance(b, Tensor) for a, b in pairs):
        picked = next(
            (k for k in range(len(pairs[0][0])) if all(len(a) > k and agree(a[k], b) for a, b in pairs)), None
        )
        right = f" Its part {picked} is right." if picked is not None else ""
        return "several results", f"One tensor was asked for; {len(pairs[0][0])} things came.{right}"
    if all(isinstance(a, Tensor) and isinstance(b, tuple) for a, b in pairs):
        return "one result of several", f"{len(pairs[0][1])} results were asked for, as a tuple; one tensor came."
    if all(
        isinstance(a, tuple) and isinstance(b, tuple) and len(a) == len(b) == 2 and agree(a[::-1], b) for a, b in pairs
    ):
        return "results in the other order", "The two results are right, but the second comes first."
    return None


def _tensors(pairs: list) -> list:
    found = []
    for a, b in pairs:
        if isinstance(a, tuple) and isinstance(b, tuple) and len(a) == len(b):
            found += [(x, y) for x, y in zip(a, b, strict=True) if not agree(x, y)]
        else:
            found.append((a, b))
    return found if all(isinstance(a, Tensor) and isinstance(b, Tensor) for a, b in found) else []


def _form(pairs: list) -> tuple[str, str] | None:
    found = _tensors(pairs)
    if found and all(b.dtype == torch.bool and a.dtype != torch.bool for a, b in found):
        return "numbers for booleans", "The result should hold True and False (dtype torch.bool); it holds numbers."
    if found and all(b.dtype == torch.bool and agree(a, ~b) for a, b in found):
        return "the reverse", "True and False are exchanged: every entry is the opposite of the right one."
    return None


def _shape(pairs: list) -> tuple[str, str] | None:
    found = _tensors(pairs)
    if not found:
        return None
    if all(a.dim() >= 2 and agree(a.mT, b) for a, b in found):
        return "rows and columns exchanged", "The result is right but for its last two axes, which are exchanged."
    if all(a.numel() == b.numel() and a.shape != b.shape and agree(a.reshape(b.shape), b) for a, b in found):
        return (
            "right numbers in another shape",
            f"Expected {tuple(found[0][1].shape)}, came {tuple(found[0][0].shape)}.",
        )
    if all(a.shape != b.shape for a, b in found):
        return "wrong shape", f"Expected {tuple(found[0][1].shape)}, came {tuple(found[0][0].shape)}."
    return None


def _not_finite(pairs: list) -> tuple[str, str] | None:
    found = _tensors(pairs)
    if found and all(not torch.isfinite(a.double()).all() for a, b in found):
        return (
            "not a number",
            "Wherever the result is wrong it holds NaN or infinity: 0/0, or the softmax of a row of −∞.",
        )
    return None


def _factor(pairs: list) -> tuple[str, str] | None:
    """A factor or a term too much, the same for all entries of a case."""
    found = [(a.double(), b.double()) for a, b in _tensors(pairs)]
    if not found or any(a.shape != b.shape or not torch.isfinite(a).all() for a, b in found):
        return None
    if all(agree(-a, b) for a, b in found):
        return "the sign", "Every number has the wrong sign."
    factors = []
    for a, b in found:
        size = b.abs().max()
        spot = b.abs().argmax()
        factors.append((a.flatten()[spot] / b.flatten()[spot]).item() if size > 0 else 1.0)
    if any(a.numel() > 1 for a, _ in found) and all(
        abs(f) > 1e-3 and agree(a, f * b) for f, (a, b) in zip(factors, found, strict=True)
    ):
        seen = sorted({round(f, 3) for f in factors})
        which = f"by {seen[0]:g}" if len(seen) == 1 else f"by {seen[0]:g} to {seen[-1]:g}, by the case"
        return "a factor", f"All numbers of a result are off {which}, and otherwise right."
    return None


def _unused(exercise: FunctionExercise, function: object, outcomes: Sequence[Outcome]) -> tuple[str, str] | None:
    """An argument that changes the right result, and never the attempt's."""
    for name, sample in inputs_of(exercise)[0].items():
        if not isinstance(sample, Tensor):
            continue
        moved = kept = 0
        for seed, (case, inputs, right, given) in enumerate(
            zip(exercise.cases, inputs_of(exercise), expected_of(exercise), outcomes, strict=True)
        ):
            other = exercise.make(case, 1000 + seed)
            if (
                not isinstance(inputs[name], Tensor)
                or not isinstance(other[name], Tensor)
                or other[name].shape != inputs[name].shape
            ):
                continue
            mixed = {**inputs, name: other[name]}
            expected = outcome(exercise.reference, mixed)
            if not isinstance(expected, Tensor | tuple) or agree(expected, right):
                continue
            moved += 1
            kept += agree(outcome(function, mixed, expected), given)
        if moved and moved == kept:
            return f"{name} is not used", f"With another {name} the result should change; the attempt's does not."
    return None
