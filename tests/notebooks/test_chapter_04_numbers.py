"""Chapter 4's printed numbers against a second computation, in NumPy and mpmath, that shares no code with attnbook.

Each test reads what the notebook's cells printed, so that it fails when that changes. Where a cell drew random numbers,
PyTorch's generator draws them again; the arithmetic is NumPy's.
"""

import json
import re
from pathlib import Path

import mpmath
import numpy as np
import pytest
import torch

CHAPTER = Path(__file__).resolve().parents[2] / "chapters" / "04-masks.ipynb"

# The example of chapters 3 and 4, typed in again from the page.
SCORES = {"cats": [1, 2, 0], "drink": [-1, 1, 2], "milk": [1, 1, 2]}
VALUE = [[1, 0], [5, 1], [2, 4]]


@pytest.fixture(scope="module")
def printed():
    """All text that the chapter's cells printed."""
    cells = json.loads(CHAPTER.read_text(encoding="utf-8"))["cells"]
    texts = ("".join(out.get("text", "")) for cell in cells for out in cell.get("outputs", []))
    return "\n".join(texts)


def numbers(printed, label):
    """The numbers behind a label, on the one line that begins with it."""
    [line] = [line[len(label) :] for line in printed.splitlines() if line.startswith(label)]
    return [float(x) for x in re.findall(r"-?\d+\.?\d*|nan", line)]


def words(printed, label):
    """What stands behind a label, on the one line that begins with it, with single spaces."""
    [line] = [line[len(label) :] for line in printed.splitlines() if line.startswith(label)]
    return " ".join(line.split())


def grids(printed):
    """Every boolean matrix that was printed, in order: rows of 1 and ."""
    found, current = [], []
    for line in [*printed.splitlines(), ""]:
        if re.fullmatch(r"[1.]( [1.])+", line):
            current.append([c == "1" for c in line.split()])
        elif current:
            found.append(current)
            current = []
    return found


def softmax(scores, shown=None):
    shown = [True] * len(scores) if shown is None else shown
    powers = [mpmath.exp(s) if open_ else mpmath.mpf(0) for s, open_ in zip(scores, shown, strict=True)]
    return [p / sum(powers) for p in powers]


def average(weights):
    return [sum(w * v[c] for w, v in zip(weights, VALUE, strict=True)) for c in range(2)]


def rounded(values, digits=4):
    return pytest.approx([float(v) for v in values], abs=0.50001 * 10**-digits)


def test_cats_with_drink_closed(printed):
    weights = softmax(SCORES["cats"], [1, 0, 1])
    assert numbers(printed, "scores of cats") == SCORES["cats"]
    assert numbers(printed, "weights, open") == rounded(softmax(SCORES["cats"]))
    assert numbers(printed, "weights, drink closed") == rounded(weights)
    assert numbers(printed, "output of cats      ") == rounded(average(weights))
    text = CHAPTER.read_text(encoding="utf-8")
    assert "(0.73106,\\\\ 0,\\\\ 0.26894)" in text and "(1.26894, 1.07577)" in text  # as the page works it out
    assert [float(w) for w in weights] == pytest.approx([0.73106, 0, 0.26894], abs=5.1e-6)
    assert [float(o) for o in average(weights)] == pytest.approx([1.26894, 1.07577], abs=5.1e-6)


def test_the_exercise_by_hand(printed):
    for label, shown in (("drink closed", [1, 0, 1]), ("milk alone", [0, 0, 1])):
        weights = softmax(SCORES["milk"], shown)
        assert numbers(printed, f"{label}: weights") == rounded(weights)
        assert numbers(printed, f"{label}: output") == rounded(average(weights))


def test_a_score_times_0(printed):
    assert numbers(printed, "scores of drink") == SCORES["drink"]
    assert numbers(printed, "open   ") == rounded(softmax(SCORES["drink"]))
    assert numbers(printed, "score times 0") == rounded(softmax([0, 1, 2]))
    assert numbers(printed, "score -inf") == rounded(softmax(SCORES["drink"], [0, 1, 1]))


def test_a_weight_times_0(printed):
    def zeroed(hidden):
        first, _, last = softmax([1, hidden, 0])
        return [first, 0, last]

    assert numbers(printed, "zeroed after softmax") == rounded(zeroed(2))
    assert numbers(printed, "their sum:") == rounded([sum(zeroed(2))])
    assert numbers(printed, "another hidden key") == rounded(zeroed(5))
    assert np.isnan(numbers(printed, "score 200, rescaled")).all()
    assert float(mpmath.exp(1 - 200)) < np.finfo(np.float32).smallest_subnormal  # so what is left is 0/0


def test_minus_a_billion(printed):
    for dtype in (np.float64, np.float32, np.float16):
        with np.errstate(over="ignore", invalid="ignore"):
            scores = np.array(SCORES["cats"], dtype) + np.full(3, -1e9).astype(dtype)
            powers = np.exp(scores - scores.max())
            expected = powers / powers.sum()
        found = numbers(printed, np.dtype(dtype).name + " ")
        np.testing.assert_allclose(found, expected, atol=5.1e-5, rtol=0)
    assert numbers(printed, "bfloat16") == rounded([round(2**9 / 3) / 2**9] * 3)  # 8 significant bits of 1/3
    assert np.spacing(np.float32(1e9)) == 64 and np.finfo(np.float16).max == 65504


def test_a_row_that_sees_nothing(printed):
    for label, output, gradients in (
        ("softmax by hand ", "nan", "NaN"),
        ("PyTorch, SDPA    ", "0.0000", "finite"),
        ("nn.Multihead, weights", "nan", "NaN"),
        ("nn.Multihead, none", "0.0000", "finite"),
    ):
        first = next(line for line in printed.splitlines() if line.startswith(label))  # SDPA has a line on NaN below
        assert first[len(label) :].split() == [output, output, gradients]
    lines = [line.split()[1:] for line in printed.splitlines() if line.startswith("attnbook.attention")]
    assert lines == [["0.0000", "0.0000", "finite"], ["finite", "NaN", "NaN", "NaN"]]


def test_nan_behind_the_mask(printed):
    """Replacing a NaN score by -inf heals the output, adding -inf does not; 0 times NaN, value or key, is NaN."""
    with np.errstate(invalid="ignore"):
        assert np.isnan(np.nan + -np.inf) and np.isnan(0 * np.nan)
    assert words(printed, "by hand") == "finite NaN NaN NaN"
    sdpa = [line.split()[2:] for line in printed.splitlines() if line.startswith("PyTorch, SDPA")]
    assert sdpa[-1] == ["NaN"] * 4


def lower(n, m=None, more=0):
    m = n if m is None else m
    return [[j <= i + m - n + more for j in range(m)] for i in range(n)]


def test_the_grids(printed):
    padding = [[True] * 4, [True, True, False, False]]
    second = [[j <= i and j < 2 for j in range(4)] for i in range(4)]
    on_queries = [[i < 2] * 4 for i in range(4)]
    on_keys = [[j < 2 for j in range(4)] for i in range(4)]
    prefix = [[j <= i or j < 3 for j in range(6)] for i in range(6)]
    packed = [[j <= i and i // 3 == j // 3 for j in range(6)] for i in range(6)]
    triu = [lower(4, more=d - 1) for d in (0, 1, 2)]
    assert grids(printed) == [lower(4), *triu, lower(4), padding, second, on_queries, on_keys, prefix, packed]


def test_the_first_leaks_that_are_named(printed):
    sees_future = "output 0 changes when input 1 changes: it sees the future"
    assert printed.splitlines().count(sees_future) == 2  # diagonal=2, and the prefix
    assert words(printed, "dim=0:") == words(printed, "eval():") == sees_future
    hides = "output 0 changes when input 1 changes, which the mask hides"
    for name in "ABDE":
        assert words(printed, f"{name}: ") == hides
    assert words(printed, "C: ") == "as it should be"
    assert words(printed, "F: ") == "output 0 does not change when input 0 changes, which the mask shows"


def test_six_layers_by_changing_inputs_in_numpy():
    """The figure's story: which of the six see the future, and which diagonal cells stay empty."""
    rng = np.random.default_rng(0)
    x, projections = rng.normal(size=(6, 8)), rng.normal(size=(3, 8, 8)) / np.sqrt(8)
    past = np.tri(6, dtype=bool)

    def soft(s, axis=-1):
        with np.errstate(invalid="ignore"):
            p = np.exp(s - s.max(axis=axis, keepdims=True))
        return np.nan_to_num(p / p.sum(axis=axis, keepdims=True))

    weigh = {
        "A": lambda s: soft(s * past),
        "B": lambda s: soft(np.where(past, -np.inf, s)),
        "C": lambda s: soft(np.where(past, s, -np.inf)),
        "D": lambda s: soft(s) * past,
        "E": lambda s: soft(np.where(past, s, -np.inf), axis=0),
        "F": lambda s: soft(np.where(past.T, -np.inf, s)),
    }

    def found(name):
        def layer(x):
            q, k, v = (x @ w for w in projections)
            return weigh[name](q @ k.T / np.sqrt(8)) @ v

        columns = []
        for j in range(6):
            changed = x.copy()
            changed[j] += rng.normal(size=8)
            columns.append((np.abs(layer(changed) - layer(x)) > 1e-12).any(axis=-1))
        return np.stack(columns, axis=-1)

    maps = {name: found(name) for name in weigh}
    assert all((maps[name] & ~past).sum() == 15 for name in "ABDE")
    assert (maps["C"] == past).all() and all(maps[name].all() for name in "ADE")
    assert maps["B"].diagonal().tolist() == [True] * 4 + [False] * 2 and not np.tril(maps["B"], -1).any()
    assert maps["F"].diagonal().tolist() == [False] * 2 + [True] * 4 and not (maps["F"] & ~past).any()


def test_the_saturated_softmax(printed):
    assert float(mpmath.exp(-600)) < np.finfo(np.float32).smallest_subnormal  # so the weight is 0 in 32 bits
    assert numbers(printed, "gradient for the two inputs:") == [1, 0]
    assert words(printed, "influence of the two inputs:") == "True True"


def drawn():
    """What the chapter's generator drew, in its order, up to the cell on padding."""
    generator = torch.Generator().manual_seed(4)
    for size in ((2, 6, 8), (4, 8), (3, 8, 8), (8,), (8,), (8,), (8,), (6, 8)):
        torch.randn(size, generator=generator)
    corners = torch.randn(3, 5, 8, generator=generator).double().numpy()
    padding = torch.randn(3, 2, 1, 4, 8, generator=generator).double().numpy()
    return corners, padding


def attend(q, k, v, shown=None):
    scores = q @ np.swapaxes(k, -1, -2) / np.sqrt(q.shape[-1])
    scores = scores if shown is None else np.where(shown, scores, -np.inf)
    powers = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True) @ v


def test_the_two_corners(printed):
    (q, k, v), _ = drawn()
    whole = attend(q, k, v, np.array(lower(5)))
    at_start = attend(q[3:], k, v, np.tri(2, 5, dtype=bool))
    at_end = attend(q[3:], k, v, np.array(lower(2, 5)))
    assert numbers(printed, "aligned at the start:") == rounded([np.abs(at_start - whole[3:]).max()])
    assert numbers(printed, "aligned at the end:") == rounded([np.abs(at_end - whole[3:]).max()]) == [0]


def test_padding_alone_and_in_company(printed):
    _, (q, k, v) = drawn()
    alone = attend(q[1:, :, :2], k[1:, :, :2], v[1:, :, :2])[0]
    shown = (np.arange(4) < np.array([[4], [2]]))[:, None, None]
    for label, mask in (("with the mask:", shown), ("without the mask:", None)):
        gap = np.abs(attend(q, k, v, mask)[1, :, :2] - alone).max()
        assert numbers(printed, label) == rounded([gap])
    assert words(printed, "(2, 1, 1, 4)") == ""
    assert words(printed, "one new token, is_causal=True: sees only the first token:") == "True"
    assert words(printed, "(4, 4)") == "(2, 1, 1, 4) (2, 1, 4, 4)"


def test_source_check_E4b(printed):
    assert words(printed, "src_mask ") == "TypeError" and words(printed, "mask   ") == "RuntimeError"
    ids = np.array([[5, 3, 8, 2], [7, 4, 0, 0], [6, 1, 9, 0], [5, 3, 8, 2]])
    pairs = [(b, i, j) for b in range(4) for i in range(4) for j in range(4) if ids[b, i] and not ids[b, j]]
    [total] = numbers(printed, "fillers that real tokens see, of")
    assert total == len(pairs)
    # Row i of the mask is text i's padding, and it is applied to query i of every text.
    assert numbers(printed, "  mask ") == [sum(bool(ids[i, j]) for _, i, j in pairs)]
    assert numbers(printed, "  src_key_padding_mask") == [0]


def test_source_check_E4c(printed):
    above = sum(j > i for i in range(4) for j in range(4))
    for label, seen in (("as tgt_mask", above), ("as tgt_key_padding_mask", above), ("and a causal tgt_mask", 0)):
        assert numbers(printed, f"{label:24} later tokens seen:") == [seen, above]


def count(sees, n=16):
    return sum(bool(sees(i, j)) for i in range(n) for j in range(n))


def test_the_gallery(printed):
    window = lambda i, j: abs(i - j) <= 2  # noqa: E731
    first = lambda i, j: 0 in (i, j)  # noqa: E731
    expected = {
        "causal": count(lambda i, j: j <= i),
        "window": count(window),
        "causal window": count(lambda i, j: 0 <= i - j <= 3),
        "strided, causal": count(lambda i, j: j <= i and (i - j) % 4 == 0),
        "blocks": count(lambda i, j: i // 4 == j // 4),
        "random blocks": 8 * 2 * 2,  # one block of 2 by 2 for each of 8 blocks of queries
        "window | global": count(lambda i, j: window(i, j) or first(i, j)),
        "graph: a ring": count(lambda i, j: (i - j) % 16 in (0, 1, 15)),
    }
    found = {
        line[:15].strip(): int(line[15:].split()[0])
        for line in printed.splitlines()
        if line.endswith("of 256 cells open")
    }
    draw = torch.rand(8, 8, generator=torch.Generator().manual_seed(0)).numpy().argmin(axis=1)
    drawn = lambda i, j: draw[i // 2] == j // 2  # noqa: E731
    expected["all three"] = count(lambda i, j: window(i, j) or first(i, j) or drawn(i, j))
    assert found == expected


def test_two_layers(printed):
    window = np.abs(np.subtract.outer(np.arange(16), np.arange(16))) <= 2
    with_global = window.copy()
    with_global[0] = with_global[:, 0] = True
    for label, mask in (("window        token 15", window), ("with token 0  token 15", with_global)):
        reached = int((np.linalg.matrix_power(mask.astype(int), 2) > 0)[15].sum())
        assert numbers(printed, f"{label} is reached by") == [reached, 16]


def test_a_packed_text_is_as_it_is_alone(printed):
    """The mask printed for two texts in one row closes every cell between them; then the outputs are the same."""
    packed = np.array(grids(printed)[-1])
    rng = np.random.default_rng(0)
    q, k, v = rng.normal(size=(3, 6, 8))
    gap = np.abs(attend(q, k, v, packed)[3:] - attend(q[3:], k[3:], v[3:], np.tri(3, dtype=bool))).max()
    assert numbers(printed, "largest difference:") == rounded([gap]) == [0]


def test_what_true_means(printed):
    """A True at token 2, among tokens 1, 2, 3: it is seen, or it is the one that is not."""
    pairs = ("attention mask", "SDPA attn_mask")
    assert [words(printed, f"{a:16}{b} ") for a, b in map(str.split, pairs)] == ["2 True: may see"] * 2
    for module, arguments in (
        ("Multihead", ("attn_mask", "key_padding_mask")),
        ("Encoder", ("src_mask", "src_key_padding_mask")),
        ("Decoder", ("tgt_mask", "tgt_key_padding_mask")),
        ("Decoder, memory", ("memory_mask", "memory_key_padding_mask")),
    ):
        for argument in arguments:
            assert words(printed, f"{module:16}{argument} ") == "1, 3 True: hidden"


def test_floats_are_added(printed):
    assert numbers(printed, "cats, floats 1 and 0 ") == rounded(softmax([2, 2, 0]))
    assert numbers(printed, "cats, booleans") == [1, 0, 0]


def test_the_converter(printed):
    assert words(printed, "to_ones:") == "[[1, 1, 1], [1, 0, 0]]"
    assert words(printed, "to_key_padding:") == "[[False, False, False], [False, True, True]]"
    assert words(printed, "to_additive:") == "[[0.0, -inf], [0.0, 0.0]]"
    assert words(printed, "to_multihead:") == "(8, 3, 3)"


def test_which_convention(printed):
    for name in "abcdef":
        found = words(printed, f"{name}: earlier tokens")
        assert found == f"{name in 'adef'} later tokens {name in 'bce'}"
