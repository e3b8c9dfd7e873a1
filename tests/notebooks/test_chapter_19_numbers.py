"""Chapter 19's printed numbers once more, by plain arithmetic."""

import math
import re
from pathlib import Path

import numpy as np
import pytest
import torch

NOTEBOOK = Path(__file__).resolve().parents[2] / "chapters" / "19-past-one-machine.ipynb"


def test_two_parts(page):
    powers, values = [math.exp(s) for s in (2, 0, 1)], [5, 1, 9]
    of_b = (powers[1] * 1 + powers[2] * 9) / (powers[1] + powers[2])
    share = powers[0] / sum(powers)
    all_keys = sum(p * v for p, v in zip(powers, values, strict=True)) / sum(powers)
    assert "part A: output 5.0000, log-sum-exp 2.0000" in page[0]
    assert f"part B: output {of_b:.4f}, log-sum-exp {math.log(powers[1] + powers[2]):.4f}" in page[0]
    assert f"weights of the parts: {share:.4f} {1 - share:.4f}" in page[0]
    assert f"joined {all_keys:.4f}, all keys at once {all_keys:.4f}\n" in page[0]
    assert f"plain mean of the two outputs {(5 + of_b) / 2:.4f}" in page[0]
    assert rf"\ell_B = \ln(e^0 + e^1) = {math.log(powers[1] + powers[2]):.4f}$" in page[1]


@pytest.fixture(scope="module")
def drawn():
    x = torch.randn(3, 2, 32, 8, generator=torch.Generator().manual_seed(0)).double().numpy()
    return x[0], x[1], x[2]


def softmax(x):
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def test_the_ring_of_the_loop(page, drawn):
    """After step s worker r has seen the keys of the workers r, r - 1, ..., r - s + 1."""
    q, k, v = drawn
    scores = q @ k.swapaxes(1, 2) / math.sqrt(8)
    exact = softmax(scores) @ v
    owner = np.arange(32) // 8
    for step in range(1, 5):
        seen = (owner[:, None] - owner) % 4 < step
        largest = np.abs(softmax(np.where(seen, scores, -np.inf)) @ v - exact).max()
        assert f"step {step}: largest difference {largest:.2f}" in page[0]


def test_a_bad_average(page, drawn):
    q, k, v = drawn
    for name, factor in (("random", 1), ("20 times smaller", 1 / 20), ("5 times larger", 5)):
        scores = factor * q @ k.swapaxes(1, 2) / math.sqrt(8)
        exact = softmax(scores) @ v
        wrong = sum(softmax(scores[..., i : i + 8]) @ v[:, i : i + 8] for i in range(0, 32, 8)) / 4
        error = np.linalg.norm(wrong - exact) / np.linalg.norm(exact)
        assert f"queries {name}: relative error {error:.2f}" in page[0]


def test_bytes(page):
    for ranks in (2, 4):
        one = 96 // ranks * 2 * 4 * 16 * 8
        for name, times in (("forward", ranks - 1), ("backward", 2 * ranks - 1)):
            assert re.search(rf"^{ranks}, {name} +{times} +{times * one:,} +{times * one:,}$", page[0], re.MULTILINE)


def test_three_ways_to_send(page):
    n, P, d = 131_072, 8, 128
    rows = {"ring": [], "all-gather": [], "all-to-all": []}
    for key_heads in (32, 8):
        local_keys_values = n / P * 2 * key_heads * d * 2
        local_queries_outputs = n / P * 2 * 32 * d * 2
        rows["ring"] += [7 * local_keys_values, 2 * local_keys_values]
        rows["all-gather"] += [7 * local_keys_values, 8 * local_keys_values]
        rows["all-to-all"] += [7 / 8 * (local_keys_values + local_queries_outputs), local_keys_values]
    for way, cells in rows.items():
        assert re.search(rf"^{way} +" + " +".join(f"{x / 1e6:,.0f}" for x in cells) + "$", page[0], re.MULTILINE)


def test_when_sending_hides(page):
    """The length at which a step's two times are equal, found by halving."""

    def equal(bandwidth, *, computed=1.0, received=1.0):
        few, many = 1.0, 1e6
        while many - few > 1e-6:
            c = (few + many) / 2
            longer = computed * 4 * c**2 / 4e14 > received * 2 * c * 2 / bandwidth
            few, many = (few, c) if longer else (c, many)
        return many

    assert f"Then $c$ must be {equal(5e10):,.0f}." in page[1]
    assert f"(a) {equal(4e11):,.0f} positions a worker\n(b) {equal(5e10, computed=0.5):,.0f}\n" in page[0]
    masked, not_masked = (equal(5e10, computed=x, received=0.25) for x in (0.5, 1.0))
    assert f"(c) {masked:,.0f} with the mask, without {not_masked:,.0f}\n" in page[0]
    assert f"fewer than the {masked:,.0f} found in" in page[1]
    backward = equal(5e10, computed=2.5, received=2.0) / equal(5e10)
    assert f"(d) times {backward:.1f}: easier" in page[0]


def test_the_timeline(page):
    """Step by step: the next one begins when the worker is free and the keys are there."""
    for c in (4000, 16000):
        pairs, numbers = c * c, 2 * c * 32 * 128
        compute, receive = pairs * 32 * 128 * 2 * 2 / 4e14, numbers * 2 / 5e10
        free = there = 0.0
        for _step in range(4):
            begin = max(free, there)
            free, there = begin + compute, begin + receive
        one = f"{c:,} positions: a step computes {1e3 * compute:.2f} ms and receives {1e3 * receive:.2f};\n"
        assert one in page[0]
        assert f"    four steps {1e3 * free:.2f} ms, of which computing {4e3 * compute:.2f}\n" in page[0]


def test_the_balance(page):
    """Pair by pair."""
    quarter = [np.arange(16 * r, 16 * r + 16) for r in range(4)]
    eighth = [np.arange(8 * p, 8 * p + 8) for p in range(8)]
    two = [np.concatenate([eighth[r], eighth[7 - r]]) for r in range(4)]
    stripes = [np.arange(r, 64, 4) for r in range(4)]
    for name, shards in (("contiguous", quarter), ("stripes", stripes), ("two pieces each", two)):
        table = [[sum(k <= q for q in shards[r] for k in shards[(r - s) % 4]) for s in range(4)] for r in range(4)]
        clock = sum(max(column) for column in zip(*table, strict=True))
        assert re.search(rf"^{name} +pairs in all {np.sum(table):,}, on the clock {clock}$", page[0], re.MULTILINE)
        assert str(clock) in page[1]
    assert np.sum(table) == 64 * 65 // 2 == 4 * clock  # the last one: nothing is lost


def test_worker_step_shard(page):
    assert "(a) (2, 13)\n(b) worker 7 with pieces (7, 8)\n" in page[0]
    assert "(d) piece 15 belongs to worker 0, held in step 3" in page[0]


def test_a_million_tokens(page):
    n = 1_048_576
    assert f"one layer's table of weights: {32 * n * n * 2 / 2**40:.0f} TiB" in page[0]
    assert f"keys and values of all layers: {32 * 2 * n * 8 * 128 * 2 / 2**30:.0f} GiB" in page[0]
    assert f"the vectors between two layers: {n * 4096 * 2 / 2**30:.0f} GiB" in page[0]
    operations = 32 * 32 * 2 * n * n * 128  # causal: half of 4 n² d
    minutes = operations / 4e14 / 60
    assert f"{operations:.1e} operations\non one machine: {minutes:.0f} minutes" in page[0]
    for P in (1, 8, 64, 512):
        send = 32 * (P - 1) * 2 * (n / P) * 8 * 128 * 2 / 5e10 / 60
        row = rf"^ *{P} +{n // P:,} +{128 / P:.2f} GiB +{minutes / P:.2f} min +{send:.3f} min$"
        assert re.search(row, page[0], re.MULTILINE)
    assert f"computing would take {minutes / P:.2f} minutes and sending {send:.2f}" in page[1]


def test_one_query_many_keys(page):
    keys = 63 * (1_048_576 / 64) * 8 * (128 + 128) * 2
    query = 63 * 32 * (128 * 2 + 128 * 4 + 4)
    assert f"(a) {keys / 1e9:.2f} GB, (b) {query / 1e6:.2f} MB\n(c) {keys / query:,.0f} queries" in page[0]
