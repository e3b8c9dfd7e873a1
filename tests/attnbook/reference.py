"""Attention once more, in float64 and plain loops, sharing no code with the package: what the tests compare with."""

import math
import re

import numpy as np
import pytest
import torch


def as_float64(x):
    """A tensor as a float64 array; half precision is widened exactly."""
    return x.detach().cpu().double().numpy()


def softmax(scores):
    """Softmax of a list of scores; all 0 where every score is -inf (or there is none)."""
    allowed = [s for s in scores if s != -math.inf]
    if not allowed:
        return [0.0 for _ in scores]
    powers = [math.exp(s - max(allowed)) for s in scores]
    return [p / math.fsum(powers) for p in powers]


def scaled_dot(q, k):
    return math.fsum(a * b for a, b in zip(q, k, strict=True)) / math.sqrt(len(q))


def attend(query, key, value, *, mask=None, bias=None, score=scaled_dot):
    """Output and weights of two-axis arrays, one pair of a query and a key at a time."""
    n, m = len(query), len(key)
    weights = np.zeros((n, m))
    output = np.zeros((n, value.shape[-1]))
    for i in range(n):
        scores = []
        for j in range(m):
            s = score(query[i], key[j]) + (0.0 if bias is None else bias[i, j])
            scores.append(s if mask is None or mask[i, j] else -math.inf)
        weights[i] = softmax(scores)
        for j in range(m):
            output[i] += weights[i, j] * value[j]
    return output, weights


def attend_batch(query, key, value, *, mask=None, bias=None, score=scaled_dot):
    """The same for tensors (batch, heads, length, dim): query head h reads key head h // (query heads / key heads)."""
    query, key, value = as_float64(query), as_float64(key), as_float64(value)
    batch, heads, n, m = *query.shape[:3], key.shape[2]
    mask = None if mask is None else np.broadcast_to(mask.cpu().numpy(), (batch, heads, n, m))
    bias = None if bias is None else np.broadcast_to(as_float64(bias), (batch, heads, n, m))
    output, weights = np.zeros((batch, heads, n, value.shape[-1])), np.zeros((batch, heads, n, m))
    for b in range(batch):
        for h in range(heads):
            output[b, h], weights[b, h] = attend(
                query[b, h],
                key[b, h * key.shape[1] // heads],
                value[b, h * value.shape[1] // heads],
                mask=None if mask is None else mask[b, h],
                bias=None if bias is None else bias[b, h],
                score=score,
            )
    return output, weights


def check(actual, expected, *, atol, rtol=0.0):
    """A tensor against the reference's array."""
    torch.testing.assert_close(
        actual.detach().cpu().double(), torch.as_tensor(np.asarray(expected)).double(), atol=atol, rtol=rtol
    )


def inputs(*shapes, dtype=torch.float64, device="cpu", seed=0, grad=False):
    """Normal random tensors, the same on every device."""
    generator = torch.Generator().manual_seed(seed)
    drawn = [torch.randn(s, generator=generator, dtype=torch.float64).to(device, dtype) for s in shapes]
    return [x.requires_grad_(grad) for x in drawn]


def refused(error, starts, *says):
    """The message opens with the argument's name and then says each of these."""
    return pytest.raises(error, match="^" + re.escape(starts) + "".join(f".*{re.escape(s)}" for s in says))
