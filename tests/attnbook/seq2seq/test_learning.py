"""That the models learn what they are there for: a task of seconds."""

import pytest
import torch

from attnbook import seq2seq
from attnbook.data import Vocabulary, batches
from attnbook.data.order import hash_order
from attnbook.training import error_rates, train

LETTERS = Vocabulary("abcdefgh")
WORDS = hash_order(a + b + c + d for a in "abcdefgh" for b in "abcdefgh" for c in "abcdefgh" for d in "abcdefgh")
TRAIN, UNSEEN = WORDS[:2000], WORDS[2000:2200]


@pytest.mark.parametrize("build", [seq2seq.bahdanau, seq2seq.luong])
def test_unseen_words_are_reversed_by_looking_back(build):
    """Two hundred words kept out of training come back reversed."""
    torch.manual_seed(0)
    model = build(LETTERS, LETTERS, d_embedding=16, d_hidden=32)
    stream = batches([(word, word[::-1]) for word in TRAIN], LETTERS, LETTERS, size=64)
    train(model, stream, steps=120, learning_rate=1e-2, warmup=12)
    answers = seq2seq.decode(model, UNSEEN, LETTERS, LETTERS, max_length=6)
    rates = error_rates([answer.symbols for answer in answers], [[word[::-1]] for word in UNSEEN])
    assert rates.whole < 5
