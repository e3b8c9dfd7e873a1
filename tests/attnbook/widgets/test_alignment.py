"""The alignment explorers: any word through the small model, and the stored forms side by side."""

import json

import pytest
import torch

from attnbook import pretrained, seq2seq
from attnbook.data import dates, pronunciations
from attnbook.data.pronunciations import LETTERS, PHONEMES
from attnbook.widgets import Alignment, Alignments, sources
from tests.attnbook.widgets.javascript import copied, evaluate, on_screen

NETWORK = "pronouncer(readTensors(model.get('weights_file')))"


@pytest.mark.parametrize("word", ["phone", "knight", "women", "a", "abcdefghijklmnopqrst"])
def test_the_page_answers_as_attnbook_does(word):
    explorer = Alignment(word=word)
    steps = on_screen(explorer, f"answerTo({NETWORK}, model.get('word'))")
    assert PHONEMES.decode([step["symbol"] for step in steps]) == explorer.phonemes
    weights = torch.tensor([step["weights"] for step in steps], dtype=torch.float64)
    torch.testing.assert_close(weights, explorer.weights, rtol=1e-12, atol=1e-12)


def test_the_copied_python_gives_the_answer_on_the_screen():
    explorer = Alignment(word="Thought")
    names = copied(explorer)
    assert names["sounds"] == explorer.phonemes and len(names["sounds"]) == 3
    assert torch.equal(names["weights"], explorer.weights)


def test_the_model_s_file_is_not_in_the_notebook_but_in_the_page():
    stored = json.loads(Alignment().state()["weights_file"])
    assert stored == {"file": "pretrained/pronunciations-bahdanau-small.safetensors"}
    assert len(sources.embedded(stored)["base64"]) > 100_000


def test_every_sound_has_a_word_that_has_it():
    heard = evaluate("alignment.js", "HEARD_IN")
    assert set(heard) == set(PHONEMES.symbols[4:])
    accepted = pronunciations.load().accepted
    known = {word: accepted[word] for word in heard.values() if word in accepted}
    assert len(known) > 15
    for sound, word in heard.items():
        if word in known:
            assert any(sound in one for one in known[word]), f"{sound} as in {word}"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("  ", "empty"),
        ("naïve", "“ï” is not a letter from a to z"),
        ("<img onerror=alert(1)>", "“<” is not a letter from a to z"),
        ("a" * 21, "longer than 20 letters"),
        ("Word ", None),
    ],
)
def test_words_that_cannot_be_read(text, problem, own_errors):
    assert evaluate("alignment.js", "wordProblem(text)", text=text) == problem
    if problem:
        with pytest.raises(ValueError, match="word must be 1 to 20 letters from a to z; got"):
            Alignment(word=text)
    else:
        assert Alignment(word=text).word == "word"


def test_bad_steps_are_named(own_errors):
    with pytest.raises(ValueError, match="step must be at least 1; got 0"):
        Alignment(step=0)
    with pytest.raises(ValueError, match="item must be from 0 to 5; got 6"):
        Alignments(item=6)
    with pytest.raises(TypeError, match="'word' trait"):
        Alignment(word=3)


def test_what_chapter_11_says_of_the_small_model():
    words = pronunciations.load()
    model = pretrained.load_pronunciations("bahdanau-small")
    answers = seq2seq.decode(model, words.test, LETTERS, PHONEMES, max_length=28)
    wrong = [
        min(edits(answer.symbols, list(one)) for one in words.accepted[word])
        for answer, word in zip(answers, words.test, strict=True)
    ]
    share = sum(edit > 0 for edit in wrong) / 2000
    assert f"{100 * share:.2f}" == "44.45"
    assert sum(edit == 1 for edit in wrong) > 0.5 * sum(edit > 0 for edit in wrong)
    assert "phone" not in words.train + words.test and "knight" in words.train
    women = Alignment(word="women")
    assert women.phonemes == ["W", "OW", "M", "AH", "N"] and round(women.weights[1, 1].item(), 2) == 0.97
    larger = seq2seq.parameters(pretrained.load_pronunciations("bahdanau")) / seq2seq.parameters(model)
    assert 2.7 < larger < 3


def edits(a, b):
    """Levenshtein's distance."""
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        before, row[0] = row[0], i
        for j, y in enumerate(b, 1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (x != y))
    return row[-1]


def test_the_stored_alignments_of_words_are_those_of_the_models():
    models = ("bahdanau", "luong-dot", "luong-general", "luong-concat", "luong-local-p")
    words = pronunciations.load()
    for item in Alignments().items[:4]:
        for name, stored in zip(models, item["answers"], strict=True):
            model = pretrained.load_pronunciations(name)
            (answer,) = seq2seq.decode(model, [item["title"]], LETTERS, PHONEMES, max_length=28)
            assert [*answer.symbols, "⏎"] == stored["written"]
            assert (1000 * answer.weights - torch.tensor(stored["weights"])).abs().max() < 0.501
            assert stored["right"] == (answer.symbols in [list(one) for one in words.accepted[item["title"]]])
    assert Alignments().items[0]["title"] == words.test[0]


def test_the_copied_python_gives_the_stored_weights():
    explorer = Alignments(item=2)
    weights = copied(explorer)["weights"]
    assert weights.keys() == explorer.weights.keys()
    assert all(torch.equal(weights[form], explorer.weights[form]) for form in weights)


def test_the_stored_alignments_of_dates_belong_to_unseen_dates():
    _, unseen = dates.english_to_chinese()
    for item, (source, target) in zip(Alignments().items[4:], unseen[:2], strict=True):
        assert item["title"] == source and "".join(item["expected"]) == target
        for answer in item["answers"]:
            assert ("".join(answer["written"][:-1]) == target) == answer["right"]
            rows = torch.tensor(answer["weights"])
            assert rows.shape == (len(answer["written"]), len(source) + 1)
            if "local" not in answer["form"]:  # local-p's weights need not sum to 1
                assert (rows.sum(dim=1) - 1000).abs().max() <= len(source)


def test_what_chapter_11_says_of_the_forms():
    weights = Alignments(item=4).weights
    read = Alignments().items[4]["read"]
    for form, letter, share in (("Bahdanau: additive", "u", 0.96), ("Luong: general", "d", 1.0)):
        row = weights[form][12]
        assert read[row.argmax()] == letter and round(row.max().item(), 2) == share
    for item in (4, 5):
        verdicts = {answer["form"]: answer["right"] for answer in Alignments().items[item]["answers"]}
        assert verdicts["Bahdanau: additive"] and verdicts["Luong: general"]
