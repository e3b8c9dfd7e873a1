"""Chapter 10's printed numbers against a second computation that shares no code with attnbook.

Every answer of the stored Transformers is computed again in NumPy (transformer_by_hand.py), those of the recurrent
models in letters_by_hand.py; the numbers of parameters come from the sizes alone. What hangs on PyTorch's random
numbers is left to the chapter's own assertions.
"""

import json
import math
import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open

from tests.notebooks.letters_by_hand import WEIGHTS, ByHand, dictionary, rates, split
from tests.notebooks.transformer_by_hand import TransformerByHand

CHAPTER = Path(__file__).resolve().parents[2] / "chapters" / "10-the-transformer.ipynb"
SMALL = {  # name -> d, d_hidden, norms of an encoder and a decoder layer, last norms, attentions of a decoder layer
    "full": (56, 112, 5, 2, 2),
    "post-norm": (56, 112, 5, 0, 2),
    "one-head": (56, 112, 5, 2, 2),
    "without-scale": (56, 112, 5, 2, 2),
    "without-residual": (56, 112, 5, 2, 2),
    "without-layer-norm": (56, 112, 0, 0, 2),
    "without-feed-forward": (56, None, 5, 2, 2),
    "without-feed-forward-wider": (72, None, 5, 2, 2),
    "without-positions": (56, 112, 5, 2, 2),
    "without-causal-mask": (56, 112, 5, 2, 2),
    "without-cross-attention": (56, 112, 5, 2, 1),
}
RECURRENT = ("none", "bahdanau", "luong-general")
NUMBER = r"-?\d[\d,]*\.?\d*"


@pytest.fixture(scope="module")
def words():
    """(accepted pronunciations, training, test and long test words)."""
    accepted, order = dictionary()
    return accepted, *split(order)


@pytest.fixture(scope="module")
def compared(words):
    """Name -> the error rates (phoneme, word) of the four larger models on the test words, and on the long ones."""
    accepted, _, test, long = words
    found = {}
    for name in ("transformer", *RECURRENT):
        model = TransformerByHand(name) if name == "transformer" else ByHand(name)
        said = [phonemes for phonemes, _ in model.answers(test + long)]
        found[name] = tuple(
            rates(phonemes, [accepted[word] for word in tested])
            for phonemes, tested in ((said[: len(test)], test), (said[len(test) :], long))
        )
    return found


@pytest.fixture(scope="module")
def ablated(words):
    """Name -> (phoneme, word) error of the smaller models on the test words."""
    accepted, _, test, _ = words
    right = [accepted[word] for word in test]
    return {name: rates([said for said, _ in TransformerByHand(name).answers(test)], right) for name in SMALL}


def table(printed, title, among):
    """Label -> cells of the lines that follow the title; of tables with one title, the one that has that label."""
    tables = []
    for rest in re.split(rf"^{re.escape(title)}.*\n", printed, flags=re.MULTILINE)[1:]:
        rows = {}
        for line in rest.splitlines():
            found = re.fullmatch(rf"([a-z][a-z .-]*?) +({NUMBER}(?: +{NUMBER})*)", line)
            if not found:
                break
            rows[found[1]] = found[2].split()
        tables.append(rows)
    [rows] = [rows for rows in tables if among in rows]
    return rows


def percents(pair):
    return [f"{rate:.2f}" for rate in pair]


def attention_size(d):
    """Four matrices and four biases."""
    return 4 * (d * d + d)


def feed_forward_size(d, hidden):
    return (d * hidden + hidden) + (hidden * d + d)


def test_the_first_word(page, words):
    printed, _ = page
    accepted, _, test, _ = words
    [(said, _)] = TransformerByHand("transformer").answers(test[:1])
    for label, text in (
        ("read:      ", " ".join(test[0])),
        ("written:   ", " ".join(said)),
        ("dictionary:", "  or  ".join(" ".join(right) for right in accepted[test[0]])),
        ("without a cache:", " ".join(said)),
        ("with a cache:   ", " ".join(said)),
    ):
        assert re.search(rf"^{label} {re.escape(text)}$", printed, re.MULTILINE), label
    right = accepted[test[0]][0]
    pairs = zip(["<bos>", *right], [*right, "<eos>"], strict=True)
    assert " ".join(f"{read} → {predicted}" for read, predicted in pairs) in " ".join(printed.split())
    n = len(right) + 1
    assert f"one call for {n} known symbols, or {n} calls: difference 0.0000000000" in printed


def test_the_layer_norm(page):
    rows = re.findall(r"^ +(-\d\.\d{4}) +(-\d\.\d{4}) +(\d\.\d{4}) +(\d\.\d{4})$", page[0], re.MULTILINE)
    # (1, 2, 3, 6) has the mean 3 and the variance 14 / 4; a hundred times as much, 10^4 times the variance.
    expected = [[c / math.sqrt(3.5 + 1e-5 / scale**2) for c in (-2, -1, 0, 3)] for scale in (1, 100)]
    assert [[f"{c:.4f}" for c in row] for row in expected] == [[*row] for row in rows]


def test_the_larger_of_two(page):
    lines = re.findall(r"^\[(.*), (.*)\] -> \[(.*), (.*)\]$", page[0], re.MULTILINE)
    assert len(lines) == 3
    for a, b, *found in np.array(lines, dtype=float):
        assert found == [max(a, b), b]


def test_vectors_of_one_length_after_each_norm(page):
    """A fresh layer norm leaves the mean square v / (v + 1e-5) with v about 1: 1.000 in three places."""
    for n in (1, 4, 16):
        assert re.search(rf"^post .*after {n:2}: 1\.000", page[0], re.MULTILINE)


def test_what_reaches_what_and_what_agrees(page):
    assert re.search(r"^self-attention +change position 2: 6 of 6 outputs move$", page[0], re.MULTILINE)
    assert re.search(r"^feed-forward +change position 2: 1 of 6 outputs move$", page[0], re.MULTILINE)
    differences = re.findall(
        r"(?:differs by at most|difference.*:|calls: difference) ([\d.e-]+)$", page[0], re.MULTILINE
    )
    assert differences == ["0.0000000000"] * 4


def test_what_the_prose_says_of_the_stacks(page):
    """The numbers hang on PyTorch's; what is said of them is checked."""
    printed, prose = page
    gradients, apart = (
        np.array(
            [
                row.split()
                for row in re.findall(rf"^{title}\n.*\n((?:.+\n){{5}})", printed, re.MULTILINE)[0].splitlines()
            ],
            dtype=float,
        )[:, 1:].T
        for title in ("gradient at the input", "positions apart")
    )
    assert (np.diff(gradients[0]) < 0).all() and (np.diff(gradients[1]) > 0).all()
    assert round(gradients[1, 0]) == 32 and round(gradients[1, -1] / 1e9) == 2 and "from 32 to two billion" in prose
    assert gradients[2, -1] < 4 * gradients[2, 0] and "less than fourfold from one layer to sixteen" in prose
    assert list(apart[0] == 0) == [False, False, True, True, True] and "equal to rounding from four layers on" in prose
    assert (apart[1:] > 0.1).all()


def test_the_targets_padding(page, words):
    """Of the first eight words: with their end symbols, filled up to the longest."""
    accepted, _, test, _ = words
    lengths = [len(accepted[word][0]) + 1 for word in test[:8]]
    padding = 8 * max(lengths) - sum(lengths)
    assert f"positions with padding: {padding}  of them moved: {padding}" in page[0]
    assert f"real positions: {sum(lengths)}  of them moved: 0" in page[0]
    assert re.search(rf"^logits: \(8, \d+, {4 + 39}\)", page[0], re.MULTILINE)  # eight other words, drawn at random


def test_greedy_and_beam(page, words):
    printed, _ = page
    model = TransformerByHand("transformer")
    [(greedy, _)] = model.answers(["assisting"])
    [(beam, log_p)] = model.best_of_beam(["assisting"], 4)
    assert log_p == pytest.approx(model.log_probability("assisting", beam), abs=1e-10)
    for name, said in (("greedy", greedy), ("beam", beam)):
        total = model.log_probability("assisting", said)
        assert re.search(rf"^{name} +{' '.join(said)} +log p = {total:.4f}$", printed, re.MULTILINE), name
    right = "  or  ".join(" ".join(right) for right in words[0]["assisting"])
    assert re.search(rf"^dictionary: {right}$", printed, re.MULTILINE)


def test_the_beam_on_all_test_words(page, words, compared):
    """Measured once while writing, says the prose."""
    accepted, _, test, _ = words
    model, said = TransformerByHand("transformer"), {}
    for length in {len(word) for word in test}:
        group = [word for word in test if len(word) == length]
        said |= zip(group, (phonemes for phonemes, _ in model.best_of_beam(group, 4)), strict=True)
    phoneme, word = rates([said[word] for word in test], [accepted[word] for word in test])
    (by_phoneme, by_word), _ = compared["transformer"]
    assert (
        f"{phoneme:.2f}% of the phonemes wrong instead of {by_phoneme:.2f}%, "
        f"{word:.2f}% of the words instead of {by_word:.2f}%"
    ) in page[1]


def test_the_parameters_of_the_larger_model(page):
    printed, prose = page
    d, hidden = 80, 160
    parts = {
        "attention": 2 * (1 + 2) * attention_size(d),
        "feed-forward": 2 * 2 * feed_forward_size(d, hidden),
        "norms": (2 * (2 + 3) + 2) * 2 * d,
        "embeddings": (4 + 26 + 4 + 39) * d,
        "output": (4 + 39) * (d + 1),
    }
    parts["all"] = sum(parts.values())
    for kind, number in parts.items():
        assert re.search(rf"^{kind} +{number:,}$", printed, re.MULTILINE), kind
    assert parts["all"] == sum(array.size for array in TransformerByHand("transformer").p.values())
    assert f"{parts['all']:,} parameters" in prose
    assert f"({sum(array.size for array in ByHand('bahdanau').p.values()):,} parameters)" in prose


def test_the_parameters_of_the_papers_model(page):
    d, hidden = 512, 2048
    feed_forward = 12 * feed_forward_size(d, hidden)
    layers = (6 + 12) * attention_size(d) + feed_forward + 6 * (2 + 3) * 2 * d
    assert f"layers {layers:,}, feed-forward {feed_forward / layers:.1%}" in page[0]
    assert f"nn.Transformer: {layers + 2 * 2 * d:,} = layers + 2 norms of 2 x {d}" in page[0]


def test_the_sizes_and_training_losses_of_the_ablations(page):
    rows = table(page[0], "model  ", "full")
    assert list(rows) == list(SMALL)
    for name, (d, hidden, norms, last, attentions) in SMALL.items():
        size = 2 * (1 + attentions) * attention_size(d) + (2 * norms + last) * 2 * d
        size += 2 * 2 * feed_forward_size(d, hidden) if hidden else 0
        size += (4 + 26 + 4 + 39) * d + (4 + 39) * (d + 1)
        with safe_open(WEIGHTS / f"transformers-{name}.safetensors", "numpy") as stored:
            record = json.loads(stored.metadata()["training"])
            # What is not used is not counted, but some of it is stored.
            assert size == sum(np.prod(stored.get_slice(key).get_shape()) for key in stored.keys()), name  # noqa: SIM118
        assert rows[name] == [f"{size:,}", f"{float(record['loss_last_50_steps']):.3f}"], name
        if name == "without-causal-mask":
            assert f"the training loss is the best of all, {rows[name][1]}," in page[1]
            assert float(rows[name][1]) == min(float(loss) for _, loss in rows.values())
        keys = ("steps", "batch_size", "learning_rate", "seed")
        assert "  ".join(f"{key} {record[key]}" for key in keys) in page[0]


def test_the_errors_of_the_ablations(page, ablated):
    printed, prose = page
    expected = {name: percents(found) for name, found in ablated.items()}
    assert table(printed, "2,000 test words, error in %", "full") == expected
    (phoneme, word), scale = ablated["full"], ablated["without-scale"]
    assert f"against {phoneme:.2f}% and {word:.2f}%" in prose
    assert 4.5 < scale[0] - phoneme < 5.5 and "loses about five points" in prose


def test_the_forgotten_norm(page, words):
    accepted, _, test, _ = words
    for label, forgotten in (("whole", None), ("without encoder.norm", "encoder"), ("without decoder.norm", "decoder")):
        model = TransformerByHand("transformer")
        model.forgotten = {forgotten}
        phoneme, _ = rates([said for said, _ in model.answers(test[:300])], [accepted[word] for word in test[:300]])
        assert re.search(rf"^{label} +{phoneme:.2f}$", page[0], re.MULTILINE), label


def test_the_transformer_beside_the_recurrent_models(page, compared):
    printed, prose = page
    for place, title in ((0, "2,000 test words, error in %"), (1, "600 long words, error in %")):
        expected = {name: percents(pair[place]) for name, pair in compared.items()}
        assert table(printed, title, "bahdanau") == expected
    test, long = ({name: pair[place][0] for name, pair in compared.items()} for place in (0, 1))
    assert (
        f"phoneme error {test['transformer']:.2f}% for the Transformer, {test['bahdanau']:.2f}% and "
        f"{test['luong-general']:.2f}% for Bahdanau's and Luong's models, {test['none']:.2f}% without attention"
    ) in prose
    assert "by two points of phoneme error on the test words, by five or more on the long ones" in prose
    for name in ("bahdanau", "luong-general"):
        assert 1.5 < test["transformer"] - test[name] < 2.5 and 5 <= long["transformer"] - long[name] < 6


def test_what_is_kept_while_writing(page):
    """For n symbols: keys and values of 80 numbers in two layers; a state of 128, whatever n is."""
    for n in (10, 100, 1000):
        assert re.search(rf"^ *{n} +{2 * 2 * 80 * n:,} +128$", page[0], re.MULTILINE), n


def test_the_letters_frequencies(page, words):
    """At one place of each test word, drawn at random: within four standard errors of the mean over all places."""
    _, training, test, _ = words
    letters = "".join(training)
    losses = {letter: -math.log(letters.count(letter) / len(letters)) for letter in set(letters)}
    each = [[losses[letter] for letter in word] for word in test]
    error = math.sqrt(sum(np.var(word) for word in each)) / len(test)
    [printed] = re.findall(r"^letter frequencies: loss (\d\.\d{3})$", page[0], re.MULTILINE)
    assert abs(float(printed) - np.mean([np.mean(word) for word in each])) < 4 * error + 0.0005


def test_the_masks_of_the_three_families(page):
    printed, _ = page
    assert re.search(r"^Gpt +inputs that reach output 3: \[0, 1, 2, 3\]$", printed, re.MULTILINE)
    assert re.search(r"^Bert +inputs that reach output 3: \[0, 1, 2, 3, 4, 5, 6, 7\]$", printed, re.MULTILINE)
    # "c a t ⏎" sees itself on both sides; each of "K AE T" sees the source and what was written up to itself.
    rows = ["1 1 1 1 0 0 0"] * 4 + ["1 1 1 1 1 0 0", "1 1 1 1 1 1 0", "1 1 1 1 1 1 1"]
    assert "\n".join(rows) in printed


def test_loss_of_knowing_how_common_each_symbol_is(page, words):
    """The entropy of the training targets' phonemes and end symbols, in units of ln."""
    accepted, train, *_ = words
    counts = Counter(symbol for word in train for symbol in [*accepted[word][0], "end"])
    shares = np.array(list(counts.values())) / sum(counts.values())
    assert f"gives {-(shares * np.log(shares)).sum():.2f} (measured once while writing)" in page.prose
