"""Each ablation takes out what its name says, and nothing else."""

import pytest
import torch
from torch import nn

from attnbook.data import pad
from attnbook.data.pronunciations import LETTERS, PHONEMES
from attnbook.pretrained import TRANSFORMERS, ablations, transformer
from attnbook.seq2seq import parameters
from attnbook.transformer import Transformer

SOURCE = pad([LETTERS.encode(word) for word in ("attention", "is", "all")])
TARGET = pad([[1, *PHONEMES.encode(phonemes.split())] for phonemes in ("AH T EH N SH AH N", "IH Z", "AO L")])


def build(norm="pre"):
    torch.manual_seed(0)
    model = Transformer(len(LETTERS), len(PHONEMES), d_model=8, n_heads=2, n_layers=2, d_hidden=12, norm=norm).double()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.2 * torch.randn_like(parameter)
    return model


def both(change, norm="pre"):
    """The same weights, whole and ablated."""
    return build(norm), change(build(norm))


def differ(one, other):
    return (one(SOURCE, TARGET)[0] - other(SOURCE, TARGET)[0]).abs().max() > 1e-3


def layers(model):
    return [*model.encoder.layers, *model.decoder.layers]


@pytest.mark.parametrize("norm", ["pre", "post"])
def test_without_residual(norm):
    whole, cut = both(ablations.without_residual, norm)
    assert differ(whole, cut)
    x = torch.randn(2, 5, 8, dtype=torch.float64)
    layer, part = cut.encoder.layers[0], whole.encoder.layers[0]
    before, after = part.after_self_attention.norm, part.after_feed_forward.norm
    if norm == "pre":
        y = part.feed_forward(after(part.self_attention(before(x))[0]))
    else:
        y = after(part.feed_forward(before(part.self_attention(x)[0])))
    torch.testing.assert_close(layer(x)[0], y)
    assert len(parameters_of(cut)) == len(parameters_of(whole))


def parameters_of(model):
    return [tuple(parameter.shape) for parameter in model.parameters()]


def test_without_layer_norm():
    whole, cut = both(ablations.without_layer_norm)
    assert differ(whole, cut)
    assert any(isinstance(module, nn.LayerNorm) for module in whole.modules())
    assert not any(isinstance(module, nn.LayerNorm) for module in cut.modules())


def test_without_feed_forward():
    whole, cut = both(ablations.without_feed_forward)
    assert differ(whole, cut)
    with torch.no_grad():  # a part that computes 0 adds nothing
        for layer in layers(whole):
            layer.feed_forward.W_2.weight.zero_()
            layer.feed_forward.W_2.bias.zero_()
    assert not differ(whole, cut)
    assert not any("feed_forward.W" in name for name, _ in cut.named_parameters())


def test_without_cross_attention():
    whole, cut = both(ablations.without_cross_attention)
    assert differ(whole, cut)
    with torch.no_grad():
        for layer in whole.decoder.layers:
            layer.cross_attention.out_proj.weight.zero_()
            layer.cross_attention.out_proj.bias.zero_()
    assert not differ(whole, cut)
    other = torch.where(SOURCE > 2, (SOURCE + 3) % 20 + 4, SOURCE)
    assert torch.equal(cut(SOURCE, TARGET)[0], cut(other, TARGET)[0])
    numbers, weights = cut.greedy(SOURCE, max_length=4)
    assert weights is None and len(numbers) == 3


def test_without_positions():
    whole, cut = both(ablations.without_positions)
    assert differ(whole, cut)
    word, anagram = (torch.tensor([LETTERS.encode(word)]) for word in ("attention", "noitnetta"))
    target = TARGET[:1]
    torch.testing.assert_close(cut(word, target)[0], cut(anagram, target)[0])
    assert (whole(word, target)[0] - whole(anagram, target)[0]).abs().max() > 1e-3


def test_without_causal_mask():
    whole, cut = both(ablations.without_causal_mask)
    changed = TARGET.clone()
    changed[0, -1] = 9
    assert torch.equal(whole(SOURCE, TARGET)[0][0, :-1], whole(SOURCE, changed)[0][0, :-1])
    assert ((cut(SOURCE, TARGET)[0] - cut(SOURCE, changed)[0])[0].abs().amax(-1) > 1e-6).all()
    # Only the last position, which sees everything anyway, is computed from the same keys in the first layer.
    maps = cut.attention_maps(SOURCE, TARGET).decoder[0].self_attention
    assert (maps > 0).all()
    torch.testing.assert_close(maps[:, :, -1], whole.attention_maps(SOURCE, TARGET).decoder[0].self_attention[:, :, -1])


def test_without_scale():
    whole, cut = both(ablations.without_scale)
    assert differ(whole, cut)
    with torch.no_grad():  # the same as queries that are larger by sqrt(d_head) = 2
        for layer in layers(whole):
            for name, attention in layer.named_children():
                if name in ("self_attention", "cross_attention"):
                    attention.q_proj.weight *= 2
                    attention.q_proj.bias *= 2
    torch.testing.assert_close(whole(SOURCE, TARGET)[0], cut(SOURCE, TARGET)[0])
    torch.testing.assert_close(whole.greedy(SOURCE, max_length=6)[0], cut.greedy(SOURCE, max_length=6)[0])


@pytest.mark.parametrize("name", TRANSFORMERS)
def test_every_one_can_be_trained_and_decoded(name):
    model = transformer(name, dropout=0.1)
    logits, _ = model(SOURCE, TARGET)
    logits.square().mean().backward()
    for key, parameter in model.named_parameters():
        assert parameter.grad is None or torch.isfinite(parameter.grad).all(), key
    model.double()
    numbers, _ = model.greedy(SOURCE, max_length=5)
    assert numbers.shape[0] == 3 and numbers.shape[1] <= 5


def test_sizes():
    """What the book compares has about the same number of parameters."""
    sizes = {name: parameters(transformer(name)) for name in TRANSFORMERS}
    assert abs(sizes["transformer"] / 271_531 - 1) < 0.01  # Bahdanau's model of chapter 11
    assert abs(sizes["without-feed-forward-wider"] / sizes["full"] - 1) < 0.01
    for name in ("one-head", "without-scale", "without-residual", "without-positions", "without-causal-mask"):
        assert sizes[name] == sizes["full"]
    assert sizes["without-feed-forward"] < 0.7 * sizes["full"]
    heads = {m.n_heads for m in transformer("one-head").modules() if hasattr(m, "n_heads")}
    assert heads == {1}
