"""Masks combine with &, | and ~, and the published patterns come out of the parts."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from attnbook import attention, masks
from tests.attnbook.reference import inputs

SIZES = {"n": st.integers(1, 12)}


def union(*parts):
    whole = parts[0]
    for part in parts[1:]:
        whole = whole | part
    return whole


@given(**SIZES, data=st.data())
def test_windows_nest_and_intersect(n, data):
    a, b, c, d = (data.draw(st.integers(0, n)) for _ in range(4))
    both = masks.sliding_window(n, before=a, after=b) & masks.sliding_window(n, before=c, after=d)
    assert torch.equal(both, masks.sliding_window(n, before=min(a, c), after=min(b, d)))
    either = masks.sliding_window(n, before=a, after=0) | masks.sliding_window(n, before=0, after=b)
    assert torch.equal(either, masks.sliding_window(n, before=a, after=b))


@given(**SIZES)
def test_a_window_without_end_is_causal(n):
    assert torch.equal(masks.sliding_window(n, before=n, after=0), masks.causal(n))
    assert masks.sliding_window(n, before=n, after=n).all()
    assert torch.equal(masks.causal(n) & masks.causal(n).T, masks.sliding_window(n, before=0, after=0))
    assert (masks.causal(n) | masks.causal(n).T).all()
    assert torch.equal(~masks.causal(n), masks.causal(n).T & ~torch.eye(n, dtype=torch.bool))


@given(n=st.integers(1, 12), size=st.integers(1, 4))
def test_all_random_blocks_are_everything(n, size):
    assert masks.random_block(n, size=size, count=n, seed=0).all()
    assert not masks.random_block(n, size=size, count=0, seed=0).any()


@given(**SIZES, stride=st.integers(1, 5))
def test_strides_shifted_cover_everything(n, stride):
    """stride 1 is full attention; a stride, then the window between two steps, reach the whole past.

    Source: Child et al. (2019), Section 4.2: two heads are enough.
    """
    assert masks.strided(n, stride=1).all()
    window = masks.causal(n) & masks.sliding_window(n, before=stride - 1, after=0)
    steps = masks.causal(n) & masks.strided(n, stride=stride)
    reach = (steps.double() @ window.double()) > 0
    assert torch.equal(reach, masks.causal(n))


def test_a_graph_can_write_the_other_masks():
    for mask in (masks.causal(6), masks.block(6, size=2), masks.strided(6, stride=2)):
        targets, sources = mask.nonzero().T
        assert torch.equal(masks.graph(torch.stack([sources, targets]), 6, self_loops=False), mask)


def test_longformer_and_bigbird_from_their_parts():
    n = 24
    window, tokens = masks.sliding_window(n, before=2, after=2), masks.global_tokens(n, tokens=[0])
    random = masks.random_block(n, size=4, count=1, seed=0)
    longformer, bigbird = window | tokens, union(window, tokens, random)
    for i in range(n):
        for j in range(n):
            assert longformer[i, j] == (abs(i - j) <= 2 or 0 in (i, j))
            assert bigbird[i, j] == (longformer[i, j] or random[i, j])


def test_a_padding_mask_meets_a_square_mask_by_broadcasting():
    mask = masks.padding(torch.tensor([2, 4])) & masks.causal(4)
    assert mask.shape == (2, 1, 4, 4)
    assert mask[0, 0].tolist() == [[j <= i and j < 2 for j in range(4)] for i in range(4)]


def test_disjoint_masks_split_the_output():
    """The rows of attention under a | b are averages of those under a and under b, weighted by what each holds."""
    query, key, value = inputs((7, 4), (7, 4), (7, 4))
    near = masks.sliding_window(7, before=1, after=1)
    whole, weights = attention(query, key, value, mask=near | ~near)
    left, right = (attention(query, key, value, mask=m)[0] for m in (near, ~near))
    share = (weights * near).sum(-1, keepdim=True)
    torch.testing.assert_close(whole, share * left + (1 - share) * right, atol=1e-13, rtol=0)
