"""Any word, from letters to sounds, by a small trained model with attention that runs in the page."""

import json
import re

import traitlets
from jaxtyping import Float
from matplotlib.figure import Figure
from torch import Tensor

from attnbook import pretrained, seq2seq
from attnbook.data.pronunciations import LETTERS, PHONEMES
from attnbook.plots.weights import weight_map
from attnbook.widgets import sources
from attnbook.widgets.explorer import Explorer

MODEL = "bahdanau-small"
LONGEST = 20  # letters
MOST = 28  # sounds


class Alignment(Explorer):
    """Letters and sounds, tied by the weights of a recurrent model with Bahdanau's attention, step by step.

    Alignment(word="thought")

    word: 1 to 20 letters from a to z, upper or lower case. step: how many of the answer's steps are shown; more than
    there are means all. The page computes the answer itself, from the model's file, in double precision.
    `phonemes`, the answer in ARPAbet, and `weights` (sounds and end sign, letters and end sign) are computed by
    attnbook.seq2seq. Raises: TypeError or ValueError that names the argument.
    Source: Bahdanau et al. (2015); trained on the CMU Pronouncing Dictionary.
    """

    name = "alignment"
    _esm = sources.module("alignment.js")
    _css = sources.style("alignment.css")

    word = traitlets.Unicode("attention").tag(sync=True)
    step = traitlets.Int(99).tag(sync=True)
    sounds = traitlets.List(list(PHONEMES.symbols)).tag(sync=True)
    weights_file = traitlets.Bytes().tag(sync=True)

    def __init__(self, **options: object) -> None:
        super().__init__(weights_file=pretrained.pronunciation_file(MODEL).read_bytes(), **options)
        self._model = pretrained.load_pronunciations(MODEL)

    def state(self) -> dict[str, str]:
        """As for all explorers, with the model's file by its name: the page's build puts it in."""
        file = {"file": pretrained.pronunciation_file(MODEL).relative_to(sources.FOLDER.parent).as_posix()}
        return super().state() | {"weights_file": json.dumps(file)}

    @traitlets.validate("word")
    def _letters(self, proposal: dict) -> str:
        word = proposal["value"].strip().lower()
        if not re.fullmatch(f"[a-z]{{1,{LONGEST}}}", word):
            raise ValueError(f"word must be 1 to {LONGEST} letters from a to z; got {proposal['value']!r}")
        return word

    @traitlets.validate("step")
    def _at_least_1(self, proposal: dict) -> int:
        if proposal["value"] < 1:
            raise ValueError(f"step must be at least 1; got {proposal['value']}")
        return proposal["value"]

    @property
    def phonemes(self) -> list[str]:
        """The sounds of the word, in ARPAbet."""
        return self._answer().symbols

    @property
    def weights(self) -> Float[Tensor, "sounds letters"]:
        """The attention weights of every step, the end sign's included."""
        return self._answer().weights

    def _answer(self) -> seq2seq.Decoded:
        (answer,) = seq2seq.decode(self._model, [self.word], LETTERS, PHONEMES, max_length=MOST)
        return answer

    def draw(self, figure: Figure) -> None:
        """The weights as a grid."""
        weights = self.weights
        figure.set_size_inches(0.42 * weights.shape[1] + 0.9, 0.42 * weights.shape[0] + 0.6)
        rows = [*self.phonemes, "⏎"][: len(weights)]
        weight_map(weights, queries=rows, keys=[*self.word, "⏎"], numbers=True, ax=figure.subplots())
