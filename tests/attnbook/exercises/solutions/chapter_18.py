"""Right answers in other words."""

import numpy as np
import torch
from scipy.stats import kendalltau


def tau_scipy(a, b):
    return float(kendalltau(a.numpy(), b.numpy()).statistic)


def tau_signs(a, b):
    n = a.shape[0]
    first, second = (torch.sign(x[:, None] - x[None]) for x in (a, b))
    return (first * second).sum() / (n * n - n)


def tau_sorted(a, b):
    ranked = b[a.argsort()].tolist()
    inversions = sum(x > y for i, x in enumerate(ranked) for y in ranked[i + 1 :])
    return 1 - 4 * inversions / (len(ranked) * (len(ranked) - 1))


def effects_mask(weights, value):
    scores = weights.log()
    rows = []
    for j in range(len(scores)):
        hidden = scores.clone()
        hidden[j] = -torch.inf
        rows.append(torch.linalg.vector_norm(weights @ value - hidden.softmax(0) @ value))
    return torch.stack(rows)


def effects_numpy(weights, value):
    w, v = weights.double().numpy(), value.double().numpy()
    changes = []
    for j in range(len(w)):
        rest = [i for i in range(len(w)) if i != j]
        changes.append(np.linalg.norm(w @ v - np.average(v[rest], axis=0, weights=w[rest])))
    return np.array(changes)


def effects_short(weights, value):
    """o − o₋ⱼ = αⱼ (vⱼ − o) / (1 − αⱼ)."""
    far = torch.cdist((weights @ value)[None], value)[0]
    return weights / (1 - weights) * far


def added_einsum(weights, value, W_o):
    return torch.einsum("hnm,hmv,hvd->hnmd", weights, value, W_o).norm(dim=-1)


def added_loop(weights, value, W_o):
    result = np.zeros(weights.shape)
    for h, i, j in np.ndindex(result.shape):
        vector = value[h, j].double().numpy() @ W_o[h].double().numpy()
        result[h, i, j] = np.sqrt(np.sum((float(weights[h, i, j]) * vector) ** 2))
    return result


def added_gram(weights, value, W_o):
    gram = W_o.double() @ W_o.double().mT
    v = value.double()
    squares = ((v @ gram) * v).sum(dim=-1)
    return (weights.double() ** 2 * squares.unsqueeze(1)).clamp(min=0).sqrt()


def farthest_loop(weights, delta):
    steps = [w / -d for w, d in zip(weights.tolist(), delta.tolist(), strict=True) if d < 0]
    return [w + min(steps) * d for w, d in zip(weights.tolist(), delta.tolist(), strict=True)]


def farthest_reciprocal(weights, delta):
    return weights + delta / (-delta / weights).max()


def farthest_numpy(weights, delta):
    w, d = weights.double().numpy(), delta.double().numpy()
    times = np.full(w.shape, np.inf)
    np.divide(-w, d, out=times, where=d < 0)
    return w + times.min() * d


CORRECT = {
    "rank-agreement": [tau_scipy, tau_signs, tau_sorted],
    "without-one-key": [effects_mask, effects_numpy, effects_short],
    "what-keys-add": [added_einsum, added_loop, added_gram],
    "how-far-to-walk": [farthest_loop, farthest_reciprocal, farthest_numpy],
}
