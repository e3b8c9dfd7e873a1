"""All exercises, by name. Each chapter's stand in a module of their own."""

from functools import cache
from importlib import import_module
from pkgutil import iter_modules

from attnbook.exercises import chapters
from attnbook.exercises.kinds import Exercise


@cache
def all_exercises() -> dict[str, Exercise]:
    """In the order of the book."""
    found: dict[str, Exercise] = {}
    for module in sorted(module.name for module in iter_modules(chapters.__path__)):
        for exercise in import_module(f"{chapters.__name__}.{module}").EXERCISES:
            if exercise.name in found:
                raise ValueError(f"two exercises are named {exercise.name}")
            found[exercise.name] = exercise
    return found


def find(name: str) -> Exercise:
    """Raises: TypeError unless name is a string; ValueError for a name that is not there, with those that are near."""
    if not isinstance(name, str):
        raise TypeError(f"name must be the name of an exercise, such as 'causal-mask'; got {type(name).__name__}")
    exercises = all_exercises()
    if name not in exercises:
        from difflib import get_close_matches

        near = get_close_matches(name, exercises, n=3) or list(exercises)[:3]
        raise ValueError(f"name must be the name of an exercise, such as {', '.join(map(repr, near))}; got {name!r}")
    return exercises[name]
