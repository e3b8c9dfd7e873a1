"""Right answers in other words."""

import numpy as np
import torch

from attnbook.ring import split
from attnbook.tiled import merge


def joined_package(outputs, lses):
    return merge(list(outputs), list(lses))[0]


def joined_in_turn(outputs, lses):
    output, lse = outputs[0], lses[0]
    for other, other_lse in zip(outputs[1:], lses[1:], strict=True):
        share = torch.sigmoid(other_lse - lse).unsqueeze(-1)
        output = (1 - share) * output + share * other
        lse = torch.logaddexp(lse, other_lse)
    return output


def joined_einsum(outputs, lses):
    powers = torch.exp(lses - lses.max(dim=0).values)
    return torch.einsum("pn,pnd->nd", powers, outputs) / powers.sum(dim=0)[:, None]


def positions_package(n, rank, ranks):
    return split(torch.arange(n), rank, ranks, dim=0)


def positions_numpy(n, rank, ranks):
    pieces = np.split(np.arange(n), 2 * ranks)
    return torch.from_numpy(np.concatenate([pieces[rank], pieces[-1 - rank]]))


def positions_loop(n, rank, ranks):
    return torch.tensor([i for i in range(n) if i * 2 * ranks // n in (rank, 2 * ranks - 1 - rank)])


CORRECT = {
    "join-the-parts": [joined_package, joined_in_turn, joined_einsum],
    "positions-of-a-worker": [positions_package, positions_numpy, positions_loop],
}
