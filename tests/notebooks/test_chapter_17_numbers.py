"""Chapter 17's printed numbers once more: by NumPy, by counting, and by the model under dense masks."""

import json
import math
import re
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from attnbook import masks
from attnbook.data import passages
from attnbook.performer import PerformerFeatures
from attnbook.pretrained import smollm2

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOK = ROOT / "chapters" / "17-sparse-low-rank-linear.ipynb"


def softmax(x):
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def band(n, before, after):
    i = np.arange(n)
    return (i[:, None] - i <= before) & (i - i[:, None] <= after)


def test_shares_of_the_pairs(page):
    window = band(300, 20, 10)
    window[[0, 5]] = window[:, [0, 5]] = True
    strided = ((np.arange(300)[:, None] - np.arange(300)) % 7 == 0) & np.tri(300, dtype=bool)
    blocks = band(10, 1, 1)
    blocks[0] = blocks[:, 0] = True
    for name, mask in (("window", window), ("strided", strided), ("blocks", blocks)):
        assert re.search(rf"^{name} +{mask.mean():.1%} of the pairs; within 1e-12: True$", page[0], re.MULTILINE)


def test_how_far_layers_see(page):
    near = band(101, 4, 4).astype(int)
    with_global = near.copy()
    with_global[0] = with_global[:, 0] = 1
    strided = ((np.arange(101)[:, None] - np.arange(101)) % 4 == 0).astype(int)
    seen = lambda *layers: int((np.linalg.multi_dot([np.eye(101), np.eye(101), *layers])[50] > 0).sum())  # noqa: E731
    assert f"(a) {[seen(*[near] * k) for k in (1, 2, 3)]}" in page[0]
    assert f"(b) {[seen(*[with_global] * k) for k in (1, 2, 3)]}" in page[0]
    assert f"(c) {seen(near, strided)}" in page[0]


def test_a_permutation_has_full_rank(page):
    errors = [round(math.sqrt(1 - r / 512), 3) for r in (0, 64, 256, 512)]
    assert f"mirror {errors}" in page[0] and f"neighbor {errors}" in page[0]


def test_sizes_of_states_and_caches(page):
    assert f"numbers in the state of a head: {16 * 16 + 16}" in page[0]
    for n in (100, 10_000, 1_000_000):
        assert re.search(rf"^ *{n:,} +{2 * 64 * n:,} +{64 * 64 + 64:,}$", page[0], re.MULTILINE)


def drawn(*size, seed):
    return torch.randn(*size, generator=torch.Generator().manual_seed(seed)).double().numpy()


def test_what_a_state_gives_back(page):
    """The rules by plain loops, for all sizes but the longest."""
    sizes = (8, 16, 32, 64, 128)
    found = {"added up": [], "delta rule": [], "delta rule, last 16": []}
    for m in sizes:
        shares = {name: [] for name in found}
        for seed in range(5):
            keys, values = drawn(m, 64, seed=seed), drawn(m, 64, seed=100 + seed)
            keys /= np.linalg.norm(keys, axis=1, keepdims=True)
            added, state = np.zeros((64, 64)), np.zeros((64, 64))
            for k, v in zip(keys, values, strict=True):
                added += np.outer(k, v)
                state += np.outer(k, v - k @ state)
            for name, held in (("added up", added), ("delta rule", state)):
                away = ((keys @ held)[:, None] - values) ** 2
                right = away.sum(axis=-1).argmin(axis=1) == np.arange(m)
                shares[name].append(right.mean())
                if name == "delta rule":
                    shares["delta rule, last 16"].append(right[-16:].mean())
        for name, each in shares.items():
            found[name].append(f"{np.mean(each):.0%}")
    for name, each in found.items():
        assert re.search(rf"^{name} +" + " +".join(each), page[0], re.MULTILINE), (name, each)
    assert re.search(r"^softmax, a cache +" + " +".join(["100%"] * 7), page[0], re.MULTILINE)


def test_the_spread_of_random_features(page):
    """The printed means and spreads are of a sample; for short vectors they are near what the formula says."""
    rows = re.findall(r"^ +(\d\.\d) +([\d.]+) +([\d.]+) +([\d.e+]+)$", page[0], re.MULTILINE)
    assert [float(length) for length, *_ in rows] == [0.5, 1, 2, 3]
    for length, exact, mean, spread in ([float(x) for x in row] for row in rows):
        assert exact == float(f"{math.exp(length**2):.1f}")
        if length <= 1:
            assert abs(mean / exact - 1) < 0.4 and 0.2 < spread / math.exp(3 * length**2) < 3


def test_counted_work(page):
    full, window = (4 * 16384 * 512**2 + 2 * 16384 * keys * 512 for keys in (16384, 256))
    assert f"full {full:.2e}, window of 256 {window:.2e}" in page[0]
    assert f"(a) n = 2,048: {2 * 2048**2 * 64:,} and {2 * 2048 * 64**2:,}" in page[0]


def test_the_measured_times(page):
    measured = json.loads((ROOT / "attnbook" / "data" / "measured-lengths.json").read_text(encoding="utf-8"))
    forward = measured["ratios"]["forward"]
    for name in ("window", "blocks", "Linformer", "Nystrom"):
        assert re.search(rf"^  {name} +{forward['16384'][name][0]:.3f}$", page[0], re.MULTILINE)
    for name in ("window", "blocks", "linear", "Performer", "Linformer", "Nystrom"):
        assert re.search(rf"^{name} +{forward['2048'][name][0]:.2f} ", page[0], re.MULTILINE)
    both = measured["ratios"]["forward and backward"]
    for label, own, peer in (
        ("window", "window", "window: local-attention"),
        ("window, causal", "window, causal", "window, causal: local-attention"),
        ("linear, causal: fla", "linear, causal", "linear, causal: fla, naive chunks"),
        ("Performer", "Performer", "Performer: performer-pytorch"),
        ("Linformer", "Linformer", "Linformer: linformer"),
        ("Nystrom", "Nystrom", "Nystrom: nystrom-attention"),
    ):
        cells = [row["4096"][name][0] for row in (forward, both) for name in (own, peer)]
        assert re.search(rf"^{label} +" + " +".join(f"{x:.3f}" for x in cells) + "$", page[0], re.MULTILINE), label
        assert cells[0] < cells[1] and cells[2] < cells[3], "what the chapter says of its own forms"
    # "At 256 tokens none of the drawn forms is faster than it, at 16,384 all are", and thirty times for the window.
    drawn = ("blocks", "Performer, causal", "Linformer", "window", "Nystrom", "linear, causal")
    assert all(forward["256"][name][0] > 1 > forward["16384"][name][0] for name in drawn)
    assert 25 < 1 / forward["16384"]["window"][0] < 35


def test_errors_on_random_vectors(page):
    """Dense tables in float64, on the chapter's random vectors. The short iteration of Nyström has no such formula."""
    n, d = 2048, 64
    q, k, v = torch.randn(3, 1, 8, n, d, generator=torch.Generator().manual_seed(1)).double().numpy()[:, 0]
    exact = softmax(q @ k.mT / 8) @ v
    means = lambda x, r: x.reshape(8, r, n // r, d).mean(axis=2)  # noqa: E731
    to, by = means(k, 64), means(q, 64)
    one, two, three = (softmax(a @ b.mT / 8) for a, b in ((q, to), (by, to), (by, k)))
    expected = {
        "window": softmax(np.where(band(n, 127, 128), q @ k.mT / 8, -np.inf)) @ v,
        "mean of all values": v.mean(axis=1, keepdims=True),
        "Linformer, means of 8": softmax(q @ means(k, 256).mT / 8) @ means(v, 256),
        "Nystrom, true inverse": one @ np.linalg.pinv(two) @ three @ v,
    }
    for name, output in expected.items():
        error = np.linalg.norm(output - exact) / np.linalg.norm(exact)
        line = re.search(rf"^{name}  +[\d.-].*$", page[0].split("time   random")[1], re.MULTILINE)[0]
        shown = float(line.removeprefix(name).split()[-4])  # before the median and its range
        assert abs(shown - error) < 0.051 + 0.01 * error, (line, error)


def test_a_task_that_each_of_them_fails(page):
    """Everything but the random numbers and the directions computed here, in float64 by dense tables."""
    n, d = 512, 64
    generator = torch.Generator().manual_seed(0)
    draw = lambda *size: torch.randn(*size, generator=generator)  # noqa: E731
    codes = F.normalize(draw(n, d), dim=-1).double().numpy()
    kinds = F.normalize(draw(8, d), dim=-1).double().numpy()
    values = draw(1, n, d)[0].double().numpy()
    kind = torch.randint(8, (n,), generator=generator).numpy()
    E, G = (draw(2, 64, n) / n**0.5).double().numpy()
    directions = PerformerFeatures(d, 266).directions.numpy()
    tasks = {
        "3 to the left": (np.roll(codes, 3, axis=0), codes),
        "half away": (np.roll(codes, n // 2, axis=0), codes),
        "mirrored": (codes[::-1], codes),
        "my kind": (kinds[kind], kinds[kind]),
        "my kind, sorted": (kinds[np.sort(kind)],) * 2,
        "everything": (0 * codes, codes),
    }
    blocks = band(8, 1, 1)
    blocks[0] = blocks[:, 0] = True
    blocks = np.kron(blocks, np.ones((64, 64))) > 0
    elu = lambda x: np.where(x > 0, x + 1, np.exp(np.minimum(x, 0)))  # noqa: E731
    random = lambda x: np.exp(x / d**0.25 @ directions.T - (x**2).sum(-1, keepdims=True) / d**0.5 / 2)  # noqa: E731
    means = lambda x: x.reshape(64, -1, d).mean(axis=1)  # noqa: E731
    for task, (looked_for, found_at) in tasks.items():
        q, k = 18 * looked_for, 18 * found_at
        scores = q @ k.T / 8
        exact = softmax(scores) @ values
        outputs = [softmax(np.where(mask, scores, -np.inf)) @ values for mask in (band(n, 31, 32), blocks)]
        for features in (elu, random):
            table = features(q) @ features(k).T
            outputs.append(table / table.sum(axis=1, keepdims=True) @ values)
        outputs.append(softmax(q @ (E @ k).T / 8) @ (G @ values))
        one, two, three = (softmax(a @ b.T / 8) for a, b in ((q, means(k)), (means(q), means(k)), (means(q), k)))
        outputs.append(one @ np.linalg.pinv(two) @ three @ values)
        errors = [np.linalg.norm(o - exact) / np.linalg.norm(exact) for o in outputs]
        [row] = re.findall(rf"^{task} +([\d. ]+)$", page[0], re.MULTILINE)
        for printed, error in zip(map(float, row.split()), errors, strict=True):
            assert abs(printed - error) < 0.06 + 0.01 * error, (task, row, errors)


def test_other_attention_in_the_trained_model(page):
    """By the model's own layers under a dense mask."""
    model, tokenizer = smollm2.load_smollm2()
    text = " ".join(passage.text for passage in passages.load())
    tokens = torch.tensor([tokenizer.encode(text).ids[:512]])
    near = masks.sliding_window(8, before=1, after=0)
    seen = {
        "exact": None,
        "window of 64": masks.sliding_window(512, before=63, after=0),
        "window of 60 and the first 4": masks.sliding_window(512, before=59, after=0)
        | masks.global_tokens(512, tokens=[0, 1, 2, 3]),
        "two blocks and the first": (near | masks.global_tokens(8, tokens=[0]))
        .repeat_interleave(64, 0)
        .repeat_interleave(64, 1),
        "strided, every 8th": masks.strided(512, stride=8),
        "strided and the last 8": masks.strided(512, stride=8) | masks.sliding_window(512, before=7, after=0),
    }
    for name, mask in seen.items():
        with torch.no_grad():
            logits, _ = model(tokens, mask=mask)
        loss = F.cross_entropy(logits[0, 255:-1], tokens[0, 256:]).item()
        assert re.search(rf"^{name} +{loss:.1f}$", page[0], re.MULTILINE), (name, loss)
