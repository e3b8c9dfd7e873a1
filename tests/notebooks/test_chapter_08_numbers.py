"""Chapter 8's printed numbers against a second computation, in NumPy and on paper, that shares no code with attnbook.

Each test reads the numbers out of the notebook's stored outputs, so that it fails when they change. Random inputs come
from PyTorch's generator, as on the page; everything after them is computed here.
"""

import json
import re
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

CHAPTER = Path(__file__).resolve().parents[2] / "chapters" / "08-many-heads.ipynb"


@pytest.fixture(scope="module")
def cells():
    return json.loads(CHAPTER.read_text(encoding="utf-8"))["cells"]


@pytest.fixture(scope="module")
def prose(cells):
    return "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")


@pytest.fixture(scope="module")
def printed(cells):
    return "\n".join("".join(out.get("text", "")) for cell in cells for out in cell.get("outputs", []))


def numbers(printed, label):
    """The numbers behind a label, of the one line that begins with it."""
    lines = [line[len(label) :] for line in printed.splitlines() if line.startswith(label)]
    assert len(lines) == 1, f"{len(lines)} lines begin with {label!r}"
    return [float(x.replace(",", "")) for x in re.findall(r"-?\d[\d,]*\.?\d*", lines[0].replace(", ", "  "))]


def table(printed, header, rows):
    """The numbers of the lines below a header."""
    lines = printed[printed.index(header) :].splitlines()[1 : rows + 1]
    return [[float(x.replace(",", "")) for x in line.split()] for line in lines]


def rounded(values, digits=4):
    return pytest.approx([float(v) for v in values], abs=0.50001 * 10**-digits)


def randn(*size, seed=0):
    return torch.randn(*size, generator=torch.Generator().manual_seed(seed)).double().numpy()


def softmax(scores):
    powers = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def attend(q, k, v):
    return softmax(q @ k.T / q.shape[1] ** 0.5) @ v


def columns(x, heads):
    """A list of the heads' columns, cut out one by one."""
    size = x.shape[1] // heads
    return [np.stack([x[:, i * size + c] for c in range(size)], axis=1) for i in range(heads)]


def by_columns(x, w_q, w_k, w_v, w_o, heads):
    """The definition: a loop over heads, then a sum of what each adds."""
    q, k, v = (columns(x @ w, heads) for w in (w_q, w_k, w_v))
    rows_of_heads = np.split(w_o, heads)
    return sum(attend(*qkv) @ rows for qkv, rows in zip(zip(q, k, v, strict=True), rows_of_heads, strict=True))


def test_the_first_picture(printed, prose):
    cat, dog = (4, 1), (2, 3)
    for text, first, second in (("cat saw dog:", cat, dog), ("dog saw cat:", dog, cat)):
        mean = [(a + b) / 2 for a, b in zip(first, second, strict=True)]
        assert numbers(printed, text) == [*mean, first[0], second[1]]
    unequal = [[0.75 * a + 0.25 * b for a, b in zip(*pair, strict=True)] for pair in ((cat, dog), (dog, cat))]
    assert "$({:g}, {:g})$ and $({:g}, {:g})$".format(*unequal[0], *unequal[1]) in prose


def test_which_pieces_a_head_gets(printed):
    x = np.array([[10 * token + c for c in range(1, 5)] for token in range(1, 5)])
    right, wrong = x[:, :2], x.ravel()[:8]
    assert numbers(printed, "rows of head 1, split:  ") == right.ravel().tolist()
    assert numbers(printed, "rows of head 1, split_wrong:") == wrong.tolist()


def test_the_wrong_split_cuts_tokens_off(printed):
    x, matrices = randn(4, 8), randn(4, 8, 8, seed=1) / 8**0.5
    changed = x.copy()
    changed[0] = randn(8, seed=2)

    def in_reading_order(x, w_q, w_k, w_v, w_o):
        q, k, v = (np.split((x @ w).ravel(), 2) for w in (w_q, w_k, w_v))
        halves = [attend(*(part.reshape(4, 4) for part in qkv)) for qkv in zip(q, k, v, strict=True)]
        return np.concatenate([half.ravel() for half in halves]).reshape(4, 8) @ w_o

    forms = {"right": lambda x: by_columns(x, *matrices, 2), "wrong": lambda x: in_reading_order(x, *matrices)}
    for name, form in forms.items():
        moved = np.abs(form(changed) - form(x)).max(axis=1)
        assert numbers(printed, f"{name}: token 1 moves the outputs by") == rounded(moved)
        assert (moved[2:] == 0).all() == (name == "wrong")


def test_the_join_alone(printed):
    assert numbers(printed, "joined:      ") == [11, 12, 21, 22, 31, 32, 41, 42]
    assert numbers(printed, "join_reshape:") == [11, 21, 31, 41, 12, 22, 32, 42]
    x, (w_q, w_k, w_v, w_o) = randn(4, 8), randn(4, 8, 8, seed=1) / 8**0.5

    def reshaped(x):
        heads = [attend(*qkv) for qkv in zip(*(columns(x @ w, 2) for w in (w_q, w_k, w_v)), strict=True)]
        return np.concatenate([head.ravel() for head in heads]).reshape(4, 8) @ w_o

    order = [1, 0, 2, 3]
    off = np.abs(reshaped(x)[order] - reshaped(x[order])).max()
    assert numbers(printed, "join_reshape tokens swapped, outputs swapped: off by") == rounded([off])
    right = by_columns(x, w_q, w_k, w_v, w_o, 2)[order] - by_columns(x[order], w_q, w_k, w_v, w_o, 2)
    assert numbers(printed, "join         tokens swapped, outputs swapped: off by") == rounded([np.abs(right).max()])


def test_source_check_E3_2a(printed):
    x, (w_q, w_k) = randn(5, 8), randn(2, 8, 8, seed=1) / 8**0.5
    other = x.copy()
    other[:, 4:] = randn(5, 4, seed=2)
    before, after = (softmax(y @ w_q[:, :4] @ w_k[:, :4].T @ y.T / 2) for y in (x, other))
    assert numbers(printed, "weights of head 1, features cut:     change by") == [0]
    assert numbers(printed, "weights of head 1, after projection: change by") == rounded([np.abs(after - before).max()])


def test_source_check_E3_2b(printed):
    x, (w_q, w_k, w_v, w_o) = randn(5, 8), randn(4, 8, 8, seed=3) / 8**0.5
    changed = w_v.copy()
    changed[:, :4] = randn(8, 4, seed=4)
    for name, last in (("joined only", np.eye(8)), ("with W_O", w_o)):
        difference = by_columns(x, w_q, w_k, changed, last, 2) - by_columns(x, w_q, w_k, w_v, last, 2)
        moved = (np.abs(difference).max(axis=0) > 1e-9).astype(int)
        assert numbers(printed, f"{name:12} components that head 1 moves:") == moved.tolist()


def test_the_first_picture_as_a_layer(printed):
    """In fractions: weights of 1 where a head has a target, equal weights where it has none."""
    third = Fraction(1, 3)
    for words in (("cat", "saw", "dog"), ("dog", "saw", "cat")):
        value = {"cat": (4, 1), "saw": (0, 0), "dog": (2, 3)}
        first, second = ([value[word][c] for word in words] for c in (0, 1))
        before = [sum(first) * third, first[0], first[1]]
        after = [second[1], second[2], sum(second) * third]
        for word, a, b in zip(words, before, after, strict=True):
            row = [float(a), 0, 0, float(b), 0, 0]
            assert numbers(printed, f"{' '.join(words)}, {word}:") == rounded(row)


def test_the_parameters_of_the_toy(printed):
    d, names, words = 32, 8, 16
    count = (names + words + 2 * names) * d + 4 * (d * d + d) + d * 2 * words + 2 * words
    for label in ("one head, ", "two heads,"):
        assert numbers(printed, label)[0] == count


def test_what_can_be_read_from_a_blend(printed):
    """With equal shares each blend serves two pairs, so that a reader gets at most half of the 240."""
    for name in ("linear ", "network"):
        assert numbers(printed, f"p = 0.5, {name}:") == [120, 240, 120]
    assert numbers(printed, "p = 0.7, linear :") == [240, 240, 0]
    assert numbers(printed, "p = 0.7, network:") == [240, 240, 240]


def test_work_does_not_depend_on_the_heads(printed):
    n = d = 512
    parameters, work = 4 * d * d + 4 * d, 4 * n * d * d + 2 * n * n * d
    assert numbers(printed, "formula: ") == [parameters, work]
    rows = table(printed, "heads  size of a head", 5)
    assert rows == [[h, d // h, parameters, work, h * n * n] for h in (1, 2, 4, 8, 16)]
    for h, size in ((8, 64), (16, 32), (16, 64)):
        wide = h * size
        expected = [4 * d * wide + 3 * wide + d, 4 * n * d * wide + 2 * n * n * wide]
        assert numbers(printed, f"{h:2} heads of {size}:") == expected


def test_the_small_layer_by_hand(printed, prose):
    for h in (3, 6):
        assert numbers(printed, f"{h} heads:")[:3] == [4 * 12**2, 4 * 5 * 12**2 + 2 * 5**2 * 12, h * 5**2]
    assert "2880 + 600 = 3480" in prose


def test_the_ranks(printed):
    for h in (1, 4, 16):
        assert numbers(printed, f"{h:2} heads: rank of each") == [64 // h, 64]


def test_tables_of_low_rank(printed):
    wanted = softmax(2 * randn(8, 8, seed=5))
    logs = np.log(wanted)
    centered = logs - logs.mean(axis=1, keepdims=True)
    assert np.linalg.matrix_rank(centered) == 7
    # The best approximation by another way: project the rows on the leading eigenvectors of the Gram matrix.
    vectors = np.linalg.eigh(centered.T @ centered)[1][:, ::-1]
    for size in range(1, 9):
        basis = vectors[:, :size]
        off = np.abs(softmax(centered @ basis @ basis.T) - wanted).max()
        assert numbers(printed, f"head of size {size}: weights off by up to") == rounded([off])


def test_looking_anywhere(printed):
    key = randn(8, 1, seed=6)[:, 0]
    extremes = sorted([int(key.argmin()), int(key.argmax())])
    assert numbers(printed, "size 1, ever the largest:") == extremes * 2
    angle = 2 * np.pi * np.arange(8) / 8
    weights = softmax(30 * np.cos(angle) / 2**0.5)  # by symmetry the same for each target
    assert numbers(printed, "size 2, looks at:") == [3, 0, 7, 1, 1, 6, 2, 5, pytest.approx(weights.max(), abs=5.1e-5)]


def test_fewer_key_heads(printed):
    n = d = 512
    for kv, *row in table(printed, "key heads  parameters", 4):
        shared = 64 * kv
        parameters = 2 * (d * d + d) + 2 * (d * shared + shared)
        assert row == [parameters, 2 * n * d * d + 2 * n * d * shared + 2 * n * n * d, 2 * shared]


def test_neighbors_share_a_key_head(printed):
    """With the layer's weights drawn here in the order that `MultiHeadAttention` draws them."""
    torch.manual_seed(0)
    layers = [nn.Linear(64, size, bias=False) for size in (64, 16, 16, 64)]
    for layer in layers:
        nn.init.xavier_uniform_(layer.weight)
    w_q, w_k, w_v, w_o = (layer.weight.detach().double().numpy().T for layer in layers)
    x = randn(1, 6, 64)[0]

    def grouped(order):
        q, k, v = columns(x @ w_q, 8), columns(x @ w_k, 2), columns(x @ w_v, 2)
        return np.concatenate([attend(q[i], k[j], v[j]) for i, j in enumerate(order)], axis=1) @ w_o

    right, wrong = [i // 4 for i in range(8)], [i % 2 for i in range(8)]
    assert numbers(printed, "repeat_interleave ") == [*right, 0]
    off = np.abs(grouped(wrong) - grouped(right)).max()
    assert numbers(printed, "repeat  ") == [*wrong, pytest.approx(off, abs=5.1e-5)]


def test_the_work_of_a_step(printed):
    d = 512
    rows = table(printed, "step    without a cache", 6)
    assert [row[0] for row in rows] == [1, 4, 16, 64, 256, 1024]
    for t, without, cached, ratio in rows:
        assert without == 4 * t * d * d + 2 * t * t * d
        assert cached == 4 * d * d + 2 * t * d
        assert ratio == t == without / cached


def test_the_size_of_a_cache(printed, prose):
    models = {"Llama 2 7B": (32, 32, 32), "Llama 2 70B": (80, 64, 8), "Mistral 7B": (32, 32, 8)}
    gib = 2**30
    for name, (layers, heads, kv) in models.items():
        one = 2 * layers * 128 * 4096 * 2 / gib
        lines = [line for line in printed.splitlines() if re.match(rf"{name} +\d+ of", line)]
        assert len(lines) == 1
        assert [float(x) for x in lines[0][len(name) :].replace("of", "").replace("heads", "").split()] == [
            kv, heads, kv * one, heads * one, one,
        ]  # fmt: skip
    for name in ("Llama 2 7B", "Mistral 7B"):
        layers, _, kv = models[name]
        bytes_of_token = 2 * layers * kv * 128 * 2
        lines = [line for line in printed.splitlines() if line.startswith(name) and "a token" in line]
        assert lines == [f"{name} {bytes_of_token:,} bytes a token, {8 * gib // bytes_of_token:,} tokens"]
    assert "2 GiB for 4,096 tokens of Llama 2 7B" in prose


def test_what_each_cache_forgets(printed):
    assert numbers(printed, "SlidingCache: seen") == [12, 4]
    assert numbers(printed, "KeyValueCache outputs that token 3 moves:") == list(range(3, 13))
    assert numbers(printed, "SlidingCache  outputs that token 3 moves:") == [t for t in range(3, 13) if t - 3 < 4]


def test_one_query_and_six_keys(printed):
    assert numbers(printed, "PyTorch's is_causal:") == np.tril(np.ones((1, 6))).ravel().tolist()
    assert numbers(printed, "masks.causal(1, 6): ") == np.tril(np.ones((6, 6)))[-1].tolist()


def test_differences_are_zero_where_two_ways_must_agree(printed):
    agreeing = r"(difference:|differ by|differ by at most|off by|whole: off by) 0\.0+$"
    labels = ("largest", "columns", "sum over", "self-att", "cross-att", "cached", "against")
    for label in labels:
        [line] = [line for line in printed.splitlines() if line.startswith(label) and "0.0" in line]
        assert re.search(agreeing, line), line
