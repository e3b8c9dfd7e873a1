"""Exercises that name the mistake.

    from attnbook.exercises import check, exercise, hint, progress, solution

    exercise("causal-mask")          # what is asked
    check("causal-mask", my_mask)    # is it right, where is it wrong, and why

An attempt is a function, a module, a number or a letter, by the kind of the exercise. Nothing leaves your machine.
"""

from attnbook.exercises import record as _record
from attnbook.exercises.catalogue import all_exercises, find
from attnbook.exercises.checking import check_choice, check_function, check_number
from attnbook.exercises.kinds import ChoiceExercise, FunctionExercise
from attnbook.exercises.page import Page
from attnbook.exercises.report import Report

__all__ = ["Report", "check", "exercise", "hint", "progress", "solution"]


def exercise(name: str) -> Page:
    """The exercise, to be shown: what is asked, hints and solution folded.

    Raises: TypeError or ValueError for a name that is not there.
    """
    return Page(find(name))


def check(name: str, attempt: object) -> Report:
    """Run an attempt, show what was found, and return it as a Report.

    attempt: a function or module for an exercise that asks for code (called with the arguments in the order of the
    exercise), a number or a list of numbers, or the letter of an answer. `...` or a function without a body says that
    it was not attempted yet. An error or an endless loop in the attempt is reported with its line.
    Raises: TypeError or ValueError for a name or a kind of attempt that cannot be.
    """
    return examine(name, attempt).shown()


def examine(name: str, attempt: object) -> Report:
    """The same without showing it."""
    found = find(name)
    next_hint = lambda: _record.next_hint(found.name, found.hints)  # noqa: E731
    if isinstance(found, FunctionExercise):
        report = check_function(found, attempt, next_hint)
    elif isinstance(found, ChoiceExercise):
        report = check_choice(found, attempt, next_hint)
    else:
        report = check_number(found, attempt, next_hint)
    if report.passed:
        _record.record(found.name)
    return report


def hint(name: str) -> None:
    """Print the next hint: one more each time."""
    found = find(name)
    print(_record.next_hint(found.name, found.hints) or "No hint for this one.")


def solution(name: str) -> None:
    """Print the solution: the code that the tests run."""
    found = find(name)
    if isinstance(found, ChoiceExercise):
        right = found.letters[found.right]
        print(f"{found.right}) {right.text}. {right.why}")
    else:
        print(found.solution, end="")


def progress() -> None:
    """Print what was passed, by chapter, and where that is kept."""
    passed = _record.passed()
    by_chapter: dict[int, list[str]] = {}
    for one in all_exercises().values():
        by_chapter.setdefault(one.chapter, []).append("✓" if one.name in passed else "○")
    for chapter, signs in sorted(by_chapter.items()):
        print(f"chapter {chapter:2}  {signs.count('✓'):2} of {len(signs):2}  {''.join(signs)}")
    print(_record.place())
