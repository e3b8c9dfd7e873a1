"""Chapter 16's printed numbers once more: by formulas, by mpmath, and from the stored measurement as plain JSON."""

import itertools
import json
import re
from pathlib import Path

import mpmath
import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOK = ROOT / "chapters" / "16-what-attention-costs.ipynb"


@pytest.fixture(scope="module")
def measured():
    return json.loads((ROOT / "attnbook" / "data" / "measured-lengths.json").read_text(encoding="utf-8"))


def test_what_is_counted(page):
    """Two heads of 32: products, what the definition keeps (weights, scaled queries), what the tiled form keeps."""
    for n in (256, 512, 1024):
        work = 2 * 2 * n * n * 32
        table = 2 * n * n + 2 * n * 32
        tiled = 2 * n * 32 + 2 * n
        assert re.search(rf"^ *{n} +{work:,} +{table:,} +{tiled:,}$", page[0], re.MULTILINE)
    assert "= 8{,}388{,}608" in page[1]


def test_the_growth_of_what_is_counted(page):
    table = [2 * n * n + 2 * n * 32 for n in (256, 512, 1024)]
    assert "kept, definition     " + " ".join(f"{b / a:.2f}" for a, b in itertools.pairwise(table)) in page[0]


def test_a_book_at_once(page):
    n = 131_072
    assert (
        f"(a) weights {32 * n * n * 2 // 2**30:,} GiB, keys and values {2 * 32 * n * 128 * 2 // 2**30} GiB" in page[0]
    )
    work = 32 * 2 * 32 * n**2 * 128
    assert f"(b) {work:.2e} multiply-adds   (c) {work / 5e14:.1f} s" in page[0]


def test_the_online_softmax(page):
    mpmath.mp.dps = 30
    scores, values = [1, 3, 2], [10, 20, 30]
    for j in range(1, 4):
        largest = max(scores[:j])
        powers = [mpmath.exp(s - largest) for s in scores[:j]]
        total = mpmath.fsum(powers)
        summed = mpmath.fsum(p * v for p, v in zip(powers, values, strict=False))
        row = rf"{scores[j - 1]} +{values[j - 1]} +{largest} +{float(total):.4f} +{float(summed):.4f} +"
        assert re.search(row + f"{float(summed / total):.4f}", page[0])
    assert f"softmax at once: {float(summed / total):.4f}" in page[0]
    assert f"The {float(summed / total):.4f} of the table above" in page[1]


def test_the_parts(page):
    e = mpmath.exp
    second, lse = (20 * e(3) + 30 * e(2)) / (e(3) + e(2)), mpmath.log(e(3) + e(2))
    share = e(1) / (e(1) + e(lse))
    assert f"second  output {float(second):.4f}   log-sum-exp {float(lse):.4f}" in page[0]
    assert f"weights of the parts: {float(share):.4f} {float(1 - share):.4f}" in page[0]
    joined = share * 10 + (1 - share) * second
    assert f"joined {float(joined):.4f}; plain mean {float((10 + second) / 2):.4f}" in page[0]
    assert round(float(e(5))) == 148 and "weighs $e^5 = 148$ times" in page[1]


def test_large_scores(page):
    weights = np.exp(np.array([1001.0, 1003, 1002]) - 1003)
    assert f"with it:           {[round(float(w), 4) for w in weights / weights.sum()]}" in page[0]


def test_the_tiles(page):
    """512 tokens in tiles of 64, pair by pair."""
    allowed = np.tri(512, dtype=bool).reshape(8, 64, 8, 64)
    some, every = allowed.any(axis=(1, 3)), allowed.all(axis=(1, 3))
    assert f"{some.sum()} of 64 tiles, {(some & ~every).sum()} with a mask" in page[0]


def test_what_is_kept_for_the_backward_pass(page):
    for name, count in (("definition", 2 * 1024 * 1024 + 2 * 1024 * 32), ("tiled_attention", 2 * 1024 * 33)):
        assert re.search(rf"^  {name} +{count:,} numbers$", page[0], re.MULTILINE)
    assert f"the {2 * 1024 * 33:,} above" in page[1]
    found = re.search(r"online_attention, by autograd +([\d,]+) numbers", page[0])[1]
    # Each of 16 pieces: scores, powers and a few columns; running sums and averages besides.
    assert 2 * 2 * 1024 * 1024 < int(found.replace(",", "")) < 3 * 2 * 1024 * 1024


def test_the_table_of_measurements(page, measured):
    names = ["fused", "definition", "tiled", "tiled, causal", "PyTorch SDPA, causal", "PyTorch SDPA, again"]
    for mode in ("forward", "forward and backward"):
        ratios, mib = measured["ratios"][mode], measured["mebibytes"][mode]
        for name in names:
            cells = [f"{ratios[n][name][0]:.2f}" if name in ratios[n] else "-" for n in ("1024", "4096", "16384")]
            held = [f"{mib[n][name]:.0f}" if name in mib[n] else "-" for n in ("1024", "4096", "16384")]
            assert re.search(rf"^{re.escape(name)} +{' +'.join(cells + held)}$", page[0], re.MULTILINE), name


def test_the_exponents(page, measured):
    ratios, mib = measured["ratios"]["forward"], measured["mebibytes"]["forward and backward"]
    for name in ("definition", "fused", "tiled"):
        times = [ratios[n][name][0] * ratios[n]["seconds"] for n in ("2048", "8192")]
        exponents = np.log2(times[1] / times[0]) / 2, np.log2(mib["4096"][name] / mib["1024"][name]) / 2
        assert re.search(rf"^{name} +{exponents[0]:.2f} +{exponents[1]:.2f}$", page[0], re.MULTILINE)
        assert 1.7 < exponents[0] < 2.5


def test_the_measurement_is_of_the_whole_set(measured):
    """Every length and form that the chapters speak of; and what was asked of them."""
    forward, both = (measured["ratios"][mode] for mode in ("forward", "forward and backward"))
    assert list(forward) == [str(2**e) for e in range(8, 15)] and list(both) == ["256", "1024", "4096", "16384"]
    assert measured["settings"]["threads"] == 1 and measured["settings"]["heads"] == 8
    for row in (*forward.values(), *both.values()):
        assert row["PyTorch SDPA"] == [1, 1, 1] and abs(row["PyTorch SDPA, again"][0] - 1) < 0.15


def test_what_the_prose_says_of_the_measurement(page, measured):
    forward, both = (measured["ratios"][mode] for mode in ("forward", "forward and backward"))
    mib = measured["mebibytes"]
    shown = [rows[n]["tiled"][0] for rows in (forward, both) for n in ("1024", "4096", "16384")]
    text = f"takes {100 * (min(shown) - 1):.0f} to {100 * (max(shown) - 1):.0f}% more time than the kernel"
    assert f"{text} ({100 * (forward['2048']['tiled'][0] - 1):.0f}% at 2,048 tokens)" in page[1]
    causal = [forward[n]["tiled, causal"][0] / forward[n]["tiled"][0] for n in ("4096", "16384")]
    assert "takes {:.0%} of its own time on 4,096 tokens forward and {:.0%} on 16,384".format(*causal) in page[1]
    slower = [forward[n]["definition"][0] for n in ("1024", "8192")]
    assert "takes {:.1f} times as long at 1,024 tokens and {:.1f} times as long at 8,192".format(*slower) in page[1]
    assert f"{mib['forward']['4096']['tiled']:.0f} MiB at 4,096 tokens" in page[1]
    assert f"The definition needs {mib['forward and backward']['4096']['definition']:,.0f} MiB" in page[1]
    output = 8 * 32768 * 64 * 4 / 2**20
    text = f"ran in {mib['forward']['32768']['tiled']:.0f} MiB beside its inputs, of which {output:.0f} are the output"
    assert text in page[1]
