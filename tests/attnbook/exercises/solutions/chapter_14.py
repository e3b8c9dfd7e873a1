"""Right answers in other words."""

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn


def norm_library(x, gain):
    return F.rms_norm(x, gain.shape, gain, eps=1e-5)


def norm_numpy(x, gain):
    a = x.numpy().astype(float)
    return a * (np.mean(a**2, axis=2, keepdims=True) + 1e-5) ** -0.5 * gain.numpy()


class Norm(nn.Module):
    def forward(self, x, g):
        length = torch.linalg.vector_norm(x.double(), dim=-1, keepdim=True)
        return g * x / torch.sqrt(length**2 / x.size(-1) + 0.00001)


def nucleus_loop(p, share):
    left, kept = p.tolist(), {}
    while sum(kept.values()) < share:
        best = max((i for i in range(len(left)) if i not in kept), key=lambda i: left[i])
        kept[best] = left[best]
    total = sum(kept.values())
    return [kept.get(i, 0.0) / total for i in range(len(left))]


def nucleus_threshold(p, share):
    ranked = np.sort(p.numpy().astype(float))[::-1]
    least = ranked[np.searchsorted(np.cumsum(ranked), share)]
    kept = np.where(p.numpy() >= least - 1e-9, p.numpy(), 0)
    return kept / kept.sum()


def nucleus_mask(p, share):
    order = torch.argsort(p, descending=True)
    held = torch.cumsum(p[order], 0)
    drop = torch.cat([torch.tensor([False]), held[:-1] >= share])
    logits = p.log().index_fill(0, order[drop], -torch.inf)
    return logits.softmax(0)


def score_diagonal(weights, period):
    return weights.diagonal(1 - period)[1:].mean()


def score_loop(weights, period):
    total = count = 0
    for query, row in enumerate(weights.tolist()):
        if query - period >= 0:
            total += row[query - period + 1]
            count += 1
    return total / count


def score_numpy(weights, period):
    t = np.arange(period, weights.shape[0])
    return weights.numpy()[t, t - period + 1].mean()


CORRECT = {
    "rms-norm": [norm_library, norm_numpy, Norm()],
    "nucleus": [nucleus_loop, nucleus_threshold, nucleus_mask],
    "induction-score": [score_diagonal, score_loop, score_numpy],
}
