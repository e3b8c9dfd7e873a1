"""Beam search against exhaustive search, against a beam search without caches, and against greedy."""

import itertools

import pytest
import torch

from attnbook.data import BOS, EOS, PAD, pad
from attnbook.transformer import Transformer, beam, greedy
from tests.attnbook.transformer.torch_weights import randomize

SIZE = 5  # pad, begin, end, unknown and one symbol more
MAX_LENGTH = 4
SOURCES = [[4, 3, 2], [3, 2], [4, 4, 4, 3, 2]]


def build(seed):
    torch.manual_seed(seed)
    return randomize(Transformer(SIZE, SIZE, d_model=8, n_heads=2, n_layers=2, d_hidden=12))


@pytest.fixture(params=[0, 1, 2])
def model(request):
    return build(request.param)


def log_p(model, source, sequences):
    """Of each sequence of symbols, by teacher forcing, without a cache."""
    targets = pad([[BOS, *sequence[:-1]] for sequence in sequences])
    logits, _ = model(torch.tensor([source]).expand(len(sequences), -1), targets)
    every = logits.log_softmax(-1).tolist()
    return [sum(row[t][symbol] for t, symbol in enumerate(s)) for row, s in zip(every, sequences, strict=True)]


def ranked(model, source, sequences, alpha):
    """(score, sequence), the best first."""
    scores = log_p(model, source, sequences)
    return sorted(
        ((score / ((5 + len(s)) / 6) ** alpha, s) for score, s in zip(scores, sequences, strict=True)), reverse=True
    )


def every_sequence():
    """All that can be written: up to the end symbol, or MAX_LENGTH symbols without one."""
    others = [symbol for symbol in range(SIZE) if symbol != EOS]
    for n in range(MAX_LENGTH):
        yield from ((*start, EOS) for start in itertools.product(others, repeat=n))
    yield from itertools.product(others, repeat=MAX_LENGTH)


def cut(row):
    """A row of the result without what follows its end symbol."""
    row = row.tolist()
    if EOS not in row:
        return tuple(row)
    n = row.index(EOS) + 1
    assert set(row[n:]) <= {PAD}
    return tuple(row[:n])


@pytest.mark.parametrize("alpha", [0.0, 0.7, 2.0])
@torch.no_grad()
def test_a_beam_that_drops_nothing_ranks_all_sequences(model, alpha):
    sequences = list(every_sequence())
    found = beam(model, pad(SOURCES), width=len(sequences), max_length=MAX_LENGTH, length_penalty=alpha)
    for row, source in enumerate(SOURCES):
        expected = ranked(model, source, sequences, alpha)
        assert [cut(s) for s in found.symbols[row][:20]] == [s for _, s in expected[:20]]
        torch.testing.assert_close(
            found.scores[row], torch.tensor([score for score, _ in expected], dtype=torch.float64)
        )


@torch.no_grad()
def test_greedy_is_not_always_the_best():
    """If it were, comparing the best sequences would prove little."""
    better = []
    for model in map(build, range(4)):
        best = beam(model, pad(SOURCES), width=341, max_length=MAX_LENGTH)
        numbers, _ = greedy(model, pad(SOURCES), max_length=MAX_LENGTH)
        for row, source in enumerate(SOURCES):
            better.append(float(best.scores[row, 0]) - log_p(model, source, [cut(numbers[row])])[0])
    assert min(better) > -1e-9
    assert max(better) > 1e-2


@pytest.mark.parametrize("width", [2, 7])
@pytest.mark.parametrize("alpha", [0.0, 1.0])
@torch.no_grad()
def test_a_narrow_beam_keeps_what_a_plain_one_keeps(model, width, alpha):
    """The plain one: Python lists, no cache, one source at a time."""
    found = beam(model, pad(SOURCES), width=width, max_length=MAX_LENGTH, length_penalty=alpha)
    for row, source in enumerate(SOURCES):
        kept = [()]
        for _ in range(MAX_LENGTH):
            candidates = []
            for sequence in kept:
                ends = EOS in sequence
                candidates += [sequence] if ends else [(*sequence, symbol) for symbol in range(SIZE)]
            kept = [s for _, s in ranked(model, source, candidates, alpha)[:width]]
        expected = ranked(model, source, kept, alpha)
        assert [cut(s) for s in found.symbols[row]] == [s for _, s in expected]
        torch.testing.assert_close(
            found.scores[row], torch.tensor([score for score, _ in expected], dtype=torch.float64)
        )


def test_a_beam_of_one_is_greedy(model, device):
    source = pad(SOURCES).to(device)
    model.to(device)
    numbers, _ = greedy(model, source, max_length=8)
    assert torch.equal(beam(model, source, width=1, max_length=8).symbols[:, 0], numbers)


def test_the_penalty_favors_longer_answers():
    def lengths(alpha):
        every = (beam(build(seed), pad(SOURCES), width=6, max_length=8, length_penalty=alpha) for seed in range(2))
        return [len(cut(row)) for found in every for row in found.symbols[:, 0]]

    pairs = list(zip(lengths(0.0), lengths(5.0), strict=True))
    assert all(short <= long for short, long in pairs)
    assert any(short < long for short, long in pairs)


def test_it_ignores_dropout_and_leaves_the_mode(model):
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.5
    model.train()
    first, second = (beam(model, pad(SOURCES), width=3, max_length=5).scores for _ in range(2))
    assert model.training and torch.equal(first, second) and not first.requires_grad


def test_errors(own_errors, model):
    source = pad(SOURCES)
    for options, error, message in [
        ({"width": 0, "max_length": 4}, ValueError, "width must be at least 1; got 0"),
        ({"width": 2.0, "max_length": 4}, TypeError, "width must be an integer; got float"),
        ({"width": 2, "max_length": 0}, ValueError, "max_length must be at least 1; got 0"),
        ({"width": 2, "max_length": 4, "length_penalty": "a"}, TypeError, "length_penalty must be a number; got str"),
    ]:
        with pytest.raises(error, match=message):
            beam(model, source, **options)
    with pytest.raises(ValueError, match="max_length must be at least 1; got 0"):
        greedy(model, source, max_length=0)
