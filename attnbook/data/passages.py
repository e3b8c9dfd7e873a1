"""The text of the first chapters cut into passages, to be searched: a snapshot, so that a search can be repeated."""

import json
from pathlib import Path
from typing import NamedTuple

FILE = Path(__file__).parent / "passages.json"


class Passage(NamedTuple):
    """A paragraph and where it stands."""

    chapter: int
    section: str
    text: str


def load() -> list[Passage]:
    """The passages in the order of the book, as `site/scripts/cut_passages.py` has cut them."""
    return [Passage(**passage) for passage in json.loads(FILE.read_text(encoding="utf-8"))]
