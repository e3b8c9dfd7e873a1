"""T5's buckets and bias against transformers' T5Attention, and the buckets against whole-number arithmetic."""

import pytest
import torch
from transformers import T5Config
from transformers.cache_utils import DynamicCache
from transformers.models.t5.modeling_t5 import T5Attention

from attnbook import attention, masks
from attnbook.positions import RelativeT5, t5_bucket
from attnbook.scores import dot
from tests.attnbook.reference import inputs

SIZES = [(32, 128), (32, 1000), (16, 20), (8, 64), (4, 5), (64, 1024), (10, 100)]


@pytest.mark.parametrize(
    ("n_buckets", "max_distance", "bidirectional"),
    [*((*size, both) for size in SIZES for both in (True, False)), (7, 40, False), (2, 9, False), (33, 128, False)],
)
def test_buckets_against_the_library(n_buckets, max_distance, bidirectional, device):
    distance = torch.arange(-2 * max_distance, 2 * max_distance + 1, device=device)
    expected = T5Attention._relative_position_bucket(distance, bidirectional, n_buckets, max_distance)
    found = t5_bucket(distance, n_buckets=n_buckets, max_distance=max_distance, bidirectional=bidirectional)
    assert torch.equal(found, expected)
    assert found.min() == 0 and found.max() == n_buckets - 1


@pytest.mark.parametrize(
    ("n_buckets", "max_distance"), [(17, 27), (17, 343), (48, 81), (51, 81), (9, 128), (36, 32), (32, 128)]
)
def test_distances_on_an_edge_are_exact(n_buckets, max_distance):
    """r is in bucket E + b or above if r^s E^b >= M^b E^s, s = N - E: whole numbers, no rounding as in the library."""
    exact = n_buckets // 2
    shared = n_buckets - exact

    def bucket(r):
        if r < exact:
            return r
        reached = [b for b in range(shared) if r**shared * exact**b >= max_distance**b * exact**shared]
        return exact + max(reached)

    r = torch.arange(3 * max_distance)
    found = t5_bucket(-r, n_buckets=n_buckets, max_distance=max_distance, bidirectional=False)
    assert found.tolist() == [bucket(int(x)) for x in r]


def test_by_hand():
    """The book's table: 32 buckets in two directions, single distances below 8, then edges that grow by sqrt(2)."""
    before = [
        t5_bucket(torch.tensor(-r)).item() for r in (0, 1, 7, 8, 11, 12, 15, 16, 22, 23, 31, 32, 90, 91, 127, 10**6)
    ]
    assert before == [0, 1, 7, 8, 8, 9, 9, 10, 10, 11, 11, 12, 14, 15, 15, 15]
    assert t5_bucket(torch.tensor([1, 7, 8, 91])).tolist() == [17, 23, 24, 31]
    assert t5_bucket(torch.tensor([3, 0, -3]), bidirectional=False).tolist() == [0, 0, 3]


def test_any_shape_and_whole_number_type(device):
    distance = torch.arange(-6, 6, device=device).view(3, 4)
    expected = t5_bucket(distance)
    assert expected.shape == (3, 4) and expected.dtype == torch.long and expected.device.type == device.type
    for dtype in (torch.int8, torch.int16, torch.int32):
        assert torch.equal(t5_bucket(distance.to(dtype)), expected)
    assert torch.equal(t5_bucket(torch.tensor(-128, dtype=torch.int8)), t5_bucket(torch.tensor(-128)))
    assert t5_bucket(torch.zeros(0, dtype=torch.long)).shape == (0,)


def pair(decoder, device):
    config = T5Config(
        d_model=12,
        d_kv=4,
        num_heads=3,
        is_decoder=decoder,
        dropout_rate=0.0,
        relative_attention_num_buckets=8,
        relative_attention_max_distance=9,
        attn_implementation="eager",
    )
    theirs = T5Attention(config, has_relative_attention_bias=True, layer_idx=0).to(device, torch.float64)
    ours = RelativeT5(3, 8, 9, bidirectional=not decoder).to(device, torch.float64)
    ours.load_state_dict({"weight": theirs.relative_attention_bias.weight.detach()})
    return theirs, ours


@pytest.mark.parametrize("decoder", [False, True])
def test_attention_with_the_bias_against_the_library(decoder, device):
    """Outputs, weights and gradients of T5's layer. It has no 1/sqrt(d_k): the score is the plain dot product."""
    theirs, ours = pair(decoder, device)
    (x,) = inputs((2, 15, 12), device=device, grad=True)
    mask = masks.causal(15, device=device) if decoder else None
    hidden = None if mask is None else torch.zeros(15, 15, device=device, dtype=x.dtype).masked_fill(~mask, -torch.inf)
    expected, bias, expected_weights = theirs(x, mask=None if hidden is None else hidden[None, None])

    torch.testing.assert_close(ours(15)[None], bias, atol=0, rtol=0)
    q, k, v = (layer(x).unflatten(-1, (3, 4)).transpose(1, 2) for layer in (theirs.q, theirs.k, theirs.v))
    output, weights = attention(q, k, v, score=dot, bias=ours(15), mask=mask)
    joined = theirs.o(output.transpose(1, 2).flatten(2))
    torch.testing.assert_close(weights, expected_weights, atol=1e-13, rtol=0)
    torch.testing.assert_close(joined, expected, atol=1e-13, rtol=0)
    exact = torch.autograd.grad(expected.square().sum(), [x, theirs.relative_attention_bias.weight])
    found = torch.autograd.grad(joined.square().sum(), [x, ours.weight])
    for a, b in zip(found, exact, strict=True):
        torch.testing.assert_close(a, b, atol=1e-12, rtol=0)


@pytest.mark.parametrize("decoder", [False, True])
@pytest.mark.parametrize(("n", "m"), [(1, 15), (4, 15)])
def test_fewer_queries_against_the_library_with_a_cache(decoder, n, m, device):
    theirs, ours = pair(decoder, device)
    past = theirs.compute_bias(n, m, device=device, past_seen_tokens=m - n)
    torch.testing.assert_close(ours(n, m)[None], past, atol=0, rtol=0)
    assert torch.equal(ours(n, m), ours(m)[:, -n:])


def test_a_whole_step_with_the_library_s_cache(device):
    """The last token after 14 cached ones."""
    theirs, ours = pair(True, device)
    (x,) = inputs((2, 15, 12), device=device)
    cache = DynamicCache()
    theirs(x[:, :14], past_key_values=cache)
    expected, _, expected_weights = theirs(x[:, 14:], past_key_values=cache)
    q, k, v = (layer(x).unflatten(-1, (3, 4)).transpose(1, 2) for layer in (theirs.q, theirs.k, theirs.v))
    output, weights = attention(q[:, :, 14:], k, v, score=dot, bias=ours(1, 15))
    torch.testing.assert_close(weights, expected_weights, atol=1e-13, rtol=0)
    torch.testing.assert_close(theirs.o(output.transpose(1, 2).flatten(2)), expected, atol=1e-13, rtol=0)


def test_the_first_weights_are_small():
    weight = RelativeT5(500).weight
    assert weight.shape == (32, 500) and weight.std().item() == pytest.approx(0.02, rel=0.05)
