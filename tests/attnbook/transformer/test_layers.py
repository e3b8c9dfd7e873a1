"""Encoder and decoder, layers and stacks, against PyTorch's with the same weights: outputs and gradients."""

import pytest
import torch
from torch import nn

from attnbook.transformer import DecoderLayer, EncoderLayer, FeedForward
from tests.attnbook.transformer.torch_weights import copied_layer, copied_stack, pairs, randomize, same

D_MODEL, HEADS, HIDDEN = 12, 3, 20
EXACT = {"rtol": 1e-9, "atol": 1e-11}
VARIANTS = [(norm, activation) for norm in ("pre", "post") for activation in ("relu", "gelu")]


def theirs(kind, norm, activation):
    torch.manual_seed(1)
    return randomize(
        kind(D_MODEL, HEADS, HIDDEN, 0.0, activation=activation, norm_first=norm == "pre", batch_first=True)
    )


def stack(kind, layer_kind, norm):
    """Three PyTorch layers that differ; the last norm for pre-norm only."""
    last = nn.LayerNorm(D_MODEL) if norm == "pre" else None
    layer = theirs(layer_kind, norm, "relu")
    nested = {"enable_nested_tensor": False} if kind is nn.TransformerEncoder else {}
    return randomize(kind(layer, 3, norm=last, **nested))


def vectors(*shape):
    return torch.randn(*shape, dtype=torch.float64, requires_grad=True)


def shown(device, lengths, m):
    """True where there is a symbol, (batch, m)."""
    return torch.arange(m, device=device) < torch.tensor(lengths, device=device).unsqueeze(1)


def assert_same_gradients(outputs, inputs):
    """The gradients of the same function of both outputs, into each one's inputs."""
    shares = torch.randn_like(outputs[0])
    for output in outputs:
        (output * shares).sum().backward()
    for own, other in inputs:
        torch.testing.assert_close(own.grad, other.grad, **EXACT)
        assert own.grad.abs().sum() > 0


@pytest.mark.parametrize(("norm", "activation"), VARIANTS)
@pytest.mark.parametrize("masks", ["none", "padding", "causal", "both"])
def test_encoder_layer(norm, activation, masks, device):
    other = theirs(nn.TransformerEncoderLayer, norm, activation)
    own = copied_layer(other).to(device)
    other = other.to(device)
    x, y = (vectors(2, 5, D_MODEL).to(device).detach().requires_grad_() for _ in range(2))
    y.data.copy_(x.data)
    causal = masks in ("causal", "both")
    keep = shown(device, [5, 3], 5) if masks in ("padding", "both") else None
    future = torch.ones(5, 5, dtype=torch.bool, device=device).triu(1) if causal else None
    expected = other(y, src_mask=future, src_key_padding_mask=None if keep is None else ~keep)
    mask = None if keep is None else keep[:, None, None, :]
    output, none = own(x, mask=mask, causal=causal)
    assert none is None
    torch.testing.assert_close(output, expected, **EXACT)
    readable, weights = own(x, mask=mask, causal=causal, need_weights=True)
    torch.testing.assert_close(readable, expected, **EXACT)
    assert weights.shape == (2, HEADS, 5, 5)
    assert_same_gradients((output, expected), [(x, y)])
    for mine, reference in pairs(own, other, grad=True):
        torch.testing.assert_close(mine, reference, **EXACT)


@pytest.mark.parametrize(("norm", "activation"), VARIANTS)
@pytest.mark.parametrize("padded", [False, True])
def test_decoder_layer(norm, activation, padded, device):
    other = theirs(nn.TransformerDecoderLayer, norm, activation)
    own = copied_layer(other).to(device)
    other = other.to(device)
    x, memory = vectors(2, 4, D_MODEL), vectors(2, 6, D_MODEL)
    (x, y), (memory, other_memory) = ([z.detach().to(device).requires_grad_() for _ in range(2)] for z in (x, memory))
    keep = shown(device, [6, 2], 6) if padded else None
    future = torch.ones(4, 4, dtype=torch.bool, device=device).triu(1)
    expected = other(y, other_memory, tgt_mask=future, memory_key_padding_mask=None if keep is None else ~keep)
    mask = None if keep is None else keep[:, None, None, :]
    output, none = own(x, memory, memory_mask=mask)
    assert none is None
    torch.testing.assert_close(output, expected, **EXACT)
    readable, weights = own(x, memory, memory_mask=mask, need_weights=True)
    torch.testing.assert_close(readable, expected, **EXACT)
    assert weights.self_attention.shape == (2, HEADS, 4, 4)
    assert weights.cross_attention.shape == (2, HEADS, 4, 6)
    assert not weights.self_attention.triu(1).any()
    if padded:
        assert not weights.cross_attention[1, :, :, 2:].any()
    assert_same_gradients((output, expected), [(x, y), (memory, other_memory)])
    for mine, reference in pairs(own, other, grad=True):
        torch.testing.assert_close(mine, reference, **EXACT)


@pytest.mark.parametrize("norm", ["pre", "post"])
def test_encoder_stack(norm):
    other = stack(nn.TransformerEncoder, nn.TransformerEncoderLayer, norm)
    own = copied_stack(other)
    x, y = (vectors(2, 5, D_MODEL) for _ in range(2))
    y.data.copy_(x.data)
    keep = shown("cpu", [5, 2], 5)
    expected = other(y, src_key_padding_mask=~keep)
    output, none = own(x, mask=keep[:, None, None, :])
    assert none is None
    torch.testing.assert_close(output, expected, **EXACT)
    readable, weights = own(x, mask=keep[:, None, None, :], need_weights=True)
    torch.testing.assert_close(readable, expected, **EXACT)
    # The weights are those of the layers in order: the first layer's from the input itself.
    assert len(weights) == 3
    torch.testing.assert_close(weights[0], own.layers[0](x, mask=keep[:, None, None, :], need_weights=True)[1], **EXACT)
    assert_same_gradients((output, expected), [(x, y)])
    assert_same_stack_gradients(own, other)


@pytest.mark.parametrize("norm", ["pre", "post"])
def test_decoder_stack(norm):
    other = stack(nn.TransformerDecoder, nn.TransformerDecoderLayer, norm)
    own = copied_stack(other)
    x, memory = vectors(2, 4, D_MODEL), vectors(2, 6, D_MODEL)
    y, other_memory = (z.detach().requires_grad_() for z in (x, memory))
    keep = shown("cpu", [6, 3], 6)
    future = torch.ones(4, 4, dtype=torch.bool).triu(1)
    expected = other(y, other_memory, tgt_mask=future, memory_key_padding_mask=~keep)
    output, none = own(x, memory, memory_mask=keep[:, None, None, :])
    assert none is None
    torch.testing.assert_close(output, expected, **EXACT)
    assert len(own(x, memory, need_weights=True)[1]) == 3
    assert_same_gradients((output, expected), [(x, y), (memory, other_memory)])
    assert_same_stack_gradients(own, other)


def assert_same_stack_gradients(own, other):
    found = [pair for layers in zip(own.layers, other.layers, strict=True) for pair in pairs(*layers, grad=True)]
    if other.norm is not None:
        found += same(own.norm, other.norm, lambda parameter: parameter.grad)
    for mine, reference in found:
        torch.testing.assert_close(mine, reference, **EXACT)


class Double(nn.Module):
    """In the place of a dropout: what passes it is seen in the result, exactly."""

    def forward(self, x):
        return 2 * x


@pytest.mark.parametrize("norm", ["pre", "post"])
@pytest.mark.parametrize("kind", [nn.TransformerEncoderLayer, nn.TransformerDecoderLayer])
def test_dropout_is_where_pytorch_has_it(kind, norm):
    other = theirs(kind, norm, "relu")
    own = copied_layer(other)
    for module in (own, other):
        for parent in list(module.modules()):
            for name, child in list(parent.named_children()):
                if isinstance(child, nn.Dropout):
                    setattr(parent, name, Double())
    x, memory = vectors(2, 4, D_MODEL), vectors(2, 6, D_MODEL)
    if kind is nn.TransformerEncoderLayer:
        torch.testing.assert_close(own(x)[0], other(x), **EXACT)
    else:
        future = torch.ones(4, 4, dtype=torch.bool).triu(1)
        torch.testing.assert_close(own(x, memory)[0], other(x, memory, tgt_mask=future), **EXACT)


@pytest.mark.parametrize("kind", [EncoderLayer, DecoderLayer])
def test_dropout_reaches_every_place(kind):
    layer = kind(D_MODEL, HEADS, HIDDEN, dropout=0.3)
    places = [module for module in layer.modules() if isinstance(module, nn.Dropout)]
    attentions = [
        module for name, module in layer.named_children() if name.endswith("_attention") and "after" not in name
    ]
    assert len(attentions) == len(places) - 2 == (1 if kind is EncoderLayer else 2)
    assert {module.p for module in places} == {0.3} == {attention.dropout for attention in attentions}


@pytest.mark.parametrize("kind", [EncoderLayer, DecoderLayer])
def test_eps_reaches_every_layer_norm(kind):
    norms = [module for module in kind(D_MODEL, HEADS, HIDDEN, eps=0.25).modules() if isinstance(module, nn.LayerNorm)]
    assert {norm.eps for norm in norms} == {0.25}
    assert len(norms) == (2 if kind is EncoderLayer else 3)


def test_the_tanh_form_of_gelu():
    feed_forward = randomize(FeedForward(4, 6, activation="gelu-tanh"))
    x = torch.randn(3, 4, dtype=torch.float64)
    h = x @ feed_forward.W_1.weight.T + feed_forward.W_1.bias
    h = 0.5 * h * (1 + torch.tanh((2 / torch.pi) ** 0.5 * (h + 0.044715 * h**3)))
    torch.testing.assert_close(feed_forward(x), h @ feed_forward.W_2.weight.T + feed_forward.W_2.bias, **EXACT)
