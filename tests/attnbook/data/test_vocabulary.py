import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from attnbook.data import BOS, EOS, PAD, UNK, Vocabulary


@given(st.lists(st.sampled_from("abcdefgh")))
def test_decoding_undoes_encoding(word):
    letters = Vocabulary("abcdefgh")
    assert letters.decode(letters.encode(word)) == word


def test_numbers_start_after_the_special_symbols():
    letters = Vocabulary("ab")
    assert letters.encode("ba") == [5, 4, EOS]
    assert letters.encode("") == [EOS]
    assert letters.encode("a?") == [4, UNK, EOS]
    assert len(letters) == 6


def test_decoding_stops_at_the_end_and_takes_tensors():
    letters = Vocabulary("ab")
    assert letters.decode(torch.tensor([BOS, 4, 5, EOS, 4, PAD])) == ["a", "b"]
    assert letters.decode([4, UNK]) == ["a", "<unk>"]
    assert letters.decode([]) == []


def test_symbols_that_occur_are_sorted():
    assert Vocabulary.of(["ca", "b"]).symbols[4:] == ("a", "b", "c")


def test_bad_symbols_and_numbers():
    with pytest.raises(ValueError, match=r"symbols must be distinct.*got a again"):
        Vocabulary("aba")
    with pytest.raises(ValueError, match=r"symbols must be distinct.*<eos>"):
        Vocabulary(["a", "<eos>"])
    with pytest.raises(ValueError, match="numbers must lie between 0 and 5; got 6"):
        Vocabulary("ab").decode([6])
    with pytest.raises(ValueError, match="numbers must lie between 0 and 5; got -1"):
        Vocabulary("ab").decode([-1])
