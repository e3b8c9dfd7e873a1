"""Rhymes: lists of real words in which each word has one partner that rhymes with it, and the order means nothing.

The words are those of one syllable in the CMU Pronouncing Dictionary, among them many family names. Two of them rhyme
here if they sound alike from the vowel on and differ before it: "light" and "kite", but not "right" and "write". The
words and their sounds are real; the lists are made by rule.
"""

import random
from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

from attnbook._validation import check_size
from attnbook.data.order import hash_order
from attnbook.data.pronunciations import Pronunciation, data_file, read

# The 15 phonemes that make a syllable (ARPAbet).
VOWELS = frozenset(["AA", "AE", "AH", "AO", "AW", "AY", "EH", "ER", "EY", "IH", "IY", "OW", "OY", "UH", "UW"])

Families = dict[Pronunciation, dict[str, Pronunciation]]  # ending -> word -> what stands before the vowel


class Rhymes(NamedTuple):
    """The families of words with the same ending, split by word: no word is in both, every ending of test in train."""

    train: Families
    test: Families


class Couplets(NamedTuple):
    """A shuffled list of words: words[i] rhymes with words[partner[i]], and with no other."""

    words: list[str]
    partner: list[int]


def families(accepted: dict[str, Sequence[Pronunciation]], *, shortest: int = 3, longest: int = 7) -> Families:
    """The words of one syllable and one pronunciation, by their ending: the vowel and what follows it.

    accepted: word -> its pronunciations, as `pronunciations.read` gives them. Only words of `shortest` to `longest`
    letters are taken. The words' order is kept.
    """
    found: Families = defaultdict(dict)
    for word, variants in accepted.items():
        if len(variants) == 1 and shortest <= len(word) <= longest:
            sounds = variants[0]
            vowels = [place for place, sound in enumerate(sounds) if sound in VOWELS]
            if len(vowels) == 1:
                found[sounds[vowels[0] :]][word] = sounds[: vowels[0]]
    return dict(found)


def load(*, least: int = 8, held_out: float = 0.25, seed: int = 0) -> Rhymes:
    """The families of at least `least` words; of each, the share `held_out` (rounded down) is kept for the test.

    Which words those are depends on the words and the seed alone.
    Raises: FileNotFoundError if the dictionary is not installed; ValueError for a share outside 0 to 1.
    """
    if not 0 < held_out < 1:
        raise ValueError(f"held_out must lie between 0 and 1; got {held_out}")
    accepted = read(data_file())
    train: Families = {}
    test: Families = {}
    for ending, members in sorted(families({word: accepted[word] for word in hash_order(accepted, seed=seed)}).items()):
        if len(members) >= least:
            words = list(members)
            cut = int(len(words) * held_out)
            test[ending] = {word: members[word] for word in words[:cut]}
            train[ending] = {word: members[word] for word in words[cut:]}
    return Rhymes(train, test)


def couplets(families: Families, count: int, *, pairs: Sequence[int] = (3, 4, 5), seed: int = 0) -> list[Couplets]:
    """`count` lists of rhyming pairs, shuffled; the number of pairs in a list is drawn from `pairs`.

    All endings in a list differ, so that each word has exactly one partner. Families without two words that differ
    before the vowel are left out.
    Raises: TypeError or ValueError for a count below 1; ValueError if there are too few families for the longest list.
    """
    check_size("count", count, least=1)
    chance = random.Random(seed)
    endings = [ending for ending, members in families.items() if len(set(members.values())) > 1]
    if max(pairs) > len(endings):
        raise ValueError(f"pairs must be at most {len(endings)}, the families with a rhyme; got {max(pairs)}")
    made = []
    for _ in range(count):
        rhymes = [_pair(families[ending], chance) for ending in chance.sample(endings, chance.choice(pairs))]
        words = [word for pair in rhymes for word in pair]
        chance.shuffle(words)
        other = {a: b for pair in rhymes for a, b in (pair, pair[::-1])}
        made.append(Couplets(words, [words.index(other[word]) for word in words]))
    return made


def _pair(members: dict[str, Pronunciation], chance: random.Random) -> tuple[str, str]:
    first = chance.choice(list(members))
    return first, chance.choice([word for word in members if members[word] != members[first]])
