"""Right answers in other words."""

import numpy as np
import torch
from torch import nn


def product_numpy(states, W):
    h, w = states.numpy().astype(float), W.numpy().astype(float)
    factors = [(1 - s**2)[:, None] * w for s in h[:0:-1]]
    return np.linalg.multi_dot([np.eye(len(w)), *factors, np.eye(len(w))])


def product_recursive(states, W):
    if len(states) == 1:
        return torch.eye(len(W))
    return (1 - states[-1].square()).unsqueeze(1) * (W @ product_recursive(states[:-1], W))


def product_columns(states, W):
    columns = torch.eye(W.shape[0], dtype=torch.float64)
    for t in range(1, states.shape[0]):
        columns = torch.einsum("a,ab,bc->ac", 1 - states[t].double() ** 2, W.double(), columns)
    return columns


class Look(nn.Module):
    def forward(self, text):
        return nn.functional.scaled_dot_product_attention(text[None], text[None], text[None])[0]


def look_loops(text):
    rows = []
    for a in text:
        scores = torch.stack([a @ b for b in text]).double() / len(a) ** 0.5
        exps = (scores - scores.max()).exp()
        rows.append(sum(e * b for e, b in zip(exps, text.double(), strict=True)) / exps.sum())
    return torch.stack(rows)


def look_einsum(text):
    s = torch.einsum("id,jd->ij", text, text) * text.size(1) ** -0.5
    return torch.einsum("ij,jd->id", torch.softmax(s, 1), text)


CORRECT = {
    "gradient-product": [product_numpy, product_recursive, product_columns],
    "look-at-all": [Look(), look_loops, look_einsum],
}
