"""A model with a cache gives the rows of the model without one, however the sequence is cut."""

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from attnbook import MultiHeadAttention, attention, masks
from attnbook.cache import KeyValueCache, SlidingCache
from attnbook.positions import Rotary
from tests.attnbook.reference import inputs


def close(actual, expected):
    torch.testing.assert_close(actual, expected, atol=1e-12, rtol=0)


def cut(x, sizes, dim=1):
    return x.split(sizes, dim=dim)


@st.composite
def chunkings(draw, length):
    """Sizes that add up to length; some are 0."""
    sizes = []
    while sum(sizes) < length:
        sizes.append(draw(st.integers(0 if sizes else 1, length - sum(sizes))))
    return sizes


@st.composite
def layers(draw, device):
    n_heads = draw(st.sampled_from([1, 2, 4]))
    n_kv_heads = draw(st.sampled_from([h for h in (1, 2, 4) if h <= n_heads]))
    layout = draw(st.sampled_from([None, "half", "interleaved"]))
    rotary = None if layout is None else Rotary(4, layout=layout)
    torch.manual_seed(draw(st.integers(0, 1000)))
    return MultiHeadAttention(6, n_heads, n_kv_heads, d_head=4, rotary=rotary).to(device, torch.float64).eval()


@settings(max_examples=80)
@given(data=st.data())
def test_cached_and_uncached_are_the_same(data, device):
    """Outputs and weights, for both caches, each path at each step, with padding and a bias or without."""
    layer = data.draw(layers(device))
    length = data.draw(st.integers(1, 12))
    sizes = data.draw(chunkings(length))
    window = data.draw(st.sampled_from([None, 1, 2, 3, 5, 20]))
    (x,) = inputs((2, length, 6), seed=data.draw(st.integers(0, 1000)), device=device)
    padding = torch.ones(2, 1, 1, length, dtype=torch.bool, device=device)
    if data.draw(st.booleans()):  # at the start, as for prompts of unlike lengths
        padding[0, ..., : data.draw(st.integers(0, length))] = False
    bias = torch.zeros(length, length, dtype=torch.float64, device=device)
    if data.draw(st.booleans()):
        (bias,) = inputs((length, length), seed=7, device=device)

    cache = SlidingCache(window) if window else KeyValueCache(length + data.draw(st.integers(0, 2)))
    near = masks.sliding_window(length, before=window - 1, after=0, device=device) if window else True
    with torch.no_grad():
        expected, expected_weights = layer(x, mask=padding & near, bias=bias, causal=True, need_weights=True)
        begin = 0
        for part in cut(x, sizes):
            n = part.shape[1]
            end, m = begin + n, cache.keys_for(n)
            seen = slice(end - m, end)
            need_weights = data.draw(st.booleans())
            output, weights = layer(
                part,
                mask=padding[..., seen],
                bias=bias[begin:end, seen],
                causal=True,
                need_weights=need_weights,
                cache=cache,
            )
            close(output, expected[:, begin:end])
            if need_weights:
                close(weights, expected_weights[:, :, begin:end, seen])
                assert (expected_weights[:, :, begin:end, : end - m] == 0).all()  # what is gone had no weight
            begin = end
            assert cache.seen == end and cache.length == min(end, window or end)


@pytest.mark.parametrize("window", [None, 3])
def test_one_at_a_time_without_options(window, device):
    """Decoding as it is written most often."""
    torch.manual_seed(1)
    layer = MultiHeadAttention(8, 4, 2, rotary=Rotary(2, layout="half")).to(device, torch.float64)
    (x,) = inputs((2, 7, 8), device=device)
    near = None if window is None else masks.sliding_window(7, before=2, after=0, device=device)
    cache = KeyValueCache(7) if window is None else SlidingCache(window)
    with torch.no_grad():
        whole, _ = layer(x, causal=True, mask=near)
        rows = [layer(x[:, i : i + 1], causal=True, cache=cache)[0] for i in range(7)]
    close(torch.cat(rows, dim=1), whole)


def test_rotary_goes_on_where_the_cache_is(device):
    """Starting each call at 0 would give other numbers: the equivalence above is no accident."""
    torch.manual_seed(1)
    layer = MultiHeadAttention(8, 2, rotary=Rotary(4, layout="interleaved")).to(device, torch.float64)
    (x,) = inputs((1, 6, 8), device=device)
    cache, starts = KeyValueCache(6), []
    original = layer.rotary.forward
    layer.rotary.forward = lambda x, start=0: starts.append(start) or original(x, start=start)
    with torch.no_grad():
        for part in x.split([2, 3, 1], dim=1):
            layer(part, causal=True, cache=cache)
    assert starts == [0, 0, 2, 2, 5, 5]


def test_without_causal_the_new_positions_see_each_other(device):
    """A prompt that is read in both directions, then causal: a prefix language model."""
    torch.manual_seed(1)
    layer = MultiHeadAttention(8, 2).to(device, torch.float64)
    (x,) = inputs((1, 6, 8), device=device)
    mask = masks.causal(6, device=device)
    mask[:4, :4] = True
    cache = KeyValueCache(6)
    with torch.no_grad():
        expected, _ = layer(x, mask=mask)
        close(layer(x[:, :4], cache=cache)[0], expected[:, :4])
        close(layer(x[:, 4:], causal=True, cache=cache)[0], expected[:, 4:])


@settings(max_examples=40)
@given(data=st.data())
def test_what_update_returns(data, device):
    """The last positions in order, as many as keys_for said; keys and values may differ in size."""
    length = data.draw(st.integers(1, 10))
    window = data.draw(st.sampled_from([None, 1, 2, 4, 20]))
    key, value = inputs((2, 3, length, 4), (2, 3, length, 5), device=device)
    cache = SlidingCache(window) if window else KeyValueCache(length)
    begin = 0
    for n in data.draw(chunkings(length)):
        end, m = begin + n, cache.keys_for(n)
        assert m == (end if window is None else min(begin, window - (n > 0)) + n)
        mask = cache.mask(n)
        keys, values = cache.update(key[:, :, begin:end], value[:, :, begin:end])
        assert torch.equal(keys, key[:, :, end - m : end]) and torch.equal(values, value[:, :, end - m : end])
        distance = torch.arange(begin, end).view(n, 1) - torch.arange(end - m, end)
        past = distance >= 0
        allowed = past & (distance < (window or length))
        assert torch.equal(past if mask is None else past & mask, allowed)
        begin = end


def held(cache):
    return cache._keys, cache._values


@pytest.mark.parametrize("cache", [KeyValueCache(50), SlidingCache(4)])
def test_memory(cache, device):
    """The bounded cache takes its room once and hands out views of it; the sliding one holds no more than a window."""
    cache = copy.deepcopy(cache)
    key, value = inputs((2, 3, 10, 4), (2, 3, 10, 4), device=device)
    places = set()
    for i in (10, 1, 1, 0, 1):
        keys, _ = cache.update(key[:, :, :i], value[:, :, :i])
        for tensor in held(cache):
            rows = 50 if isinstance(cache, KeyValueCache) else 4
            assert tensor.untyped_storage().nbytes() == 2 * 3 * rows * 4 * 8
        places.add(held(cache)[0].data_ptr())
        if isinstance(cache, KeyValueCache):
            assert keys.data_ptr() == held(cache)[0].data_ptr()
    assert len(places) == 1 or isinstance(cache, SlidingCache)


def test_a_prompt_within_the_window_is_not_the_callers_memory_to_change(device):
    """What the caller does to its keys afterwards does not reach the cache."""
    for cache in (KeyValueCache(6), SlidingCache(6)):
        key, value = inputs((1, 1, 2, 3), (1, 1, 2, 3), device=device)
        kept = key.clone()
        cache.update(key, value)
        key.zero_(), value.zero_()
        keys, _ = cache.update(kept[:, :, :1], kept[:, :, :1])
        assert torch.equal(keys[:, :, :2], kept)


@pytest.mark.parametrize("kind", [lambda: KeyValueCache(8), lambda: SlidingCache(3)])
def test_reset(kind, device):
    """Nothing of the last sequence is left, and the batch may be another."""
    cache = kind()
    cache.update(*inputs((2, 3, 5, 4), (2, 3, 5, 4), device=device))
    cache.reset()
    assert cache.seen == cache.length == 0
    key, value = inputs((4, 1, 2, 6), (4, 1, 2, 6), seed=1, device=device)
    keys, values = cache.update(key, value)
    assert torch.equal(keys, key) and torch.equal(values, value) and cache.seen == 2


@pytest.mark.parametrize("index", [[1, 0, 2], [2, 2, 2], [0], [1, 1, 0, 2, 0], []])
@pytest.mark.parametrize("window", [None, 3])
def test_reorder(index, window, device):
    """After it, row b decodes as a sequence whose past is that of row index[b]."""
    torch.manual_seed(1)
    layer = MultiHeadAttention(8, 4, 2, rotary=Rotary(2, layout="half")).to(device, torch.float64)
    past, new = inputs((3, 5, 8), (len(index), 2, 8), device=device)
    cache = KeyValueCache(9) if window is None else SlidingCache(window)
    index = torch.tensor(index, dtype=torch.long, device=device)
    with torch.no_grad():
        layer(past, causal=True, cache=cache)
        cache.reorder(index)
        assert cache.seen == 5
        output, _ = layer(new, causal=True, cache=cache)
        whole = torch.cat([past[index], new], dim=1)
        near = None if window is None else masks.sliding_window(7, before=2, after=0, device=device)
        close(output, layer(whole, causal=True, mask=near)[0][:, 5:])


def test_reorder_before_anything_is_held():
    cache = KeyValueCache(3)
    cache.reorder(torch.tensor([0, 0]))
    assert cache.seen == 0


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_dtype_and_device_are_the_keys(dtype, device):
    for cache in (KeyValueCache(8), SlidingCache(3)):
        xs = inputs((2, 3, 5, 4), (2, 3, 5, 4), dtype=dtype, device=device)
        for x in cache.update(*xs):
            assert x.dtype == dtype and x.device == xs[0].device


def test_grouped_heads_make_it_smaller():
    """As many times as query heads share a key head: the reason for them."""
    sizes = {}
    for n_kv_heads in (8, 2, 1):
        cache = KeyValueCache(16)
        with torch.no_grad():
            MultiHeadAttention(32, 8, n_kv_heads)(torch.zeros(1, 3, 32), causal=True, cache=cache)
        sizes[n_kv_heads] = sum(x.numel() for x in held(cache))
    assert sizes == {8: 2 * 16 * 32, 2: 2 * 16 * 8, 1: 2 * 16 * 4}


def test_a_cache_serves_plain_attention_too(device):
    query, key, value = inputs((1, 2, 6, 4), (1, 2, 6, 4), (1, 2, 6, 3), device=device)
    whole, _ = attention(query, key, value, mask=masks.causal(6, device=device))
    cache = KeyValueCache(6)
    for begin, end in ((0, 2), (2, 3), (3, 6)):
        keys, values = cache.update(key[:, :, begin:end], value[:, :, begin:end])
        rows, _ = attention(query[:, :, begin:end], keys, values, mask=masks.causal(end - begin, end, device=device))
        close(rows, whole[:, :, begin:end])


@pytest.mark.parametrize("kind", [lambda: KeyValueCache(8), lambda: SlidingCache(3)])
def test_gradients_off_is_enough(kind, device):
    """A tensor that could learn is taken under no_grad, and what comes back carries nothing of it."""
    key, value = inputs((1, 2, 5, 3), (1, 2, 5, 3), device=device, grad=True)
    cache = kind()
    with torch.no_grad():
        cache.update(key, value)
        keys, values = cache.update(key[:, :, :1], value[:, :, :1])
    assert not keys.requires_grad and not values.requires_grad and cache.seen == 6
