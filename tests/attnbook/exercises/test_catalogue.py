"""Every exercise is put to the proof: right answers pass, however written; known mistakes fail and are named."""

import inspect
from importlib import import_module
from pkgutil import iter_modules

import pytest

from attnbook.exercises import examine
from attnbook.exercises.catalogue import all_exercises
from attnbook.exercises.kinds import LEVELS, ChoiceExercise, FunctionExercise, NumberExercise
from tests.attnbook.exercises import solutions

EXERCISES = list(all_exercises().values())
FUNCTIONS = [one for one in EXERCISES if isinstance(one, FunctionExercise)]
NUMBERS = [one for one in EXERCISES if isinstance(one, NumberExercise)]
CHOICES = [one for one in EXERCISES if isinstance(one, ChoiceExercise)]
CORRECT = {}
for module in iter_modules(solutions.__path__):
    CORRECT |= import_module(f"{solutions.__name__}.{module.name}").CORRECT


def named(cases):
    return {"argvalues": cases, "ids": [one[0].name if isinstance(one, tuple) else one.name for one in cases]}


@pytest.mark.parametrize("exercise", **named(EXERCISES))
def test_what_it_says_of_itself(exercise):
    assert exercise.level in LEVELS
    assert 1 <= exercise.minutes <= 60
    assert exercise.hints and all(hint.strip() for hint in exercise.hints)
    assert exercise.statement.strip()


def test_at_least_five_in_each_chapter():
    for chapter in range(1, 21):
        assert len([one for one in EXERCISES if one.chapter == chapter]) >= 5, f"chapter {chapter}"


@pytest.mark.parametrize("exercise", **named(FUNCTIONS))
def test_right_functions_pass(exercise):
    others = CORRECT[exercise.name]
    assert len(others) >= 3
    for attempt in (exercise.reference, *others):
        report = examine(exercise.name, attempt)
        assert report.passed, f"{attempt}:\n{report}"


@pytest.mark.parametrize("exercise", **named(FUNCTIONS))
def test_mistakes_fail_and_are_named(exercise):
    assert len(exercise.mistakes) >= 5
    assert len({one.name for one in exercise.mistakes}) == len(exercise.mistakes)
    for mistake in exercise.mistakes:
        attempt = exercise.variant((mistake,))
        assert attempt is not None, f"{mistake.name}: an edit finds nothing to change"
        report = examine(exercise.name, lambda *inputs, attempt=attempt: attempt(*inputs))
        assert not report.passed, mistake.name
        assert report.mistakes == (mistake.name,), f"{mistake.name} was taken for {report.mistake}"


@pytest.mark.parametrize("exercise", **named([one for one in FUNCTIONS if one.given]))
def test_the_given_listing_is_wrong(exercise):
    names = dict(inspect.unwrap(exercise.reference).__globals__)
    exec(exercise.given, names)
    listing = names[exercise.reference.__name__]
    assert not examine(exercise.name, listing).attempted
    report = examine(exercise.name, lambda *inputs: listing(*inputs))
    assert report.attempted and not report.passed
    assert report.mistake is not None or report.broken is not None


@pytest.mark.parametrize("exercise", **named(FUNCTIONS))
def test_left_as_it_is(exercise):
    names = {}
    exec(exercise.stub, names)
    report = examine(exercise.name, names[exercise.reference.__name__])
    assert not report.attempted and not report.passed and not report.mistakes


@pytest.mark.parametrize("exercise", **named(NUMBERS))
def test_numbers(exercise):
    assert examine(exercise.name, exercise.answer()).passed
    assert not examine(exercise.name, ...).attempted
    assert len(exercise.mistakes) >= 3
    for mistake in exercise.mistakes:
        report = examine(exercise.name, mistake.number())
        assert not report.passed, mistake.name
        assert report.mistakes == (mistake.name,)


@pytest.mark.parametrize("exercise", **named(CHOICES))
def test_choices(exercise):
    assert [choice.right for choice in exercise.choices].count(True) == 1
    assert len(exercise.choices) >= 3
    assert not examine(exercise.name, ...).attempted
    for letter, choice in exercise.letters.items():
        report = examine(exercise.name, letter)
        assert report.passed == choice.right
        assert choice.why in str(report)
