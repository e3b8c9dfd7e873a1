"""The Llama-type model against that of the transformers library, with the same random weights."""

import math

import numpy as np
import pytest
import torch
import transformers

from attnbook import masks
from attnbook.positions.rotary import interleaved_to_half
from attnbook.transformer import Gpt, Llama, SwiGlu
from tests.attnbook.transformer.torch_weights import randomize

EXACT = {"rtol": 1e-9, "atol": 1e-11}
CLOSE = {"rtol": 1e-5, "atol": 1e-5}  # the library computes norms and softmax in float32
SIZES = {"d_model": 24, "n_heads": 6, "n_kv_heads": 2, "n_layers": 3, "d_hidden": 20}
PAIRS = [
    ("self_attention.q_proj", "self_attn.q_proj"),
    ("self_attention.k_proj", "self_attn.k_proj"),
    ("self_attention.v_proj", "self_attn.v_proj"),
    ("self_attention.out_proj", "self_attn.o_proj"),
    ("attention_norm", "input_layernorm"),
    ("feed_forward_norm", "post_attention_layernorm"),
    ("feed_forward.W_gate", "mlp.gate_proj"),
    ("feed_forward.W_up", "mlp.up_proj"),
    ("feed_forward.W_down", "mlp.down_proj"),
]


@pytest.fixture
def theirs():
    config = transformers.LlamaConfig(
        vocab_size=30,
        hidden_size=24,
        num_hidden_layers=3,
        num_attention_heads=6,
        num_key_value_heads=2,
        intermediate_size=20,
        rope_theta=1000.0,
        rms_norm_eps=1e-4,
        tie_word_embeddings=True,
        attn_implementation="eager",
    )
    model = randomize(transformers.LlamaForCausalLM(config)).eval()
    model.tie_weights()
    return model


def with_weights_of(theirs, layout="half"):
    ours = Llama(30, **SIZES, base=1000.0, eps=1e-4, layout=layout).double().eval()
    ours.tokens.load_state_dict(theirs.model.embed_tokens.state_dict())
    ours.norm.load_state_dict(theirs.model.norm.state_dict())
    for own, other in zip(ours.layers, theirs.model.layers, strict=True):
        for mine, its in PAIRS:
            own.get_submodule(mine).load_state_dict(other.get_submodule(its).state_dict())
    return ours.requires_grad_(False)


TOKENS = torch.tensor([[3, 17, 5, 3, 17, 9, 29, 0], [1, 2, 3, 4, 5, 6, 7, 8]])


def test_logits_and_weights(theirs):
    ours = with_weights_of(theirs)
    with torch.no_grad():
        expected = theirs(TOKENS, output_attentions=True)
    logits, weights = ours(TOKENS, need_weights=True)
    torch.testing.assert_close(logits, expected.logits, **CLOSE)
    for own, other in zip(weights, expected.attentions, strict=True):
        torch.testing.assert_close(own, other, **CLOSE)
    logits, none = ours(TOKENS)
    torch.testing.assert_close(logits, expected.logits, **CLOSE)
    assert none is None


def test_the_layout_matters_and_can_be_moved(theirs):
    expected = with_weights_of(theirs)(TOKENS)[0]
    wrong = with_weights_of(theirs, layout="interleaved")
    assert (wrong(TOKENS)[0] - expected).abs().max() > 1e-2
    for layer in wrong.layers:  # from halves to neighbors: the inverse of interleaved_to_half
        for projection, heads in ((layer.self_attention.q_proj, 6), (layer.self_attention.k_proj, 2)):
            rows = torch.arange(len(projection.weight), dtype=torch.float64).unsqueeze(1)
            inverse = interleaved_to_half(rows, heads)[:, 0].argsort()
            projection.weight.copy_(projection.weight[inverse])
    torch.testing.assert_close(wrong(TOKENS)[0], expected, **EXACT)


def test_caches_give_the_same_rows(theirs):
    ours = with_weights_of(theirs)
    expected, _ = ours(TOKENS)
    caches = ours.caches(8)
    rows = [ours(part, caches=caches)[0] for part in TOKENS.split([3, 1, 2, 2], dim=1)]
    torch.testing.assert_close(torch.cat(rows, dim=1), expected, **EXACT)
    assert all(cache._keys.shape == (2, 2, 8, 4) for cache in caches)  # two key heads, not six


def test_generation_is_the_greedy_loop_of_the_library(theirs):
    ours = with_weights_of(theirs)
    expected = TOKENS
    with torch.no_grad():
        for _ in range(7):
            expected = torch.cat([expected, theirs(expected).logits[:, -1:].argmax(-1)], dim=1)
    written = ours.generate(TOKENS, steps=7)
    assert torch.equal(written, expected)


@pytest.mark.parametrize("model", [Llama(9, **SIZES), Gpt(9, d_model=8, n_heads=2, n_layers=2, max_length=20)])
def test_generation_stops(model):
    chosen = iter([[4, 5], [7, 5], [4, 7], [4, 4]])
    written = model.generate(
        torch.tensor([[1, 2], [2, 1]]), steps=10, stop=7, choose=lambda logits: torch.tensor(next(chosen))
    )
    assert written.tolist() == [[1, 2, 4, 7, 4], [2, 1, 5, 5, 7]]  # until every row has written it


def test_a_mask_hides_what_it_says(theirs):
    ours = with_weights_of(theirs)
    mask = masks.sliding_window(8, 8, before=2, after=0)
    _, weights = ours(TOKENS, mask=mask, need_weights=True)
    for layer in weights:
        assert ((layer > 0) == (mask & masks.causal(8))).all()
    torch.testing.assert_close(ours(TOKENS, mask=mask)[0], ours(TOKENS, mask=mask, need_weights=True)[0], **EXACT)
    assert (ours(TOKENS, mask=mask)[0] - ours(TOKENS)[0])[:, 3:].abs().max() > 1e-3


def test_swiglu_by_hand():
    layer = SwiGlu(5, 7).double()
    gate, up, down = (w.weight.detach().numpy() for w in (layer.W_gate, layer.W_up, layer.W_down))
    x = np.random.default_rng(0).normal(size=(2, 3, 5))
    expected = np.zeros_like(x)
    for place in np.ndindex(2, 3):
        for unit in range(7):
            z = gate[unit] @ x[place]
            expected[place] += z / (1 + math.exp(-z)) * (up[unit] @ x[place]) * down[:, unit]
    np.testing.assert_allclose(layer(torch.from_numpy(x)).detach().numpy(), expected, rtol=1e-12, atol=1e-14)


def test_sizes_by_default():
    """Those of SmolLM2-135M."""
    with torch.device("meta"):
        model = Llama(49152)
    assert sum(p.numel() for p in model.parameters()) == 134_515_008


def test_errors(own_errors):
    model = Llama(9, **SIZES)
    for call, error, message in [
        (lambda: Llama(9, **SIZES | {"n_layers": 0}), ValueError, "n_layers must be at least 1; got 0"),
        (lambda: Llama(9.0, **SIZES), TypeError, "vocabulary_size must be an integer; got float"),
        (lambda: Llama(9, **SIZES | {"n_kv_heads": 4}), ValueError, "n_kv_heads must divide n_heads = 6; got 4"),
        (lambda: SwiGlu(4, 0), ValueError, "d_hidden must be at least 1; got 0"),
        (lambda: model(TOKENS[:, :2] % 9, caches=[]), ValueError, "caches must be one for each of the 3 layers; got 0"),
        (lambda: model.generate(TOKENS % 9, steps=0), ValueError, "steps must be at least 1; got 0"),
    ]:
        with pytest.raises(error, match=message):
            call()
