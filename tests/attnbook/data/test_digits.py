"""The digits: the counts that the data set's own description gives, no image in both parts."""

import torch
from sklearn.datasets import load_digits

from attnbook.data import digits


def test_sizes_and_values():
    train, test = digits.load()
    assert train.images.shape == (1297, 1, 8, 8) and test.images.shape == (500, 1, 8, 8)
    for part in (train, test):
        assert part.images.dtype == torch.float32 and part.images.min() == 0 and part.images.max() == 1
        assert part.labels.dtype == torch.long and len(part.labels) == len(part.images)
    # Class sizes of the UCI description (optdigits.names, testing set).
    together = torch.cat([train.labels, test.labels]).bincount().tolist()
    assert together == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]


def test_each_image_once_with_its_own_label():
    train, test = digits.load()
    pixels, labels = load_digits(return_X_y=True)
    known = {image.tobytes(): label for image, label in zip((pixels / 16).astype("float32"), labels, strict=True)}
    assert len(known) == 1797
    seen = set()
    for part in (train, test):
        for image, label in zip(part.images.flatten(1), part.labels, strict=True):
            key = image.numpy().tobytes()
            assert known[key] == label and key not in seen
            seen.add(key)
    assert len(seen) == 1797


def test_the_same_order_each_time():
    assert torch.equal(digits.load()[1].labels, digits.load()[1].labels)
