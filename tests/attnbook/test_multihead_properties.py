"""What holds of multi-head attention for any input: no look at the future, none at padding, no order of its own."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from attnbook import MultiHeadAttention, masks
from attnbook.positions import Rotary
from tests.attnbook.reference import inputs


@st.composite
def problems(draw, device, rotary=True):
    """A layer, a sequence, and whether to ask for the weights."""
    n_kv_heads = draw(st.sampled_from([1, 2, 4]))
    turned = Rotary(2, layout="half") if rotary and draw(st.booleans()) else None
    torch.manual_seed(draw(st.integers(0, 1000)))
    layer = MultiHeadAttention(8, 4, n_kv_heads, rotary=turned).to(device, torch.float64)
    (x,) = inputs((2, draw(st.integers(2, 8)), 8), seed=draw(st.integers(0, 1000)), device=device)
    return layer, x, draw(st.booleans())


def close(actual, expected):
    torch.testing.assert_close(actual, expected, atol=1e-12, rtol=0)


@given(data=st.data())
def test_no_look_at_the_future(data, device):
    """Other inputs from some position on leave every earlier output as it was, and change that position's own."""
    layer, x, need_weights = data.draw(problems(device))
    cut = data.draw(st.integers(0, x.shape[1] - 1))
    other = x.clone()
    (other[:, cut:],) = inputs(other[:, cut:].shape, seed=2000, device=device)
    before, after = (layer(y, causal=True, need_weights=need_weights)[0] for y in (x, other))
    close(after[:, :cut], before[:, :cut])
    assert (after[:, cut] - before[:, cut]).abs().max() > 1e-6
    assert cut == 0 or (layer(other)[0] - layer(x)[0])[:, :cut].abs().max() > 1e-6  # without causal it does look


@given(data=st.data())
def test_no_look_at_padding(data, device):
    """Whatever stands in the padding, the outputs are those of the sequence without it; no gradient goes there."""
    layer, x, need_weights = data.draw(problems(device))
    causal = data.draw(st.booleans())
    lengths = torch.tensor([x.shape[1], data.draw(st.integers(1, x.shape[1]))], device=device)
    short = int(lengths[1])
    x[1, short:] = data.draw(st.sampled_from([0.0, 1.0, 1e6]))
    x.requires_grad_()
    output, weights = layer(x, mask=masks.padding(lengths, x.shape[1]), causal=causal, need_weights=need_weights)
    alone, _ = layer(x[1:, :short], causal=causal)
    close(output[1, :short], alone[0])
    (gradient,) = torch.autograd.grad(output[1, :short].sum(), x)
    assert (gradient[1, short:] == 0).all() and (gradient[0] == 0).all()
    if need_weights:
        assert (weights[1, :, :, short:] == 0).all()
        close(weights.sum(-1), torch.ones_like(weights[..., 0]))


@given(data=st.data())
def test_no_order_without_positions(data, device):
    """Shuffled inputs give shuffled outputs."""
    layer, x, need_weights = data.draw(problems(device, rotary=False))
    order = torch.tensor(data.draw(st.permutations(range(x.shape[1]))), device=device)
    close(layer(x[:, order], need_weights=need_weights)[0], layer(x, need_weights=need_weights)[0][:, order])


@given(data=st.data())
def test_each_sequence_by_itself(data, device):
    """A batch is its sequences side by side."""
    layer, x, need_weights = data.draw(problems(device))
    output, _ = layer(x, need_weights=need_weights)
    for b in range(len(x)):
        close(output[b : b + 1], layer(x[b : b + 1], need_weights=need_weights)[0])


def test_rotary_makes_order_count_and_only_distances(device):
    """The scores depend on differences of positions: every position moved alike changes nothing."""
    rotary = Rotary(2, layout="half")
    layer = MultiHeadAttention(8, 4, 2, rotary=rotary).to(device, torch.float64)
    (x,) = inputs((1, 6, 8), device=device)
    here, _ = layer(x)
    turned = rotary.forward
    rotary.forward = lambda x, start=0: turned(x, start=start + 11)
    close(layer(x)[0], here)
    rotary.forward = lambda x, start=0: x
    assert (layer(x)[0] - here).abs().max() > 1e-3


def test_rotary_turns_queries_and_keys_by_hand(device):
    """Against the turned projections fed to attention; the values stay as they are."""
    rotary = Rotary(2, layout="interleaved")
    layer = MultiHeadAttention(8, 4, rotary=rotary).to(device, torch.float64)
    (x,) = inputs((1, 6, 8), device=device)
    q, k, v = (p(x).view(1, 6, 4, 2).transpose(1, 2) for p in (layer.q_proj, layer.k_proj, layer.v_proj))
    position = torch.arange(6, dtype=torch.float64, device=device)  # the one pair of a head turns by 1 a position
    turn = torch.polar(torch.ones_like(position), position)
    q, k = (torch.view_as_real(torch.view_as_complex(y.contiguous()) * turn) for y in (q, k))
    weights = (q @ k.transpose(-2, -1) / 2**0.5).softmax(-1)
    expected = layer.out_proj((weights @ v).transpose(1, 2).flatten(2))
    for need_weights in (True, False):
        close(layer(x, need_weights=need_weights)[0], expected)
    close(layer(x, need_weights=True)[1], weights)
