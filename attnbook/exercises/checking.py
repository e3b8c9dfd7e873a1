"""One check of an attempt: run it, compare, find the smallest counterexample, and say what went wrong."""

import inspect
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn

from attnbook.exercises import running
from attnbook.exercises.kinds import ChoiceExercise, Exercise, FunctionExercise, NumberExercise, Property
from attnbook.exercises.recognition import (
    Outcome,
    agree,
    error_name,
    expected_of,
    general,
    inputs_of,
    outcome,
    recognized,
)
from attnbook.exercises.report import Counterexample, Report
from attnbook.exercises.running import AttemptError, call
from attnbook.exercises.values import Unreadable, like, plain, show

TRIES = 200  # for a smaller counterexample
# What a report calls the sizes and options of cases, where their names do not say it
SAID = {
    "more": "m − n",
    "spread": "the spread of the numbers",
    "share": "the share of open pairs",
    "offset": "the number added to all",
    "sharp": "the spread of the scores",
    "old": "the number of old tokens",
    "start": "the first position",
    "step": "the step",
    "group": "the number of query heads for a key head",
    "kv_heads": "the number of key heads",
    "log_heads": "the logarithm of the number of heads",
    "padded": "padding",
    "zero": "a vector of zeros",
}


def check_function(exercise: FunctionExercise, attempt: object, hint: Callable[[], str | None]) -> Report:
    """`hint()` gives the next hint, and is asked only for an attempt that is wrong."""
    if attempt is None or attempt is ...:
        return not_attempted(exercise)
    if inspect.isclass(attempt):
        raise TypeError(
            f"attempt must be a function or a module; got the class {attempt.__name__}: give {attempt.__name__}(...)"
        )
    if not callable(attempt):
        raise TypeError(f"attempt must be a function or a module; got {type(attempt).__name__}")
    if running.is_stub(attempt) or (exercise.given and running.is_listing(attempt, exercise.given)):
        return not_attempted(exercise)
    try:
        return running.within(running.SECONDS, lambda: _examined(exercise, attempt, hint), attempt)
    except AttemptError as stopped:  # only NeverEnds comes as far as here
        return _error_report(exercise, stopped, exercise.make(exercise.cases[0], 0), hint)


def not_attempted(exercise: Exercise) -> Report:
    text = "Put your answer in the place of the three dots."
    if isinstance(exercise, FunctionExercise):
        text = "Mend the listing and run the cell." if exercise.given else "Write the function and run the cell."
    return Report(exercise.name, exercise.title, passed=False, attempted=False, sections=(("", text, False),))


def _examined(exercise: FunctionExercise, attempt: Callable, hint: Callable[[], str | None]) -> Report:
    outcomes: list[Outcome] = []
    for inputs, expected in zip(inputs_of(exercise), expected_of(exercise), strict=True):
        try:
            result = call(attempt, inputs)
        except AttemptError as error:
            if isinstance(error.error, NotImplementedError):
                return not_attempted(exercise)
            result = type(error.error).__name__
        except Unreadable:
            result = "Unreadable"
        if result is ... or result is NotImplemented:
            return not_attempted(exercise)
        outcomes.append(like(result, expected) if isinstance(result, Tensor | tuple) else result)
    wrong = [k for k, (a, b) in enumerate(zip(outcomes, expected_of(exercise), strict=True)) if not agree(a, b)]
    broken, seen = _broken_property(exercise, attempt)
    if not wrong and broken is None:
        return Report(
            exercise.name, exercise.title, passed=True, sections=(("", f"Right on all {len(outcomes)} inputs.", False),)
        )
    known = recognized(exercise, outcomes)
    errors = [k for k, one in enumerate(outcomes) if isinstance(one, str) and one != "Unreadable"]
    if not known and 2 * len(errors) >= len(outcomes):
        return _first_error(exercise, attempt, inputs_of(exercise)[errors[0]], hint)

    names = tuple(one.name for one in known)
    sections = []
    if broken is not None:
        sections.append(("The property it breaks", f"{broken.sentence} Here {seen}.", False))
    if known:
        label = "The mistake" if len(known) == 1 else "One of two mistakes"
        sections += [(f"{label}, {one.name}", one.why, False) for one in known]
    elif wrong and (found := general(exercise, attempt, outcomes)):
        names = (found[0],)
        sections.append((f"The mistake, {found[0]}", found[1], False))
    example = None
    if wrong:
        example, case = smallest_counterexample(exercise, attempt, wrong[0])
        sections += [
            ("On the input", example.call, True),
            ("Expected", example.expected, True),
            ("Your result", example.given, True),
        ]
        where = _where_wrong(exercise.cases, wrong, case)
        if where:
            sections.append(("Where", where, False))
    next_hint = hint()
    if next_hint:
        sections.append(("Hint", next_hint, False))
    return Report(
        exercise.name,
        exercise.title,
        passed=False,
        mistakes=names,
        broken=broken and broken.name,
        counterexample=example,
        hint=next_hint,
        sections=tuple(sections),
    )


def _broken_property(exercise: FunctionExercise, attempt: Callable) -> tuple[Property | None, str]:
    """The first property that does not hold on some case, and what was seen; in the order in which they are given."""

    def result(inputs: Mapping) -> Tensor | tuple:
        got = call(attempt, inputs)
        return like(got, plain(call(exercise.reference, inputs))) if isinstance(got, Tensor | tuple) else got

    for one in exercise.properties:
        for inputs in inputs_of(exercise):
            try:
                seen = one.broken(result, inputs)
            except (AttemptError, Unreadable, RuntimeError, TypeError, ValueError, IndexError, AttributeError):
                continue  # no result of the right form: the comparison says so
            if seen:
                return one, seen
    return None, ""


def _error_report(exercise: FunctionExercise, stopped: AttemptError, inputs: Mapping, hint: Callable) -> Report:
    name, text = error_name(stopped.error)
    sections = [(f"The mistake, {name}", text, False)]
    if stopped.line:
        sections.append(("In your function", f"line {stopped.line}: {stopped.text}", True))
    next_hint = hint()
    sections.append(("On the input", _call_text(exercise, inputs), True))
    if next_hint:
        sections.append(("Hint", next_hint, False))
    return Report(
        exercise.name, exercise.title, passed=False, mistakes=(name,), hint=next_hint, sections=tuple(sections)
    )


def _first_error(exercise: FunctionExercise, attempt: Callable, inputs: Mapping, hint: Callable) -> Report:
    try:
        call(attempt, inputs)
    except AttemptError as error:
        return _error_report(exercise, error, inputs, hint)
    raise AssertionError("an attempt that raised an error raises it no more")  # it runs with the same seed


def smallest_counterexample(
    exercise: FunctionExercise, attempt: Callable, failing: int
) -> tuple[Counterexample, Mapping]:
    """Make the case's sizes smaller, one after the other, as long as the attempt stays wrong; and the case it is of."""
    case, seed = dict(exercise.cases[failing]), failing

    def wrong(smaller: Mapping) -> bool:
        inputs = exercise.make(smaller, seed)
        expected = plain(call(exercise.reference, inputs))
        return not agree(outcome(attempt, inputs, expected), expected)

    tries = 0
    for name, size in list(case.items()):
        if isinstance(size, bool) or not isinstance(size, int):
            continue
        for smaller in range(exercise.smallest.get(name, 1), size):
            tries += 1
            if tries > TRIES:
                break
            try:
                if wrong({**case, name: smaller}):
                    case[name] = smaller
                    break
            except (RuntimeError, ValueError, AttemptError, ZeroDivisionError):
                continue  # no such case
    inputs = exercise.make(case, seed)
    expected = plain(call(exercise.reference, inputs))
    try:
        given = call(attempt, inputs)
        shown = "None" if given is None else show(like(given, expected))
    except AttemptError as error:
        where = f" (line {error.line}: {error.text})" if error.line else ""
        shown = f"{type(error.error).__name__}: {error.error}{where}"
    except Unreadable as error:
        shown = str(error)
    return Counterexample(inputs, _call_text(exercise, inputs), show(expected), shown), case


def _call_text(exercise: FunctionExercise, inputs: Mapping) -> str:
    return "\n".join(f"{name} = {show(value)}" for name, value in inputs.items())


def _where_wrong(cases: Sequence[Mapping], wrong: Sequence[int], smallest: Mapping) -> str:
    """The size or option that tells the wrong ones of the cases tried from the right ones, if one does.

    smallest: the case of the counterexample that is shown, which was not among them; what it contradicts is not said.
    """
    right = [k for k in range(len(cases)) if k not in wrong]
    if not right:
        return ""
    for name in cases[0]:
        bad, good = ({cases[k].get(name) for k in some} for some in (wrong, right))
        if bad & good:
            continue
        said, shown = SAID.get(name, name), smallest.get(name)
        numbers = all(isinstance(x, int | float) and not isinstance(x, bool) for x in bad | good)
        if numbers and min(bad) > max(good) and shown > max(good):
            least = f"{max(good):g}" if len(good) == 1 else f"{max(good):g} or less"
            return f"Of the inputs tried, those where {said} is {least} came out right, the others wrong."
        if numbers and bad == {shown}:
            return f"Of the inputs tried, only those where {said} is {shown:g} came out wrong."
    return ""


def check_number(exercise: NumberExercise, attempt: object, hint: Callable[[], str | None]) -> Report:
    if attempt is None or attempt is ...:
        return not_attempted(exercise)
    expected = plain(exercise.answer()).double()
    many = f"{expected.numel()} numbers" if expected.dim() else "a number"
    if callable(attempt) or isinstance(attempt, str | bool | nn.Module):
        raise TypeError(f"attempt must be {many}; got {type(attempt).__name__}")
    try:
        given = plain(attempt)
        given = torch.stack(given) if isinstance(given, tuple) else given
    except (Unreadable, TypeError, RuntimeError):
        raise TypeError(f"attempt must be {many}; got {attempt!r}") from None
    if given.shape != expected.shape:
        raise ValueError(f"attempt must be {many}, shape {tuple(expected.shape)}; got shape {tuple(given.shape)}")
    given = given.double()

    def near(one: Tensor, other: Tensor) -> bool:
        return bool(((one - other).abs() <= exercise.tolerance * other.abs().clamp(min=1.0)).all())

    if near(given, expected):
        return Report(exercise.name, exercise.title, passed=True, sections=(("", f"{show(attempt)} is right.", False),))
    known = [one for one in exercise.mistakes if near(given, plain(one.number()).double())]
    sections = [("Your answer", show(plain(attempt)), False)]
    sections += [(f"The mistake, {one.name}", one.why, False) for one in known[:1]]
    next_hint = hint()
    if next_hint:
        sections.append(("Hint", next_hint, False))
    return Report(
        exercise.name,
        exercise.title,
        passed=False,
        mistakes=tuple(one.name for one in known[:1]),
        hint=next_hint,
        sections=tuple(sections),
    )


def check_choice(exercise: ChoiceExercise, attempt: object, hint: Callable[[], str | None]) -> Report:
    if attempt is None or attempt is ...:
        return not_attempted(exercise)
    letters = exercise.letters
    if not isinstance(attempt, str):
        raise TypeError(f"attempt must be a letter, one of {', '.join(letters)}; got {type(attempt).__name__}")
    letter = attempt.strip().lower()
    if letter not in letters:
        raise ValueError(f"attempt must be one of the letters {', '.join(letters)}; got {attempt!r}")
    choice = letters[letter]
    sections = [(f"{letter}) {choice.text}", choice.why, False)]
    next_hint = None if choice.right else hint()
    if next_hint:
        sections.append(("Hint", next_hint, False))
    return Report(
        exercise.name,
        exercise.title,
        passed=choice.right,
        mistakes=() if choice.right else (f"{letter}) {choice.text}",),
        hint=next_hint,
        sections=tuple(sections),
    )
