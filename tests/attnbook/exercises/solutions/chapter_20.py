"""Right answers in other words."""

import numpy as np
import torch

from attnbook import MultiHeadAttention, attention, masks


def rows_by_loop(numbers):
    return torch.tensor([[2 * y, -y * y] for y in numbers.tolist()]).reshape(-1, 2)


def rows_by_product(numbers):
    return numbers[:, None] * torch.stack([torch.full_like(numbers, 2.0), -numbers], dim=1)


def rows_by_difference(numbers):
    """x² - (x - y)² at x = 1 and at x = 0: a line's slope and height."""
    height = -((0 - numbers) ** 2)
    return torch.stack([1 - (1 - numbers) ** 2 - height, height], dim=-1)


def scale_by_least_squares(query, key, weights):
    """One unknown for c and one for each row's constant."""
    products, logs = (query @ key.T).double().numpy(), weights.double().log().numpy()
    n, m = products.shape
    columns = np.concatenate([products.reshape(-1, 1), np.kron(np.eye(n), np.ones((m, 1)))], axis=1)
    return torch.tensor(np.linalg.lstsq(columns, logs.reshape(-1), rcond=None)[0][0])


def scale_by_pairs(query, key, weights):
    products, logs = query @ key.mT, weights.log()
    dx, dy = (t[:, :, None] - t[:, None, :] for t in (products, logs))
    return (dx * dy).sum() / (dx**2).sum()


def scale_by_covariance(query, key, weights):
    products, logs = query @ key.mT, weights.log()
    dx = products - products.mean(dim=1, keepdim=True)
    return torch.einsum("nm,nm->", dx, logs) / dx.square().sum()


def layer_loop(x, W_Q, W_K, W_V, W_O, heads):
    n, d = x.shape
    size = d // heads
    parts = []
    for h in range(heads):
        q, k, v = (x @ W[:, h * size : (h + 1) * size] for W in (W_Q, W_K, W_V))
        parts.append(attention(q, k, v, mask=masks.causal(n))[0])
    return torch.cat(parts, dim=-1) @ W_O


def layer_package(x, W_Q, W_K, W_V, W_O, heads):
    module = MultiHeadAttention(x.shape[-1], heads, bias=False).to(x.dtype)
    with torch.no_grad():
        names = ("q_proj", "k_proj", "v_proj", "out_proj")
        for name, W in zip(names, (W_Q, W_K, W_V, W_O), strict=True):
            getattr(module, name).weight.copy_(W.T)
    return module(x[None], causal=True)[0][0].detach()


def layer_fused(x, W_Q, W_K, W_V, W_O, heads):
    q, k, v = ((x @ W).unflatten(-1, (heads, -1)).movedim(-2, 0)[None] for W in (W_Q, W_K, W_V))
    output = torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)[0]
    return output.movedim(0, -2).flatten(-2) @ W_O


CORRECT = {
    "squares-for-the-keys": [rows_by_loop, rows_by_product, rows_by_difference],
    "measure-the-scale": [scale_by_least_squares, scale_by_pairs, scale_by_covariance],
    "mend-the-layer": [layer_loop, layer_package, layer_fused],
}
