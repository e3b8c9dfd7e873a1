"""Handwritten digits: 1,797 images of 8 by 8 pixels in 17 shades of gray, as they come with scikit-learn.

They are the test part of the Optical Recognition of Handwritten Digits data (Alpaydin and Kaynak, 1998; UCI Machine
Learning Repository): 13 people wrote them, and bitmaps of 32 by 32 were counted down to 8 by 8.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from sklearn.datasets import load_digits
from torch import Tensor

TEST = 500


class Digits(NamedTuple):
    """Images with values from 0 (paper) to 1 (ink), and which digit each is."""

    images: Float[Tensor, "count 1 8 8"]
    labels: Int[Tensor, " count"]


def load() -> tuple[Digits, Digits]:
    """1,297 digits to learn from and 500 to be tested on, in an order drawn once.

    The file does not say who wrote which digit, so that a person may be in both.
    """
    pixels, labels = (torch.from_numpy(x) for x in load_digits(return_X_y=True))
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(0))
    images, labels = (pixels / 16).float().view(-1, 1, 8, 8)[order], labels.long()[order]
    return Digits(images[TEST:], labels[TEST:]), Digits(images[:TEST], labels[:TEST])


def shuffle_pixels(images: Float[Tensor, "count 1 8 8"]) -> Float[Tensor, "count 1 8 8"]:
    """The same pixels in another order, the same for every image."""
    order = torch.randperm(64, generator=torch.Generator().manual_seed(1))
    return images.flatten(1)[:, order].view(images.shape)
