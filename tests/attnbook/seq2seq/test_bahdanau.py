"""Bahdanau's model against his equations, in NumPy loops."""

import numpy as np
import pytest
import torch
from torch import nn

from attnbook import scores
from attnbook.seq2seq import BackwardStart, BahdanauDecoder, BidirectionalEncoder, ProjectedStart, Seq2Seq
from attnbook.seq2seq.bahdanau import with_key
from tests.attnbook.seq2seq.recurrent_by_hand import arrays, bidirectional_gru, gru, softmax

SOURCE, TARGET = [4, 6, 5, 7, 2], [1, 5, 4, 6]


@pytest.fixture(params=[BackwardStart, ProjectedStart])
def model(request):
    torch.manual_seed(0)
    start = request.param(4 if request.param is BackwardStart else 8, 6)
    decoder = BahdanauDecoder(9, 3, 6, 8, score=scores.Additive(6, 8, 5), start=start, d_maxout=7)
    return Seq2Seq(BidirectionalEncoder(10, 3, 4), decoder).double()


def by_hand(model):
    p = arrays(model)
    cell = [p[f"decoder.cell.{name}"] for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")]
    h = bidirectional_gru(p, SOURCE)
    backward_only = isinstance(model.decoder.start, BackwardStart)
    last = h[0][4:] if backward_only else np.concatenate([h[-1][:4], h[0][4:]])  # ←h_1, or [→h_m; ←h_1]
    s = np.tanh(p["decoder.start.W_s.weight"] @ last + p["decoder.start.W_s.bias"])
    all_logits, all_weights = [], []
    for number in TARGET:
        y = p["decoder.embedding.weight"][number]
        e = [
            p["decoder.score.v.weight"][0]
            @ np.tanh(p["decoder.score.W_q.weight"] @ s + p["decoder.score.W_k.weight"] @ h_j)
            for h_j in h
        ]
        alpha = softmax(np.array(e))
        c = sum(a * h_j for a, h_j in zip(alpha, h, strict=True))
        t = p["decoder.deep.weight"] @ np.concatenate([s, y, c]) + p["decoder.deep.bias"]
        t = np.array([max(t[2 * k], t[2 * k + 1]) for k in range(len(t) // 2)])
        all_logits.append(p["decoder.W_o.weight"] @ t + p["decoder.W_o.bias"])
        all_weights.append(alpha)
        s = gru(np.concatenate([y, c]), s, *cell)
    return np.array(all_logits), np.array(all_weights)


def test_logits_and_weights(model):
    logits, weights = model(torch.tensor([SOURCE]), torch.tensor([TARGET]))
    expected_logits, expected_weights = by_hand(model)
    np.testing.assert_allclose(weights[0].detach(), expected_weights, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(logits[0].detach(), expected_logits, rtol=1e-10, atol=1e-12)


def test_the_first_weights_depend_on_the_source_alone(model):
    """The query is the previous state: the symbol just read cannot move the weights of its own step."""
    _, weights = model(torch.tensor([SOURCE] * 2), torch.tensor([[1, 5], [4, 5]]))
    torch.testing.assert_close(weights[0, 0], weights[1, 0], rtol=1e-12, atol=1e-14)
    assert not torch.allclose(weights[0, 1], weights[1, 1])


@pytest.mark.parametrize(
    "score", [scores.Additive(6, 8, 5), scores.General(6, 8), scores.Concat(6, 8, 5), scores.Location(6, 9)]
)
def test_a_fixed_key_changes_nothing(score):
    query, key = torch.randn(2, 3, 6), torch.randn(2, 7, 8)
    torch.testing.assert_close(with_key(score, key)(query), score(query, key))


def test_any_score_can_be_used():
    decoder = BahdanauDecoder(9, 3, 8, 8, score=scores.scaled_dot, start=ProjectedStart(8, 8), d_maxout=4)
    model = Seq2Seq(BidirectionalEncoder(10, 3, 4), decoder)
    _, weights = model(torch.tensor([SOURCE]), torch.tensor([TARGET]))
    torch.testing.assert_close(weights.sum(dim=-1), torch.ones(1, 4))


def test_a_start_of_the_wrong_size():
    decoder = BahdanauDecoder(9, 3, 6, 8, score=scores.Additive(6, 8, 5), start=ProjectedStart(5, 6), d_maxout=4)
    with pytest.raises(ValueError, match="d_state must be the size of the encoder's state, 8; got 5"):
        Seq2Seq(BidirectionalEncoder(10, 3, 4), decoder)(torch.tensor([SOURCE]), torch.tensor([TARGET]))


def test_a_cell_that_is_not_one(own_errors):
    with pytest.raises(TypeError, match=r"cell must be the class nn\.GRU or nn\.LSTM"):
        BidirectionalEncoder(10, 3, 4, cell=nn.RNN)
