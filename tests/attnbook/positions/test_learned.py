"""The learned table: its rows, its end, its gradient."""

import pytest
import torch

from attnbook.positions import LearnedPositions


def test_rows_and_gradient(device):
    positions = LearnedPositions(6, 4).to(device)
    assert positions.weight.shape == (6, 4)
    rows = positions(2, start=3)
    assert torch.equal(rows, positions.weight[3:5])
    rows.sum().backward()
    assert positions.weight.grad.sum(dim=1).tolist() == [0, 0, 0, 4, 4, 0]


def test_the_last_row_exists_and_the_next_does_not():
    positions = LearnedPositions(6, 4)
    assert (
        positions(6).shape == (6, 4) and positions(1, start=5).shape == (1, 4) and positions(0, start=6).shape == (0, 4)
    )
    for length, start in ((7, 0), (1, 6), (3, 4)):
        with pytest.raises(
            ValueError, match=rf"^length must end within max_length = 6.*start {start} \+ length {length}"
        ):
            positions(length, start)


def test_the_first_weights_are_small():
    weight = LearnedPositions(500, 64).weight
    assert weight.std().item() == pytest.approx(0.02, rel=0.05) and abs(weight.mean().item()) < 0.001
