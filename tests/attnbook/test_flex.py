"""The patterns for the compiled kernel, run uncompiled on the CPU, and compiled where there is a GPU."""

import pytest
import torch

from attnbook import attention, flex, masks
from attnbook.sparse import block_sparse_attention, sliding_window_attention
from tests.attnbook.reference import inputs

pytestmark = pytest.mark.filterwarnings("ignore:flex_attention called without torch.compile")
WINDOWS = [(0, 0, [], False), (40, 0, [], True), (100, 130, [], False), (7, 3, [0, 200], False), (7, 0, [5, 299], True)]


@pytest.mark.parametrize("n", [128, 300, 512])
@pytest.mark.parametrize(("before", "after", "tokens", "causal"), WINDOWS)
def test_the_pattern_of_a_window(n, before, after, tokens, causal):
    tokens = [t for t in tokens if t < n]
    query, key, value = inputs((1, 2, n, 16), (1, 2, n, 16), (1, 2, n, 16))
    allowed, table = flex.window(n, before, after, torch.tensor(tokens, dtype=torch.long), causal)
    mask = masks.sliding_window(n, before=before, after=after) | masks.global_tokens(n, tokens=tokens)
    mask = mask & masks.causal(n) if causal else mask
    same(flex.attend(query, key, value, allowed, table), mask, query, key, value)
    asked = torch.nn.functional.pad(mask, (0, -n % 128, 0, -n % 128)).unflatten(0, (-1, 128)).unflatten(2, (-1, 128))
    assert torch.equal(table, asked.any(dim=3).any(dim=1)), "no block is asked where nothing is allowed"


@pytest.mark.parametrize("n", [256, 500])
@pytest.mark.parametrize("size", [128, 256])
@pytest.mark.parametrize("causal", [False, True])
def test_the_pattern_of_blocks(n, size, causal):
    number = -(-n // size)
    given = torch.rand(number, number, generator=torch.Generator().manual_seed(n)) < 0.5
    query, key, value = inputs((1, 2, n, 16), (1, 2, n, 16), (1, 2, n, 16))
    allowed, table = flex.blocks(n, given, size, causal)
    mask = given.repeat_interleave(size, 0).repeat_interleave(size, 1)[:n, :n]
    mask = mask & masks.causal(n) if causal else mask
    same(flex.attend(query, key, value, allowed, table), mask, query, key, value)


def same(found, mask, query, key, value):
    expected, _ = attention(query, key, value, mask=mask)
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=0)


def test_the_cpu_is_not_asked():
    x = torch.randn(1, 1, 256, 64)
    assert not flex.serves(x, x, x)


def test_which_inputs_it_takes_on_a_gpu(monkeypatch, own_errors):
    """As if the tensor were on a GPU of some age."""

    class Seen:
        is_cuda, device, dtype = True, "cuda", torch.float32

        def __init__(self, n, d, dtype=torch.float32):
            self.shape, self.dtype = (1, 8, n, d), dtype

    for capability, expected in (((7, 5), False), ((8, 0), True), ((9, 0), True)):
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _, found=capability: found)
        assert flex.serves(Seen(256, 64), Seen(256, 64), Seen(256, 64)) is expected
    for query, key, value in (
        (Seen(256, 48), Seen(256, 48), Seen(256, 48)),
        (Seen(256, 64), Seen(256, 64), Seen(256, 32)),
        (Seen(256, 64), Seen(512, 64), Seen(512, 64)),
        (Seen(64, 64), Seen(64, 64), Seen(64, 64)),
        (Seen(256, 64, torch.float64), Seen(256, 64), Seen(256, 64)),
    ):
        assert not flex.serves(query, key, value)


@pytest.mark.parametrize("form", ["window", "blocks"])
def test_compiled(device, form, monkeypatch):
    """On a GPU the public functions go this way; outputs and gradients are those under the mask."""
    if device.type == "cpu":  # the same way through the public function, uncompiled and without gradients
        monkeypatch.setattr(flex, "serves", lambda *_: True)
    n, grad = 512, device.type == "cuda"
    x = [torch.randn(1, 2, n, 64, device=device, requires_grad=grad) for _ in range(3)]
    if form == "window":
        found = sliding_window_attention(*x, before=60, after=9, global_tokens=[3])
        mask = masks.sliding_window(n, before=60, after=9) | masks.global_tokens(n, tokens=[3])
    else:
        given = masks.sliding_window(4, before=1, after=0, device=device)
        found = block_sparse_attention(*x, blocks=given, size=128, causal=True)
        mask = given.repeat_interleave(128, 0).repeat_interleave(128, 1).cpu() & masks.causal(n)
    expected, _ = attention(*(t.double() for t in x), mask=mask.to(device))
    torch.testing.assert_close(found.double(), expected, atol=2e-3 if grad else 1e-5, rtol=0)
    if grad:
        upstream = torch.randn_like(expected)
        exact = torch.autograd.grad(expected, x, upstream)
        for a, b in zip(torch.autograd.grad(found, x, upstream.float()), exact, strict=True):
            torch.testing.assert_close(a, b, atol=1e-2, rtol=0)
