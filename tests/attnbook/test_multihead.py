"""MultiHeadAttention beside PyTorch's own module with the same weights: outputs, weights, gradients, and back again."""

import pytest
import torch
from torch import nn

from attnbook import MultiHeadAttention, masks
from tests.attnbook.reference import inputs

HEADS, D_MODEL = 3, 12


def same_weights(device, dtype=torch.float64, **options):
    """PyTorch's module, with biases that are not 0, and ours with a copy of its weights."""
    theirs = nn.MultiheadAttention(D_MODEL, HEADS, **({"batch_first": True} | options), device=device, dtype=dtype)
    if theirs.in_proj_bias is not None:
        nn.init.normal_(theirs.in_proj_bias)
        nn.init.normal_(theirs.out_proj.bias)
    return theirs, MultiHeadAttention.from_torch(theirs)


def gradients(output, layer, *others):
    """Of a loss in which every output counts, for the inputs and each parameter, the packed ones taken apart."""
    learned = [*others, *layer.parameters()]
    upstream = torch.linspace(-1, 2, output.numel(), dtype=output.dtype, device=output.device).view_as(output)
    found = torch.autograd.grad(output, learned, upstream, retain_graph=True)
    inner = dict(zip([name for name, _ in layer.named_parameters()], found[len(others) :], strict=True))
    for kind in ("weight", "bias"):
        if f"in_proj_{kind}" in inner:
            parts = inner.pop(f"in_proj_{kind}").chunk(3)
            inner |= {f"{name}_proj.{kind}": part for name, part in zip("qkv", parts, strict=True)}
    return dict(enumerate(found[: len(others)])) | inner


def close(actual, expected, atol=1e-13):
    torch.testing.assert_close(actual, expected, atol=atol, rtol=0)


def visible(device):
    """A mask for each sequence and head, in which every query sees something: PyTorch gives NaN elsewhere."""
    shown = torch.rand(2, HEADS, 5, 7, generator=torch.Generator().manual_seed(1)) < 0.5
    shown[..., 0] = True
    return shown.to(device)


def option(name, device):
    """The same wish in our words and in theirs, for 5 queries and 7 keys."""
    shown = masks.padding(torch.tensor([7, 3], device=device), 7)
    (numbers,) = inputs((5, 7), seed=8, device=device)
    past = masks.causal(5, 7, device=device)
    per_head = visible(device)
    return {
        "nothing": ({}, {}),
        "padding": ({"mask": shown}, {"key_padding_mask": ~shown[:, 0, 0]}),
        "mask": ({"mask": per_head[0, 0]}, {"attn_mask": ~per_head[0, 0]}),
        "mask for each head": ({"mask": per_head}, {"attn_mask": ~per_head.flatten(0, 1)}),
        "bias": ({"bias": numbers}, {"attn_mask": numbers}),
        "causal": ({"causal": True}, {"attn_mask": ~past}),
        "causal and padding": (
            {"causal": True, "mask": shown},
            {"attn_mask": ~past, "key_padding_mask": ~shown[:, 0, 0]},
        ),
        "all": (
            {"causal": True, "mask": shown, "bias": numbers},
            {
                "attn_mask": numbers.masked_fill(~past, -torch.inf),
                "key_padding_mask": torch.zeros(2, 7, dtype=numbers.dtype, device=device).masked_fill(
                    ~shown[:, 0, 0], -torch.inf
                ),
            },
        ),
    }[name]


OPTIONS = ["nothing", "padding", "mask", "mask for each head", "bias", "causal", "causal and padding", "all"]


@pytest.mark.parametrize("name", OPTIONS)
@pytest.mark.parametrize("need_weights", [True, False])
def test_cross_attention(name, need_weights, device):
    theirs, ours = same_weights(device)
    xs = inputs((2, 5, D_MODEL), (2, 7, D_MODEL), (2, 7, D_MODEL), device=device, grad=True)
    our_options, their_options = option(name, device)
    expected, expected_weights = theirs(*xs, average_attn_weights=False, **their_options)
    output, weights = ours(*xs, need_weights=need_weights, **our_options)
    close(output, expected)
    assert (weights is None) == (not need_weights)
    if need_weights:
        close(weights, expected_weights)
    exact, found = gradients(expected, theirs, *xs), gradients(output, ours, *xs)
    assert found.keys() == exact.keys() and len(found) == 3 + 8
    for parameter, gradient in exact.items():
        close(found[parameter], gradient, atol=1e-11)


@pytest.mark.parametrize("need_weights", [True, False])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("causal", [True, False])
def test_self_attention(need_weights, bias, causal, device):
    theirs, ours = same_weights(device, bias=bias)
    (x,) = inputs((2, 6, D_MODEL), device=device, grad=True)
    future = ~masks.causal(6, device=device) if causal else None
    expected, expected_weights = theirs(x, x, x, attn_mask=future, average_attn_weights=False)
    output, weights = ours(x, need_weights=need_weights, causal=causal)
    close(output, expected)
    if need_weights:
        close(weights, expected_weights)
    exact, found = gradients(expected, theirs, x), gradients(output, ours, x)
    assert found.keys() == exact.keys() and len(found) == 1 + (8 if bias else 4)
    for parameter, gradient in exact.items():
        close(found[parameter], gradient, atol=1e-11)


def test_what_is_left_out(device):
    """Without key: self-attention. Without value: the keys are the values."""
    _, ours = same_weights(device)
    x, memory = inputs((2, 5, D_MODEL), (2, 7, D_MODEL), device=device)
    assert torch.equal(ours(x)[0], ours(x, x, x)[0])
    assert torch.equal(ours(x, memory)[0], ours(x, memory, memory)[0])


def test_a_query_with_nothing_to_attend_to(device):
    """Its heads are 0, so that it gets the bias of the output's projection; no gradient flows to it."""
    _, ours = same_weights(device)
    (x,) = inputs((2, 5, D_MODEL), device=device, grad=True)
    mask = torch.ones(5, 5, dtype=torch.bool, device=device)
    mask[1] = False
    mask[:, 1] = False
    for need_weights in (True, False):
        output, weights = ours(x, mask=mask, need_weights=need_weights)
        close(output[:, 1], ours.out_proj.bias.expand(2, D_MODEL))
        found = gradients(output, ours, x)
        assert all(g.isfinite().all() for g in found.values()) and (found[0][:, 1] == 0).all()
        assert not need_weights or (weights[:, :, 1] == 0).all()


@pytest.mark.parametrize("batch_first", [True, False])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("training", [True, False])
def test_there_and_back(batch_first, bias, dtype, training, device):
    """Every number, the dtype, the device, the dropout and the mode survive; the copies share no memory."""
    theirs, _ = same_weights(device, dtype, bias=bias, batch_first=batch_first, dropout=0.25)
    theirs.train(training)
    ours = MultiHeadAttention.from_torch(theirs)
    back = ours.to_torch()
    assert back.batch_first and back.dropout == ours.dropout == 0.25
    assert back.training == ours.training == back.out_proj.training == ours.q_proj.training == training
    before = theirs.state_dict()
    assert back.state_dict().keys() == before.keys()
    for name, parameter in back.state_dict().items():
        assert parameter.dtype == dtype and parameter.device == theirs.in_proj_weight.device
        assert torch.equal(parameter, before[name])
    assert all(p.dtype == dtype and p.requires_grad and p.is_leaf for p in [*ours.parameters(), *back.parameters()])
    copy = {name: x.clone() for name, x in before.items()}
    with torch.no_grad():
        for parameter in [*ours.parameters(), *back.parameters()]:
            parameter.zero_()
    assert all(torch.equal(x, copy[name]) for name, x in theirs.state_dict().items())


def test_pytorch_may_want_the_batch_second(device):
    """Its default. Ours always takes (batch, length, d_model)."""
    theirs, ours = same_weights(device, batch_first=False)
    (x,) = inputs((2, 5, D_MODEL), device=device)
    second = x.transpose(0, 1)
    close(ours(x)[0], theirs(second, second, second)[0].transpose(0, 1))


@pytest.mark.parametrize("need_weights", [True, False])
def test_their_way_without_gradients(need_weights, device):
    """In evaluation PyTorch's module takes another way through its code, and so may ours."""
    theirs, ours = same_weights(device)
    theirs.eval(), ours.eval()
    (x,) = inputs((2, 6, D_MODEL), device=device)
    with torch.no_grad():
        expected, expected_weights = theirs(x, x, x, need_weights=need_weights, average_attn_weights=False)
        output, weights = ours(x, need_weights=need_weights)
    close(output, expected)
    if need_weights:
        close(weights, expected_weights)
