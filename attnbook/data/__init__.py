"""Data that works offline: symbols and batches, dates made by rule, and the CMU pronouncing dictionary."""

from attnbook.data.batches import Batch, batches, pad
from attnbook.data.vocabulary import BOS, EOS, PAD, UNK, Vocabulary

__all__ = ["BOS", "EOS", "PAD", "UNK", "Batch", "Vocabulary", "batches", "pad"]
