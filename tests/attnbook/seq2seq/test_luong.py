"""Luong's models against the paper's equations, in NumPy loops."""

import numpy as np
import pytest
import torch
from torch import nn

from attnbook import scores
from attnbook.seq2seq import (
    CopiedStart,
    Encoder,
    Global,
    InputFeedingDecoder,
    LocalMonotonic,
    LocalPredictive,
    LuongDecoder,
    PlainDecoder,
    Seq2Seq,
)
from tests.attnbook.seq2seq.recurrent_by_hand import arrays, layer, lstm, lstm_states, sigmoid, softmax

SOURCE, TARGET = [4, 6, 5, 7, 8, 4, 9, 2], [1, 5, 4, 6, 7]
D, HALF_WIDTH = 6, 2
ALIGNMENTS = {
    "global": lambda score: Global(score),
    "local-m": lambda score: LocalMonotonic(score, HALF_WIDTH),
    "local-p": lambda score: LocalPredictive(score, D, HALF_WIDTH),
}


def weights_by_hand(kind, p, t, h_t, annotations):
    """alpha_t for the score "general", written as the paper writes it."""
    W = p["decoder.alignment.score.W.weight"]
    score = np.array([h_t @ W @ h_s for h_s in annotations])
    S = len(annotations)
    if kind == "global":
        return softmax(score)
    if kind == "local-m":
        p_t = t
    else:
        u = np.tanh(p["decoder.alignment.W_p.weight"] @ h_t)
        p_t = S * sigmoid(p["decoder.alignment.v_p.weight"][0] @ u)
    inside = [s for s in range(S) if p_t - HALF_WIDTH <= s <= p_t + HALF_WIDTH]
    weights = np.zeros(S)
    if inside:
        weights[inside] = softmax(score[inside])
    if kind == "local-p":
        sigma = HALF_WIDTH / 2
        for s in range(S):
            weights[s] *= np.exp(-((s - p_t) ** 2) / (2 * sigma**2))
    return weights


def by_hand(model, kind, input_feeding):
    p = arrays(model)
    annotations, c = lstm_states(p, SOURCE)
    h, fed = annotations[-1], np.zeros(D)
    all_logits, all_weights = [], []
    for t, number in enumerate(TARGET):
        x = p["decoder.embedding.weight"][number]
        h, c = lstm(np.concatenate([x, fed]) if input_feeding else x, h, c, *layer(p, "decoder.recurrence.rnn."))
        alpha = weights_by_hand(kind, p, t, h, annotations)
        context = sum(a * h_s for a, h_s in zip(alpha, annotations, strict=True))
        fed = np.tanh(p["decoder.W_c.weight"] @ np.concatenate([context, h]) + p["decoder.W_c.bias"])
        all_logits.append(p["decoder.W_s.weight"] @ fed + p["decoder.W_s.bias"])
        all_weights.append(alpha)
    return np.array(all_logits), np.array(all_weights)


def build(kind, decoder, score=None, layers=1):
    torch.manual_seed(1)
    alignment = ALIGNMENTS[kind](score or scores.General(D, D))
    encoder = Encoder(10, 3, D, layers=layers)
    return Seq2Seq(encoder, decoder(9, 4, D, D, alignment=alignment, start=CopiedStart(), layers=layers)).double()


@pytest.mark.parametrize("decoder", [LuongDecoder, InputFeedingDecoder])
@pytest.mark.parametrize("kind", ALIGNMENTS)
def test_logits_and_weights(kind, decoder):
    model = build(kind, decoder)
    for parameter in model.decoder.alignment.parameters():
        nn.init.normal_(parameter)  # large enough for windows that differ from step to step
    logits, weights = model(torch.tensor([SOURCE]), torch.tensor([TARGET]))
    expected_logits, expected_weights = by_hand(model, kind, decoder is InputFeedingDecoder)
    np.testing.assert_allclose(weights[0].detach(), expected_weights, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(logits[0].detach(), expected_logits, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("score", [scores.dot, scores.Concat(D, D, 5), scores.Location(D, 9), scores.Additive(D, D, 5)])
def test_any_score_and_any_depth(score):
    model = build("global", InputFeedingDecoder, score, layers=3)
    logits, weights = model(torch.tensor([SOURCE]), torch.tensor([TARGET]))
    assert logits.shape == (1, 5, 9)
    torch.testing.assert_close(weights.sum(dim=-1), torch.ones(1, 5, dtype=torch.float64))


def test_the_query_is_the_current_state():
    """The symbol just read does move the weights of its own step."""
    _, weights = build("global", LuongDecoder)(torch.tensor([SOURCE] * 2), torch.tensor([[1, 5], [4, 5]]))
    assert not torch.allclose(weights[0, 0], weights[1, 0])


def test_input_feeding_remembers_where_it_looked():
    """Another alignment changes the next state of the recurrence, and only with input feeding."""
    source, other = torch.tensor([SOURCE]), torch.tensor([[5, 5, 5, 7, 8, 4, 9, 2]])
    for decoder, differs in ((LuongDecoder, False), (InputFeedingDecoder, True)):
        model = build("global", decoder)
        one, two = model.encoder(source), model.encoder(other)
        two = two._replace(state=one.state)  # the same start, other annotations
        last = [model.decoder(torch.tensor([TARGET]), e, model.decoder.begin(e))[2][0] for e in (one, two)]
        assert torch.allclose(*last) != differs


def test_local_p_stays_below_one_and_learns_its_position():
    model = build("local-p", LuongDecoder)
    logits, weights = model(torch.tensor([SOURCE]), torch.tensor([TARGET]))
    sums = weights.sum(dim=-1)
    assert (sums < 1).all() and (sums > 0).all()
    logits.square().sum().backward()
    assert model.decoder.alignment.v_p.weight.grad.abs().sum() > 0


def test_local_p_scales_its_position_by_each_rows_own_length():
    alignment = LocalPredictive(scores.dot, D, HALF_WIDTH)
    query = torch.randn(1, 1, D).expand(2, 1, D)
    mask = torch.tensor([[True] * 8, [True] * 4 + [False] * 4])
    long, short = alignment.position(query, mask).flatten()
    torch.testing.assert_close(long, 2 * short)


def test_local_m_past_the_end_of_the_source_attends_to_nothing():
    target = torch.tensor([[1] * 12])
    model = build("local-m", LuongDecoder)
    _, weights = model(torch.tensor([SOURCE]), target)
    attended = weights[0].sum(dim=-1)
    torch.testing.assert_close(attended, torch.tensor([1.0] * 10 + [0.0] * 2, dtype=torch.float64))
    for t in range(10):
        reached = weights[0, t].nonzero().flatten().tolist()
        assert reached == [s for s in range(8) if abs(s - t) <= HALF_WIDTH]


def test_without_attention_it_is_the_same_recurrence():
    torch.manual_seed(2)
    model = Seq2Seq(Encoder(10, 3, D), PlainDecoder(9, 4, D, start=CopiedStart())).double()
    logits, weights = model(torch.tensor([SOURCE]), torch.tensor([TARGET]))
    p = arrays(model)
    states, c = lstm_states(p, SOURCE)
    h = states[-1]
    assert weights is None
    for t, number in enumerate(TARGET):
        h, c = lstm(p["decoder.embedding.weight"][number], h, c, *layer(p, "decoder.recurrence.rnn."))
        expected = p["decoder.W_s.weight"] @ h + p["decoder.W_s.bias"]
        np.testing.assert_allclose(logits[0, t].detach(), expected, rtol=1e-10, atol=1e-12)


def test_bad_half_widths(own_errors):
    with pytest.raises(ValueError, match="half_width must be at least 0; got -1"):
        LocalMonotonic(scores.dot, -1)
    with pytest.raises(ValueError, match="half_width must be at least 1; got 0"):
        LocalPredictive(scores.dot, D, 0)
