from collections import Counter
from itertools import islice, pairwise

import pytest

from attnbook.data import BOS, EOS, PAD, Vocabulary, batches, pad

LETTERS = Vocabulary("abcdefghijklmnopqrstuvwxyz")
WORDS = ("a", "be", "cat", "dogs", "eagle", "falcon", "giraffe", "ox", "pig", "lion", "mouse", "monkey")
PAIRS = [(word, word[::-1]) for word in WORDS]


def rows(batch):
    return [
        (LETTERS.decode(source), LETTERS.decode(target))
        for source, target in zip(batch.source, batch.target_out, strict=True)
    ]


def test_an_epoch_has_each_pair_once():
    epoch = list(islice(batches(PAIRS, LETTERS, LETTERS, size=5), 3))
    seen = Counter(("".join(source), "".join(target)) for batch in epoch for source, target in rows(batch))
    assert seen == Counter(PAIRS)


def test_what_is_read_and_what_is_predicted_differ_by_one_step():
    for source, target_in, target_out in islice(batches(PAIRS, LETTERS, LETTERS, size=5), 3):
        assert source.shape[0] == target_in.shape[0] == target_out.shape[0]
        for read, predicted in zip(target_in.tolist(), target_out.tolist(), strict=True):
            n = predicted.index(EOS)
            assert read[0] == BOS and read[1 : n + 1] == predicted[:n]
            assert set(read[n + 1 :]) | set(predicted[n + 1 :]) <= {PAD}


def test_batches_are_bucketed_by_length():
    epoch = list(islice(batches(PAIRS, LETTERS, LETTERS, size=4), 3))
    ranges = sorted((min(lengths), max(lengths)) for b in epoch if (lengths := (b.source != PAD).sum(1).tolist()))
    assert all(upper <= lower for (_, upper), (lower, _) in pairwise(ranges))


def test_the_seed_decides():
    def first_epochs(seed):
        return [b.source.tolist() for b in islice(batches(PAIRS, LETTERS, LETTERS, size=5, seed=seed), 9)]

    assert first_epochs(0) == first_epochs(0)
    assert first_epochs(0) != first_epochs(1)
    assert first_epochs(0)[:3] != first_epochs(0)[3:6], "a second epoch has another order"


def test_padding():
    assert pad([[4, 5, 2], [2]]).tolist() == [[4, 5, 2], [2, PAD, PAD]]
    with pytest.raises(ValueError, match="sequences must hold at least one"):
        pad([])


def test_bad_arguments():
    with pytest.raises(ValueError, match="size must be at least 1; got 0"):
        batches(PAIRS, LETTERS, LETTERS, size=0)
    with pytest.raises(ValueError, match="pairs must hold at least one"):
        batches([], LETTERS, LETTERS, size=2)
