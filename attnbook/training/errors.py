"""Error rates: how far an answer is from the closest accepted one."""

from collections.abc import Hashable, Sequence
from typing import NamedTuple

from rapidfuzz.distance import Levenshtein

Symbols = Sequence[str]


class ErrorRates(NamedTuple):
    """Rates in percent over `count` answers.

    symbol: edits over the length of the closest accepted answers (phoneme error rate; above 100 is possible).
    whole: answers that equal no accepted one (word error rate; 100 minus exact match).
    """

    symbol: float
    whole: float
    count: int


def closest_edits(answer: Symbols, accepted: Sequence[Symbols]) -> tuple[int, int]:
    """(edits, length) for the accepted answer that needs the fewest edits, the shortest of those.

    Edits are insertions, deletions and substitutions of one symbol, 1 each (Levenshtein, 1966).
    Raises: ValueError if nothing is accepted.
    """
    if not accepted:
        raise ValueError("accepted must hold at least one answer; got none")
    return min((Levenshtein.distance(answer, other), len(other)) for other in accepted)


def error_rates(answers: Sequence[Symbols], accepted: Sequence[Sequence[Symbols]]) -> ErrorRates:
    """Error rates of the answers, each against its own accepted ones.

    Raises: ValueError if there are none, if the two differ in number, or if every accepted answer is empty.
    """
    if len(answers) != len(accepted):
        raise ValueError(f"accepted must have one entry for each of the {len(answers)} answers; got {len(accepted)}")
    if not answers:
        raise ValueError("answers must hold at least one answer; got none")
    counts = [closest_edits(answer, each) for answer, each in zip(answers, accepted, strict=True)]
    edits, length = sum(e for e, _ in counts), sum(n for _, n in counts)
    if length == 0:
        raise ValueError("accepted must hold at least one answer with symbols; got empty ones only")
    wrong = sum(e > 0 for e, _ in counts)
    return ErrorRates(100 * edits / length, 100 * wrong / len(counts), len(counts))


def error_rates_by(
    keys: Sequence[Hashable], answers: Sequence[Symbols], accepted: Sequence[Sequence[Symbols]]
) -> dict[Hashable, ErrorRates]:
    """Error rates for each key, in the keys' order: `error_rates_by([len(word) for word in words], ...)`."""
    if len(keys) != len(answers):
        raise ValueError(f"keys must have one entry for each of the {len(answers)} answers; got {len(keys)}")
    groups: dict[Hashable, list[int]] = {key: [] for key in sorted(set(keys))}
    for i, key in enumerate(keys):
        groups[key].append(i)
    return {key: error_rates([answers[i] for i in rows], [accepted[i] for i in rows]) for key, rows in groups.items()}
