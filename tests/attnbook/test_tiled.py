"""Tiled attention means what the definition means, in every case and for any size of tile; parts merge to the whole."""

import math
import subprocess
import sys

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from attnbook import attention
from attnbook.tiled import merge, partial_attention, tiled_attention
from tests.attnbook.cases import cases
from tests.attnbook.reference import inputs, refused

tiles = st.tuples(st.integers(1, 7), st.integers(1, 7))


def tiled(case, tile):
    options = {"mask": case.mask, "bias": case.bias, "causal": case.causal, "scale": case.scale}
    return tiled_attention(case.query, case.key, case.value, tile=tile, **options)


@settings(max_examples=250)
@given(data=st.data(), tile=tiles)
def test_the_same_meaning_in_every_case(data, tile, device):
    """Outputs, and gradients for query, key, value and bias."""
    case = data.draw(cases(device=device))
    expected, actual = case.readable()[0], tiled(case, tile)
    torch.testing.assert_close(actual, expected, atol=1e-11, rtol=0)
    torch.manual_seed(0)
    upstream = torch.randn_like(expected)
    exact = torch.autograd.grad(expected, case.learned(), upstream, allow_unused=True, materialize_grads=True)
    found = torch.autograd.grad(actual, case.learned(), upstream, allow_unused=True, materialize_grads=True)
    for a, b in zip(found, exact, strict=True):
        torch.testing.assert_close(a, b, atol=1e-10, rtol=0)


@settings(max_examples=50)
@given(data=st.data(), tile=tiles)
def test_the_same_meaning_in_float32(data, tile, device):
    case = data.draw(cases(device=device, dtype=torch.float32, spread=1.0))
    torch.testing.assert_close(tiled(case, tile), case.readable()[0], atol=2e-5, rtol=0)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_float32(dtype, device):
    query, key, value = inputs((2, 3, 9, 4), (2, 3, 11, 4), (2, 3, 11, 4), dtype=dtype, device=device)
    output, lse = partial_attention(query, key, value, tile=(4, 4))
    exact = attention(query.double(), key.double(), value.double())[0]
    assert output.dtype == dtype and lse.dtype == torch.float32
    torch.testing.assert_close(output, exact.to(dtype), atol=torch.finfo(dtype).eps, rtol=0)


def test_large_and_rising_scores(device):
    """The largest score comes last, and its exponential would overflow."""
    query = torch.full((1, 1, 3, 1), 40.0, dtype=torch.float64, device=device)
    key = torch.arange(-30.0, 31.0, dtype=torch.float64, device=device).view(1, 1, -1, 1)
    output = tiled_attention(query, key, key, scale=1.0, tile=(2, 8))
    torch.testing.assert_close(output, attention(query, key, key, score=lambda q, k: q @ k.mT)[0])
    assert abs(output[0, 0, 0, 0].item() - (30 - math.exp(-40))) < 1e-12


@pytest.mark.parametrize("cut", [(3, 4, 5), (1, 11), (12, 0), (6, 6)])
def test_parts_merge_to_the_whole(cut, device):
    """Some queries see no key in some parts, one sees none at all; gradients go through the log-sum-exps."""
    query, key, value = inputs((2, 3, 5, 4), (2, 3, 12, 4), (2, 3, 12, 6), device=device, grad=True)
    mask = (torch.rand(5, 12, generator=torch.Generator().manual_seed(0)) < 0.4).to(device)
    mask[1, 4:], mask[2] = False, False
    expected, _ = attention(query, key, value, mask=mask)
    parts = [
        partial_attention(query, k, v, mask=allowed, tile=(2, 3))
        for k, v, allowed in zip(key.split(cut, 2), value.split(cut, 2), mask.split(cut, 1), strict=True)
    ]
    output, lse = merge(*zip(*parts, strict=True))
    torch.testing.assert_close(output, expected, atol=1e-13, rtol=0)
    scores = (query @ key.mT / 2).masked_fill(~mask, -torch.inf)
    torch.testing.assert_close(lse, scores.logsumexp(-1), atol=1e-13, rtol=0)
    upstream = torch.randn_like(expected)
    exact = torch.autograd.grad(expected, (query, key, value), upstream)
    found = torch.autograd.grad(output, (query, key, value), upstream)
    for a, b in zip(found, exact, strict=True):
        torch.testing.assert_close(a, b, atol=1e-12, rtol=0)


def test_the_gradient_of_the_log_sum_exp(device):
    query, key, value = inputs((5, 4), (7, 4), (7, 6), device=device, grad=True)
    lse = partial_attention(query, key, value, tile=(2, 3))[1]
    expected = (query @ key.mT / 2).logsumexp(-1)
    torch.testing.assert_close(lse, expected)
    for a, b in zip(
        torch.autograd.grad(lse.square().sum(), (query, key)),
        torch.autograd.grad(expected.square().sum(), (query, key)),
        strict=True,
    ):
        torch.testing.assert_close(a, b, atol=1e-12, rtol=0)


def test_tiles_that_causality_hides_are_not_computed(monkeypatch):
    """As many products as tiles on and below the diagonal: 10 of 16."""
    from attnbook.tiled import _Room

    products, plain = [], _Room.product
    monkeypatch.setattr(_Room, "product", lambda self, a, b: products.append(a.shape) or plain(self, a, b))
    x = torch.randn(1, 1, 16, 4)
    tiled_attention(x, x, x, causal=True, tile=(4, 4))
    assert len(products) == 10
    tiled_attention(x, x, x, tile=(4, 4))
    assert len(products) == 10 + 16


PEAK = """
import torch
from attnbook.tiled import tiled_attention

def peak():
    [line] = [line for line in open("/proc/self/status") if line.startswith("VmHWM")]
    return int(line.split()[1]) / 1024

torch.set_num_threads(1)
query, key, value = torch.randn(3, 1, 8, 4096, 64).requires_grad_({backward})
small = tiled_attention(*(x[:, :, :600] for x in (query, key, value)))
{small_backward}
before = peak()
output = tiled_attention(query, key, value)
{large_backward}
print(peak() - before)
"""


@pytest.mark.parametrize(("backward", "mebibytes"), [(False, 30), (True, 80)])
def test_memory_grows_with_the_length_and_not_with_its_square(backward, mebibytes):
    """The table of scores alone would take 512 MiB."""
    program = PEAK.format(
        backward=backward,
        small_backward="small.sum().backward()" if backward else "",
        large_backward="output.sum().backward()" if backward else "",
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert 0 < float(done.stdout) < mebibytes


@pytest.mark.parametrize(
    ("options", "error", "starts", "says"),
    [
        ({"tile": (0, 4)}, ValueError, "tile[0] must be at least 1", "0"),
        ({"tile": (4, 2.0)}, TypeError, "tile[1] must be an integer", "float"),
        ({"scale": "1"}, TypeError, "scale must be a number", "str"),
        ({"causal": 1}, TypeError, "causal must be True or False", "int"),
        ({"mask": torch.ones(3, 3, dtype=torch.bool)}, ValueError, "mask must broadcast to the scores", "(3, 3)"),
        ({"bias": torch.ones(5, 8)}, ValueError, "bias must broadcast to the scores", "(5, 8)"),
    ],
)
def test_errors(options, error, starts, says, own_errors):
    with refused(error, starts, says):
        tiled_attention(*inputs((2, 5, 4), (2, 7, 4), (2, 7, 4)), **options)
    with refused(ValueError, "key must have last axis 4", "(2, 7, 3)"):
        tiled_attention(*inputs((2, 5, 4), (2, 7, 3), (2, 7, 4)))
