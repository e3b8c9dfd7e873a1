"""The page's arithmetic equals attnbook's, on vectors that Python writes."""

import math

import pytest
import torch

from attnbook import attention, masks, scores
from tests.attnbook.widgets.javascript import evaluate

SIZES = [(1, 3, 4, 3), (5, 7, 8, 2), (16, 16, 64, 16)]


def examples(n, m, d_k, d_v):
    """Queries, keys and values of ordinary and of large size, in double precision."""
    for size in (1.0, 30.0):
        yield tuple(size * torch.randn(*shape, dtype=torch.float64) for shape in ((n, d_k), (m, d_k), (m, d_v)))


def same(found, expected, scores=0.0):
    """To 1e-12. Where scores are large, each is rounded by as much more, and the exponential hands that on."""
    largest = max(1.0, torch.as_tensor(scores).abs().max().item())
    torch.testing.assert_close(
        torch.tensor(found, dtype=torch.float64), expected, rtol=1e-12 * largest, atol=1e-12 * largest
    )


def cosine(query, key):
    return scores.cosine(query, key, temperature=0.3)


FORMS = {
    "dotScores(query, key)": scores.dot,
    "scaledDotScores(query, key)": scores.scaled_dot,
    "cosineScores(query, key, 0.3)": cosine,
}


@pytest.mark.parametrize("sizes", SIZES)
@pytest.mark.parametrize("form", FORMS)
def test_scores_weights_and_outputs(form, sizes):
    for query, key, value in examples(*sizes):
        found = evaluate(
            "attention.js",
            f"(() => {{ const scores = {form}; return {{ scores, ...attend(scores, value) }}; }})()",
            query=query.tolist(), key=key.tolist(), value=value.tolist(),
        )  # fmt: skip
        output, weights = attention(query, key, value, score=FORMS[form])
        expected = FORMS[form](query, key)
        same(found["scores"], expected, scores=expected)
        same(found["weights"], weights, scores=expected)
        same(found["output"], output, scores=expected)


@pytest.mark.parametrize("sizes", SIZES)
def test_additive_scores(sizes):
    score = scores.Additive(sizes[2], sizes[2], 6).double()
    parameters = {name: getattr(score, name).weight.detach().tolist() for name in ("W_q", "W_k", "v")}
    for query, key, _ in examples(*sizes):
        found = evaluate(
            "attention.js", "additiveScores(query, key, { W_q, W_k, v: v[0] })",
            query=query.tolist(), key=key.tolist(), **parameters,
        )  # fmt: skip
        same(found, score(query, key).detach())


def test_masks():
    query, key, value = next(iter(examples(6, 6, 8, 3)))
    mask = masks.causal(6)
    mask[3] = False
    found = evaluate(
        "attention.js", "attend(scaledDotScores(query, key), value, mask)",
        query=query.tolist(), key=key.tolist(), value=value.tolist(), mask=mask.tolist(),
    )  # fmt: skip
    output, weights = attention(query, key, value, mask=mask)
    same(found["weights"], weights)
    same(found["output"], output)
    assert found["weights"][3] == [0] * 6, "a row that may attend to nothing has weights of 0"


def test_a_key_of_zeros_has_cosine_0():
    found = evaluate("attention.js", "cosineScores(query, key)", query=[[1, 2]], key=[[0, 0], [2, 4]])
    same(found, cosine_of([[1, 2]], [[0, 0], [2, 4]]))


def cosine_of(query, key):
    return scores.cosine(torch.tensor(query, dtype=torch.float64), torch.tensor(key, dtype=torch.float64))


def test_softmax_of_huge_scores():
    """exp(1000) is infinite; the largest score is subtracted first."""
    found = evaluate("attention.js", "softmax(scores)", scores=[1000, 999, -1000])
    same(found, torch.tensor([1 / (1 + math.exp(-1)), 1 / (1 + math.e), 0.0], dtype=torch.float64))
