"""Chapter 1's printed numbers against a second computation in NumPy that shares no code with attnbook.

Torch only draws the random numbers. Layers are written again here, and derivatives are taken by complex step (which is
exact to rounding, also for derivatives of 1e-17) or, through a stack of layers, by a backward pass written out by hand.
"""

import math
import re
from pathlib import Path

import numpy as np
import pytest
import torch

CHAPTER = Path(__file__).resolve().parents[2] / "chapters" / "01-why-attention.ipynb"
STEP = 1e-30  # of the complex step: far below every derivative, far above underflow


@pytest.fixture(scope="module")
def printed(page):
    return page[0]


def behind(printed, label):
    """What follows the label, on the one line that begins with it."""
    lines = [line[len(label) :].strip() for line in printed.splitlines() if line.startswith(label)]
    assert len(lines) == 1, f"{len(lines)} lines begin with {label!r}"
    return lines[0]


class Draws:
    """Torch's random numbers, in the order in which the chapter draws them."""

    def __init__(self, seed):
        self.generator = torch.Generator().manual_seed(seed)

    def normal(self, *shape):
        return torch.randn(*shape, generator=self.generator, dtype=torch.float64).numpy()

    def unit(self, *shape):
        rows = self.normal(*shape)
        return rows / np.linalg.norm(rows, axis=-1, keepdims=True)

    def uniform(self, *shape):  # PyTorch's bound for layers with 64 inputs
        weight = torch.empty(*shape, dtype=torch.float64)
        return weight.uniform_(-1 / 8, 1 / 8, generator=self.generator).numpy()

    def recurrent(self, gates):
        rows = 64 * gates
        return self.uniform(rows, 64), self.uniform(rows, 64), self.uniform(rows), self.uniform(rows)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def softmax(x):
    powers = np.exp(x - x.real.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def rnn(weights, text, stretch=1.0):
    u, w, b1, b2 = weights
    h, states = np.zeros_like(text[..., 0, :]), []
    for t in range(text.shape[-2]):
        h = np.tanh(text[..., t, :] @ u.T + stretch * (h @ w.T) + b1 + b2)
        states.append(h)
    return np.stack(states, axis=-2)


def gru(weights, text):
    u, w, b1, b2 = weights
    h, states = np.zeros_like(text[..., 0, :]), []
    for t in range(text.shape[-2]):
        (xr, xz, xn), (hr, hz, hn) = (np.split(part, 3, axis=-1) for part in (text[..., t, :] @ u.T + b1, h @ w.T + b2))
        z = sigmoid(xz + hz)
        h = (1 - z) * np.tanh(xn + sigmoid(xr + hr) * hn) + z * h
        states.append(h)
    return np.stack(states, axis=-2)


def lstm(weights, text, forget=0.0):
    u, w, b1, b2 = weights
    h, states = np.zeros_like(text[..., 0, :]), []
    c = h
    for t in range(text.shape[-2]):
        i, f, g, o = np.split(text[..., t, :] @ u.T + h @ w.T + b1 + b2, 4, axis=-1)
        c = sigmoid(f + forget) * c + sigmoid(i) * np.tanh(g)
        h = sigmoid(o) * np.tanh(c)
        states.append(h)
    return np.stack(states, axis=-2)


def look(asking, text, compare):
    return softmax(asking @ compare @ np.swapaxes(text, -1, -2) / 8) @ text


def reach(name, distance, forget=0.0):
    lengths = []
    for seed in range(5):
        draws = Draws(seed)
        if name == "look at all":
            compare = draws.uniform(64, 64)
            last = lambda text, compare=compare: look(text[..., -1:, :], text, compare)[..., 0, :]  # noqa: E731
        else:
            weights = draws.recurrent({"R": 1, "G": 3, "L": 4}[name[0]])
            if name[0] == "R":
                last = lambda text, w=weights: rnn(w, text, 3.0 if "3" in name else 1.0)[..., -1, :]  # noqa: E731
            elif name[0] == "G":
                last = lambda text, w=weights: gru(w, text)[..., -1, :]  # noqa: E731
            else:
                last = lambda text, w=weights: lstm(w, text, forget)[..., -1, :]  # noqa: E731
        text, push = draws.normal(8, distance + 1, 64), draws.unit(8, 64)
        moved = np.repeat(text[:, None].astype(complex), 64, axis=1)  # (8, 64 inputs to move, length, 64)
        moved[:, np.arange(64), 0, np.arange(64)] += 1j * STEP
        gradient = (last(moved).imag / STEP * push[:, None]).sum(axis=-1)
        lengths.append(np.linalg.norm(gradient, axis=-1).mean())
    return np.mean(lengths)


@pytest.fixture(scope="module")
def start():
    """The chapter's twelve words and its three untrained layers."""
    draws = Draws(0)
    names = {"words": draws.normal(12, 64), "rnn": draws.recurrent(1), "compare": draws.uniform(64, 64)}
    return names | {"gru": draws.recurrent(3), "other": draws.normal(10, 64)}


def test_the_shares_of_the_twelve_words(printed, start):
    shares = softmax(start["words"][-1] @ start["compare"] @ start["words"].T / 8)
    assert behind(printed, "shares:").split() == [f"{share:.2f}" for share in shares]


def test_influence(printed, start):
    moved = np.repeat(start["words"][None].astype(complex), 12 * 64, axis=0)
    moved[np.arange(12 * 64), np.repeat(np.arange(12), 64), np.tile(np.arange(64), 12)] += 1j * STEP

    def influence(outputs):  # (inputs j and their components, outputs i, components) -> (i, j)
        return np.sqrt((outputs.imag / STEP).reshape(12, 64, 12, 64).__pow__(2).sum(axis=(1, 3)) / 64).T

    direct, chain = influence(look(moved, moved, start["compare"])), influence(gru(start["gru"], moved))
    assert behind(printed, "look at all: weakest of 144 influences") == f"{direct.min():.6f}"
    assert behind(printed, "GRU: from a word to the next, mean") == f"{np.diagonal(chain, -1).mean():.6f}"
    assert behind(printed, "GRU: from the first word to the last") == f"{chain[-1, 0]:.6f}"
    assert behind(printed, "GRU: largest influence backward") == f"{np.triu(chain, 1).max():.6f}" == "0.000000"


def test_a_state_depends_on_the_words_between(printed, start):
    other = np.concatenate([start["words"][:1], start["other"], start["words"][-1:]])
    gap = np.abs(gru(start["gru"], other)[-1] - gru(start["gru"], start["words"])[-1]).max()
    assert behind(printed, "  the last state moves by up to") == f"{gap:.4f}"
    assert behind(printed, "  the comparison of the two moves by") == "0.0000"
    alone = np.abs(gru(start["gru"], start["words"][-1:])[0] - gru(start["gru"], start["words"])[-1]).max()
    assert behind(printed, "GRU, last state without the words before: off by") == f"{alone:.4f}"
    for n in (10, 100, 1000):
        assert behind(printed, f"{n:4} words: state 64 numbers, text").replace(",", "") == str(64 * n)


def test_powers(page, start):
    printed, prose = page
    for r in (0.9, 1.0, 1.1):
        assert behind(printed, f"r = {r}: gradient") == f"{r**50:.4g}, r ** 50 = {r**50:.4g}"
    assert f"$0.9^{{50}} = {0.9**50:.4g}$ and $1.1^{{50}} = {1.1**50:.4g}$" in prose
    radius = np.abs(np.linalg.eigvals(start["rnn"][1])).max()
    assert behind(printed, "spectral radius of W:") == f"{radius:.4f}"
    assert behind(printed, "to the power of 50:") == f"{radius**50:.1e}"
    assert behind(printed, "to the power of 100:") == f"{radius**100:.1e}"
    assert behind(printed, "steps until 1% is left:") == f"{math.log(0.01, 0.9):.2f}, so after 44"
    assert 0.9**43 > 0.01 > 0.9**44
    assert behind(printed, "factor for 1,000 steps:") == f"{math.exp(math.log(0.01) / 1000):.5f}"


def test_gates(printed):
    for bias in (0, 1, 4):
        gate = sigmoid(bias)
        assert behind(printed, f"{bias:4}   {gate:.4f}").split() == [f"{gate**50:.1e}", f"{gate**100:.1e}"]


@pytest.mark.parametrize("name", ["RNN", "RNN, W times 3", "LSTM", "LSTM, forget bias 1", "GRU", "look at all"])
def test_how_far_a_gradient_reaches(printed, name):
    found = [f"{reach(name, d, forget=float('bias' in name)):.1e}" for d in (10, 50)]
    lines = [line.split() for line in printed.splitlines() if re.match(rf"{name} +\d\.\de[+-]\d\d +\d\.\de", line)]
    assert [line[-2:] for line in lines] == [found]


def test_a_bias_for_a_hundred_steps(printed):
    gate = 2 ** (-1 / 100)
    bias = math.log(gate) - math.log1p(-gate)
    assert behind(printed, "gate 0") == f"{gate:.5f}, bias {bias:.3f}"[1:]
    for d in (1, 100):
        assert behind(printed, f"gradient over {d:3} steps:") == f"{reach('LSTM', d, forget=bias):.3f}"
    assert behind(printed, "without the bias, over 100 steps:") == f"{reach('LSTM', 100):.1e}"


def test_learned_numbers(printed):
    def recurrent(gates):
        return 17 * 32 + gates * 32 * (32 + 32 + 2) + 32 * 8 + 8

    sizes = {"GRU": recurrent(3), "LSTM": recurrent(4), "look at all": 17 * 32 + 32 * 32 + 32 * 8 + 8}
    for name, size in sizes.items():
        assert f"{name:12} {size:6,} learned numbers" in printed.splitlines()


def test_examples_of_the_task(printed):
    examples = re.findall(r"d = +(\d+):  (.*?) +answer (.)", printed)
    assert [int(d) for d, _, _ in examples] == [3, 3, 10, 10]
    for d, text, answer in examples:
        symbols = text.split()
        assert len(symbols) == int(d) + 1 and symbols[0] == answer and symbols[-1] == "?"


def test_steps_that_wait(printed):
    rows = [[int(x) for x in line.split()] for line in printed.splitlines() if re.fullmatch(r" +\d+ +\d+ +\d+", line)]
    assert rows[:3] == [[n, n, 3] for n in (8, 64, 1024)]
    # compare, exp, divide, multiply: 4; and two sums in pairs
    assert rows[3:6] == [[n, n, 4 + 2 * math.ceil(math.log2(n))] for n in (8, 64, 1024)]
    for n in (10, 1000, 100_000):
        assert behind(printed, f"{n:7,}    ").split() == [f"{n:,}", f"{n * n:,}"]


def at_compare(times):
    """By hand: with weights a and scores s, da/ds = diag(a) - a a^T, and ds_j/dC is the outer product of both words."""
    lengths = []
    for seed in range(20):
        draws = Draws(seed)
        text, push, compare = draws.normal(16, 64), draws.unit(64), times * draws.uniform(64, 64)
        share = softmax(text[-1] @ compare @ text.T / 8)
        pull = text @ push
        through = share * (pull - share @ pull)
        lengths.append(np.linalg.norm(np.outer(text[-1], through @ text) / 8))
    return sorted(lengths)[9]  # torch takes the lower of the two in the middle


def through_layers(depth, stretch=1.0, residual=False):
    draws = Draws(0)
    h, push, kept = draws.normal(16, 64), draws.unit(64), []
    for _ in range(depth):
        compare, matrix = draws.uniform(64, 64), stretch * draws.uniform(64, 64)
        share = softmax(h @ compare @ h.T / 8)
        kept.append((h, compare, matrix, share))
        h = (h if residual else 0) + share @ h @ matrix
    gradient = np.zeros((16, 64))
    gradient[-1] = push
    for h, compare, matrix, share in reversed(kept):
        average = gradient @ matrix.T
        pull = average @ h.T
        scores = share * (pull - (pull * share).sum(axis=1, keepdims=True)) / 8
        below = share.T @ average + scores @ h @ compare.T + scores.T @ h @ compare
        gradient = below + (gradient if residual else 0)
    return np.linalg.norm(gradient)


def test_the_backward_pass_of_this_file():
    draws = Draws(0)
    text, push = draws.normal(16, 64), draws.unit(64)
    matrices = [(draws.uniform(64, 64), draws.uniform(64, 64)) for _ in range(2)]
    h = np.repeat(text[None].astype(complex), 16 * 64, axis=0)
    h.reshape(1024, 1024)[np.arange(1024), np.arange(1024)] += 1j * STEP
    for compare, matrix in matrices:
        h = h + look(h, h, compare) @ matrix
    gradient = h[:, -1].imag / STEP @ push
    assert np.linalg.norm(gradient) == pytest.approx(through_layers(2, residual=True), rel=1e-10)


def test_gradients_without_a_chain_along_the_text(printed):
    assert behind(printed, "median       ").split() == [f"{at_compare(times):.1e}" for times in (1, 10, 100)]
    stacks = {
        "plain": {},
        "times root 3": {"stretch": 3.0**0.5},
        "matrix times 3": {"stretch": 3.0},
        "with residual": {"residual": True},
    }
    for name, options in stacks.items():
        found = [through_layers(depth, **options) for depth in (1, 4, 16, 64)]
        shown = [f"{x:.1e}" if x < 1e6 else "above 1e6" for x in found]
        assert behind(printed, f"{name:15}").split() == " ".join(shown).split()
