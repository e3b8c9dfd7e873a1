"""Positions: how the order of a sequence enters attention, which by itself sees a set.

Each kind enters at one place. Added to the vectors of the tokens: `sinusoidal`, `LearnedPositions`. Added to the
scores: `RelativeShaw` (to the values too), `RelativeT5`, `alibi`. Turning queries and keys: `Rotary`.
Distances are j - i, key position minus query position; where there are fewer queries than keys, the queries are the
last positions, as in `attnbook.masks`.
"""

from attnbook.positions.alibi import alibi, alibi_slopes
from attnbook.positions.distances import distances
from attnbook.positions.learned import LearnedPositions
from attnbook.positions.rotary import Rotary, interleaved_to_half
from attnbook.positions.shaw import RelativeShaw
from attnbook.positions.sinusoidal import sinusoidal
from attnbook.positions.t5 import RelativeT5, t5_bucket

__all__ = [
    "LearnedPositions",
    "RelativeShaw",
    "RelativeT5",
    "Rotary",
    "alibi",
    "alibi_slopes",
    "distances",
    "interleaved_to_half",
    "sinusoidal",
    "t5_bucket",
]
