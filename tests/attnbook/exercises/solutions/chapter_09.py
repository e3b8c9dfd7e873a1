"""Right answers in other words."""

import math

import numpy as np
import torch
from torch import nn


def table_loops(n, d):
    return [[(math.cos if j % 2 else math.sin)(p / 10000 ** ((j - j % 2) / d)) for j in range(d)] for p in range(n)]


def table_numpy(n, d):
    rates = np.exp(-math.log(10000.0) * np.arange(0, d, 2) / d)
    angles = np.outer(np.arange(n), rates)
    return np.stack([np.sin(angles), np.cos(angles)], axis=-1).reshape(n, d)


def table_complex(n, d):
    turns = torch.polar(torch.ones(n, d // 2), torch.outer(torch.arange(n) * 1.0, 1e4 ** -(torch.arange(0, d, 2) / d)))
    return torch.stack([turns.imag, turns.real], -1).flatten(1)


class Complex(nn.Module):
    def forward(self, x, positions):
        b, n, d = x.shape
        z = torch.view_as_complex(x.reshape(b, n, d // 2, 2).contiguous())
        t = torch.outer(positions.double(), 10000.0 ** (-torch.arange(0, d, 2, dtype=torch.float64) / d))
        return torch.view_as_real(z * torch.polar(torch.ones_like(t), t)).reshape(b, n, d)


def rotary_matrices(x, positions):
    out = torch.empty_like(x)
    d = x.shape[-1]
    for k, p in enumerate(positions.tolist()):
        for i in range(0, d, 2):
            t = p * 10000 ** (-i / d)
            turn = torch.tensor([[math.cos(t), -math.sin(t)], [math.sin(t), math.cos(t)]])
            out[:, k, i : i + 2] = x[:, k, i : i + 2] @ turn.T
    return out


def rotary_rotate(x, positions):
    d = x.shape[-1]
    t = (positions[:, None].double() * 10000.0 ** (-torch.arange(0, d, 2).double() / d)).repeat_interleave(2, dim=-1)
    other = torch.stack([-x[..., 1::2], x[..., ::2]], dim=-1).reshape(x.shape)
    return x * t.cos() + other * t.sin()


def alibi_loops(n_heads, n, m):
    return [
        [[-(2 ** (-8 * h / n_heads)) * abs(m - n + i - j) for j in range(m)] for i in range(n)]
        for h in range(1, n_heads + 1)
    ]


def alibi_slice(n_heads, n, m):
    full = (torch.arange(m)[:, None] - torch.arange(m)).abs()[-n:]
    ratio = 2 ** (-8 / n_heads)
    return torch.stack([-(ratio ** (h + 1)) * full for h in range(n_heads)])


def alibi_numpy(n_heads, n, m):
    slopes = np.cumprod(np.full(n_heads, 2 ** (-8 / n_heads)))
    return -slopes[:, None, None] * np.abs(np.subtract.outer(np.arange(n) + m - n, np.arange(m)))


CORRECT = {
    "sinusoidal-table": [table_loops, table_numpy, table_complex],
    "rotary": [Complex(), rotary_matrices, rotary_rotate],
    "alibi-bias": [alibi_loops, alibi_slice, alibi_numpy],
}
