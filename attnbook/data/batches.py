"""Batches of padded sequences, of about the same length."""

import random
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from jaxtyping import Int
from torch import Tensor

from attnbook._validation import check_size
from attnbook.data.vocabulary import BOS, PAD, Vocabulary

Pair = tuple[Sequence[str], Sequence[str]]


class Batch(NamedTuple):
    """Sequences as numbers, padded on the right. The target comes twice, shifted by one symbol."""

    source: Int[Tensor, "batch sources"]  # x_1 ... x_m <eos>
    target_in: Int[Tensor, "batch targets"]  # <bos> y_1 ... y_n: what the decoder reads
    target_out: Int[Tensor, "batch targets"]  # y_1 ... y_n <eos>: what it has to predict


def pad(sequences: Sequence[Sequence[int]]) -> Int[Tensor, "batch length"]:
    """The sequences as the rows of one tensor, filled up with PAD on the right to the longest.

    Raises: ValueError if there are none.
    """
    if not sequences:
        raise ValueError("sequences must hold at least one sequence; got none")
    longest = max(map(len, sequences))
    return torch.tensor([[*sequence, *[PAD] * (longest - len(sequence))] for sequence in sequences], dtype=torch.long)


def collate(pairs: Sequence[Pair], source_vocabulary: Vocabulary, target_vocabulary: Vocabulary) -> Batch:
    """One batch of (source, target) pairs."""
    sources = [source_vocabulary.encode(source) for source, _ in pairs]
    targets = [target_vocabulary.encode(target) for _, target in pairs]
    return Batch(pad(sources), pad([[BOS, *target[:-1]] for target in targets]), pad(targets))


def batches(
    pairs: Sequence[Pair],
    source_vocabulary: Vocabulary,
    target_vocabulary: Vocabulary,
    *,
    size: int,
    seed: int = 0,
) -> Iterator[Batch]:
    """Batches of `size` pairs without end, epoch after epoch, each pair once an epoch.

    An epoch sorts the pairs by source length, in random order within a length, cuts them into batches and shuffles
    those: little padding, and a different composition each time. Its last batch in length may be smaller.

    Raises: TypeError or ValueError for a size below 1; ValueError if there are no pairs.
    """
    check_size("size", size, least=1)
    if not pairs:
        raise ValueError("pairs must hold at least one (source, target) pair; got none")
    return _endless(pairs, source_vocabulary, target_vocabulary, size, random.Random(seed))


def _endless(pairs, source_vocabulary, target_vocabulary, size, chance) -> Iterator[Batch]:
    while True:
        by_length = sorted(pairs, key=lambda pair: (len(pair[0]), chance.random()))
        epoch = [by_length[i : i + size] for i in range(0, len(by_length), size)]
        chance.shuffle(epoch)
        for batch in epoch:
            yield collate(batch, source_vocabulary, target_vocabulary)
