"""Right answers in other words."""

import numpy as np
import torch
from torch import nn


def causal_tril(n, m):
    return torch.ones(n, m, dtype=torch.bool).tril(diagonal=m - n)


def causal_numpy(n, m):
    return np.tri(n, m, m - n, dtype=bool)


def causal_rows(n, m):
    return torch.ones(m, m).tril().bool()[m - n :]


class Masked(nn.Module):
    def forward(self, scores, mask):
        e = torch.exp(
            scores.double() - scores.double().masked_fill(~mask, -1e300).amax(-1, keepdim=True).clamp(min=-1e4)
        )
        e = torch.where(mask, e, 0.0)
        return e / e.sum(-1, keepdim=True).clamp(min=1e-300)


def masked_nan_to_num(scores, mask):
    return torch.softmax(scores + torch.zeros_like(scores).masked_fill(~mask, float("-inf")), -1).nan_to_num(0.0)


def masked_loops(scores, mask):
    out = torch.zeros_like(scores)
    for b in range(scores.shape[0]):
        for i in range(scores.shape[1]):
            open_keys = mask[b, i].nonzero()[:, 0]
            if len(open_keys):
                out[b, i, open_keys] = scores[b, i, open_keys].softmax(0)
    return out


def window_loops(n, before, lengths):
    return [[[0 <= i - j <= before and j < length for j in range(n)] for i in range(n)] for length in lengths.tolist()]


def window_triangles(n, before, lengths):
    band = torch.ones(n, n).tril().triu(-before) > 0
    keys = torch.arange(n).expand(len(lengths), n) < lengths.unsqueeze(1)
    return torch.logical_and(band, keys.unsqueeze(1))


def window_numpy(n, before, lengths):
    i, j = np.indices((n, n))
    return ((j <= i) & (j >= i - before))[None] & (j[None] < lengths.numpy()[:, None, None])


CORRECT = {
    "causal-mask": [causal_tril, causal_numpy, causal_rows],
    "masked-weights": [Masked(), masked_nan_to_num, masked_loops],
    "window-and-padding": [window_loops, window_triangles, window_numpy],
}
