"""Counted costs: against PyTorch's own counter on real layers, and against loops; errors."""

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from attnbook import MultiHeadAttention, attention, costs, masks


def multiply_adds(run):
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        run()
    return counter.get_total_flops() // 2


@pytest.mark.parametrize(("n", "d", "h"), [(16, 32, 4), (64, 32, 1), (5, 12, 3)])
def test_full_attention_is_what_pytorch_counts(n, d, h):
    layer = MultiHeadAttention(d, h)
    counted = multiply_adds(lambda: layer(torch.zeros(1, n, d), need_weights=True))
    parts = costs.operations("full", n=n, d=d, h=h)
    assert sum(parts.values()) == counted
    x = torch.zeros(1, h, n, d // h)
    assert parts["attention"] == multiply_adds(lambda: attention(x, x, x))
    assert costs.operations("fused", n=n, d=d, h=h) == parts


@pytest.mark.parametrize(("n", "d", "h"), [(16, 32, 4), (40, 12, 3)])
def test_linear_attention_is_what_pytorch_counts(n, d, h):
    x = torch.ones(1, h, n, d // h)
    counted = multiply_adds(lambda: x @ (x.transpose(-1, -2) @ x) / (x @ x.sum(dim=2)[..., None]))
    assert costs.operations("linear", n=n, d=d, h=h)["attention"] == counted


def test_a_recurrent_layer_is_what_pytorch_counts():
    """The GRU's kernel is not in PyTorch's counter: its cell's products are counted one by one."""
    n, d = 7, 12
    cell = nn.GRUCell(d, d)
    products = [cell.weight_ih.T, cell.weight_hh.T]
    counted = n * multiply_adds(lambda: [torch.zeros(1, d) @ weight for weight in products])
    assert sum(costs.operations("recurrent", n=n, d=d).values()) == counted


@pytest.mark.parametrize(("n", "w"), [(64, 5), (8, 20)])
def test_a_window_is_its_pairs(n, w):
    """Counted pair by pair, without the ends of the text, where a window is cut: an upper bound that is close."""
    pairs = masks.sliding_window(n, before=(w - 1) // 2, after=w // 2).sum().item()
    counted = costs.operations("window", n=n, d=6, h=2, w=w)["attention"]
    assert pairs * 2 * 6 <= counted <= (pairs + w * w) * 2 * 6


def test_memory():
    n, d, h = 16, 32, 4
    _, weights = MultiHeadAttention(d, h)(torch.zeros(1, n, d), need_weights=True)
    assert costs.memory("full", n=n, d=d, h=h)["attention"] == weights.numel()
    x = torch.ones(1, h, n, d // h)
    state = (x.transpose(-1, -2) @ x).numel() + x.sum(dim=2).numel()
    assert costs.memory("linear", n=n, d=d, h=h)["attention"] == state
    assert costs.memory("fused", n=n, d=d, h=h)["attention"] == 2 * weights.sum(dim=-1).numel()
    assert costs.memory("window", n=n, d=d, h=h, w=3)["attention"] == 3 * h * n
    assert costs.memory("recurrent", n=n, d=d)["attention"] == nn.GRU(d, d)(torch.zeros(n, 1, d))[1].numel()


def test_heads_change_memory_and_not_work():
    for h in (1, 2, 8):
        assert costs.operations("full", n=64, d=32, h=h) == costs.operations("full", n=64, d=32)
        assert costs.memory("full", n=64, d=32, h=h)["attention"] == h * costs.memory("full", n=64, d=32)["attention"]


@pytest.mark.parametrize(
    ("change", "error", "says"),
    [
        ({"form": "sparse"}, ValueError, "form must be one of full, fused, window, linear, recurrent; got 'sparse'"),
        ({"n": 0}, ValueError, "n must be at least 1; got 0"),
        ({"d": 10}, ValueError, "d must be a multiple of h = 4; got 10"),
        ({"d": 3.5}, TypeError, "d must be"),
        ({"w": None, "form": "window"}, ValueError, "w must be given for the form window; got None"),
    ],
)
def test_bad_input_is_named(change, error, says, own_errors):
    arguments = {"form": "full", "n": 8, "d": 32, "h": 4, "w": 4} | change
    for count in (costs.operations, costs.memory):
        with pytest.raises(error, match=says):
            count(arguments["form"], **{k: v for k, v in arguments.items() if k != "form"})
