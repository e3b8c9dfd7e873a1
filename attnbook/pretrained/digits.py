"""The networks of chapter 12: a small vision Transformer, trained on scikit-learn's digits, and the CNN beside it."""

import json
from pathlib import Path

from torch import nn

from attnbook.pretrained import files
from attnbook.pretrained.files import FOLDER
from attnbook.transformer import Vit

FILE = "digits-vit.safetensors"
SHUFFLED_FILE = FOLDER / "digits-shuffled.json"


def digits_vit() -> Vit:
    """The untrained model: 8 by 8 pixels in patches of 2 by 2, so 17 positions; 18,218 parameters."""
    return Vit(10, image_size=8, patch_size=2, n_channels=1, d_model=32, n_heads=4, n_layers=2, d_hidden=64)


def digits_cnn() -> nn.Sequential:
    """Three 3 by 3 convolutions and two poolings, 8 by 8 pixels down to 2 by 2; 20,106 parameters."""
    return nn.Sequential(
        nn.Conv2d(1, 32, 3, padding=1), nn.ReLU(),
        nn.Conv2d(32, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(32, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(128, 10),
    )  # fmt: skip


def load_digits_vit(*, folder: Path = FOLDER) -> Vit:
    """The trained model, in evaluation mode and float64.

    Raises: FileNotFoundError with the remedy if the file is missing.
    """
    return files.read(digits_vit(), folder / FILE)


def shuffled_runs() -> dict[str, object]:
    """What `site/scripts/shuffle_digits.py` measured: for each network and order of the pixels, the right answers."""
    return json.loads(SHUFFLED_FILE.read_text(encoding="utf-8"))
