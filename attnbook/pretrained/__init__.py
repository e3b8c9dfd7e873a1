"""Trained weights that come with the package, so that a page of results needs no minutes of training.

`make train` (site/scripts/train_pronunciations.py) makes each file again, byte for byte on the same machine.
They are safetensors files: numbers and strings, nothing that runs.
"""

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from safetensors import safe_open

from attnbook import scores, seq2seq
from attnbook.data.pronunciations import LETTERS, PHONEMES

FOLDER = Path(__file__).parent
D_EMBEDDING, D_HIDDEN = 64, 128

_sizes = {"d_embedding": D_EMBEDDING, "d_hidden": D_HIDDEN}
# Name -> builder of the untrained model; it takes `dropout`.
PRONUNCIATION_MODELS: dict[str, Callable[..., seq2seq.Seq2Seq]] = {
    "none": partial(seq2seq.without_attention, LETTERS, PHONEMES, **_sizes),
    "bahdanau": partial(seq2seq.bahdanau, LETTERS, PHONEMES, **_sizes),
    "luong-dot": partial(seq2seq.luong, LETTERS, PHONEMES, **_sizes),
    "luong-general": lambda **options: _luong(score=scores.General(D_HIDDEN, D_HIDDEN), **options),
    "luong-concat": lambda **options: _luong(score=scores.Concat(D_HIDDEN, D_HIDDEN, D_HIDDEN), **options),
    "luong-local-p": lambda **options: _luong(alignment=_local_p(), **options),
}


def _luong(**options: object) -> seq2seq.Seq2Seq:
    return seq2seq.luong(LETTERS, PHONEMES, **_sizes, **options)


def _local_p() -> seq2seq.LocalPredictive:
    return seq2seq.LocalPredictive(scores.General(D_HIDDEN, D_HIDDEN), D_HIDDEN, half_width=3)


def pronunciation_model(name: str, *, dropout: float = 0.0) -> seq2seq.Seq2Seq:
    """The untrained letters-to-sounds model of that name, a key of PRONUNCIATION_MODELS.

    Raises: ValueError for another name.
    """
    if name not in PRONUNCIATION_MODELS:
        raise ValueError(f"name must be one of {', '.join(PRONUNCIATION_MODELS)}; got {name!r}")
    return PRONUNCIATION_MODELS[name](dropout=dropout)


def pronunciation_file(name: str, folder: Path = FOLDER) -> Path:
    """Where the weights of that name are kept."""
    return folder / f"pronunciations-{name}.safetensors"


def load_pronunciations(name: str, *, folder: Path = FOLDER) -> seq2seq.Seq2Seq:
    """The trained letters-to-sounds model of that name, in evaluation mode and float64.

    The file holds float16; computing in float64 makes the greedy answers, and so every count, the same on all machines.
    Raises: ValueError for another name; FileNotFoundError with the remedy if the file is missing.
    """
    model = pronunciation_model(name).double()
    path = pronunciation_file(name, folder)
    if not path.is_file():
        raise FileNotFoundError(f"{path.name} was not found in {path.parent}: make it with `make train`.")
    with safe_open(path, framework="pt") as file:
        model.load_state_dict({key: file.get_tensor(key).to(torch.float64) for key in file.keys()})  # noqa: SIM118
    return model.eval()


def pronunciation_record(name: str, *, folder: Path = FOLDER) -> dict[str, object]:
    """What the file says about its own training: steps, seed, versions and the rest."""
    pronunciation_model(name)
    with safe_open(pronunciation_file(name, folder), framework="pt") as file:
        return json.loads(file.metadata()["training"])
