"""Sound layers pass every experiment; a planted fault is met by the experiments that it must break, and by no other."""

import math

import pytest
import torch
from torch import nn

from attnbook import MultiHeadAttention
from attnbook.diagnosis import EXPERIMENTS, diagnose, report
from attnbook.positions import Rotary

X = torch.randn(3, 5, 16, generator=torch.Generator().manual_seed(1))


class Ours(nn.Module):
    def __init__(self, causal, **options):
        super().__init__()
        torch.manual_seed(0)
        self.attention, self.causal = MultiHeadAttention(16, 4, **options), causal

    def forward(self, x, real=None):
        mask = None if real is None else real[:, None, None, :]
        return self.attention(x, causal=self.causal, mask=mask)[0]


class PyTorch(nn.Module):
    def __init__(self, causal, batch_first=True):
        super().__init__()
        torch.manual_seed(0)
        self.attention, self.causal = nn.MultiheadAttention(16, 2, batch_first=batch_first), causal

    def forward(self, x, real=None):
        mask = nn.Transformer.generate_square_subsequent_mask(x.shape[1], dtype=x.dtype) if self.causal else None
        padding = None if real is None else torch.zeros(real.shape, dtype=x.dtype).masked_fill(~real, -torch.inf)
        return self.attention(x, x, x, attn_mask=mask, key_padding_mask=padding, need_weights=False)[0]


class Planted(nn.Module):
    """Causal self-attention of two heads in which one thing can be wrong."""

    def __init__(self, fault):
        super().__init__()
        torch.manual_seed(0)
        self.fault = fault
        self.q, self.k, self.v, self.o = (nn.Linear(16, 16) for _ in range(4))

    def forward(self, x, real=None):
        fault, n = self.fault, x.shape[1]
        key = self.q if fault == "keys are the queries" else self.k
        q, k, v = (W(x).unflatten(-1, (2, 8)).transpose(1, 2) for W in (self.q, key, self.v))
        scores = q @ k.mT / math.sqrt(8)
        if fault == "scores not used":
            scores = 0 * scores
        diagonal = {"sees the next token": 1, "does not see itself": -1, "no mask": n}.get(fault, 0)
        seen = torch.ones(n, n, dtype=torch.bool).tril(diagonal)
        if fault == "mask in training alone" and not self.training:
            seen = torch.ones(n, n, dtype=torch.bool)
        if real is not None and fault != "padding not used":
            seen = seen & (real[:, None, :, None] if fault == "padding on the queries" else real[:, None, None, :])
        if fault == "mask after the softmax":
            weights = scores.softmax(dim=-1) * seen
        else:
            scores = scores.masked_fill(~seen, -1e9 if fault == "-1e9" else -torch.inf)
            weights = scores.softmax(dim=-2 if fault == "softmax over the queries" else -1)
        if fault == "softmax by hand":
            weights = scores.exp() / scores.exp().sum(dim=-1, keepdim=True)
        if fault == "dropout":
            weights = nn.functional.dropout(weights, 0.2)
        if fault == "twice as much":
            weights = weights / (2 - weights.sum(dim=-1, keepdim=True)) * (1 + 1 / n)
        return self.o((weights @ v).transpose(1, 2).flatten(2))


def failed(layer, **options):
    return {finding.name for finding in diagnose(layer, X, **options) if finding.ok is False}


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize(
    "make",
    [
        Ours,
        PyTorch,
        lambda causal: Ours(causal, n_kv_heads=2),
        lambda causal: Ours(causal, n_kv_heads=1, bias=False),
        lambda causal: Ours(causal, d_head=6),
    ],
)
def test_sound_layers_pass_every_experiment(make, causal):
    findings = diagnose(make(causal), X, causal=causal, padding=True)
    assert all(finding.ok for finding in findings), report(findings)
    left_out = {"order"} if causal else {"future", "past", "prefix"}
    assert [finding.name for finding in findings] == [name for name in EXPERIMENTS if name not in left_out]


@pytest.mark.parametrize("causal", [False, True])
def test_a_layer_with_positions_passes(causal):
    layer = Ours(causal, rotary=Rotary(4, layout="half"))
    assert not failed(layer, causal=causal, positions=True, padding=True)


# By hand: what each fault must break. Whatever lets a token see a later one breaks "future" and "prefix". The padded
# token is the second: with it taken out, the first token sees another later one, if it sees one later token only.
LEAKS = {"future", "prefix"}
PLANTED = {
    "nothing": set(),
    "no mask": LEAKS,
    "sees the next token": LEAKS | {"padding"},
    "does not see itself": {"finite"},
    "mask in training alone": LEAKS | {"mode"},
    "mask after the softmax": LEAKS | {"sum", "padding"},
    "softmax over the queries": LEAKS | {"sum", "padding"},
    "softmax by hand": {"large"},
    "-1e9": {"half"},
    "dropout": {"finite"},
    "scores not used": {"content", "gradient"},
    "keys are the queries": {"gradient"},
    "padding not used": {"padding"},
    "padding on the queries": {"padding"},
    "twice as much": {"sum", "prefix", "padding"},
}


@pytest.mark.parametrize("fault", PLANTED)
def test_a_fault_breaks_what_it_must_and_nothing_else(fault):
    assert failed(Planted(fault), causal=True, padding=True) == PLANTED[fault]


def test_batch_and_length_mixed_up():
    assert failed(PyTorch(False, batch_first=False)) == {"batch"}


def test_positions_that_are_not_added_are_found():
    assert failed(Ours(False), positions=True) == {"order"}


def test_a_function_is_asked_what_needs_no_module():
    names = [finding.name for finding in diagnose(lambda x: x.softmax(dim=1) * x, X)]
    assert names == ["finite", "batch", "sum", "order", "content", "large"]


def test_the_layer_is_left_as_it_was():
    layer = Ours(True).train()
    before = {name: p.clone() for name, p in layer.named_parameters()}
    diagnose(layer, X, causal=True)
    assert layer.training
    assert all(torch.equal(p, before[name]) and p.grad is None for name, p in layer.named_parameters())


def test_the_report_says_what_and_why():
    text = " ".join(report(diagnose(Planted("no mask"), X, causal=True)).split())
    assert "future: output 0 changes when input 1 changes" in text
    assert EXPERIMENTS["future"][1] in text
    assert report(diagnose(Planted("nothing"), X, causal=True)) == "11 experiments, nothing found"
    text = report(diagnose(Planted("does not see itself"), X, causal=True))
    assert "finite: output 0 is not finite" in text and "not run" in text


def test_an_error_in_the_layer_is_a_finding():
    def broken(x):
        raise KeyError("no such table")

    first = diagnose(broken, X)[0]
    assert first.ok is False and "KeyError" in first.says


@pytest.mark.parametrize("shape", [(5, 16), (1, 5, 16), (3, 2, 16)])
def test_x_needs_sequences_and_tokens(shape, own_errors):
    with pytest.raises(ValueError, match="x must have shape"):
        diagnose(lambda x: x, torch.zeros(shape))
