"""Recall at a distance: a letter, then filler, then a question mark; the answer is the letter.

    c 3 7 0 5 5 ?   ->   c        (distance 6: from the letter to the question)

It needs one thing alone, to carry a letter over a distance, and the distance can be chosen.
"""

import torch
from jaxtyping import Int
from torch import Tensor

from attnbook._validation import check_size

SYMBOLS = "abcdefgh01234567?"
LETTERS, FILLERS, QUESTION = range(8), range(8, 16), 16  # the numbers of the symbols


def recall(
    count: int, distance: int, generator: torch.Generator | None = None
) -> tuple[Int[Tensor, "count length"], Int[Tensor, " count"]]:
    """`count` random sequences of length distance + 1, as numbers of symbols, and the letter that each begins with.

    The letter is one of 8 and each filler one of 8 digits, all equally likely, so that a guess is right 1 time in 8.
    Raises: TypeError or ValueError for a count or a distance below 1.
    """
    check_size("count", count, least=1)
    check_size("distance", distance, least=1)
    letters = torch.randint(len(LETTERS), (count, 1), generator=generator)
    fillers = torch.randint(FILLERS.start, FILLERS.stop, (count, distance - 1), generator=generator)
    question = torch.full((count, 1), QUESTION)
    return torch.cat([letters, fillers, question], dim=1), letters[:, 0]


def spell(numbers: Int[Tensor, " length"]) -> str:
    """A sequence of numbers as its symbols, separated by spaces."""
    return " ".join(SYMBOLS[i] for i in numbers.tolist())
