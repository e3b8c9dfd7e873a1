"""The sinusoidal table against mpmath and transformers, and what the paper says of it."""

import mpmath
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers.models.gptj.modeling_gptj import create_sinusoidal_positions

from attnbook.positions import sinusoidal


def by_mpmath(position, column, d_model, base):
    with mpmath.workdps(40):
        angle = position / mpmath.mpf(base) ** (mpmath.mpf(2 * (column // 2)) / d_model)
        return float(mpmath.cos(angle) if column % 2 else mpmath.sin(angle))


@pytest.mark.parametrize(("d_model", "base"), [(2, 10000.0), (6, 10000.0), (16, 500.0), (64, 10000)])
@pytest.mark.parametrize("start", [0, 3, 10**6, 2**27 + 1])
def test_each_number_against_mpmath(d_model, base, start):
    table = sinusoidal(4, d_model, base=base, start=start, dtype=torch.float64).numpy()
    expected = [[by_mpmath(start + r, c, d_model, base) for c in range(d_model)] for r in range(4)]
    # One rounding of a frequency, 1e-16, times the position.
    np.testing.assert_allclose(table, expected, rtol=0, atol=1e-14 + 4e-16 * start)


def test_the_library_with_sines_first_has_the_same_columns_in_another_order():
    ours = sinusoidal(50, 16, dtype=torch.float64)
    torch.testing.assert_close(
        torch.cat([ours[:, 0::2], ours[:, 1::2]], dim=1),
        create_sinusoidal_positions(50, 16).double(),
        atol=5e-6,
        rtol=0,
    )


def test_half_precision_is_rounded_once():
    exact = sinusoidal(3, 8, start=60_000, dtype=torch.float64)
    for dtype in (torch.float32, torch.float16, torch.bfloat16):
        assert torch.equal(sinusoidal(3, 8, start=60_000, dtype=dtype), exact.to(dtype))


def test_dtype_device_and_shape(device):
    table = sinusoidal(5, 4, device=device)
    assert table.shape == (5, 4) and table.dtype == torch.float32 and table.device.type == device.type
    assert sinusoidal(0, 4).shape == (0, 4)


@given(st.integers(0, 300), st.integers(0, 40), st.integers(0, 300))
def test_dot_products_depend_on_the_distance_alone_and_a_shift_is_a_rotation(p, distance, q):
    """The paper's reason for the choice: PE(p + d) is a linear function of PE(p), the same for every p."""
    rows = {r: sinusoidal(1, 10, start=r, dtype=torch.float64)[0] for r in {p, p + distance, q, q + distance}}
    dots = [torch.dot(rows[r], rows[r + distance]).item() for r in (p, q)]
    assert dots[0] == pytest.approx(dots[1], abs=1e-11)
    angle = distance * 10000.0 ** (-np.arange(0, 10, 2) / 10)
    turn = np.exp(-1j * angle)  # cos + i sin of the table, written as sin + i cos, turns the other way round
    for r in (p, q):
        z = rows[r].view(-1, 2).numpy() @ [1, 1j]
        w = rows[r + distance].view(-1, 2).numpy() @ [1, 1j]
        np.testing.assert_allclose(w, z * turn, rtol=0, atol=1e-11)


def test_start_gives_rows_of_the_longer_table():
    assert torch.equal(sinusoidal(3, 8, start=4), sinusoidal(7, 8)[4:])
