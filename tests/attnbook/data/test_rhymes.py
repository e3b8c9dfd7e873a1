import re
from collections import Counter

import pytest

from attnbook.data import rhymes
from attnbook.data.pronunciations import data_file


@pytest.fixture(scope="module")
def words():
    return rhymes.load()


@pytest.fixture(scope="module")
def sounds():
    """Word -> its pronunciations without stress, read from the dictionary's file a second way."""
    found = {}
    for line in data_file().read_text(encoding="utf-8").splitlines():
        word, _, rest = line.partition("#")[0].partition(" ")
        spoken = re.sub(r"\d", "", rest).strip()
        found.setdefault(re.sub(r"\(\d+\)$", "", word), set()).add(spoken)
    return found


def ending(spoken):
    """From the first vowel on; vowels are the phonemes that begin with one of these letters."""
    parts = spoken.split()
    first = next(i for i, part in enumerate(parts) if part[0] in "AEIOU")
    return parts[first:], parts[:first]


def test_known_families():
    accepted = {
        "light": (("L", "AY", "T"),),
        "kite": (("K", "AY", "T"),),
        "read": (("R", "EH", "D"), ("R", "IY", "D")),  # two pronunciations
        "alight": (("AH", "L", "AY", "T"),),  # two syllables
        "eye": (("AY",),),
        "at": (("AE", "T"),),  # two letters
        "straights": (("S", "T", "R", "EY", "T", "S"),),  # nine
        "hmm": (("HH", "M"),),  # no vowel
    }
    assert rhymes.families(accepted) == {("AY", "T"): {"light": ("L",), "kite": ("K",)}, ("AY",): {"eye": ()}}
    assert rhymes.families(accepted, shortest=2, longest=9).keys() == {
        ("AY", "T"), ("AY",), ("AE", "T"), ("EY", "T", "S")
    }  # fmt: skip


def test_a_word_is_in_one_set_and_every_ending_in_both(words):
    train, test = ({word for members in part.values() for word in members} for part in words)
    assert not train & test
    assert len(train) == sum(map(len, words.train.values())) and len(test) == sum(map(len, words.test.values()))
    assert words.train.keys() == words.test.keys() and len(words.train) > 400
    for family in words.train:
        total = len(words.train[family]) + len(words.test[family])
        assert total >= 8 and len(words.test[family]) == total // 4


def test_the_words_sound_as_the_dictionary_says(words, sounds):
    for part in words:
        for family, members in part.items():
            for word, before in members.items():
                (spoken,) = sounds[word]
                assert ending(spoken) == (list(family), list(before))
                assert 3 <= len(word) <= 7


def test_each_word_of_a_list_has_exactly_one_rhyme(words, sounds):
    lists = rhymes.couplets(words.test, 300, seed=1)
    assert {len(each.words) for each in lists} == {6, 8, 10}
    for list_, partner in lists:
        heard = [ending(next(iter(sounds[word]))) for word in list_]
        for i, (sound, before) in enumerate(heard):
            assert [j for j, (other, _) in enumerate(heard) if other == sound and j != i] == [partner[i]]
            assert heard[partner[i]][1] != before


def test_the_seed_decides_the_lists(words):
    first, again, other = (rhymes.couplets(words.train, 20, seed=seed) for seed in (0, 0, 1))
    assert first == again != other


def test_the_order_says_nothing_about_the_partner(words):
    """Over many lists the partner is each of the other five places about equally often."""
    lists = rhymes.couplets(words.train, 4000, pairs=[3])
    counts = Counter(partner[0] for _, partner in lists)
    assert counts.keys() == {1, 2, 3, 4, 5}
    assert all(0.17 < count / 4000 < 0.23 for count in counts.values())


def test_families_without_a_rhyme_are_left_out():
    families = {("AY", "T"): {"light": ("L",), "kite": ("K",)}, ("AO",): {"sault": ("S",), "sought": ("S",)}}
    assert {frozenset(each.words) for each in rhymes.couplets(families, 9, pairs=[1])} == {frozenset({"light", "kite"})}


@pytest.mark.usefixtures("own_errors")
@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: rhymes.couplets({}, 1), r"pairs must be at most 0.*got 5"),
        (lambda: rhymes.couplets({}, 0), r"count must be .*1.*got 0"),
        (lambda: rhymes.load(held_out=1.0), r"held_out must lie between 0 and 1; got 1.0"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
