"""Gradients of the readable form and of the scores against finite differences, in float64."""

import functools

import pytest
import torch
from torch.autograd import gradcheck, gradgradcheck

from attnbook import attention, attention_weights, scaled_dot_product_attention, scores
from tests.attnbook.reference import inputs

SCORES = {
    "dot": lambda: scores.dot,
    "scaled_dot": lambda: scores.scaled_dot,
    "cosine": lambda: functools.partial(scores.cosine, temperature=0.3),
    "General": lambda: scores.General(3, 3),
    "Additive": lambda: scores.Additive(3, 3, 4),
    "Concat": lambda: scores.Concat(3, 3, 4),
    "Location": lambda: scores.Location(3, 5),
}


def mask_and_bias(device):
    mask = torch.rand(4, 5, generator=torch.Generator().manual_seed(1)) < 0.6
    mask[2] = False
    (bias,) = inputs((2, 4, 5), seed=2)
    bias[1, 0] = -torch.inf
    return mask.to(device), bias.to(device)


@pytest.mark.parametrize("name", SCORES)
def test_the_readable_form(name, device):
    """Output and weights, with respect to the inputs, the bias and what the score learns."""
    query, key, value = inputs((2, 4, 3), (2, 5, 3), (5, 2), device=device, grad=True)
    mask, bias = mask_and_bias(device)
    score = SCORES[name]()
    learned = []
    if isinstance(score, torch.nn.Module):
        score = score.to(device, torch.float64)
        learned = list(score.parameters())
    finite = bias.clamp(min=-1e3).requires_grad_()  # differences need finite numbers; -inf is added beside it

    def run(query, key, value, finite, *_):
        return attention(query, key, value, score=score, mask=mask & (bias > -torch.inf), bias=finite)

    assert gradcheck(run, (query, key, value, finite, *learned))


def test_a_bias_of_minus_infinity(device):
    query, key, value = inputs((2, 4, 3), (2, 5, 3), (5, 2), device=device, grad=True)
    mask, bias = mask_and_bias(device)
    assert gradcheck(lambda *x: attention(*x, mask=mask, bias=bias), (query, key, value))
    assert gradcheck(lambda *x: scaled_dot_product_attention(*x, mask=mask, bias=bias), (query, key, value))


def test_second_derivatives_of_the_readable_form(device):
    """Penalties on gradients need them."""
    query, key, value = inputs((4, 3), (5, 3), (5, 2), device=device, grad=True)
    mask, _ = mask_and_bias(device)
    assert gradgradcheck(lambda *x: attention(*x, mask=mask)[0], (query, key, value))


def test_weights(device):
    (s,) = inputs((2, 4, 5), device=device, grad=True)
    mask, _ = mask_and_bias(device)
    assert gradcheck(lambda s: attention_weights(s, mask), (s,))


def test_grouped_heads(device):
    query, key, value = inputs((1, 4, 3, 2), (1, 2, 4, 2), (1, 1, 4, 2), device=device, grad=True)
    assert gradcheck(lambda *x: attention(*x), (query, key, value))
    assert gradcheck(lambda *x: scaled_dot_product_attention(*x, causal=True), (query, key, value))


def test_the_softmax_jacobian(device):
    """d alpha_i / d s_j = alpha_i (delta_ij - alpha_j)."""
    (s,) = inputs((1, 6), device=device)
    jacobian = torch.autograd.functional.jacobian(attention_weights, s).squeeze()
    weights = attention_weights(s).squeeze()
    torch.testing.assert_close(jacobian, weights.diag() - torch.outer(weights, weights), atol=1e-15, rtol=0)


def test_a_temperature_can_be_learned(device):
    query, key, value = inputs((4, 3), (5, 3), (5, 2), device=device)
    temperature = torch.tensor(0.7, dtype=torch.float64, device=device, requires_grad=True)

    def run(temperature):
        return attention(query, key, value, score=functools.partial(scores.cosine, temperature=temperature))

    assert gradcheck(run, temperature)
    run(temperature)[0].square().sum().backward()
    assert temperature.grad.isfinite() and temperature.grad != 0
