"""Right answers in other words."""

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn


def norm_library(x, gain, shift):
    return F.layer_norm(x, gain.shape, gain, shift)


def norm_numpy(x, gain, shift):
    a = x.numpy().astype(float)
    centered = a - a.mean(2, keepdims=True)
    return centered / np.sqrt(a.var(2, keepdims=True) + 1e-5) * gain.numpy() + shift.numpy()


class Norm(nn.Module):
    def forward(self, x, g, b):
        x = x.double()
        mean = x.sum(-1) / x.shape[-1]
        square = (x * x).sum(-1) / x.shape[-1]
        return torch.stack(
            [
                g * (row - m) * (s - m * m + 1e-5) ** -0.5 + b
                for row, m, s in zip(x.flatten(0, 1), mean.flatten(), square.flatten(), strict=True)
            ]
        ).view(x.shape)


def _norm(x):
    return (x - x.mean(-1, keepdim=True)) / torch.sqrt(x.var(-1, correction=0, keepdim=True) + 1e-5)


def block_library(x, W_v, W_1, W_2):
    y = _norm(x)
    x = x + F.scaled_dot_product_attention(y, y, y @ W_v)
    return x + F.linear(F.relu(F.linear(_norm(x), W_1.T)), W_2.T)


class Block(nn.Module):
    def forward(self, x, W_v, W_1, W_2):
        outs = []
        for text in x:
            y = _norm(text)
            h = text + F.softmax(y @ y.T * y.shape[1] ** -0.5, 1) @ (y @ W_v)
            outs.append(h + torch.clamp(_norm(h) @ W_1, min=0) @ W_2)
        return torch.stack(outs)


def block_einsum(x, W_v, W_1, W_2):
    y = _norm(x.double())
    a = torch.einsum("bid,bjd->bij", y, y).div(math.sqrt(x.size(-1))).softmax(-1)
    x = x.double().add(torch.einsum("bij,bjd,de->bie", a, y, W_v.double()))
    hidden = _norm(x) @ W_1.double()
    return x.add((hidden * (hidden > 0)) @ W_2.double())


def rate_branches(step, d_model, warmup):
    scale = 1 / math.sqrt(d_model)
    return scale * step / (warmup * math.sqrt(warmup)) if step < warmup else scale / math.sqrt(step)


def rate_tensor(step, d_model, warmup):
    t = torch.tensor(float(step))
    return torch.minimum(t.rsqrt(), t * warmup**-1.5) / d_model**0.5


def rate_peak(step, d_model, warmup):
    peak = (d_model * warmup) ** -0.5
    return peak * min(step / warmup, (warmup / step) ** 0.5)


CORRECT = {
    "layer-norm": [norm_library, norm_numpy, Norm()],
    "encoder-block": [block_library, Block(), block_einsum],
    "warmup": [rate_branches, rate_tensor, rate_peak],
}
