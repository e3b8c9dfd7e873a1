"""What a network loses when the pixels of all images are put into another order: the runs that chapter 12 shows.

    python site/scripts/shuffle_digits.py [--output FILE]

Two networks, ten random starts each, 200 images, 300 steps; with the pixels as they are and in another order.
"""

import argparse
import json
from pathlib import Path

import torch

from attnbook.data import digits
from attnbook.pretrained.digits import SHUFFLED_FILE, digits_cnn, digits_vit
from attnbook.training import train_classifier

IMAGES, STEPS, STARTS = 200, 300, 10
NETWORKS = {"ViT": (digits_vit, 4e-3), "CNN": (digits_cnn, 3e-3)}


@torch.no_grad()
def right(model: torch.nn.Module, images: torch.Tensor, labels: torch.Tensor) -> int:
    """How many of the images the model names."""
    logits = model(images)
    logits = logits[0] if isinstance(logits, tuple) else logits
    return int((logits.argmax(dim=-1) == labels).sum())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=SHUFFLED_FILE)
    output = parser.parse_args().output
    torch.set_num_threads(1)
    train, test = digits.load()
    runs = {}
    for name, (build, rate) in NETWORKS.items():
        for kind, change in (("as it is", lambda images: images), ("shuffled", digits.shuffle_pixels)):
            counts = []
            for seed in range(STARTS):
                torch.manual_seed(seed)
                model = build()
                few = change(train.images[:IMAGES]), train.labels[:IMAGES]
                train_classifier(model, *few, steps=STEPS, learning_rate=rate, seed=seed)
                counts.append(right(model, change(test.images), test.labels))
            runs[f"{name}, {kind}"] = counts
            print(f"{name}, {kind}: {counts}", flush=True)
    record = {"images": IMAGES, "steps": STEPS, "tested": len(test.labels), "torch": torch.__version__, "right": runs}
    output.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
