"""What ties the scores to each other, what each may read, and how far each can reach."""

import math

import pytest
import torch
import torch.nn.functional as F

from attnbook import attention
from attnbook.scores import Additive, Concat, General, Location, cosine, dot
from tests.attnbook.reference import inputs


def learned(form, *sizes, device="cpu"):
    return form(*sizes).to(device, torch.float64)


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
