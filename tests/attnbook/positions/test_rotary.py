"""Rotary positions against transformers' Llama (half) and GPT-J (interleaved), and against complex multiplication."""

import mpmath
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import LlamaConfig
from transformers.models.gptj import modeling_gptj as gptj
from transformers.models.llama import modeling_llama as llama

from attnbook import attention, masks
from attnbook.positions import Rotary, interleaved_to_half
from tests.attnbook.reference import as_float64, check, inputs

LAYOUTS = ["half", "interleaved"]
layouts = pytest.mark.parametrize("layout", LAYOUTS)


def by_complex_numbers(x, layout, base, start):
    """Each pair is a complex number, multiplied by e^(i p theta): the definition in the paper, Section 3.2.1."""
    length, d = x.shape[-2:]
    first, second = (x[..., : d // 2], x[..., d // 2 :]) if layout == "half" else (x[..., 0::2], x[..., 1::2])
    position = np.arange(start, start + length)[:, None]
    turned = (first + 1j * second) * np.exp(1j * position * base ** (-2.0 * np.arange(d // 2) / d))
    out = np.empty_like(x)
    if layout == "half":
        out[..., : d // 2], out[..., d // 2 :] = turned.real, turned.imag
    else:
        out[..., 0::2], out[..., 1::2] = turned.real, turned.imag
    return out


@layouts
@pytest.mark.parametrize("d_head", [2, 4, 10])
@pytest.mark.parametrize(("base", "start"), [(10000.0, 0), (100.0, 7), (500000, 1000)])
def test_against_complex_multiplication(layout, d_head, base, start, device):
    (x,) = inputs((2, 3, 5, d_head), device=device)
    turned = Rotary(d_head, base=base, layout=layout)(x, start=start)
    check(turned, by_complex_numbers(as_float64(x), layout, base, start), atol=1e-11)


@pytest.mark.parametrize("start", [0, 11])
@pytest.mark.parametrize("base", [10000.0, 500000.0])
def test_half_is_llama_s(base, start):
    config = LlamaConfig(
        hidden_size=32, num_attention_heads=2, rope_parameters={"rope_type": "default", "rope_theta": base}
    )
    query, key = inputs((2, 2, 9, 16), (2, 2, 9, 16), dtype=torch.float32)
    cos, sin = llama.LlamaRotaryEmbedding(config)(query, torch.arange(start, start + 9)[None])
    expected = llama.apply_rotary_pos_emb(query, key, cos, sin)
    rotary = Rotary(16, base=base, layout="half")
    for x, turned in zip((query, key), expected, strict=True):
        torch.testing.assert_close(rotary(x, start=start), turned, atol=2e-5, rtol=0)


def test_interleaved_is_gpt_j_s():
    (x,) = inputs((2, 3, 9, 16), dtype=torch.float32)
    sin, cos = gptj.create_sinusoidal_positions(9, 16)[None].chunk(2, dim=-1)
    expected = gptj.apply_rotary_pos_emb(x.transpose(1, 2), sin, cos).transpose(
        1, 2
    )  # theirs: (batch, length, heads, dim)
    torch.testing.assert_close(Rotary(16, layout="interleaved")(x), expected, atol=2e-5, rtol=0)


@layouts
@given(
    d_head=st.integers(1, 8).map(lambda pairs: 2 * pairs),
    i=st.integers(0, 5000),
    j=st.integers(0, 5000),
    shift=st.integers(0, 5000),
    seed=st.integers(0, 100),
)
def test_scores_depend_on_the_difference_of_positions_alone(layout, d_head, i, j, shift, seed):
    rotary = Rotary(d_head, layout=layout)
    q, k = inputs((1, d_head), (1, d_head), seed=seed)
    score = (rotary(q, start=i) @ rotary(k, start=j).T).item()
    moved = (rotary(q, start=i + shift) @ rotary(k, start=j + shift).T).item()
    size = (q.norm() * k.norm()).item()
    assert score == pytest.approx(moved, abs=1e-10 * (1 + size))
    at_zero = (rotary(q, start=max(i - j, 0)) @ rotary(k, start=max(j - i, 0)).T).item()
    assert score == pytest.approx(at_zero, abs=1e-10 * (1 + size))
    assert rotary(q, start=i).norm().item() == pytest.approx(q.norm().item(), rel=1e-12)


@layouts
def test_the_score_of_one_pair_is_a_cosine_of_the_difference(layout):
    """q = k = (1, 0): the score is cos(j - i), so that the direction of turning and its size are seen."""
    rotary = Rotary(2, layout=layout)
    x = torch.tensor([[1.0, 0.0]], dtype=torch.float64).repeat(5, 1)
    turned = rotary(x)
    torch.testing.assert_close(turned[1], torch.tensor([np.cos(1), np.sin(1)]))  # counterclockwise
    expected = np.cos(np.arange(5)[:, None] - np.arange(5))
    check(turned @ turned.T, expected, atol=1e-14)


@layouts
def test_start_gives_rows_of_the_longer_table(layout, device):
    rotary = Rotary(8, layout=layout)
    (x,) = inputs((2, 3, 9, 8), device=device)
    whole = rotary(x)
    torch.testing.assert_close(rotary(x[..., 6:, :], start=6), whole[..., 6:, :], atol=0, rtol=0)
    assert torch.equal(whole[..., 0, :], x[..., 0, :])


@layouts
@pytest.mark.parametrize("position", [1_000_003, 2**27 + 1])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_exact_at_far_positions_in_any_precision(layout, dtype, position, device):
    """A float32 angle near a million radians is off by 0.03, and a bfloat16 one by thousands."""
    d_head = 6
    (x,) = inputs((1, d_head), dtype=dtype, device=device)
    turned = Rotary(d_head, layout=layout).to(device, dtype)(x, start=position)
    assert turned.dtype == dtype and turned.device == x.device
    pairs = x[0].double().view(2, 3).T if layout == "half" else x[0].double().view(3, 2)
    with mpmath.workdps(30):
        for k, (a, b) in enumerate(pairs.tolist()):
            angle = position * mpmath.mpf(10000) ** (mpmath.mpf(-2 * k) / d_head)
            z = complex(mpmath.mpc(a, b) * mpmath.expj(angle))
            where = (k, k + 3) if layout == "half" else (2 * k, 2 * k + 1)
            found = complex(*(turned[0, c].item() for c in where))
            assert abs(found - z) < 2 * torch.finfo(dtype).eps * abs(z)


@layouts
def test_gradient_turns_back(layout, device):
    """A rotation's transpose is its inverse."""
    rotary = Rotary(6, layout=layout)
    x, g = inputs((2, 4, 6), (2, 4, 6), device=device, grad=True)
    (back,) = torch.autograd.grad(rotary(x, start=2), x, g)
    torch.testing.assert_close(rotary(back, start=2), g)


def test_the_layouts_differ_and_are_the_same_up_to_the_order_of_components():
    (x,) = inputs((2, 3, 5, 8))
    half, interleaved = (Rotary(8, layout=layout) for layout in LAYOUTS)
    assert (half(x) - interleaved(x)).abs().max() > 0.5
    order = [0, 2, 4, 6, 1, 3, 5, 7]
    torch.testing.assert_close(half(x[..., order]), interleaved(x)[..., order], atol=0, rtol=0)


@pytest.mark.parametrize("n_heads", [1, 3])
def test_converted_projections_give_the_same_attention(n_heads, device):
    d_head, d_model = 8, 12
    w_q, w_k, b_q, b_k, x = inputs(
        (n_heads * d_head, d_model), (n_heads * d_head, d_model), (n_heads * d_head,), (n_heads * d_head,),
        (2, 7, d_model), device=device,
    )  # fmt: skip

    def weights(rotary, *projections):
        q, k = ((x @ w.T + b).unflatten(-1, (n_heads, d_head)).transpose(1, 2) for w, b in projections)
        return attention(rotary(q), rotary(k), k, mask=masks.causal(7, device=device))[1]

    half, interleaved = (Rotary(d_head, layout=layout) for layout in LAYOUTS)
    trained = weights(interleaved, (w_q, b_q), (w_k, b_k))
    moved = [[interleaved_to_half(part, n_heads) for part in pair] for pair in ((w_q, b_q), (w_k, b_k))]
    torch.testing.assert_close(weights(half, *moved), trained, atol=1e-13, rtol=0)
    assert (weights(half, (w_q, b_q), (w_k, b_k)) - trained).abs().max() > 0.1  # mixing them is a bug
    assert moved[0][0].shape == w_q.shape and moved[0][1].shape == b_q.shape


def test_converted_rows_by_hand():
    rows = torch.arange(8.0)
    assert interleaved_to_half(rows, 2).tolist() == [0, 2, 1, 3, 4, 6, 5, 7]
    assert interleaved_to_half(rows, 1).tolist() == [0, 2, 4, 6, 1, 3, 5, 7]


@layouts
def test_decoding_gives_the_last_rows(layout, device):
    rotary = Rotary(4, layout=layout)
    (x,) = inputs((2, 3, 7, 4), device=device)
    _, whole = attention(rotary(x), rotary(x), x, mask=masks.causal(7, device=device))
    _, last = attention(rotary(x[..., 6:, :], start=6), rotary(x), x)
    torch.testing.assert_close(last, whole[..., 6:, :])


@layouts
def test_nothing_is_learned_or_stored_and_halving_a_model_keeps_the_angles(layout):
    rotary = Rotary(16, layout=layout)
    assert not list(rotary.parameters()) and not rotary.state_dict()
    before = rotary.angles(3, start=1000)
    assert torch.equal(rotary.half().angles(3, start=1000), before) and before.dtype == torch.float64
    with torch.device("meta"):
        assert Rotary(16, layout=layout).frequencies.device.type == "cpu"
