"""Right answers in other words."""

import math

import torch
from torch import nn


class Additive(nn.Module):
    def forward(self, query, key, W_q, W_k, v):
        q = torch.einsum("bnd,da->bna", query, W_q)
        k = torch.einsum("bmd,da->bma", key, W_k)
        return torch.einsum("bnma,a->bnm", torch.tanh(q.unsqueeze(2) + k.unsqueeze(1)), v)


def additive_loops(query, key, W_q, W_k, v):
    out = torch.zeros(query.shape[0], query.shape[1], key.shape[1])
    for b in range(out.shape[0]):
        for i in range(out.shape[1]):
            for j in range(out.shape[2]):
                out[b, i, j] = v @ torch.tanh(query[b, i] @ W_q + key[b, j] @ W_k)
    return out


def additive_exponentials(query, key, W_q, W_k, v):
    x = 2 * ((query @ W_q).double().unsqueeze(-2) + (key @ W_k).double().unsqueeze(-3))
    return ((1 - 2 / (x.exp() + 1)) * v).sum(-1)


def concat_split(query, key, W, v):
    d = query.shape[-1]
    return torch.tanh((query @ W[:d])[:, :, None] + (key @ W[d:])[:, None]) @ v


def concat_loops(q, k, W, v):
    rows = [[[torch.tanh(torch.cat([a, b]) @ W) @ v for b in kb] for a in qb] for qb, kb in zip(q, k, strict=True)]
    return torch.stack([torch.stack([torch.stack(r) for r in one]) for one in rows])


def concat_repeat(query, key, W, v):
    b, n, _ = query.shape
    m = key.shape[1]
    pairs = torch.cat([query.repeat_interleave(m, dim=1), key.repeat(1, n, 1)], dim=2)
    return torch.matmul(torch.tanh(torch.matmul(pairs, W)), v).view(b, n, m)


def local_loops(scores, center, half_width):
    out = torch.zeros_like(scores)
    for i, p in enumerate(center.tolist()):
        js = [j for j in range(scores.shape[1]) if abs(j - p) <= half_width + 1e-6]
        w = scores[i, js].softmax(0)
        for j, a in zip(js, w, strict=True):
            out[i, j] = a * math.exp(-((j - p) ** 2) / (2 * (half_width / 2) ** 2))
    return out


def local_exponentials(s, p, d):
    gap = torch.arange(s.shape[1])[None].double() - p[:, None].double()
    e = s.double().exp() * (gap.abs() <= d + 1e-6)
    return e / e.sum(1, keepdim=True) * torch.exp(-2 * gap**2 / d**2)


def local_bias(scores, center, half_width):
    gap = (torch.arange(scores.shape[-1]).unsqueeze(0) - center.unsqueeze(1)).abs()
    bias = torch.where(gap <= half_width, 0.0, float("-inf"))
    return torch.softmax(scores + bias, 1).mul(torch.exp(-0.5 * (2 * gap / half_width) ** 2))


CORRECT = {
    "additive-scores": [Additive(), additive_loops, additive_exponentials],
    "concat-scores": [concat_split, concat_loops, concat_repeat],
    "local-weights": [local_loops, local_exponentials, local_bias],
}
