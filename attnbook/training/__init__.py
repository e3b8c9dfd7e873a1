"""What the chapters need to train a model and to count its errors."""

from attnbook.training.classify import train_classifier
from attnbook.training.errors import ErrorRates, closest_edits, error_rates, error_rates_by
from attnbook.training.loop import train

__all__ = ["ErrorRates", "closest_edits", "error_rates", "error_rates_by", "train", "train_classifier"]
