"""Recall at a distance: each sequence is what its description says, and the letters are spread evenly."""

import pytest
import torch

from attnbook.data import recall


@pytest.mark.parametrize("distance", [1, 2, 7, 60])
def test_a_letter_then_digits_then_the_question(distance):
    symbols, answers = recall.recall(50, distance, torch.Generator().manual_seed(0))
    assert symbols.shape == (50, distance + 1) and answers.shape == (50,)
    for row, answer in zip(symbols, answers, strict=True):
        first, *fillers, last = recall.spell(row).split()
        assert first == "abcdefgh"[answer] and last == "?"
        assert len(fillers) == distance - 1 and set(fillers) <= set("01234567")


def test_every_symbol_comes_about_equally_often_and_independently():
    symbols, answers = recall.recall(8000, 3, torch.Generator().manual_seed(1))
    pairs = torch.zeros(8, 8)
    pairs.index_put_((answers, symbols[:, 1] - 8), torch.ones(8000), accumulate=True)
    assert (pairs - 125).abs().max() < 60  # 8,000 over 64 cells; the standard deviation is 11
    second = torch.bincount(symbols[:, 2] - 8, minlength=8)
    assert len(second) == 8 and (second - 1000).abs().max() < 180


def test_the_generator_decides():
    first, again, other = (recall.recall(20, 9, torch.Generator().manual_seed(seed))[0] for seed in (3, 3, 4))
    assert torch.equal(first, again) and not torch.equal(first, other)


@pytest.mark.parametrize(("count", "distance", "name"), [(0, 5, "count"), (5, 0, "distance"), (5, 2.0, "distance")])
def test_bad_sizes_are_named(own_errors, count, distance, name):
    with pytest.raises((TypeError, ValueError), match=name):
        recall.recall(count, distance)
