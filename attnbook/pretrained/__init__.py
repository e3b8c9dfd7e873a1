"""Trained weights that come with the package, so that a page of results needs no minutes of training.

`make train` (site/scripts/train_*.py) makes each file again, byte for byte on the same machine. They are safetensors
files: numbers and strings, nothing that runs.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path

from attnbook import scores, seq2seq
from attnbook.data.pronunciations import LETTERS, PHONEMES
from attnbook.pretrained import files
from attnbook.pretrained.files import FOLDER
from attnbook.pretrained.transformers import (
    TRANSFORMERS,
    load_transformer,
    transformer,
    transformer_file,
    transformer_record,
)

__all__ = [
    "FOLDER",
    "PRONUNCIATION_MODELS",
    "SMALL_PRONUNCIATION_MODELS",
    "TRANSFORMERS",
    "load_pronunciations",
    "load_transformer",
    "pronunciation_file",
    "pronunciation_model",
    "pronunciation_record",
    "transformer",
    "transformer_file",
    "transformer_record",
]

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

# Not compared with the others: small enough to be sent with a page and run there.
SMALL_PRONUNCIATION_MODELS: dict[str, Callable[..., seq2seq.Seq2Seq]] = {
    "bahdanau-small": partial(seq2seq.bahdanau, LETTERS, PHONEMES, d_embedding=48, d_hidden=72),
}


def _luong(**options: object) -> seq2seq.Seq2Seq:
    return seq2seq.luong(LETTERS, PHONEMES, **_sizes, **options)


def _local_p() -> seq2seq.LocalPredictive:
    return seq2seq.LocalPredictive(scores.General(D_HIDDEN, D_HIDDEN), D_HIDDEN, half_width=3)


def pronunciation_model(name: str, *, dropout: float = 0.0) -> seq2seq.Seq2Seq:
    """The untrained letters-to-sounds model of that name, a key of PRONUNCIATION_MODELS or the small one's.

    Raises: ValueError for another name.
    """
    known = PRONUNCIATION_MODELS | SMALL_PRONUNCIATION_MODELS
    if name not in known:
        raise ValueError(f"name must be one of {', '.join(known)}; got {name!r}")
    return known[name](dropout=dropout)


def pronunciation_file(name: str, folder: Path = FOLDER) -> Path:
    """Where the weights of that name are kept."""
    return folder / f"pronunciations-{name}.safetensors"


def load_pronunciations(name: str, *, folder: Path = FOLDER) -> seq2seq.Seq2Seq:
    """The trained letters-to-sounds model of that name, in evaluation mode and float64.

    The file holds float16; computing in float64 makes the greedy answers, and so every count, the same on all machines.
    Raises: ValueError for another name; FileNotFoundError with the remedy if the file is missing.
    """
    return files.read(pronunciation_model(name), pronunciation_file(name, folder))


def pronunciation_record(name: str, *, folder: Path = FOLDER) -> dict[str, object]:
    """What the file says about its own training: steps, seed, versions and the rest."""
    pronunciation_model(name)
    return files.read_record(pronunciation_file(name, folder))
