"""Scores of heads by loops over the weights, and heads taken out against weights set to 0."""

import pytest
import torch

from attnbook import head_scores
from attnbook.head_ablation import without_heads
from attnbook.transformer import Bert, Llama

PERIOD, N = 4, 11


@pytest.fixture
def weights():
    """Two layers, three heads, two texts; causal."""
    scores = torch.randn(2, 2, 3, N, N, dtype=torch.float64) * 2
    future = torch.ones(N, N).triu(1) > 0
    return list(scores.masked_fill(future, -torch.inf).softmax(-1))


def by_loops(weights, key_of, queries):
    return torch.tensor(
        [
            [
                sum(float(layer[b, h, t, key_of(t)]) for b in range(2) for t in queries) / 2 / len(queries)
                for h in range(3)
            ]
            for layer in weights
        ],
        dtype=torch.float64,
    )


def test_scores(weights):
    close = torch.testing.assert_close
    close(head_scores.previous_token(weights), by_loops(weights, lambda t: t - 1, range(1, N)))
    close(head_scores.induction(weights, PERIOD), by_loops(weights, lambda t: t - PERIOD + 1, range(PERIOD, N)))
    close(head_scores.first_token(weights), by_loops(weights, lambda t: 0, range(1, N)))
    close(head_scores.at_distance(weights, 0), by_loops(weights, lambda t: t, range(N)))


def test_planted_heads():
    """Heads that do nothing else have the score 1 in theirs, and about nothing in the others."""
    tokens = torch.arange(PERIOD).repeat(3)
    n = len(tokens)
    planted = torch.zeros(1, 3, n, n)
    planted[0, :, 0, 0] = 1
    for t in range(1, n):
        planted[0, 0, t, t - 1] = 1
        after_copy = [j for j in range(1, t + 1) if tokens[j - 1] == tokens[t] and j - 1 < t]
        planted[0, 1, t, after_copy[-1] if after_copy else 0] = 1
        planted[0, 2, t, 0] = 1
    assert head_scores.previous_token([planted]).tolist()[0][0] == 1
    assert head_scores.induction([planted], PERIOD).tolist() == [[0, 1, 0]]
    assert head_scores.first_token([planted]).tolist()[0][2] == 1
    assert head_scores.best(head_scores.induction([planted], PERIOD), 1) == [(0, 1)]


def test_best(weights):
    scores = head_scores.previous_token(weights)
    order = head_scores.best(scores, 6)
    assert sorted(order) == [(i, j) for i in range(2) for j in range(3)]
    values = [float(scores[h]) for h in order]
    assert values == sorted(values, reverse=True)


def test_errors(own_errors, weights):
    with pytest.raises(ValueError, match="period must be less than the length of the text, 11; got 11"):
        head_scores.induction(weights, N)
    with pytest.raises(ValueError, match="period must be at least 2; got 1"):
        head_scores.induction(weights, 1)


def models():
    llama = Llama(20, d_model=12, n_heads=3, n_kv_heads=1, n_layers=2, d_hidden=8).eval()
    bert = Bert(20, d_model=12, n_heads=3, n_layers=2, d_hidden=8).eval()
    return [
        (model, [layer.self_attention for layer in layers])
        for model, layers in (
            (llama, llama.layers),
            (bert, bert.encoder.layers),
        )
    ]


@pytest.mark.parametrize("which", [0, 1])
def test_heads_taken_out(which):
    model, attentions = models()[which]
    tokens = torch.tensor([[3, 4, 5, 6, 3]])
    with torch.no_grad():
        before = model(tokens)[0]
        with without_heads(model, [(0, 2), (1, 0), (1, 1)]):
            out = model(tokens)[0]
        assert torch.equal(model(tokens)[0], before)
        # The same by the weights: what a head hands on meets its own columns of the output projection.
        attentions[0].out_proj.weight[:, 8:12] = 0
        attentions[1].out_proj.weight[:, 0:8] = 0
        torch.testing.assert_close(out, model(tokens)[0])
    assert (out - before).abs().max() > 1e-5


def test_the_heads_come_back_after_an_error(own_errors):
    model, _ = models()[0]
    tokens = torch.tensor([[3, 4, 5]])
    before = model(tokens)[0]
    with pytest.raises(RuntimeError), without_heads(model, [(0, 0)]):
        raise RuntimeError
    assert torch.equal(model(tokens)[0], before)
    for head in ((2, 0), (0, 3), (-1, 0)):
        with pytest.raises(ValueError, match=r"heads must be \(layer, head\) pairs"), without_heads(model, [head]):
            pass
