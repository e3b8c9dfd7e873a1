"""Pooling against plain loops; padding counts for nothing, neither in the result nor in the gradient."""

import math

import numpy as np
import pytest
import torch

from attnbook.pooling import AttentionPooling, mean_pooling
from tests.attnbook.reference import as_float64, check, inputs, refused, softmax

MASK = torch.tensor([[True, True, True, False], [True, False, False, False], [False] * 4])


def test_mean_pooling(device):
    (x,) = inputs((3, 4, 5), device=device)
    found, array = mean_pooling(x, MASK.to(device)), as_float64(x)
    check(found, np.stack([array[0, :3].mean(0), array[1, 0], np.zeros(5)]), atol=1e-15)


def test_attention_pooling(device):
    torch.manual_seed(0)
    pooling = AttentionPooling(5, 3).double().to(device)
    (x,) = inputs((3, 4, 5), device=device)
    output, weights = pooling(x, MASK.to(device))
    W, b, v = (as_float64(p) for p in (pooling.W.weight, pooling.W.bias, pooling.v.weight[0]))
    array = as_float64(x)
    for i in range(3):
        scores = []
        for j in range(4):
            hidden = [
                math.tanh(math.fsum(w * a for w, a in zip(row, array[i, j], strict=True)) + c)
                for row, c in zip(W, b, strict=True)
            ]
            scores.append(math.fsum(a * c for a, c in zip(v, hidden, strict=True)) if MASK[i, j] else -math.inf)
        expected = softmax(scores)
        check(weights[i], expected, atol=1e-14)
        check(output[i], sum(w * row for w, row in zip(expected, array[i], strict=True)), atol=1e-14)


@pytest.mark.parametrize("pool", [mean_pooling, lambda x, mask: AttentionPooling(5, 3).double()(x, mask)[0]])
def test_padding_counts_for_nothing(pool):
    x, other = inputs((3, 4, 5), (3, 4, 5), grad=True)
    torch.manual_seed(1)
    found = pool(x, MASK)
    torch.manual_seed(1)
    with torch.no_grad():
        moved = torch.where(MASK.unsqueeze(-1), x, 100 * other)
    assert torch.equal(pool(moved, MASK), found)
    (gradient,) = torch.autograd.grad(found.square().sum(), x)
    assert gradient[~MASK].abs().max() == 0 and gradient[MASK].abs().min() > 0


@pytest.mark.parametrize(
    ("x", "mask", "error", "starts", "says"),
    [
        (torch.ones(2, 3), MASK[:2], ValueError, "x must have shape (batch, n, d)", "(2, 3)"),
        (torch.ones(2, 4, 5), MASK[:2].long(), TypeError, "mask must be boolean", "int64"),
        (torch.ones(2, 4, 5), MASK[0], ValueError, "mask must have shape (batch, n), (2, 4)", "(4,)"),
    ],
)
def test_errors(x, mask, error, starts, says, own_errors):
    with refused(error, starts, says):
        mean_pooling(x, mask)
    with refused(error, starts, says):
        AttentionPooling(5, 3)(x, mask)
