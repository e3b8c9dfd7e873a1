"""Grouped-query and multi-query heads, heads of any size, half precision, dropout, first weights; two equal paths."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from attnbook import MultiHeadAttention, masks
from tests.attnbook.reference import as_float64, attend, check, inputs


def layer(d_model, n_heads, n_kv_heads=None, *, device="cpu", dtype=torch.float64, **options):
    """With biases that are not 0."""
    made = MultiHeadAttention(d_model, n_heads, n_kv_heads, **options)
    for name, parameter in made.named_parameters():
        if name.endswith("bias"):
            torch.nn.init.normal_(parameter)
    return made.to(device, dtype)


def by_hand(made, query, key, value, n_kv_heads, d_head, **options):
    """One sequence, one head and one pair at a time, in float64 NumPy."""
    weight = {name: as_float64(p) for name, p in made.named_parameters()}

    def project(x, name):
        return as_float64(x) @ weight[f"{name}_proj.weight"].T + weight.get(f"{name}_proj.bias", 0.0)

    n_heads = weight["q_proj.weight"].shape[0] // d_head
    q, k, v = project(query, "q"), project(key, "k"), project(value, "v")
    weights = np.zeros((len(q), n_heads, q.shape[1], k.shape[1]))
    joined = np.zeros((*q.shape[:2], n_heads * d_head))
    for b in range(len(q)):
        for h in range(n_heads):
            own = slice(h * d_head, (h + 1) * d_head)
            served = h // (n_heads // n_kv_heads)  # neighboring query heads share a key head
            shared = slice(served * d_head, (served + 1) * d_head)
            joined[b, :, own], weights[b, h] = attend(q[b][:, own], k[b][:, shared], v[b][:, shared], **options)
    return joined @ weight["out_proj.weight"].T + weight.get("out_proj.bias", 0.0), weights


KINDS = [
    # d_model, n_heads, n_kv_heads, d_head
    (12, 4, None, None),
    (12, 4, 4, 3),
    (12, 4, 2, None),
    (12, 6, 3, None),
    (12, 4, 1, None),
    (12, 1, None, None),
    (10, 3, None, 4),  # 3 does not divide 10
    (6, 4, 2, 5),  # wider inside than outside
    (12, 2, 1, 1),
    (7, 1, 1, 2),
]


@pytest.mark.parametrize("need_weights", [True, False])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(("d_model", "n_heads", "n_kv_heads", "d_head"), KINDS)
def test_against_a_loop_over_heads(d_model, n_heads, n_kv_heads, d_head, bias, need_weights, device):
    made = layer(d_model, n_heads, n_kv_heads, d_head=d_head, bias=bias, device=device)
    n_kv_heads, d_head = n_kv_heads or n_heads, d_head or d_model // n_heads
    assert (made.n_heads, made.n_kv_heads, made.d_head) == (n_heads, n_kv_heads, d_head)
    assert made.q_proj.weight.shape == (n_heads * d_head, d_model)
    assert made.k_proj.weight.shape == made.v_proj.weight.shape == (n_kv_heads * d_head, d_model)
    assert made.out_proj.weight.shape == (d_model, n_heads * d_head)
    xs = inputs((2, 4, d_model), (2, 6, d_model), (2, 6, d_model), device=device)
    expected, expected_weights = by_hand(made, *xs, n_kv_heads, d_head)
    output, weights = made(*xs, need_weights=need_weights)
    check(output, expected, atol=1e-12)
    if need_weights:
        check(weights, expected_weights, atol=1e-13)

    past, shown = np.arange(4)[:, None] + 2 >= np.arange(6), np.array([1, 0, 1, 1, 1, 1], dtype=bool)
    (bias_numbers,) = inputs((4, 6), seed=4)
    expected, _ = by_hand(made, *xs, n_kv_heads, d_head, mask=past & shown, bias=bias_numbers.numpy())
    options = {"mask": torch.from_numpy(shown).to(device), "bias": bias_numbers.to(device), "causal": True}
    check(made(*xs, need_weights=need_weights, **options)[0], expected, atol=1e-12)


@pytest.mark.parametrize("need_weights", [True, False])
@pytest.mark.parametrize("n_kv_heads", [1, 2, 3, 6])
def test_grouped_queries_against_pytorch(n_kv_heads, need_weights, device):
    """Its functional form with enable_gqa: outputs, and gradients for inputs and parameters."""
    made = layer(12, 6, n_kv_heads, device=device)
    query, memory = inputs((2, 5, 12), (2, 7, 12), device=device, grad=True)
    q = made.q_proj(query).reshape(2, 5, 6, 2).transpose(1, 2)
    k, v = (p(memory).reshape(2, 7, n_kv_heads, 2).transpose(1, 2) for p in (made.k_proj, made.v_proj))
    heads = F.scaled_dot_product_attention(q, k, v, enable_gqa=True)
    expected = made.out_proj(heads.transpose(1, 2).reshape(2, 5, 12))
    output, _ = made(query, memory, need_weights=need_weights)
    torch.testing.assert_close(output, expected, atol=1e-13, rtol=0)
    learned = [query, memory, *made.parameters()]
    exact = torch.autograd.grad(expected.square().sum(), learned)
    found = torch.autograd.grad(output.square().sum(), learned)
    for a, b in zip(found, exact, strict=True):
        torch.testing.assert_close(a, b, atol=1e-11, rtol=0)


def test_one_key_head_for_all_is_many_equal_ones(device):
    """Multi-query attention is multi-head attention whose key heads are copies of one."""
    one = layer(12, 4, 1, device=device)
    many = layer(12, 4, device=device)
    with torch.no_grad():
        for name, parameter in one.named_parameters():
            copies = 4 if name.startswith(("k_", "v_")) else 1
            many.get_parameter(name).copy_(parameter.repeat(copies, *[1] * (parameter.dim() - 1)))
    (x,) = inputs((2, 5, 12), device=device)
    for a, b in zip(one(x, need_weights=True), many(x, need_weights=True), strict=True):
        torch.testing.assert_close(a, b, atol=1e-13, rtol=0)


@given(data=st.data())
def test_both_paths_mean_the_same(data, device):
    """Outputs and every gradient, whatever the heads, the mask, the bias and the lengths."""
    n_heads = data.draw(st.sampled_from([1, 2, 4, 6]))
    n_kv_heads = data.draw(st.sampled_from([h for h in range(1, n_heads + 1) if n_heads % h == 0]))
    torch.manual_seed(data.draw(st.integers(0, 1000)))
    made = layer(6, n_heads, n_kv_heads, d_head=data.draw(st.integers(1, 4)), device=device)
    n, m = data.draw(st.integers(1, 6)), data.draw(st.integers(1, 6))
    query, memory = inputs((2, n, 6), (2, m, 6), seed=data.draw(st.integers(0, 1000)), device=device, grad=True)
    options = {"causal": data.draw(st.booleans())}
    generator = torch.Generator().manual_seed(data.draw(st.integers(0, 1000)))
    if data.draw(st.booleans()):
        options["mask"] = (torch.rand(2, 1, n, m, generator=generator) < 0.6).to(device)
    if data.draw(st.booleans()):
        options["bias"] = torch.randn(n_heads, n, m, generator=generator, dtype=torch.float64).to(device)
    readable, weights = made(query, memory, need_weights=True, **options)
    fused, none = made(query, memory, **options)
    assert weights.shape == (2, n_heads, n, m) and none is None
    torch.testing.assert_close(fused, readable, atol=1e-11, rtol=0)
    learned = [query, memory, *made.parameters()]
    a, b = (torch.autograd.grad(x.square().sum(), learned) for x in (readable, fused))
    for exact, found in zip(a, b, strict=True):
        torch.testing.assert_close(found, exact, atol=1e-10, rtol=0)


@pytest.mark.parametrize("need_weights", [True, False])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision(dtype, need_weights, device):
    """Near the float64 loop on the same, rounded weights, and finite where a product leaves float16."""
    made = layer(16, 4, 2, device=device, dtype=dtype)
    (x,) = inputs((2, 5, 16), dtype=dtype, device=device)
    expected, expected_weights = by_hand(made, x, x, x, 2, 4)
    output, weights = made(x, need_weights=need_weights)
    assert output.dtype == dtype
    coarse = torch.finfo(dtype).eps
    check(output, expected, atol=12 * coarse)
    if need_weights:
        assert weights.dtype == dtype
        check(weights, expected_weights, atol=6 * coarse)
    with torch.no_grad():
        made.q_proj.weight.mul_(100), made.k_proj.weight.mul_(100)
    assert made(4 * x, need_weights=need_weights)[0].isfinite().all()


def test_dropout_drops_weights_while_training(device):
    """Dropped weights are 0, the others grow by 1 / (1 - p), and the output uses what is returned."""
    made = layer(8, 4, 2, dropout=0.25, device=device)
    (x,) = inputs((2, 60, 8), device=device)
    made.eval()
    calm, whole = made(x, need_weights=True)
    torch.testing.assert_close(made(x)[0], calm, atol=1e-12, rtol=0)
    made.train()
    output, weights = made(x, need_weights=True)
    kept = weights != 0
    torch.testing.assert_close(weights, torch.where(kept, whole / 0.75, 0.0), atol=1e-14, rtol=0)
    count = weights.numel()
    assert abs(kept.double().mean().item() - 0.75) < 5 * math.sqrt(0.25 * 0.75 / count)
    v = made.v_proj(x).unflatten(-1, (2, 2)).transpose(1, 2).repeat_interleave(2, dim=1)
    expected = made.out_proj((weights @ v).transpose(1, 2).flatten(2))
    torch.testing.assert_close(output, expected, atol=1e-13, rtol=0)
    torch.manual_seed(5)
    with_weights, _ = made(x, need_weights=True)
    torch.manual_seed(5)
    without, none = made(x)
    assert none is None and torch.equal(with_weights, without) and not torch.equal(without, output)


def test_no_dropout_to_speak_of(device):
    """Dropout 0 in training is no dropout."""
    made = layer(8, 4, device=device)
    (x,) = inputs((2, 6, 8), device=device)
    assert made.training and torch.equal(made(x)[0], made.eval()(x)[0])


def test_dropout_in_half_precision(device):
    made = layer(8, 4, dropout=0.5, device=device, dtype=torch.float16)
    (x,) = inputs((2, 6, 8), device=device, dtype=torch.float16)
    output, weights = made(x, need_weights=True)
    assert output.dtype == weights.dtype == torch.float16 and output.isfinite().all()


@pytest.mark.parametrize("n_kv_heads", [1, 2, 8])
def test_first_weights(n_kv_heads):
    """Xavier-uniform: within, and reaching close to, sqrt(6 / (in + out)) of each matrix by itself; biases 0."""
    made = MultiHeadAttention(64, 8, n_kv_heads)
    sizes = {"q": (64, 64), "k": (64, 8 * n_kv_heads), "v": (64, 8 * n_kv_heads), "out": (64, 64)}
    for name, (inward, outward) in sizes.items():
        projection = made.get_submodule(f"{name}_proj")
        bound = math.sqrt(6 / (inward + outward))
        largest = projection.weight.abs().max().item()
        assert 0.97 * bound < largest <= bound
        assert abs(projection.weight.std().item() / (bound / math.sqrt(3)) - 1) < 0.1
        assert (projection.bias == 0).all()
    assert all(p.bias is None for p in MultiHeadAttention(64, 8, bias=False).children())


def test_only_the_parameters_of_four_projections():
    """Grouped heads save rows of the key's and the value's projection."""
    count = {h: sum(p.numel() for p in MultiHeadAttention(64, 8, h, bias=False).parameters()) for h in (8, 2, 1)}
    assert count == {8: 4 * 64 * 64, 2: (2 + 2 / 4) * 64 * 64, 1: (2 + 2 / 8) * 64 * 64}


def test_the_fused_path_keeps_no_scores(device):
    """Its memory is what n_heads x n x m weights would exceed: nothing of that shape is saved for the backward pass."""
    made = layer(16, 4, 2, device=device, dtype=torch.float32)
    (x,) = inputs((1, 90, 16), dtype=torch.float32, device=device, grad=True)
    largest = {}
    for need_weights in (True, False):
        sizes = []

        def keep(saved, sizes=sizes):
            sizes.append(saved.numel())
            return saved

        with torch.autograd.graph.saved_tensors_hooks(keep, lambda saved: saved):
            made(x, need_weights=need_weights, causal=True)
        largest[need_weights] = max(sizes)
    assert largest[True] >= 4 * 90 * 90 > 2 * largest[False]


def test_causal_leaves_the_mask_it_is_given_alone(device):
    made = layer(8, 2, device=device)
    (x,) = inputs((2, 5, 8), device=device)
    mask = masks.padding(torch.tensor([5, 3], device=device))
    before = mask.clone()
    for need_weights in (True, False):
        made(x, mask=mask, causal=True, need_weights=need_weights)
    assert torch.equal(mask, before)
