"""The whole model: against PyTorch's, and what must hold of any such model (causality, padding, caches)."""

import functools
import math

import hypothesis.strategies as st
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from torch import nn

from attnbook.data import BOS, EOS, PAD, Vocabulary, pad
from attnbook.data.batches import collate
from attnbook.seq2seq import decode
from attnbook.training import train
from attnbook.transformer import Transformer
from tests.attnbook.transformer.torch_weights import copied_stack, randomize

LETTERS = Vocabulary("abcdefgh")
SIZE = len(LETTERS)
WORDS = ["abcdefg", "", "h", "cab", "feed"]
EXACT = {"rtol": 1e-9, "atol": 1e-11}


def build(norm="pre", **options):
    """A random model in float64, whose answers to WORDS are of different lengths."""
    torch.manual_seed(1 if norm == "pre" else 7)
    sizes = {"d_model": 8, "n_heads": 2, "n_layers": 2, "d_hidden": 12} | options
    model = Transformer(SIZE, SIZE, norm=norm, **sizes).double()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.3 * torch.randn_like(parameter)
        for embedding in (model.source_embedding, model.target_embedding):
            embedding.tokens.weight[PAD] = 0
        model.output.bias[EOS] += 1 if norm == "pre" else 3
    return model


@pytest.fixture(params=["pre", "post"])
def model(request):
    return build(request.param)


built = functools.cache(build)  # for tests that do not change it


def numpy_positions(length, d_model):
    """Vaswani et al. (2017), Section 3.5, element by element."""
    table = np.zeros((length, d_model))
    for p in range(length):
        for i in range(d_model):
            angle = p / 10000 ** (2 * (i // 2) / d_model)
            table[p, i] = math.sin(angle) if i % 2 == 0 else math.cos(angle)
    return torch.tensor(table)


@pytest.mark.filterwarnings("ignore:enable_nested_tensor")
@pytest.mark.parametrize("norm", ["pre", "post"])
def test_it_is_pytorchs_transformer_between_embeddings_and_output(norm):
    torch.manual_seed(1)
    other = randomize(nn.Transformer(8, 2, 2, 3, 12, 0.0, norm_first=norm == "pre", batch_first=True))
    if norm == "post":  # PyTorch normalizes the end of both stacks once more; the paper does not
        other.encoder.norm = other.decoder.norm = None
    own = build(norm)
    own.encoder, own.decoder = copied_stack(other.encoder), copied_stack(other.decoder)
    source = pad([LETTERS.encode(word) for word in WORDS])
    target = pad([[1, 4, 5, 6], [1], [1, 9, 4], [1, 4, 4, 4, 4], [1, 6]])

    def embed(numbers, embedding):
        return embedding.tokens.weight[numbers] * math.sqrt(8) + numpy_positions(numbers.shape[1], 8)

    seen = {}
    last = other.decoder.layers[-1].multihead_attn
    last.register_forward_pre_hook(lambda _, inputs, options: seen.update(inputs=inputs), with_kwargs=True)
    hidden = other(
        embed(source, own.source_embedding),
        embed(target, own.target_embedding),
        tgt_mask=torch.ones(target.shape[1], target.shape[1], dtype=torch.bool).triu(1),
        src_key_padding_mask=source == PAD,
        memory_key_padding_mask=source == PAD,
    )
    logits, weights = own(source, target, need_weights=True)
    torch.testing.assert_close(logits, hidden @ own.output.weight.T + own.output.bias, **EXACT)
    _, expected = last(*seen["inputs"], key_padding_mask=source == PAD, average_attn_weights=True)
    torch.testing.assert_close(weights, expected, **EXACT)
    fused, none = own(source, target)
    torch.testing.assert_close(fused, logits, **EXACT)
    assert none is None


def test_all_attention_maps(model):
    source = pad([LETTERS.encode(word) for word in WORDS])
    target = pad([[1, 4, 5, 6], [1], [1, 9, 4], [1, 4, 4, 4, 4], [1, 6]])
    maps = model.attention_maps(source, target)
    assert [tuple(w.shape) for w in maps.encoder] == [(5, 2, 8, 8)] * 2
    assert [tuple(w.self_attention.shape) for w in maps.decoder] == [(5, 2, 5, 5)] * 2
    assert [tuple(w.cross_attention.shape) for w in maps.decoder] == [(5, 2, 5, 8)] * 2
    for row, word in enumerate(WORDS):  # nobody looks at padding, everybody at something
        for w in [*maps.encoder, *(w.cross_attention for w in maps.decoder)]:
            assert not w[row, :, :, len(word) + 1 :].any()
            torch.testing.assert_close(w[row].sum(-1), torch.ones_like(w[row].sum(-1)))
    assert not any(w.self_attention.triu(1).any() for w in maps.decoder)
    _, averaged = model(source, target, need_weights=True)
    torch.testing.assert_close(averaged, maps.decoder[-1].cross_attention.mean(1), **EXACT)


@settings(max_examples=25)
@given(position=st.integers(1, 5), other=st.integers(3, SIZE - 1), norm=st.sampled_from(["pre", "post"]))
def test_a_later_symbol_moves_no_earlier_logit(position, other, norm):
    model = built(norm)
    source, target = torch.tensor([[4, 5, 6, 2]]), torch.tensor([[1, 4, 7, 5, 6, 9]])
    changed = target.clone()
    changed[0, position] = other
    before, after = model(source, target)[0], model(source, changed)[0]
    assert torch.equal(before[:, :position], after[:, :position])
    if other != target[0, position]:  # and every later one moves
        assert ((before - after)[0, position:].abs().amax(-1) > 1e-6).all()


def test_every_source_symbol_moves_every_logit_and_its_place_counts(model):
    source, target = torch.tensor([[4, 5, 6, 2]]), torch.tensor([[1, 4, 7]])
    before = model(source, target)[0]
    for changed in ([9, 5, 6, 2], [4, 9, 6, 2], [4, 5, 9, 2], [5, 4, 6, 2]):
        assert ((model(torch.tensor([changed]), target)[0] - before).abs().amax(-1) > 1e-6).all()
    swapped = model(source, torch.tensor([[1, 7, 4]]))[0]
    assert (swapped[0, 2] - before[0, 2]).abs().max() > 1e-6


@settings(max_examples=15)
@given(
    words=st.lists(st.text("abcdefgh", max_size=6), min_size=1, max_size=4),
    more=st.integers(0, 3),
    norm=st.sampled_from(["pre", "post"]),
)
def test_padding_changes_nothing(words, more, norm):
    """Neither how much there is nor what vector stands for it."""
    model = build(norm)
    sources = [LETTERS.encode(word) for word in words]
    targets = [[BOS, *LETTERS.encode(word)[::-1]] for word in words]
    source, target = F.pad(pad(sources), (0, more)), F.pad(pad(targets), (0, more))
    with torch.no_grad():
        model.source_embedding.tokens.weight[PAD] = 3.0
        model.target_embedding.tokens.weight[PAD] = -3.0
        logits, weights = model(source, target, need_weights=True)
        for i, (own_source, own_target) in enumerate(zip(sources, targets, strict=True)):
            alone, own = model(torch.tensor([own_source]), torch.tensor([own_target]), need_weights=True)
            torch.testing.assert_close(logits[i, : len(own_target)], alone[0], **EXACT)
            torch.testing.assert_close(weights[i, : len(own_target), : len(own_source)], own[0], **EXACT)
            assert not weights[i, :, len(own_source) :].any()


def test_greedy_with_caches_is_greedy_without(model):
    """Without: the whole prefix goes through the model again for each symbol."""
    source = pad([LETTERS.encode(word) for word in WORDS])
    numbers, weights = model.greedy(source, max_length=9)
    lengths = set()
    for i, word in enumerate(WORDS):
        alone, written, expected = torch.tensor([LETTERS.encode(word)]), [], []
        while len(written) < 9 and EOS not in written:
            logits, alpha = model(alone, torch.tensor([[BOS, *written]]), need_weights=True)
            written.append(int(logits[0, -1].argmax()))
            expected.append(alpha[0, -1])
        n = len(written)
        lengths.add(n)
        assert numbers[i].tolist() == written + [PAD] * (numbers.shape[1] - n)
        torch.testing.assert_close(weights[i, :n, : len(word) + 1], torch.stack(expected), **EXACT)
        assert not weights[i, n:].any() and not weights[i, :, len(word) + 1 :].any()
    assert len(lengths) > 1, "the rows should end at different places"


def test_each_steps_logits_are_those_of_one_pass(model):
    source = pad([LETTERS.encode(word) for word in WORDS])
    target = torch.randint(3, SIZE, (len(WORDS), 6))
    with torch.no_grad():
        whole, _ = model(source, target)
        writing = model.start(source, max_length=6)
        for t in range(6):
            logits, _ = model.step(target[:, t : t + 1], writing)
            torch.testing.assert_close(logits, whole[:, t], **EXACT)
            if t == 2:  # rows change their places, as in a beam search, and go on as before
                order = torch.tensor([4, 0, 0, 3, 2])
                writing.reorder(order)
                target, whole = target[order], whole[order]


def test_the_memory_is_projected_once(model):
    calls = []
    for layer in model.decoder.layers:
        layer.cross_attention.k_proj.register_forward_hook(lambda *_: calls.append("key"))
        layer.cross_attention.v_proj.register_forward_hook(lambda *_: calls.append("value"))
    numbers, _ = model.greedy(pad([LETTERS.encode(word) for word in WORDS]), max_length=5)
    assert numbers.shape[1] > 1
    assert sorted(calls) == ["key"] * 2 + ["value"] * 2


def test_greedy_ignores_dropout_and_leaves_the_mode():
    model = build(dropout=0.5)
    source = pad([LETTERS.encode("abc")])
    model.train()
    first, second = (model.greedy(source, max_length=5)[0] for _ in range(2))
    assert model.training and torch.equal(first, second)
    model.eval()
    assert torch.equal(model.greedy(source, max_length=5)[0], first) and not model.training


def test_dropout_is_on_the_embeddings_too():
    model = Transformer(SIZE, SIZE, d_model=8, n_heads=2, n_layers=1, d_hidden=8, dropout=0.3)
    assert model.source_embedding.dropout.p == model.target_embedding.dropout.p == 0.3
    assert {m.p for m in model.modules() if isinstance(m, nn.Dropout)} == {0.3}
    kept = model.source_embedding(torch.full((1, 4000), 4)) != 0
    assert abs(kept.float().mean() - 0.7) < 0.05


def test_gradients_of_a_padded_batch_reach_every_parameter(model):
    source = pad([LETTERS.encode(word) for word in WORDS])
    target = pad([[1, 4, 5], [1], [1, 9, 4], [1, 4, 4], [1, 6]])
    logits, _ = model(source, target)
    F.cross_entropy(logits.flatten(0, 1), target.flatten(), ignore_index=PAD).backward()
    for name, parameter in model.named_parameters():
        assert torch.isfinite(parameter.grad).all(), name
        if name.endswith("k_proj.bias"):  # the same number for all keys of a query: the softmax does not see it
            assert parameter.grad.abs().max() < 1e-10
        else:
            assert parameter.grad.abs().sum() > 1e-6, name
    for embedding in (model.source_embedding, model.target_embedding):
        assert (embedding.tokens.weight.grad[PAD] == 0).all()


def test_embeddings_start_at_the_scale_of_the_positions():
    model = Transformer(400, 5, d_model=64, n_heads=2, n_layers=1, d_hidden=8)
    embedding = model.source_embedding
    assert (embedding.tokens.weight[PAD] == 0).all()
    tokens = torch.arange(1, 400).unsqueeze(0)
    embedding.positions = None
    assert abs(embedding(tokens).std() - 1) < 0.02


def test_it_learns_to_reverse_words(device):
    torch.manual_seed(0)
    model = Transformer(SIZE, SIZE, d_model=24, n_heads=2, n_layers=1, d_hidden=24).to(device)
    words = ["".join(np.random.default_rng(i).choice(list("abcdefgh"), 4)) for i in range(600)]
    pairs = [(word, word[::-1]) for word in words]
    stream = (collate(pairs[50 * i % 500 : 50 * i % 500 + 50], LETTERS, LETTERS) for i in range(200))
    losses = train(model, stream, steps=200, learning_rate=1e-2, warmup=20)
    assert losses[-1] < 0.1 * losses[0]
    answers = decode(model, words[500:], LETTERS, LETTERS, max_length=6)
    right = sum("".join(answer.symbols) == word[::-1] for answer, word in zip(answers, words[500:], strict=True))
    assert right > 90
    # It attends to the letter that it writes: the last one first.
    assert answers[0].weights.shape == (5, 5)


def test_the_device_of_its_parameters(model, device):
    source, target = pad([LETTERS.encode(word) for word in WORDS]), pad([[1, 4, 5], [1], [1, 9, 4], [1, 4, 4], [1, 6]])
    logits, weights = model(source, target, need_weights=True)
    numbers, _ = model.greedy(source, max_length=5)
    model.to(device)
    moved, moved_weights = model(source.to(device), target.to(device), need_weights=True)
    assert moved.device.type == device.type
    torch.testing.assert_close(moved.cpu(), logits, rtol=1e-8, atol=1e-10)
    torch.testing.assert_close(moved_weights.cpu(), weights, rtol=1e-8, atol=1e-10)
    assert torch.equal(model.greedy(source.to(device), max_length=5)[0].cpu(), numbers)
