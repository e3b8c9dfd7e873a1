"""The fused form means what the definition means, in every case, and runs on the fused kernel."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import scaled_dot_product_attention as pytorch
from torch.utils._python_dispatch import TorchDispatchMode

from attnbook import attention, masks, scaled_dot_product_attention
from tests.attnbook.cases import cases
from tests.attnbook.reference import inputs


class Operations(TorchDispatchMode):
    """Records the name of each operation that reaches a kernel."""

    def __init__(self):
        super().__init__()
        self.names = []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        self.names.append(function.overloadpacket.__name__)
        return function(*args, **(kwargs or {}))


@settings(max_examples=250)
@given(data=st.data())
def test_the_same_meaning_in_every_case(data, device):
    """Outputs, and gradients for query, key, value and bias."""
    case = data.draw(cases(device=device))
    expected, _ = case.readable()
    actual = case.fused()
    torch.testing.assert_close(actual, expected, atol=1e-11, rtol=0)
    torch.manual_seed(0)
    upstream = torch.randn_like(expected)
    exact = torch.autograd.grad(expected, case.learned(), upstream, allow_unused=True, materialize_grads=True)
    found = torch.autograd.grad(actual, case.learned(), upstream, allow_unused=True, materialize_grads=True)
    for a, b in zip(found, exact, strict=True):
        torch.testing.assert_close(a, b, atol=1e-10, rtol=0)


@settings(max_examples=100)
@given(data=st.data())
def test_the_same_meaning_in_float32(data, device):
    case = data.draw(cases(device=device, dtype=torch.float32, spread=1.0))
    torch.testing.assert_close(case.fused(), case.readable()[0], atol=2e-5, rtol=0)


@pytest.mark.parametrize(("n", "m"), [(5, 5), (3, 7), (7, 3), (1, 7), (7, 1)])
def test_causal_is_aligned_at_the_end(n, m, device):
    """The last query sees every key; with more queries than keys the first see nothing."""
    query, key, value = inputs((2, 3, n, 4), (2, 3, m, 4), (2, 3, m, 4), device=device)
    output = scaled_dot_product_attention(query, key, value, causal=True)
    for i in range(n):
        seen = max(0, i + 1 + m - n)
        expected = torch.zeros(2, 3, 1, 4, dtype=torch.float64, device=device)
        if seen:
            expected = pytorch(query[:, :, i : i + 1], key[:, :, :seen], value[:, :, :seen])
        torch.testing.assert_close(output[:, :, i : i + 1], expected, atol=1e-13, rtol=0)


def test_a_cache_gives_the_rows_of_no_cache(device):
    query, key, value = inputs((2, 3, 8, 4), (2, 3, 8, 4), (2, 3, 8, 4), device=device)
    whole = scaled_dot_product_attention(query, key, value, causal=True)
    for begin, end in ((0, 3), (3, 4), (4, 8)):
        rows = scaled_dot_product_attention(query[:, :, begin:end], key[:, :, :end], value[:, :, :end], causal=True)
        torch.testing.assert_close(rows, whole[:, :, begin:end], atol=1e-13, rtol=0)


def test_causal_with_mask_and_bias_together(device):
    query, key, value = inputs((2, 3, 4, 5), (2, 3, 6, 5), (2, 3, 6, 5), device=device)
    mask = masks.padding(torch.tensor([6, 3], device=device))
    (bias,) = inputs((3, 1, 6), seed=3, device=device)
    actual = scaled_dot_product_attention(query, key, value, mask=mask, bias=bias, causal=True)
    expected, _ = attention(query, key, value, mask=mask & masks.causal(4, 6, device=device), bias=bias)
    torch.testing.assert_close(actual, expected, atol=1e-13, rtol=0)
    for left_out in ("mask", "bias", "causal"):
        fewer = {name: x for name, x in (("mask", mask), ("bias", bias), ("causal", True)) if name != left_out}
        assert (scaled_dot_product_attention(query, key, value, **fewer) - actual).abs().max() > 1e-3


@pytest.mark.parametrize("scale", [None, 1.0, 0.1, 3.0, 0.0, -0.5, 2])
def test_scale(scale, device):
    query, key, value = inputs((2, 3, 4, 5), (2, 3, 6, 5), (2, 3, 6, 5), device=device)
    expected = (query @ key.transpose(-2, -1) * (5**-0.5 if scale is None else scale)).softmax(-1) @ value
    torch.testing.assert_close(scaled_dot_product_attention(query, key, value, scale=scale), expected)


@pytest.mark.parametrize("how", ["plain", "causal", "causal cache", "mask", "bias", "groups", "mixed groups", "axes"])
def test_it_runs_on_the_fused_kernel(how):
    """One fused kernel forward, one backward, and no softmax or product of matrices beside them.

    On the CPU only: which kernel CUDA takes depends on the card.
    """
    shapes = (2, 6, 9, 8), (2, 6, 9, 8), (2, 6, 9, 8)
    query, key, value = inputs(*shapes, dtype=torch.float32, grad=True)
    options = {}
    if how.startswith("causal"):
        options["causal"] = True
    if how == "causal cache":
        query = query[:, :, -4:]
    elif how == "mask":
        options["mask"] = masks.padding(torch.tensor([5, 0]), 9)
    elif how == "bias":
        options["bias"] = torch.zeros(6, 9, 9)
    elif how == "groups":
        key, value = key[:, ::2], value[:, ::2]
    elif how == "mixed groups":
        key, value = key[:, ::2], value[:, ::3]
    elif how == "axes":
        query, key, value = query[0, 0], key[0, 0], value[None, :, :1]
    with Operations() as operations:
        scaled_dot_product_attention(query, key, value, **options).sum().backward()
    fused = [name for name in operations.names if "_scaled_dot_product" in name]
    assert len(fused) == 2 and all("attention" in name and "math" not in name for name in fused)
    assert fused[1].startswith(fused[0].removesuffix("_for_cpu")) and "backward" in fused[1]
    assert not {"softmax", "bmm", "mm", "matmul"} & {name.strip("_") for name in operations.names}


def test_what_pytorch_does_differently(device):
    """Its is_causal aligns at the start. This is the difference that `causal` here is for."""
    query, key, value = inputs((1, 1, 2, 4), (1, 1, 5, 4), (1, 1, 5, 4), device=device)
    at_start = pytorch(query, key, value, is_causal=True)
    torch.testing.assert_close(at_start[:, :, 0], value[:, :, 0])
    at_end = scaled_dot_product_attention(query, key, value, causal=True)
    torch.testing.assert_close(at_end[:, :, 1:], pytorch(query[:, :, 1:], key, value))
