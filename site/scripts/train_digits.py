"""Trains the vision Transformer on digits whose weights come with the package: `make train`.

    python site/scripts/train_digits.py [--output FOLDER]

The same steps as in chapter 12. One thread, fixed seeds and steps, so that the same machine makes the same bytes.
"""

import argparse
from importlib import metadata
from pathlib import Path

import torch

from attnbook.data import digits
from attnbook.pretrained import files
from attnbook.pretrained.digits import FILE, digits_vit, load_digits_vit
from attnbook.training import train_classifier

STEPS, LEARNING_RATE, BATCH_SIZE, SEED = 600, 4e-3, 64, 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=files.FOLDER, help="a folder (default: the package's)")
    output = parser.parse_args().output
    torch.set_num_threads(1)
    train, test = digits.load()
    torch.manual_seed(SEED)
    model = digits_vit()
    losses = train_classifier(model, *train, steps=STEPS, learning_rate=LEARNING_RATE, batch_size=BATCH_SIZE, seed=SEED)
    record = {
        "steps": STEPS,
        "batch_size": BATCH_SIZE,
        "learning_rate": LEARNING_RATE,
        "seed": SEED,
        "train_images": len(train.labels),
        "loss_last_50_steps": f"{sum(losses[-50:]) / 50:.4f}",
        "torch": torch.__version__,
        "scikit-learn": metadata.version("scikit-learn"),
    }
    files.write(model, record, output / FILE)
    logits, _ = load_digits_vit(folder=output)(test.images.double())
    right = int((logits.argmax(dim=-1) == test.labels).sum())
    print(f"{right} of {len(test.labels)} test digits right")


if __name__ == "__main__":
    main()
