"""The fastest device at hand."""

import pytest
import torch

import attnbook
from attnbook import attention, masks, scaled_dot_product_attention
from attnbook.scores import Additive
from tests.attnbook.reference import inputs


@pytest.mark.parametrize(
    ("cuda", "mps", "expected"),
    [(True, True, "cuda"), (True, False, "cuda"), (False, True, "mps"), (False, False, "cpu")],
)
def test_cuda_before_mps_before_cpu(monkeypatch, cuda, mps, expected):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
    assert attnbook.device() == torch.device(expected)


def test_tensors_can_be_made_there():
    assert torch.ones(2, device=attnbook.device()).sum().item() == 2


def test_everything_stays_on_the_device_of_its_inputs(device):
    query, key, value = inputs((2, 3, 4, 5), (2, 3, 4, 5), (2, 3, 4, 5), device=device, dtype=torch.float32)
    mask = masks.causal(4, device=device) & masks.padding(torch.tensor([4, 2], device=device))
    results = [
        *attention(query, key, value, mask=mask, score=Additive(5, 5, 3).to(device)),
        scaled_dot_product_attention(query, key, value, mask=mask),
        scaled_dot_product_attention(query, key, value, causal=True),
        scaled_dot_product_attention(query[:, :, -2:], key, value, causal=True),
        scaled_dot_product_attention(query[:, :, :0], key, value, causal=True),
    ]
    assert {x.device.type for x in results} == {device.type}
