"""Random features: their formula, their mean, their spread, and what linear attention makes of them."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from attnbook import attention
from attnbook.linear import linear_attention, linear_attention_parallel, linear_attention_recurrent
from attnbook.performer import PerformerFeatures
from tests.attnbook.reference import as_float64, check, inputs, refused


def test_the_formula(device):
    (x,) = inputs((2, 5, 4), device=device)
    features = PerformerFeatures(4, 6).to(device)
    given, w = as_float64(x) / math.sqrt(2), as_float64(features.directions)
    expected = np.zeros((2, 5, 6))
    for at in np.ndindex(2, 5):
        for r in range(6):
            expected[(*at, r)] = math.exp(w[r] @ given[at] - given[at] @ given[at] / 2) / math.sqrt(6)
    check(features(x), expected, atol=1e-13)


@pytest.mark.parametrize("orthogonal", [False, True])
def test_the_mean_is_the_exponential(orthogonal):
    """Over 4,000 draws of 8 directions; within 4 standard errors, which are small enough to mean something."""
    q, k = torch.tensor([[0.45, -0.2, 0.15, 0.4]]).double(), torch.tensor([[0.25, 0.1, -0.35, 0.55]]).double()
    exact = math.exp((q * k).sum().item() / 2)
    drawn = np.array([estimate(q, k, seed, orthogonal) for seed in range(4000)])
    error = drawn.std() / math.sqrt(len(drawn))
    assert error < 0.01 * exact
    assert abs(drawn.mean() - exact) < 4 * error


def estimate(q, k, seed, orthogonal, count=8):
    features = PerformerFeatures(q.shape[-1], count, seed=seed, orthogonal=orthogonal)
    return (features(q) * features(k)).sum().item()


def test_right_angles_lower_the_spread_and_so_do_more_features():
    """For short vectors; where they are long, the rare large estimates decide, and chance."""
    x = torch.ones(1, 16).double() / 4  # of length 1, and 1/2 after the dividing
    spread = lambda orthogonal, count: np.std([estimate(x, x, s, orthogonal, count) for s in range(1500)])  # noqa: E731
    free, straight, many = spread(False, 16), spread(True, 16), spread(True, 256)
    assert straight < 0.95 * free
    assert 0.2 < many / straight < 0.3  # one fourth in theory


def test_the_spread_of_free_directions_is_the_paper_s():
    """Choromanski et al. (2021), Lemma 2, for one feature: exp(|q + k|^2) exp(2 q.k) - exp(2 q.k)."""
    q, k = torch.tensor([[0.4, -0.3, 0.2]]).double(), torch.tensor([[0.1, 0.5, -0.2]]).double()
    features = PerformerFeatures(3, 400_000, orthogonal=False)
    each = (features(q) * features(k) * 400_000).squeeze(0)
    x, y = (t.squeeze(0) / 3**0.25 for t in (q, k))
    expected = math.exp((x + y).square().sum() + 2 * x @ y) - math.exp(2 * x @ y)
    assert each.var().item() == pytest.approx(expected, rel=0.03)


def test_directions():
    straight = PerformerFeatures(8, 20).directions
    assert straight.shape == (20, 8)
    unit = F.normalize(straight, dim=-1)
    for block in unit.split(8):
        torch.testing.assert_close(block @ block.mT, torch.eye(len(block)).double(), atol=1e-12, rtol=0)
    lengths = torch.cat([PerformerFeatures(8, 800, seed=s).directions for s in range(5)]).norm(dim=-1)
    assert lengths.square().mean().item() == pytest.approx(8, rel=0.05) and lengths.std() > 0.5
    assert torch.equal(straight, PerformerFeatures(8, 20).directions)
    assert not torch.equal(straight, PerformerFeatures(8, 20, seed=1).directions)


def test_every_direction_is_as_likely(device):
    """The first direction of 2,000 draws has mean 0 and no favored axis."""
    first = torch.stack([PerformerFeatures(3, 1, seed=s).directions[0] for s in range(2000)])
    assert first.mean(dim=0).abs().max() < 4 / math.sqrt(2000)
    torch.testing.assert_close(first.mT @ first / 2000, torch.eye(3).double(), atol=0.15, rtol=0)


@pytest.mark.parametrize("causal", [False, True])
def test_all_ways_of_linear_attention_agree(causal, device):
    x = inputs((2, 11, 4), (2, 11, 4), (2, 11, 3), device=device, grad=True)
    features = PerformerFeatures(4, 10).to(device)
    expected, _ = linear_attention_parallel(*x, features=features, causal=causal)
    ways = [linear_attention(*x, features=features, causal=causal, chunk=4)[0]]
    ways += [linear_attention_recurrent(*x, features=features)[0]] if causal else []
    exact = torch.autograd.grad(expected.square().sum(), x)
    for output in ways:
        torch.testing.assert_close(output, expected, atol=1e-13, rtol=0)
        for a, b in zip(torch.autograd.grad(output.square().sum(), x), exact, strict=True):
            torch.testing.assert_close(a, b, atol=1e-12, rtol=0)


def test_many_features_near_softmax_attention(device):
    query, key, value = inputs((1, 20, 4), (1, 20, 4), (1, 20, 3), device=device)
    x = query / 2, key / 2, value
    exact, _ = attention(*x)
    errors = [
        np.mean(
            [
                (linear_attention(*x, features=PerformerFeatures(4, f, seed=s).to(device))[0] - exact).norm().item()
                for s in range(10)
            ]
        )
        / exact.norm().item()
        for f in (16, 256, 4096)
    ]
    assert errors[0] > 2.5 * errors[1] > 6 * errors[2] and errors[2] < 0.05


def test_where_the_range_ends():
    """In float32, for vectors of any direction: at 10 d^(1/4) no similarity is 0, at 16 d^(1/4) all are."""
    for d, count in ((16, 64), (64, 266), (128, 512)):
        unit = [F.normalize(x, dim=-1) * d**0.25 for x in inputs((300, d), (300, d), dtype=torch.float32)]
        features = PerformerFeatures(d, count)
        fine, lost = (features(length * unit[0]) @ features(length * unit[1]).mT for length in (10, 16))
        assert fine.min() > 0 and not lost.any()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision(dtype, device):
    """The features of the rounded vectors in float32: exponents are not rounded."""
    (x,) = inputs((5, 16), dtype=dtype, device=device)
    features = PerformerFeatures(16, 40)
    given, w = as_float64(x) / 2, as_float64(features.directions)
    expected = np.exp(given @ w.T - (given**2).sum(axis=-1, keepdims=True) / 2) / math.sqrt(40)
    assert features(x).dtype == torch.float32
    check(features(x), expected, atol=0, rtol=1e-5)


def test_gradients_by_differences(device):
    (x,) = inputs((2, 3, 4), device=device, grad=True)
    assert torch.autograd.gradcheck(PerformerFeatures(4, 6), [x])


def test_long_vectors_underflow_to_zero_and_not_to_nan():
    x = torch.full((1, 3, 4), 1000.0)
    output, _ = linear_attention(x, x, torch.ones(1, 3, 2), features=PerformerFeatures(4, 8))
    assert torch.equal(output, torch.zeros(1, 3, 2))


@pytest.mark.parametrize(
    ("call", "error", "starts", "says"),
    [
        (lambda: PerformerFeatures(0, 3), ValueError, "d must be at least 1", "0"),
        (lambda: PerformerFeatures(3, 2.0), TypeError, "n_features must be an integer", "float"),
        (lambda: PerformerFeatures(3, 2, seed=-1), ValueError, "seed must be at least 0", "-1"),
        (lambda: PerformerFeatures(3, 2, orthogonal=1), TypeError, "orthogonal must be True or False", "int"),
        (lambda: PerformerFeatures(3, 2)(torch.zeros(5, 4)), ValueError, "x must have last axis 3 (d)", "(5, 4)"),
        (lambda: PerformerFeatures(3, 2)([1.0]), TypeError, "x must be a torch.Tensor", "list"),
    ],
)
def test_errors(call, error, starts, says, own_errors):
    with refused(error, starts, says):
        call()
