"""Scores against loops, for any leading axes, and for none of anything."""

import math
from functools import partial

import numpy as np
import pytest
import torch

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


@pytest.mark.parametrize(("d_query", "d_key"), [(3, 5), (5, 3), (4, 4)])
def test_general_against_loops(d_query, d_key, device):
    query, key = inputs((2, 4, d_query), (2, 7, d_key), device=device)
    score = learned(General, d_query, d_key, device=device)
    W = as_float64(score.W.weight)  # (d_query, d_key)
    check(score(query, key), pairs(query, key, lambda q, k: q @ W @ k), atol=1e-13)


@pytest.mark.parametrize(("d_query", "d_key"), [(3, 5), (5, 3), (4, 4)])
def test_additive_against_loops(d_query, d_key, device):
    query, key = inputs((2, 4, d_query), (2, 7, d_key), device=device)
    score = learned(Additive, d_query, d_key, 6, device=device)
    W_q, W_k, v = (as_float64(x) for x in (score.W_q.weight, score.W_k.weight, score.v.weight[0]))
    check(score(query, key), pairs(query, key, lambda q, k: v @ np.tanh(W_q @ q + W_k @ k)), atol=1e-13)


@pytest.mark.parametrize(("d_query", "d_key"), [(3, 5), (5, 3), (4, 4)])
def test_concat_against_loops(d_query, d_key, device):
    query, key = inputs((2, 4, d_query), (2, 7, d_key), device=device)
    score = learned(Concat, d_query, d_key, 6, device=device)
    W, v = as_float64(score.W.weight), as_float64(score.v.weight[0])
    check(score(query, key), pairs(query, key, lambda q, k: v @ np.tanh(W @ np.concatenate([q, k]))), atol=1e-13)


def test_location_against_loops(device):
    query, key = inputs((2, 4, 3), (2, 7, 5), device=device)
    score = learned(Location, 3, 9, device=device)
    W = as_float64(score.W.weight)
    expected = [[[W[j] @ q for j in range(7)] for q in batch] for batch in as_float64(query)]
    check(score(query, key), expected, atol=1e-13)


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
