"""Chapter 7's printed numbers against a second computation, in NumPy, that shares no code with attnbook.

Each test reads the numbers out of the notebook's stored outputs, so that it fails when they change. PyTorch gives the
random numbers that the chapter draws, and no more.
"""

import json
import math
import random
import re
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.notebooks.letters_by_hand import VOWELS, ByHand, dictionary, softmax, split

CHAPTER = Path(__file__).resolve().parents[2] / "chapters" / "07-self-attention.ipynb"


@pytest.fixture(scope="module")
def printed():
    """All text that the chapter's cells printed."""
    cells = json.loads(CHAPTER.read_text(encoding="utf-8"))["cells"]
    texts = ("".join(out.get("text", "")) for cell in cells for out in cell.get("outputs", []))
    return "\n".join(texts)


@pytest.fixture(scope="module")
def spoken():
    return dictionary()


def numbers(printed, label):
    """The numbers behind a label on the one line that begins with it."""
    (line,) = {line[len(label) :] for line in printed.splitlines() if line.startswith(label)}
    return [float(x.replace(",", "")) for x in re.findall(r"-?\d[\d,]*\.?\d*", line)]


def near(value, digits):
    return pytest.approx(float(value), abs=0.50001 * 10**-digits)


def drawn(generator, *shape):
    return torch.randn(*shape, generator=generator, dtype=torch.float64).numpy()


def prefers(scores):
    """(share of elements whose own score is the largest, mean weight on oneself), for scores (batch, n, n)."""
    n = scores.shape[-1]
    own = np.einsum("bii->bi", scores)
    others = np.where(np.eye(n, dtype=bool), -np.inf, scores).max(axis=-1)
    weight = np.exp(own) / np.exp(scores).sum(axis=-1)
    return (own > others).mean(), weight.mean()


def linear(size_in, size_out):
    """The weights of one nn.Linear, drawn in PyTorch's order."""
    made = torch.nn.Linear(size_in, size_out)
    return made.weight.detach().double().numpy(), made.bias.detach().double().numpy()


def test_parameters_are_counted_right(printed):
    assert numbers(printed, "(8, 4, 3)") == [2 * (8 * 4 + 4) + (8 * 3 + 3)] * 2
    assert numbers(printed, "(512, 64, 64)") == [3 * (512 * 64 + 64)] * 2
    first, second = 64 * 192 + 192, 64 * 192 + 192 + 64 * 64 + 64
    assert numbers(printed, "qkv_linear          ")[0] == first
    assert numbers(printed, "MultiheadAttention  ")[0] == second
    assert numbers(printed, "together            ") == [first + second, (first + second) / second]
    word = 162 * 64 + (64 * 128 + 128) + (128 * 64 + 64) + 2 * 64
    head = (128 * 128 + 128) + (128 * 27 + 27)
    mixer = 3 * (64 * 64 + 64)
    assert numbers(printed, "learned numbers:") == [word + head + mixer]
    assert numbers(printed, "in self-attention:") == [mixer]
    assert numbers(printed, "self-attention   ")[:1] == [word + head + mixer]
    assert numbers(printed, "alone            ") == [word + head + (64 * 96 + 96) + (96 * 64 + 64)]


def test_operations(printed):
    products = 2 * (128 * 64 * 128) + 2 * (128 * 128 * 64)  # a multiplication and an addition are two operations
    for name in ("unscaled", "scaled  "):
        assert numbers(printed, f"{name}, n=128, d=64:") == [products]
    for n in (8, 96, 1024, 8192):
        (row,) = (line for line in printed.splitlines() if re.match(rf" *{n} +[\d,]+ +[\d,]+ +[\d,]+$", line))
        assert [int(x.replace(",", "")) for x in row.split()] == [n, n**2, 3 * n * 64**2, 2 * n**2 * 64]


def test_closing_the_own_position(printed):
    torch.manual_seed(3)
    projections = [linear(8, 8) for _ in range(3)]
    x = torch.randn(6, 8).double().numpy()
    q, k, v = (x @ w.T + b for w, b in projections)
    scores = q @ k.T / math.sqrt(8)
    closed = np.where(np.eye(6, dtype=bool), -np.inf, scores)
    change = np.abs(softmax(scores) @ v - softmax(closed) @ v).max()
    assert numbers(printed, "closed, the outputs change by up to") == [near(change, 3)]


def test_how_often_random_elements_prefer_themselves(printed):
    generator = torch.Generator().manual_seed(0)
    for d in (2, 4, 8, 16, 64):
        x = drawn(generator, 500, 8, d)
        w_q, w_k = drawn(generator, 2, 500, d, d) / math.sqrt(d)
        plain = np.einsum("bic,bjc->bij", x, x) / math.sqrt(d)
        q, k = np.einsum("bic,bcd->bid", x, w_q), np.einsum("bic,bcd->bid", x, w_k)
        (own, weight), (own_p, weight_p) = prefers(plain), prefers(np.einsum("bic,bjc->bij", q, k) / math.sqrt(d))
        (row,) = (line for line in printed.splitlines() if re.match(rf" +{d} +\d+\.\d%", line))
        expected = [d, near(100 * own, 1), near(weight, 2), near(100 * own_p, 1), near(weight_p, 2)]
        assert [float(x) for x in row.replace("%", "").split()] == expected


def test_how_often_letters_prefer_themselves(printed, spoken):
    _, words, _ = split(spoken[1])
    model = ByHand("bahdanau")
    own, weight, even = [], [], []
    for word in words[:500]:
        h = model.encode([word])[0]
        scores = np.einsum("bic,bjc->bij", h, h) / math.sqrt(128)
        n = scores.shape[-1]
        share, mean = prefers(scores)
        own += [share * n]
        weight += [mean * n]
        even += [n]
    assert numbers(printed, f"{sum(even):,} letters and end signs in") == [500]
    assert numbers(printed, "prefer themselves:") == [near(100 * sum(own) / sum(even), 2)]
    assert numbers(printed, "mean weight on oneself: 0.88") == []
    assert round(sum(weight) / sum(even), 2) == 0.88
    assert numbers(printed, "if shared evenly:") == [near(500 / sum(even), 2)]


def test_the_bilinear_form(printed):
    generator = torch.Generator().manual_seed(4)
    x, (w_q, w_k), seed = drawn(generator, 12, 8), drawn(generator, 2, 8, 3), drawn(generator, 3, 3)
    rotation, _ = np.linalg.qr(seed)
    moved = np.abs(x @ w_q - x @ w_q @ rotation).max()
    assert numbers(printed, "queries move by up to") == [near(moved, 2)]
    assert numbers(printed, "rank of the 12 x 12 scores:") == [np.linalg.matrix_rank(x @ w_q @ w_k.T @ x.T)]
    own = -(np.linalg.norm(x @ w_q, axis=1) ** 2).min() / math.sqrt(3)
    assert numbers(printed, "(c) largest own score with W_K = -W_Q:") == [near(own, 4)]
    for d, k in ((8, 3), (512, 64)):
        assert numbers(printed, f"d_model={d}, d_k={k}:") == [2 * d * k, d * d]


def test_what_the_first_weights_do(printed):
    torch.manual_seed(1)
    x = torch.randn(2000, 8, 64).double().numpy()
    reach = math.sqrt(6 / 128)  # Xavier: the variance of a uniform number in (-a, a) is a^2 / 3
    draws = {
        "standard normal": lambda: torch.empty(64, 64).normal_(),
        "Xavier": lambda: torch.empty(64, 64).uniform_(-reach, reach),
        "nn.Linear's own": lambda: torch.empty(64, 64).uniform_(-1 / 8, 1 / 8),
    }
    for name, draw in draws.items():
        w_q, w_k = draw().double().numpy(), draw().double().numpy()
        scores = np.einsum("bic,bjc->bij", x @ w_q, x @ w_k) / 8
        largest = 1 / np.exp(scores - scores.max(axis=-1, keepdims=True)).sum(axis=-1)
        assert numbers(printed, f"{name:16}") == [near(scores.std(ddof=1), 2), near(largest.mean(), 2)]


@pytest.fixture(scope="module")
def families(spoken):
    """Ending -> words with what stands before the vowel, in the order of the hashes."""
    accepted, order = spoken
    found = defaultdict(list)
    for word in order:
        said = accepted[word]
        vowels = [i for i, sound in enumerate(said[0]) if sound in VOWELS]
        if len(said) == 1 and 3 <= len(word) <= 7 and len(vowels) == 1:
            found[tuple(said[0][vowels[0] :])].append((word, tuple(said[0][: vowels[0]])))
    return {ending: found[ending] for ending in sorted(found) if len(found[ending]) >= 8}


def test_the_counts_of_words(printed, families):
    held_out = sum(len(members) // 4 for members in families.values())
    known = sum(map(len, families.values())) - held_out
    assert numbers(printed, "words to learn from:") == [known, held_out]
    assert numbers(printed, "endings:") == [len(families)]


def test_the_rule_of_spelling(printed, families):
    """The lists are drawn again here, and words matched by comparing reversed strings."""
    test = {ending: members[: len(members) // 4] for ending, members in families.items()}
    usable = [ending for ending, members in test.items() if len({before for _, before in members}) > 1]
    chance, right, shown = random.Random(1), Counter(), []
    for _ in range(1000):
        pairs = []
        for ending in chance.sample(usable, chance.choice((3, 4, 5))):
            first, before = chance.choice(test[ending])
            pairs.append((first, chance.choice([word for word, other in test[ending] if other != before])))
        words = [word for pair in pairs for word in pair]
        chance.shuffle(words)
        shown.append(" ".join(words))
        partner = dict(pairs) | {b: a for a, b in pairs}
        for word in words:
            shared = {
                w: next((k for k in range(len(word), 0, -1) if w.endswith(word[-k:])), 0) for w in words if w != word
            }
            best = [w for w in shared if shared[w] == max(shared.values())]
            right["hits"] += sum(w[0] == partner[word][0] for w in best) / len(best)
            right["asked"] += 1
    assert numbers(printed, "  longest common ending") == [near(100 * right["hits"] / right["asked"], 1)]
    lines = printed.splitlines()
    assert all(words in lines for words in shown[1:3])


def test_a_blind_guess(printed):
    (line,) = {line for line in printed.splitlines() if line.startswith("loss ")}
    assert line.endswith(f"ln 27 = {math.log(27):.1f}")
    assert abs(float(line.split()[1].rstrip(";")) - math.log(27)) < 0.4


def test_what_is_equal_is_printed_as_equal(printed):
    equal = r"differ|by the bilinear form|scores move|alone: "
    same = [line for line in printed.splitlines() if re.search(equal, line)]
    assert len(same) == 11
    assert all(float(line.split()[-1]) == 0 for line in same)


def test_words_as_numbers(printed):
    (line,) = {line for line in printed.splitlines() if line.startswith("encoded:")}
    shown = dict(re.findall(r"'(\w+)': \[([\d, ]+)\]", line))
    assert shown.keys() == {"buff", "freight"}
    for word, found in shown.items():
        ending = [0, 0, 0, 0, 0, *(ord(letter) - 96 for letter in word)][-5:]
        assert [int(x) for x in found.split(", ")] == [ord(word[0]) - 96, *ending]
