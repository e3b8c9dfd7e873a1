"""Distances j - i, with the queries at the end."""

import pytest
import torch

from attnbook import masks
from attnbook.positions import distances


def test_by_hand(device):
    expected = torch.tensor([[-2, -1, 0, 1], [-3, -2, -1, 0]], device=device)
    assert torch.equal(distances(2, 4, device=device), expected)
    assert torch.equal(distances(3), torch.tensor([[0, 1, 2], [-1, 0, 1], [-2, -1, 0]]))
    assert torch.equal(distances(3, 1), torch.tensor([[2], [1], [0]]))
    assert distances(0, 3).shape == (0, 3) and distances(2, 0).shape == (2, 0)


@pytest.mark.parametrize(("n", "m"), [(1, 1), (4, 4), (2, 7), (5, 3)])
def test_causal_is_what_lies_at_distance_zero_or_before(n, m):
    assert torch.equal(distances(n, m) <= 0, masks.causal(n, m))
