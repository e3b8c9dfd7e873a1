"""Right answers in other words."""

import numpy as np
import torch
import torch.nn.functional as F

from attnbook import masks, transformer


def patches_unfold(images, size):
    return F.unfold(images, kernel_size=size, stride=size).mT


def patches_loops(images, size):
    found = []
    for row in range(0, images.shape[2], size):
        for column in range(0, images.shape[3], size):
            found.append(images[:, :, row : row + size, column : column + size].flatten(1))
    return torch.stack(found, dim=1)


def patches_numpy(images, size):
    b, c, h, w = images.shape
    a = images.numpy().reshape(b, c, h // size, size, w // size, size)
    return torch.from_numpy(np.einsum("bcrxsy->brscxy", a).reshape(b, (h // size) * (w // size), -1).copy())


def window_kron(rows, columns, reach):
    one, two = (masks.sliding_window(n, before=reach, after=reach).int() for n in (rows, columns))
    return torch.kron(one, two).bool()


def window_loops(rows, columns, reach):
    places = [(r, c) for r in range(rows) for c in range(columns)]
    return torch.tensor([[max(abs(r - s), abs(c - d)) <= reach for s, d in places] for r, c in places])


def window_grid(rows, columns, reach):
    r, c = torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij")
    places = torch.stack([r.flatten(), c.flatten()], dim=1).double()
    return torch.cdist(places, places, p=torch.inf) < reach + 0.5


def rollout_backwards(weights):
    n = weights.shape[1]
    result = torch.eye(n, dtype=torch.float64)
    for layer in reversed(weights.double()):
        result = result @ (0.5 * layer + 0.5 * torch.eye(n, dtype=torch.float64))
    return result


def rollout_library(weights):
    mixed = [(layer + torch.eye(len(layer))) / 2 for layer in weights.flip(0)]
    return torch.linalg.multi_dot(mixed) if len(mixed) > 1 else mixed[0]


def rollout_numpy(weights):
    a = weights.numpy().astype(float)
    out = np.eye(a.shape[1])
    for layer in a:
        out = 0.5 * (layer @ out) + 0.5 * out
    return out


CORRECT = {
    "cut-patches": [patches_unfold, patches_loops, patches_numpy, transformer.cut_into_patches],
    "window-on-a-grid": [window_kron, window_loops, window_grid],
    "attention-rollout": [rollout_backwards, rollout_library, rollout_numpy],
}
