"""The letters-to-sounds Transformers: one to set beside the recurrent models, a smaller one with parts taken out."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

from attnbook.data.pronunciations import LETTERS, PHONEMES
from attnbook.pretrained import ablations, files
from attnbook.pretrained.files import FOLDER
from attnbook.transformer import Transformer

_build = partial(Transformer, len(LETTERS), len(PHONEMES), n_layers=2)
_small = partial(_build, d_model=56, n_heads=4, d_hidden=112)


def _ablated(change: Callable[[Transformer], Transformer], **sizes: int) -> Callable[..., Transformer]:
    return lambda **options: change(_small(**sizes, **options))


# Name -> builder of the untrained model; it takes `dropout`.
TRANSFORMERS: dict[str, Callable[..., Transformer]] = {
    # About as many parameters (270,123) as Bahdanau's model of chapter 11 (271,531), and trained as long.
    "transformer": partial(_build, d_model=80, n_heads=4, d_hidden=160),
    # Half as many parameters and a third of the steps; each of the others differs from "full" in what its name says.
    "full": _small,
    "post-norm": partial(_small, norm="post"),
    "one-head": _ablated(lambda model: model, n_heads=1),
    "without-scale": _ablated(ablations.without_scale),
    "without-residual": _ablated(ablations.without_residual),
    "without-layer-norm": _ablated(ablations.without_layer_norm),
    "without-feed-forward": _ablated(ablations.without_feed_forward),
    "without-feed-forward-wider": _ablated(ablations.without_feed_forward, d_model=72),  # as many parameters as "full"
    "without-positions": _ablated(ablations.without_positions),
    "without-causal-mask": _ablated(ablations.without_causal_mask),
    "without-cross-attention": _ablated(ablations.without_cross_attention),
}


def transformer(name: str, *, dropout: float = 0.0) -> Transformer:
    """The untrained letters-to-sounds Transformer of that name, a key of TRANSFORMERS.

    Raises: ValueError for another name.
    """
    if name not in TRANSFORMERS:
        raise ValueError(f"name must be one of {', '.join(TRANSFORMERS)}; got {name!r}")
    return TRANSFORMERS[name](dropout=dropout)


def transformer_file(name: str, folder: Path = FOLDER) -> Path:
    """Where the weights of that name are kept."""
    return folder / f"transformers-{name}.safetensors"


def load_transformer(name: str, *, folder: Path = FOLDER) -> Transformer:
    """The trained letters-to-sounds Transformer of that name, in evaluation mode and float64.

    Raises: ValueError for another name; FileNotFoundError with the remedy if the file is missing.
    """
    return files.read(transformer(name), transformer_file(name, folder))


def transformer_record(name: str, *, folder: Path = FOLDER) -> dict[str, object]:
    """What the file says about its own training: steps, seed, versions and the rest."""
    transformer(name)
    return files.read_record(transformer_file(name, folder))
