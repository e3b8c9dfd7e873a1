"""Wrong inputs of MultiHeadAttention and the caches: each error names the argument, what was expected and what came."""

import pytest
import torch
from torch import nn

from attnbook import MultiHeadAttention
from attnbook.cache import KeyValueCache, SlidingCache
from attnbook.positions import Rotary
from tests.attnbook.reference import refused

pytestmark = pytest.mark.usefixtures("own_errors")

MADE = [
    ({"d_model": 8.0}, TypeError, "d_model must be an integer", "float"),
    ({"d_model": 0}, ValueError, "d_model must be at least 1", "0"),
    ({"n_heads": True}, TypeError, "n_heads must be an integer", "bool"),
    ({"n_heads": 0}, ValueError, "n_heads must be at least 1", "0"),
    ({"n_heads": 3}, ValueError, "n_heads must divide d_model = 8", "d_head", "3"),
    ({"n_kv_heads": 0}, ValueError, "n_kv_heads must be at least 1", "0"),
    ({"n_kv_heads": 3}, ValueError, "n_kv_heads must divide n_heads = 4", "3"),
    ({"n_kv_heads": 8}, ValueError, "n_kv_heads must divide n_heads = 4", "8"),
    ({"d_head": 0}, ValueError, "d_head must be at least 1", "0"),
    ({"d_head": "2"}, TypeError, "d_head must be an integer", "str"),
    ({"bias": None}, TypeError, "bias must be True or False", "NoneType"),
    ({"dropout": "0"}, TypeError, "dropout must be a number", "str"),
    ({"dropout": 1.0}, ValueError, "dropout must be at least 0 and less than 1", "1.0"),
    ({"dropout": -0.1}, ValueError, "dropout must be at least 0 and less than 1", "-0.1"),
    ({"rotary": 2}, TypeError, "rotary must be callable", "int"),
]


@pytest.mark.parametrize(("changed", "error", "starts", "says"), [(c, e, s, x) for c, e, s, *x in MADE])
def test_making(changed, error, starts, says):
    with refused(error, starts, *says):
        MultiHeadAttention(**({"d_model": 8, "n_heads": 4} | changed))


X, Y = torch.zeros(2, 4, 8), torch.zeros(2, 6, 8)
META = torch.device("meta")
CALLED = [
    ({"query": [[0.0]]}, TypeError, "query must be a torch.Tensor", "list"),
    ({"query": X.long()}, TypeError, "query must be a floating-point tensor", "torch.int64"),
    ({"query": X[0]}, ValueError, "query must have shape (batch, length, d_model)", "(4, 8)"),
    ({"query": X[..., :7]}, ValueError, "query must have last axis 8 (d_model)", "(2, 4, 7)"),
    ({"query": X.double()}, TypeError, "query must have the dtype of the layer's weights, torch.float32", "float64"),
    ({"query": X.to(META)}, ValueError, "query must be on the device of the layer's weights, cpu", "meta"),
    ({"key": Y[..., :7]}, ValueError, "key must have last axis 8 (d_model)", "(2, 6, 7)"),
    ({"key": Y[None]}, ValueError, "key must have shape (batch, length, d_model)", "(1, 2, 6, 8)"),
    ({"key": Y[:1]}, ValueError, "key must have the batch size of query, 2", "(1, 6, 8)"),
    ({"key": Y.half()}, TypeError, "key must have the dtype of the layer's weights", "torch.float16"),
    ({"value": Y}, ValueError, "key must be given where value is", "None"),
    ({"key": Y, "value": X}, ValueError, "value must have one row for each key, 6", "(2, 4, 8)"),
    ({"key": Y, "value": Y[:1]}, ValueError, "value must have the batch size of query, 2", "(1, 6, 8)"),
    ({"causal": 1}, TypeError, "causal must be True or False", "int"),
    ({"need_weights": None}, TypeError, "need_weights must be True or False", "NoneType"),
    ({"mask": torch.zeros(4, 4)}, TypeError, "mask must be boolean, True where attention is allowed", "torch.float32"),
    ({"mask": torch.ones(2, 4) > 0}, ValueError, "mask must broadcast", "(2, 4, 4, 4)", "(2, 4)"),
    ({"key": Y, "mask": torch.ones(6, 4) > 0}, ValueError, "mask must broadcast", "(2, 4, 4, 6)", "(6, 4)"),
    ({"bias": torch.ones(4, 4) > 0}, TypeError, "bias must be a floating-point tensor", "torch.bool", "mask"),
    ({"bias": torch.ones(3, 4, 4)}, ValueError, "bias must broadcast", "(2, 4, 4, 4)", "(3, 4, 4)"),
]


@pytest.mark.parametrize("need_weights", [True, False])
@pytest.mark.parametrize(("changed", "error", "starts", "says"), [(c, e, s, x) for c, e, s, *x in CALLED])
def test_calling(changed, error, starts, says, need_weights):
    with refused(error, starts, *says):
        MultiHeadAttention(8, 4)(**({"query": X, "need_weights": need_weights} | changed))


@pytest.mark.parametrize("cross", [{"key": Y}, {"key": X, "value": X + 1}, {"key": X.clone()}])
def test_self_attention_only(cross):
    """Two sequences share no positions, and a cache holds what the query's sequence has been."""
    turned = MultiHeadAttention(8, 4, rotary=Rotary(2, layout="half"))
    with refused(ValueError, "key must be left out with rotary", "self-attention"):
        turned(X, **cross)
    with refused(ValueError, "key must be left out with a cache", "self-attention"), torch.no_grad():
        MultiHeadAttention(8, 4)(X, **cross, cache=KeyValueCache(8))
    assert turned(X, X)[0].shape == turned(X, X, X)[0].shape == X.shape


FROM = [
    (lambda: nn.Linear(8, 8), TypeError, "module must be a torch.nn.MultiheadAttention", "Linear"),
    (lambda: nn.MultiheadAttention(8, 2, kdim=6), ValueError, "module must have kdim equal to embed_dim = 8", "6"),
    (lambda: nn.MultiheadAttention(8, 2, vdim=5), ValueError, "module must have vdim equal to embed_dim = 8", "5"),
    (lambda: nn.MultiheadAttention(8, 2, add_bias_kv=True), ValueError, "module must have add_bias_kv=False", "True"),
    (
        lambda: nn.MultiheadAttention(8, 2, add_zero_attn=True),
        ValueError,
        "module must have add_zero_attn=False",
        "True",
    ),
]


@pytest.mark.parametrize(("module", "error", "starts", "says"), [(m, e, s, x) for m, e, s, *x in FROM])
def test_from_torch(module, error, starts, says):
    with refused(error, starts, *says):
        MultiHeadAttention.from_torch(module())


TO = [
    (lambda: MultiHeadAttention(8, 4, 2), "n_kv_heads must be n_heads = 4", "2"),
    (lambda: MultiHeadAttention(8, 4, d_head=3), "d_head must be d_model / n_heads = 8 / 4", "3"),
    (lambda: MultiHeadAttention(8, 4, rotary=Rotary(2, layout="half")), "rotary must be None", "Rotary"),
]


@pytest.mark.parametrize(("layer", "starts", "says"), TO)
def test_to_torch(layer, starts, says):
    with refused(ValueError, starts, says):
        layer().to_torch()


@pytest.mark.parametrize(("kind", "name"), [(KeyValueCache, "max_length"), (SlidingCache, "window")])
def test_the_size_of_a_cache(kind, name):
    with refused(ValueError, f"{name} must be at least 1", "0"):
        kind(0)
    with refused(TypeError, f"{name} must be an integer", "float"):
        kind(4.0)


K, V = torch.ones(2, 3, 4, 5), torch.ones(2, 3, 4, 6)
UPDATED = [
    (K[0], V, ValueError, "key must have shape (batch, heads, n, dim)", "(3, 4, 5)"),
    (K.long(), V, TypeError, "key must be a floating-point tensor", "torch.int64"),
    (K, V.double(), TypeError, "value must have the dtype of key, torch.float32", "torch.float64"),
    (K, V[:, :, :3], ValueError, "value must begin with key's (batch, heads, n), (2, 3, 4)", "(2, 3, 3, 6)"),
    (K[:1], V[:1], ValueError, "key must have shape (batch, heads, n, dim) = (2, 3, n, 5)", "(1, 3, 4, 5)", "reset()"),
    (K[:, :2], V[:, :2], ValueError, "key must have shape", "(2, 3, n, 5)", "(2, 2, 4, 5)"),
    (K[..., :4], V, ValueError, "key must have shape", "(2, 3, n, 5)", "(2, 3, 4, 4)"),
    (K, V[..., :5], ValueError, "value must have shape", "(2, 3, n, 6)", "(2, 3, 4, 5)"),
    (K.half(), V.half(), TypeError, "key must have the dtype of what the cache holds, torch.float32", "torch.float16"),
    (K.to(META), V.to(META), ValueError, "key must be on the device of what the cache holds, cpu", "meta"),
    (K.clone().requires_grad_(), V, ValueError, "key must not require a gradient", "inference", "no_grad"),
    (K, V.clone().requires_grad_(), ValueError, "value must not require a gradient", "inference", "no_grad"),
]


@pytest.mark.parametrize("kind", [lambda: KeyValueCache(20), lambda: SlidingCache(3)])
@pytest.mark.parametrize(("key", "value", "error", "starts", "says"), [(k, v, e, s, x) for k, v, e, s, *x in UPDATED])
def test_what_does_not_fit_leaves_the_cache_as_it_was(kind, key, value, error, starts, says):
    cache = kind()
    cache.update(K, V)
    with refused(error, starts, *says):
        cache.update(key, value)
    assert cache.seen == 4
    keys, values = cache.update(2 * K[:, :, :1], 2 * V[:, :, :1])
    assert (keys[:, :, :-1] == 1).all() and (values[:, :, :-1] == 1).all() and (keys[:, :, -1] == 2).all()


def test_full():
    """The last place can be used, the one after it not, and what is held stays."""
    cache = KeyValueCache(6)
    cache.update(K, V)
    with refused(ValueError, "key must leave the cache within max_length = 6 positions", "3 more after 4"):
        cache.update(K[:, :, :3], V[:, :, :3])
    assert cache.seen == cache.length == 4
    assert cache.update(K[:, :, :2], V[:, :, :2])[0].shape[2] == 6
    with refused(ValueError, "key must leave the cache within max_length = 6 positions", "1 more after 6"):
        cache.update(K[:, :, :1], V[:, :, :1])
    with refused(ValueError, "key must leave the cache within max_length = 3 positions", "4 more after 0"):
        KeyValueCache(3).update(K, V)


@pytest.mark.parametrize("kind", [lambda: KeyValueCache(20), lambda: SlidingCache(3)])
@pytest.mark.parametrize("option", ["mask", "bias"])
def test_a_mask_that_does_not_fit_is_refused_before_the_cache_changes(kind, option):
    """Its last axis is what cache.keys_for says: for the sliding cache, not all that was seen."""
    layer, cache = MultiHeadAttention(8, 4), kind()
    with torch.no_grad():
        layer(X, causal=True, cache=cache)
        m = cache.keys_for(2)
        wrong = torch.ones(2, m + 1) > 0 if option == "mask" else torch.ones(2, m + 1)
        with refused(ValueError, f"{option} must broadcast", f"(2, 4, 2, {m})", f"(2, {m + 1})"):
            layer(X[:, :2], causal=True, cache=cache, **{option: wrong})
        assert cache.seen == 4
        layer(X[:, :2], causal=True, cache=cache, **{option: wrong[:, 1:]})
    assert cache.seen == 6


def test_a_cache_in_training():
    layer = MultiHeadAttention(8, 4)
    with refused(ValueError, "key must not require a gradient", "torch.no_grad()"):
        layer(X, causal=True, cache=KeyValueCache(8))


REORDERED = [
    ([0, 1], TypeError, "index must be a torch.Tensor of whole numbers", "list"),
    (torch.tensor([0.0]), TypeError, "index must be a tensor of whole numbers", "torch.float32"),
    (torch.tensor([[0]]), ValueError, "index must have shape (batch,)", "(1, 1)"),
    (torch.tensor([0, 2]), ValueError, "index must lie between 0 and 1", "[0, 2]"),
    (torch.tensor([-1]), ValueError, "index must lie between 0 and 1", "[-1]"),
]


@pytest.mark.parametrize("kind", [lambda: KeyValueCache(20), lambda: SlidingCache(3)])
@pytest.mark.parametrize(("index", "error", "starts", "says"), REORDERED)
def test_reorder(kind, index, error, starts, says):
    cache = kind()
    cache.update(K, V)
    with refused(error, starts, says):
        cache.reorder(index)
