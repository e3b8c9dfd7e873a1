"""Each mask against its definition, written as a double loop over positions."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from attnbook import masks

SIZE = st.integers(0, 9)


def loops(queries, keys, sees):
    """The mask as nested lists: query i stands at position i + keys - queries."""
    return [[sees(i + keys - queries, j) for j in range(keys)] for i in range(queries)]


def same(mask, expected, queries, keys, device):
    assert mask.dtype == torch.bool and mask.device.type == device.type
    assert mask.shape == (queries, keys)
    assert mask.tolist() == expected


@given(n=SIZE, m=SIZE)
def test_causal(n, m, device):
    same(masks.causal(n, m, device=device), loops(n, m, lambda i, j: j <= i), n, m, device)


@given(n=SIZE, m=SIZE, before=st.integers(0, 10), after=st.integers(0, 10))
def test_sliding_window(n, m, before, after, device):
    mask = masks.sliding_window(n, m, before=before, after=after, device=device)
    same(mask, loops(n, m, lambda i, j: -before <= j - i <= after), n, m, device)


@given(n=SIZE, m=SIZE, stride=st.integers(1, 10))
def test_strided(n, m, stride, device):
    mask = masks.strided(n, m, stride=stride, device=device)
    same(mask, loops(n, m, lambda i, j: abs(i - j) % stride == 0), n, m, device)


@given(n=SIZE, m=st.integers(1, 9), data=st.data())
def test_global_tokens(n, m, data, device):
    tokens = data.draw(st.lists(st.integers(-m, m - 1), max_size=3))
    chosen = {t if t >= 0 else m + t for t in tokens}
    mask = masks.global_tokens(n, m, tokens=data.draw(st.sampled_from([list, tuple]))(tokens), device=device)
    same(mask, loops(n, m, lambda i, j: i in chosen or j in chosen), n, m, device)


@given(n=SIZE, m=SIZE, size=st.integers(1, 10))
def test_block(n, m, size, device):
    same(masks.block(n, m, size=size, device=device), loops(n, m, lambda i, j: i // size == j // size), n, m, device)


@given(lengths=st.lists(st.integers(0, 6), max_size=4), more=st.none() | st.integers(0, 3))
def test_padding(lengths, more, device):
    keys = None if more is None else max(lengths, default=0) + more
    mask = masks.padding(torch.tensor(lengths, dtype=torch.long, device=device), keys)
    m = max(lengths, default=0) if keys is None else keys
    assert mask.dtype == torch.bool and mask.device.type == device.type
    assert mask.shape == (len(lengths), 1, 1, m)
    assert mask[:, 0, 0].tolist() == [[j < length for j in range(m)] for length in lengths]


@given(nodes=st.integers(1, 6), self_loops=st.booleans(), data=st.data())
def test_graph(nodes, self_loops, data, device):
    edges = data.draw(st.lists(st.tuples(st.integers(0, nodes - 1), st.integers(0, nodes - 1)), max_size=8))
    given_edges = torch.tensor(edges, dtype=torch.long, device=device).reshape(-1, 2).T
    mask = masks.graph(given_edges, nodes, self_loops=self_loops)
    expected = loops(nodes, nodes, lambda i, j: (j, i) in edges or (self_loops and i == j))
    same(mask, expected, nodes, nodes, device)


def test_an_edge_points_from_what_is_seen_to_what_sees():
    mask = masks.graph(torch.tensor([[0], [2]]), 3, self_loops=False)  # 0 -> 2
    assert mask.nonzero().tolist() == [[2, 0]]


@given(n=st.integers(1, 12), size=st.integers(1, 5), count=st.integers(0, 5), seed=st.integers(0, 2**40))
def test_random_block_sees_exactly_count_blocks(n, size, count, seed, device):
    mask = masks.random_block(n, size=size, count=count, seed=seed, device=device).tolist()
    blocks = -(-n // size)
    for i in range(n):
        seen = {j // size for j in range(n) if mask[i][j]}
        assert len(seen) == min(count, blocks)
        assert all(mask[i][j] == (j // size in seen) for j in range(n))  # whole blocks
        assert mask[i] == mask[i // size * size]  # one choice for all queries of a block


def test_random_block_depends_on_the_seed_alone(device):
    draw = lambda seed: masks.random_block(40, size=4, count=3, seed=seed, device=device)  # noqa: E731
    torch.manual_seed(1)
    first = draw(7)
    before = torch.get_rng_state()
    torch.manual_seed(2)
    assert torch.equal(first, draw(7))
    assert not torch.equal(first, draw(8))
    assert torch.equal(first.cpu(), masks.random_block(40, size=4, count=3, seed=7))
    torch.manual_seed(1)
    draw(9)
    assert torch.equal(before, torch.get_rng_state())  # the caller's random numbers are not used up


def test_random_block_is_spread_evenly():
    """Over many seeds each pair of blocks is chosen with probability count / blocks: 5 standard deviations allowed."""
    draws, blocks, count = 1000, 8, 3
    hits = sum(masks.random_block(blocks, size=1, count=count, seed=s).double() for s in range(draws))
    p = count / blocks
    assert ((hits / draws - p).abs() < 5 * (p * (1 - p) / draws) ** 0.5).all()


OPTIONS = {
    masks.causal: {},
    masks.sliding_window: {"before": 2, "after": 1},
    masks.strided: {"stride": 3},
    masks.global_tokens: {"tokens": [0, -2]},
    masks.block: {"size": 3},
    masks.random_block: {"size": 2, "count": 2, "seed": 5},
}
named = pytest.mark.parametrize("mask", OPTIONS, ids=lambda mask: mask.__name__)


@named
@given(data=st.data())
def test_with_a_cache_the_rows_are_the_last_rows(mask, data):
    m = data.draw(st.integers(2, 12))
    n = data.draw(st.integers(0, m))
    square = mask(m, m, **OPTIONS[mask])
    assert torch.equal(mask(n, m, **OPTIONS[mask]), square[m - n :])
    assert torch.equal(mask(m, **OPTIONS[mask]), square)


@named
def test_more_queries_than_keys(mask):
    """The first queries stand before the first key; the others are as without them."""
    longer = mask(9, 6, **OPTIONS[mask])
    assert longer.shape == (9, 6)
    assert torch.equal(longer[3:], mask(6, 6, **OPTIONS[mask]))


@named
def test_on_the_device_that_was_asked_for(mask, device):
    for given_device in (device, str(device)):
        actual = mask(7, 9, **OPTIONS[mask], device=given_device)
        assert actual.device.type == device.type
        assert torch.equal(actual.cpu(), mask(7, 9, **OPTIONS[mask]))
    assert mask(7, 9, **OPTIONS[mask]).device.type == "cpu"
