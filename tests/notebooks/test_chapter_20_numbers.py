"""Chapter 20's printed numbers once more, by NumPy and plain arithmetic."""

import json
import math
import re
from pathlib import Path

import mpmath
import numpy as np
import pytest
import torch

ROOT = Path(__file__).resolve().parents[2]


def drawn(*size, seed):
    """The numbers that the chapter draws; only the drawing is PyTorch's."""
    return torch.randn(*size, generator=torch.Generator().manual_seed(seed)).double().numpy()


def softmax(x):
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def row(numbers, digits):
    return " ".join(f"{n:.{digits}f}" for n in numbers)


def one_line(text):
    return re.sub(r" +", " ", text)


def test_parameters_of_the_scores(page):
    assert f"scaled dot 0 general {32 * 32} additive {2 * 32 * 32 + 32}" in one_line(page.printed)


def test_nearest_by_hand(page):
    x, y = 0.2, np.array([-0.5, 0.1, 0.8])
    scores = 2 * x * y - y**2
    for times in (1, 30):
        line = f"query times {times}: scores {row(times * scores, 2)} weights {row(softmax(times * scores), 4)}"
        assert line in one_line(page.printed)
    assert "The scores are $-0.45$, $0.03$ and $-0.32$" in page.prose
    assert (scores - x**2) == pytest.approx(-((x - y) ** 2))


def test_kinds(page):
    query, keys = np.array([1.0, 2, 0, 1]), np.array([[2.0, 4, 0, 2], [1, 0, 1, 0], [-1, 1, 3, 0]])
    dots = keys @ query
    cosines = dots / np.linalg.norm(keys, axis=1) / np.linalg.norm(query)
    kinds = {"dot": dots, "scaled dot": dots / 2, "cosine": cosines, "cosine, t = 0.1": cosines / 0.1}
    for name, scores in kinds.items():
        assert f"\n{name} {row(softmax(scores), 4)}" in one_line(page.printed)


def test_reach_of_convolutions(page):
    """Each of four layers adds two positions before: the farthest is eight away."""
    line = re.search(r"convolutions +(\S+) +(\S+) +(\S+) +(\S+)", page.printed).groups()
    reach = 4 * (3 - 1)
    assert [float(number) > 0 for number in line] == [distance <= reach for distance in (1, 8, 9, 30)]
    assert re.search(r"attention +0\.0000\n", page.printed)


def test_share_of_the_quadratic_part(page):
    for n in (256, 1024, 4096, 16384):
        scores, averages, projections = n * n * 512, n * n * 512, 4 * n * 512**2
        assert f"\n{n:6}   {(scores + averages) / (scores + averages + projections):.0%}" in page.printed


def test_two_rows_with_one_output(page):
    value, weights = drawn(8, 2, seed=3), softmax(1.5 * drawn(8, seed=7))
    assert f"weights {row(weights, 2)}\n" in one_line(page.printed)
    other = [float(n) for n in re.search(r"other weights (.*)\n", page.printed).group(1).split()]
    assert min(other) >= 0 and other[int(weights.argmax())] == 0
    assert sum(other) == pytest.approx(1, abs=8 * 0.005)
    assert np.array(other) @ value == pytest.approx(weights @ value, abs=0.005 * np.abs(value).sum())


def test_parameters_of_two_questions(page):
    d, code, labels = 32, 16, 8
    attention = 4 * (d * d + d)
    count = (2 * code * d + d) + ((code + labels) * d + d) + attention + (d * 2 * labels + 2 * labels)
    assert f"{count:,} parameters, whatever the number of heads" in page.printed


def test_one_right_and_one_guessed(page):
    assert 1 / 8 + 7 / 8 / 2 == 9 / 16
    assert r"$1/8 + 7/8 \cdot 1/2 = 9/16$, or 56%" in page.prose and f"{9 / 16:.0%}" == "56%"


def test_price_list(page):
    stored = json.loads((ROOT / "attnbook" / "data" / "measured-lengths.json").read_text(encoding="utf-8"))
    ratios = stored["ratios"]["forward"]
    for name in ("window", "blocks", "Linformer", "Nystrom", "linear, causal"):
        at_4k, at_16k = (ratios[n][name][0] for n in ("4096", "16384"))
        assert f"\n{name:15} {at_4k:5.2f} {at_16k:7.2f} " in page.printed
    memory = stored["mebibytes"]["forward"]["4096"]
    assert round(memory["definition"] / memory["fused"], -1) == 130 and "a 130th of the memory" in page.prose
    assert 0.9 < 30 * ratios["16384"]["window"][0] < 1.1 and "a thirtieth of the time" in page.prose


def test_slopes(page):
    assert f"1 / sqrt(d_k) = {1 / math.sqrt(16):.4f}" in page.printed
    for name, slope in {
        "attnbook": 1 / 4,
        "PyTorch": 1 / 4,
        "no scale": 1,
        "d_model for d_k": 1 / math.sqrt(128),
    }.items():
        assert f"\n{name:16} {slope:.4f}" in page.printed


def test_slope_by_logarithms():
    """The method itself, in 30 digits: logarithms of weights over dot products rise by the scale."""
    mpmath.mp.dps = 30
    query, keys, c = [mpmath.mpf(1), 2], [[mpmath.mpf(3), 1], [0, 1], [2, -1]], mpmath.mpf("0.37")
    dots = [query[0] * k[0] + query[1] * k[1] for k in keys]
    total = sum(mpmath.exp(c * dot) for dot in dots)
    logs = [mpmath.log(mpmath.exp(c * dot) / total) for dot in dots]
    assert abs((logs[0] - logs[2]) / (dots[0] - dots[2]) - c) < mpmath.mpf("1e-25")


def test_the_table_of_bugs(page):
    """As many as the page says, and the two without a cross are those about the scale."""
    bugs, experiments, caught = map(
        int, re.search(r"(\d+) bugs, (\d+) experiments, (\d+) bugs found", page.printed).groups()
    )
    missed = re.search(r"not found:\n((?:  .*\n)+)", page.printed).group(1)
    assert [line.strip() for line in missed.splitlines()] == ["no scale", "scaled by all of d"]
    assert caught == bugs - 2
    assert f"{bugs} ways to get it wrong" in page.prose
    assert f"Twelve experiments found {caught} of {bugs} planted bugs" in page.prose and experiments == 12


def test_weights_that_look_right(page):
    """By hand: these bugs touch neither queries, keys, mask nor softmax; the others change the weights."""
    same = re.search(r"are exactly those of the right layer:\n((?:.*\n)+?)\n", page.printed + "\n\n").group(1)
    expected = "softmax by hand, -1e9 in the mask, heads joined by reshape, values are the keys, no output projection"
    assert one_line(same.replace("\n", " ")).strip() == expected
