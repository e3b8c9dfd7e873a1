"""Scores against loops, the identities between them, and what each may read."""

import math
from functools import partial

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from attnbook import attention
from attnbook.scores import Additive, Concat, General, Location, cosine, dot, scaled_dot
from tests.attnbook.reference import as_float64, check, inputs


def pairs(query, key, formula):
    """formula(q_i, k_j) for each pair, as NumPy vectors, one batch element at a time."""
    query, key = as_float64(query), as_float64(key)
    return [[[formula(q, k) for k in ks] for q in qs] for qs, ks in zip(query, key, strict=True)]


def plain(q, k):
    return sum(float(a) * float(b) for a, b in zip(q, k, strict=True))


@pytest.mark.parametrize(
    ("score", "formula"),
    [
        (dot, plain),
        (scaled_dot, lambda q, k: plain(q, k) / math.sqrt(len(q))),
        (cosine, lambda q, k: plain(q, k) / math.sqrt(plain(q, q) * plain(k, k))),
        (partial(cosine, temperature=0.2), lambda q, k: 5 * plain(q, k) / math.sqrt(plain(q, q) * plain(k, k))),
    ],
)
def test_functions_against_loops(score, formula, device):
    query, key = inputs((2, 4, 5), (2, 7, 5), device=device)
    check(score(query, key), pairs(query, key, formula), atol=1e-13)


def learned(form, *sizes, device="cpu", dtype=torch.float64):
    return form(*sizes).to(device, dtype)


def test_general_against_loops(device):
    query, key = inputs((2, 4, 3), (2, 7, 5), device=device)
    score = learned(General, 3, 5, device=device)
    W = as_float64(score.W.weight)  # (d_query, d_key)
    check(score(query, key), pairs(query, key, lambda q, k: q @ W @ k), atol=1e-13)


def test_additive_against_loops(device):
    query, key = inputs((2, 4, 3), (2, 7, 5), device=device)
    score = learned(Additive, 3, 5, 6, device=device)
    W_q, W_k, v = (as_float64(x) for x in (score.W_q.weight, score.W_k.weight, score.v.weight[0]))
    check(score(query, key), pairs(query, key, lambda q, k: v @ np.tanh(W_q @ q + W_k @ k)), atol=1e-13)


def test_concat_against_loops(device):
    query, key = inputs((2, 4, 3), (2, 7, 5), device=device)
    score = learned(Concat, 3, 5, 6, device=device)
    W, v = as_float64(score.W.weight), as_float64(score.v.weight[0])
    check(score(query, key), pairs(query, key, lambda q, k: v @ np.tanh(W @ np.concatenate([q, k]))), atol=1e-13)


def test_location_against_loops(device):
    query, key = inputs((2, 4, 3), (2, 7, 5), device=device)
    score = learned(Location, 3, 9, device=device)
    W = as_float64(score.W.weight)
    expected = [[[W[j] @ q for j in range(7)] for q in batch] for batch in as_float64(query)]
    check(score(query, key), expected, atol=1e-13)


def test_concat_is_additive_with_its_matrix_split(device):
    query, key = inputs((2, 4, 3), (2, 7, 5), device=device)
    concat, additive = learned(Concat, 3, 5, 6, device=device), learned(Additive, 3, 5, 6, device=device)
    with torch.no_grad():
        additive.W_q.weight.copy_(concat.W.weight[:, :3])
        additive.W_k.weight.copy_(concat.W.weight[:, 3:])
        additive.v.weight.copy_(concat.v.weight)
    torch.testing.assert_close(concat(query, key), additive(query, key), atol=1e-14, rtol=0)


def test_general_with_the_identity_is_the_dot_product(device):
    query, key = inputs((2, 4, 5), (2, 7, 5), device=device)
    score = learned(General, 5, 5, device=device)
    torch.nn.init.eye_(score.W.weight)
    torch.testing.assert_close(score(query, key), dot(query, key), atol=1e-14, rtol=0)


def test_general_is_a_bilinear_layer(device):
    query, key = inputs((2, 4, 3), (2, 7, 5), device=device)
    score = learned(General, 3, 5, device=device)
    expected = F.bilinear(
        query[:, :, None].expand(2, 4, 7, 3).contiguous(),
        key[:, None].expand(2, 4, 7, 5).contiguous(),
        score.W.weight[None],
    )
    torch.testing.assert_close(score(query, key), expected.squeeze(-1), atol=1e-13, rtol=0)


def test_location_never_reads_the_keys(device):
    query, key, other = inputs((2, 4, 3), (2, 7, 5), (2, 7, 2), device=device, grad=True)
    score = learned(Location, 3, 9, device=device)
    assert torch.equal(score(query, key), score(query, other))
    (gradient,) = torch.autograd.grad(score(query, key).sum(), key, allow_unused=True, materialize_grads=True)
    assert (gradient == 0).all()
    assert torch.equal(score(query, key[:, :2]), score(query, key)[:, :, :2])


def test_bounded_scores_of_additive(device):
    """tanh keeps every score within the sum of |v|, however long the vectors are."""
    query, key = inputs((2, 4, 3), (2, 7, 5), device=device)
    score = learned(Additive, 3, 5, 6, device=device)
    bound = score.v.weight.abs().sum()
    assert (score(1e6 * query, 1e6 * key).abs() <= bound * (1 + 1e-12)).all()


@pytest.mark.parametrize("temperature", [0.1, 1.0, 2.0, 3])
def test_cosine_against_pytorch(temperature, device):
    query, key = inputs((2, 4, 5), (2, 7, 5), device=device)
    expected = F.cosine_similarity(query.unsqueeze(-2), key.unsqueeze(-3), dim=-1) / temperature
    torch.testing.assert_close(cosine(query, key, temperature=temperature), expected, atol=1e-13, rtol=0)


def test_cosine_with_rows_of_zeros(device):
    """No direction: score 0 with everything, and gradients that stay finite on all sides."""
    query, key = inputs((2, 4, 5), (2, 7, 5), device=device)
    query[0, 1], key[1, 2] = 0, 0
    query.requires_grad_(), key.requires_grad_()
    scores = cosine(query, key)
    assert (scores[0, 1] == 0).all() and (scores[1, :, 2] == 0).all()
    scores.square().sum().backward()
    assert query.grad.isfinite().all() and key.grad.isfinite().all()
    cosine(query, key).sum().backward()
    assert query.grad.isfinite().all() and key.grad.isfinite().all()


def test_no_weight_of_cosine_exceeds_another_by_more_than_e_squared(device):
    """At temperature 1 scores lie in [-1, 1]; opposite keys reach the bound."""
    query, key, value = inputs((50, 2), (50, 2), (50, 2), device=device)
    _, weights = attention(100 * query, 100 * key, value, score=cosine)
    ratio = (weights.amax(-1) / weights.amin(-1)).cpu()
    assert (ratio <= math.exp(2) * (1 + 1e-12)).all()
    _, weights = attention(query[:1], torch.cat([query[:1], -3 * query[:1]]), value[:2], score=cosine)
    assert (weights[0, 0] / weights[0, 1]).item() == pytest.approx(math.exp(2), rel=1e-12)


FORMS = {
    "dot": lambda: dot,
    "scaled_dot": lambda: scaled_dot,
    "cosine": lambda: cosine,
    "General": lambda: learned(General, 5, 5),
    "Additive": lambda: learned(Additive, 5, 5, 6),
    "Concat": lambda: learned(Concat, 5, 5, 6),
    "Location": lambda: learned(Location, 5, 9),
}


@pytest.mark.parametrize("name", FORMS)
@pytest.mark.parametrize(
    "shapes", [((4, 5), (3, 1, 7, 5)), ((2, 1, 4, 5), (3, 7, 5)), ((2, 1, 1, 3, 4, 5), (2, 1, 7, 5))]
)
def test_leading_axes_broadcast(name, shapes):
    query, key = inputs(*shapes)
    score = FORMS[name]()
    leading = torch.broadcast_shapes(query.shape[:-2], key.shape[:-2])
    full = score(query.expand(*leading, 4, 5).contiguous(), key.expand(*leading, 7, 5).contiguous())
    assert full.shape == (*leading, 4, 7)
    torch.testing.assert_close(score(query, key), full, atol=1e-14, rtol=0)


@pytest.mark.parametrize("name", FORMS)
@pytest.mark.parametrize("shapes", [((2, 0, 5), (2, 7, 5)), ((2, 4, 5), (2, 0, 5)), ((0, 4, 5), (0, 7, 5))])
def test_no_queries_no_keys_no_batch(name, shapes):
    query, key = inputs(*shapes)
    assert FORMS[name]()(query, key).shape == (len(query), query.shape[1], key.shape[1])
