"""Small changes of every solution: at least 98% must not pass, and those that do are known and judged."""

import pytest

from attnbook.exercises import examine, running
from attnbook.exercises.catalogue import all_exercises
from attnbook.exercises.kinds import FunctionExercise
from tests.attnbook.exercises.judged import EQUIVALENT
from tests.attnbook.exercises.mutations import mutants

FUNCTIONS = [one for one in all_exercises().values() if isinstance(one, FunctionExercise)]


@pytest.mark.parametrize("exercise", FUNCTIONS, ids=[one.name for one in FUNCTIONS])
def test_mutants_do_not_pass(exercise, monkeypatch):
    monkeypatch.setattr(running, "SECONDS", 2.0)
    survivors = []
    total = 0
    for what, mutant in mutants(exercise.reference):
        if mutant is None:
            continue
        total += 1
        if examine(exercise.name, mutant).passed:
            survivors.append(what)
    judged = EQUIVALENT.get(exercise.name, {})
    print(f"{exercise.name}: {total} mutants, {len(survivors)} passed")
    assert total >= 5
    assert set(survivors) == set(judged), "survivors that nobody judged, or judgements of none"
