"""What an exercise is: data. A check reads it, a page shows it, a test proves it.

A mistake is an edit of the solution's text: what the solution says, and what a reader with that mistake writes instead.
So a catalogue of mistakes stays short, two mistakes at once are two edits, and the mistaken function is never far from
the right one.
"""

import inspect
import random
import textwrap
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache

import torch
from torch import Tensor

LEVELS = ("Warm-up", "Practice", "Challenge", "Open-ended")


class Draw:
    """Random inputs of a case, the same each time. Numbers have one decimal, so that they are easy to read."""

    def __init__(self, seed: int):
        self.generator = torch.Generator().manual_seed(seed)

    def normal(self, *shape: int, spread: float = 1.0) -> Tensor:
        return (spread * torch.randn(shape, generator=self.generator)).mul(10).round().div(10)

    def integers(self, low: int, high: int, *shape: int) -> Tensor:
        """From low to high, high not included."""
        return torch.randint(low, high, shape, generator=self.generator)

    def booleans(self, *shape: int, share: float = 0.6) -> Tensor:
        return torch.rand(shape, generator=self.generator) < share


@dataclass(frozen=True, eq=False)
class Mistake:
    """A known way to be wrong: its name, the edits (right, wrong) that make it, and the thought behind it."""

    name: str
    edits: tuple[tuple[str, str], ...]
    why: str


@dataclass(frozen=True, eq=False)
class Property:
    """What every right answer has. `broken(call, inputs)` gives a sentence if it does not hold, else None."""

    name: str
    sentence: str
    broken: Callable[[Callable, Mapping], str | None]


@dataclass(frozen=True, kw_only=True, eq=False)
class Exercise:
    """What all exercises have. `statement` and `hints` are Markdown."""

    name: str
    chapter: int
    title: str
    level: str
    minutes: int
    statement: str
    hints: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, eq=False)
class FunctionExercise(Exercise):
    """Write a function, or mend a given one.

    inputs: inputs(draw, **case) makes the arguments of one call, by name, in the order of the signature.
    cases: the sizes and options that the function is tried on, small ones first; integers are made smaller to find the
    smallest counterexample, down to `smallest` (1 where it says nothing).
    given: the listing to mend; empty where the reader writes the function.
    """

    reference: Callable
    inputs: Callable[..., dict]
    cases: tuple[dict, ...]
    mistakes: tuple[Mistake, ...]
    properties: tuple[Property, ...] = ()
    smallest: Mapping[str, int] = field(default_factory=dict)
    given: str = ""

    @property
    def solution(self) -> str:
        return textwrap.dedent(inspect.getsource(self.reference))

    @property
    def stub(self) -> str:
        """What stands in the page for the reader to fill in."""
        if self.given:
            return textwrap.dedent(self.given).strip() + "\n"
        return f"def {self.reference.__name__}{inspect.signature(self.reference)}: ...\n"

    def make(self, case: Mapping, seed: int) -> dict:
        return self.inputs(Draw(seed), **case)

    def variant(self, mistakes: tuple[Mistake, ...]) -> Callable | None:
        """The solution with these mistakes in it; None if their edits do not go together."""
        return _edited(self.reference, tuple(edit for mistake in mistakes for edit in mistake.edits))


@dataclass(frozen=True, eq=False)
class WrongNumber:
    """A number that a known mistake leads to."""

    name: str
    number: Callable[[], object]
    why: str


@dataclass(frozen=True, kw_only=True, eq=False)
class NumberExercise(Exercise):
    """Say a number, or several: `answer()` computes them."""

    answer: Callable[[], object]
    mistakes: tuple[WrongNumber, ...]
    tolerance: float = 0.005  # relative to the answer, or absolute where the answer is less than 1

    @property
    def solution(self) -> str:
        return textwrap.dedent(inspect.getsource(self.answer))


@dataclass(frozen=True, eq=False)
class Choice:
    """One of the answers to a question, and what to say to whoever takes it."""

    text: str
    why: str
    right: bool = False


@dataclass(frozen=True, kw_only=True, eq=False)
class ChoiceExercise(Exercise):
    """Choose one answer: a, b, c, ... Those that are wrong say why."""

    choices: tuple[Choice, ...]

    @property
    def letters(self) -> dict[str, Choice]:
        """In an order that tells nothing: shuffled, the same each time."""
        shuffled = random.Random(self.name).sample(self.choices, len(self.choices))
        return dict(zip("abcdefgh", shuffled, strict=False))

    @property
    def right(self) -> str:
        return next(letter for letter, choice in self.letters.items() if choice.right)


@cache
def _edited(function: Callable, edits: tuple[tuple[str, str], ...]) -> Callable | None:
    source = textwrap.dedent(inspect.getsource(function))
    for right, wrong in edits:
        if right not in source:
            return None
        source = source.replace(right, wrong)
    names = dict(inspect.unwrap(function).__globals__)
    try:
        exec(compile(source, f"<{function.__name__} with a mistake>", "exec"), names)
    except SyntaxError:
        return None
    return names[function.__name__]
