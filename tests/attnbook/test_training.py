"""Error rates on cases counted by hand; training on what can be checked from outside."""

import math
from itertools import islice

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from attnbook.data import Batch, Vocabulary, batches
from attnbook.training import closest_edits, error_rates, error_rates_by, train
from attnbook.training.loop import rate

LETTERS = Vocabulary("abc")
PAIRS = [("a", "b"), ("ab", "bc"), ("abc", "bca"), ("cc", "aa"), ("ba", "cb")]


class Next(nn.Module):
    """Predicts from the last symbol alone."""

    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(7, 8)
        self.dropout = nn.Dropout(0.2)
        self.output = nn.Linear(8, 7)

    def forward(self, source, target_in):
        return self.output(self.dropout(self.embedding(target_in))), None


def build():
    torch.manual_seed(3)
    return Next()


def run(model, **options):
    settings = {"steps": 30, "learning_rate": 0.05, "warmup": 3} | options
    return train(model, batches(PAIRS, LETTERS, LETTERS, size=5), **settings)


def edits_by_recursion(a, b):
    """Levenshtein's distance straight from its definition."""
    if not a or not b:
        return len(a) + len(b)
    return min(
        edits_by_recursion(a[1:], b) + 1,
        edits_by_recursion(a, b[1:]) + 1,
        edits_by_recursion(a[1:], b[1:]) + (a[0] != b[0]),
    )


@given(st.text("ab", max_size=4), st.lists(st.text("abc", max_size=4), min_size=1, max_size=3))
def test_closest_edits_against_the_definition(answer, accepted):
    expected = min((edits_by_recursion(answer, other), len(other)) for other in accepted)
    assert closest_edits(list(answer), [list(other) for other in accepted]) == expected


def test_error_rates_counted_by_hand():
    answers = [["R", "EH", "D"], ["K", "AE", "T", "S"], ["D", "AA"]]
    accepted = [
        [("R", "IY", "D"), ("R", "EH", "D")],  # the second variant: 0 edits of 3
        [("K", "AE", "T")],  # one inserted: 1 of 3
        [("D", "AO", "G"), ("D", "AA", "G", "Z")],  # 2 edits of 3, and 2 of 4: the shorter one
    ]
    rates = error_rates(answers, accepted)
    assert rates.symbol == pytest.approx(100 * 3 / 9)
    assert rates.whole == pytest.approx(100 * 2 / 3)
    assert rates.count == 3


def test_symbols_are_compared_whole():
    assert closest_edits(["AA", "B"], [["A", "AB"]]) == (2, 2)


def test_error_rates_by_key():
    by = error_rates_by([3, 1, 3], ["abc", "a", "abd"], [["abc"], ["b"], ["abc"]])
    assert list(by) == [1, 3]
    assert by[1] == (100.0, 100.0, 1)
    assert by[3] == (pytest.approx(100 / 6), 50.0, 2)


def test_rates_that_cannot_be(own_errors):
    with pytest.raises(ValueError, match="accepted must hold at least one answer; got none"):
        closest_edits("a", [])
    with pytest.raises(ValueError, match="accepted must have one entry for each of the 1 answers; got 2"):
        error_rates(["a"], [["a"], ["b"]])
    with pytest.raises(ValueError, match="answers must hold at least one"):
        error_rates([], [])
    with pytest.raises(ValueError, match="accepted must hold at least one answer with symbols"):
        error_rates(["a"], [[""]])
    with pytest.raises(ValueError, match="keys must have one entry for each of the 1 answers; got 0"):
        error_rates_by([], ["a"], [["a"]])


def test_the_first_loss_is_the_cross_entropy_without_padding():
    model = build()
    model.dropout.p = 0.0
    batch = next(batches(PAIRS, LETTERS, LETTERS, size=5))
    with torch.no_grad():
        logits = model(batch.source, batch.target_in)[0].double()
    log_p = logits - logits.exp().sum(-1, keepdim=True).log()
    terms = [
        -log_p[i, t, symbol].item()
        for i, row in enumerate(batch.target_out.tolist())
        for t, symbol in enumerate(row)
        if symbol != 0
    ]
    assert len(terms) < batch.target_out.numel(), "the batch has padding"
    assert run(model, steps=1)[0] == pytest.approx(sum(terms) / len(terms), rel=1e-5)


def test_the_steps_are_adamw_by_hand():
    """Two steps on one number, from the algorithm of Loshchilov and Hutter (2019)."""

    class Slope(nn.Module):
        def __init__(self):
            super().__init__()
            self.w = nn.Parameter(torch.tensor(0.3, dtype=torch.float64))

        def forward(self, source, target_in):
            return torch.stack([self.w * 0, self.w]).expand(1, 1, 2), None

    one = torch.ones(1, 1, dtype=torch.long)
    model = Slope()
    stream = iter([Batch(one, one, one)] * 2)
    losses = train(model, stream, steps=2, learning_rate=0.1, warmup=0, clip=0.2, weight_decay=0.01)

    w, m, v = 0.3, 0.0, 0.0
    for step in range(2):
        assert losses[step] == pytest.approx(math.log(1 + math.exp(-w)))
        gradient = -1 / (1 + math.exp(w))
        gradient *= min(1, 0.2 / abs(gradient))  # clipped
        lr = 0.1 * (0.02 + 0.98 * (1 + math.cos(math.pi * step / 2)) / 2)
        w -= lr * 0.01 * w
        m, v = 0.9 * m + 0.1 * gradient, 0.999 * v + 0.001 * gradient**2
        w -= lr * (m / (1 - 0.9 ** (step + 1))) / (math.sqrt(v / (1 - 0.999 ** (step + 1))) + 1e-8)
    assert model.w.item() == pytest.approx(w, rel=1e-4)


def test_the_rate_rises_and_falls():
    rates = [rate(step, 100, 10) for step in range(100)]
    assert rates[:10] == sorted(rates[:10]) and rates[0] < 0.11
    assert rates[9:] == sorted(rates[9:], reverse=True)
    assert rates[50] == pytest.approx(0.51)
    assert 0.02 < rates[-1] < 0.021
    assert rate(0, 100, 0) == 1.0


def test_a_run_repeats_exactly_and_leaves_the_callers_chance_alone():
    torch.manual_seed(11)
    undisturbed = torch.rand(3)
    first_model, second_model = build(), build()
    torch.manual_seed(11)
    first = run(first_model)
    assert torch.equal(torch.rand(3), undisturbed)
    second = run(second_model)
    assert first == second and len(first) == 30
    assert all(torch.equal(a, b) for a, b in zip(first_model.parameters(), second_model.parameters(), strict=True))
    assert run(build(), seed=1) != first, "dropout takes another course under another seed"


def test_it_learns_and_ends_in_evaluation_mode():
    model = build()
    losses = run(model, steps=60)
    assert not model.training
    batch = next(islice(batches(PAIRS, LETTERS, LETTERS, size=5), 1))
    logits = model(batch.source, batch.target_in)[0]
    after = F.cross_entropy(logits.flatten(0, 1), batch.target_out.flatten(), ignore_index=0)
    assert after.item() < losses[0] / 1.5


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"steps": 0}, ValueError, "steps must be at least 1; got 0"),
        ({"steps": 1.5}, TypeError, "steps must be an integer; got float"),
        ({"learning_rate": 0.0}, ValueError, "learning_rate must be positive; got 0.0"),
        ({"clip": -1.0}, ValueError, "clip must be positive; got -1.0"),
        ({"warmup": -1}, ValueError, "warmup must be at least 0; got -1"),
    ],
)
def test_bad_settings(own_errors, options, error, message):
    with pytest.raises(error, match=message):
        run(build(), **options)


def test_a_loss_that_is_not_finite():
    model = build()
    with torch.no_grad():
        model.output.weight.fill_(float("nan"))
    with pytest.raises(ValueError, match="learning_rate must be small enough for a finite loss; got nan at step 0"):
        run(model)
