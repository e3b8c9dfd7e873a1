"""Dictionaries made at random, each with one question: a model is shown n entries, then a key, and names its value.

The task is associative recall (Graves et al., 2014, Section 4.3) with entries of one key and one value. Keys and values
are numbers that stand for symbols and have no order. A dictionary's keys differ from each other; its values may repeat.

Axes: batch dictionaries, n entries in each.
"""

from typing import NamedTuple

import torch
from jaxtyping import Int
from torch import Tensor

from attnbook._validation import check_size

KEYS = 64  # symbols that may be keys
VALUES = 32  # symbols that may be values: a guess is right once in 32

# Names of the keys for the reader's eye: "ba", "be", "bi", "bo", "da" ...; values are shown as numbers.
NAMES = tuple(consonant + vowel for consonant in "bdfghjklmnprstvz" for vowel in "aeio")


class Dictionaries(NamedTuple):
    """What is shown (key, value, query), what is right (answer), and where it stands (place)."""

    key: Int[Tensor, "batch n"]
    value: Int[Tensor, "batch n"]
    query: Int[Tensor, " batch"]  # the key of one of the entries, each with the same chance
    answer: Int[Tensor, " batch"]  # that entry's value
    place: Int[Tensor, " batch"]  # that entry's index, from 0: for looking at weights, never an input


def dictionaries(n: int, size: int, generator: torch.Generator) -> Dictionaries:
    """`size` dictionaries of n entries each, drawn with the generator: the same seed, the same dictionaries.

    Raises: TypeError for counts that are not whole numbers; ValueError for counts below 1 or n above KEYS.
    """
    check_size("n", n, least=1)
    check_size("size", size, least=1)
    if n > KEYS:
        raise ValueError(f"n must be at most {KEYS}, the number of different keys; got {n}")
    key = torch.rand(size, KEYS, generator=generator).argsort(dim=-1)[:, :n]  # without repetition
    value = torch.randint(VALUES, (size, n), generator=generator)
    place = torch.randint(n, (size,), generator=generator)
    query, answer = (symbols.gather(-1, place[:, None])[:, 0] for symbols in (key, value))
    return Dictionaries(key, value, query, answer, place)
