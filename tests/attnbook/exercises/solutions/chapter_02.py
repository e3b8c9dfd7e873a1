"""Right answers in other words."""

import math

import numpy as np
import torch
from torch import nn


def lookup_lists(query, key, value, width):
    out = []
    for q in query.tolist():
        scores = [-(((q - k) / width) ** 2) for k in key.tolist()]
        exps = [math.exp(s - max(scores)) for s in scores]
        out.append(sum(e * v for e, v in zip(exps, value.tolist(), strict=True)) / sum(exps))
    return out


def lookup_numpy(query, key, value, width):
    q, k, v = (x.numpy().astype(float) for x in (query, key, value))
    s = -(((q[:, None] - k) / width) ** 2)
    w = np.exp(s - s.max(1, keepdims=True))
    return (w * v).sum(1) / w.sum(1)


class Lookup(nn.Module):
    def forward(self, q, k, v, w):
        s = torch.cdist(q[:, None].double(), k[:, None].double()).pow_(2).mul_(-1 / w**2)
        return torch.einsum("nm,m->n", s.softmax(-1), v.double())


def nothing_sum(query, key, value, floor):
    s = query @ key.T
    top = torch.clamp(s.max(1, keepdim=True).values, min=floor)
    e = (s - top).exp()
    return e @ value / (e.sum(1, keepdim=True) + (floor - top).exp())


def nothing_zero_row(query, key, value, floor):
    s = torch.cat([query @ key.mT, torch.full((len(query), 1), float(floor))], dim=1)
    return s.softmax(1) @ torch.cat([value, torch.zeros(1, value.shape[1])])


def nothing_rows(query, key, value, floor):
    return torch.stack([torch.softmax(torch.cat([key @ q, torch.tensor([floor])]), 0)[:-1] @ value for q in query])


def distance_cdist(query, key):
    return -(torch.cdist(query.double(), key.double(), compute_mode="donot_use_mm_for_euclid_dist") ** 2) / 2


def distance_differences(q, k):
    return -0.5 * (q[:, None, :] - k[None, :, :]).pow(2).sum(-1)


def distance_loops(query, key):
    return [[-0.5 * sum((a - b) ** 2 for a, b in zip(q, k, strict=True)) for k in key.tolist()] for q in query.tolist()]


CORRECT = {
    "soft-lookup": [lookup_lists, lookup_numpy, Lookup()],
    "nothing-found": [nothing_sum, nothing_zero_row, nothing_rows],
    "distance-by-dots": [distance_cdist, distance_differences, distance_loops],
}
