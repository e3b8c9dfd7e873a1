"""Training by a fixed number of steps: the same work on every machine, however fast."""

import math
import os
from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import nn
from tqdm.auto import tqdm

from attnbook._validation import check_size
from attnbook.data.batches import Batch
from attnbook.data.vocabulary import PAD


def train(
    model: nn.Module,
    batches: Iterator[Batch],
    *,
    steps: int,
    learning_rate: float,
    warmup: int = 100,
    clip: float = 1.0,
    weight_decay: float = 0.01,
    seed: int = 0,
    description: str = "training",
) -> list[float]:
    """Trains model(source, target_in) -> (logits, ...) to predict target_out; returns the loss of every step.

    Loss: cross-entropy per symbol, padding left out. Optimizer: AdamW (Loshchilov and Hutter, 2019). The learning rate
    rises over `warmup` steps and falls along a half cosine to 2% of its peak. The gradient's norm is clipped at `clip`.
    The seed governs dropout and leaves the caller's random numbers untouched; seed the model's first weights
    (torch.manual_seed before building it) and the batches as well, and a run can be repeated exactly.
    The model is left in evaluation mode.
    Raises: TypeError or ValueError for steps below 1, a rate or clip that is not positive, or a loss not finite.
    """
    check_size("steps", steps, least=1)
    check_size("warmup", warmup)
    for name, value in (("learning_rate", learning_rate), ("clip", clip)):
        if not value > 0:
            raise ValueError(f"{name} must be positive; got {value}")
    device = next(model.parameters()).device
    optimizer = torch.optim.AdamW(model.parameters(), lr=learning_rate, weight_decay=weight_decay)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: rate(step, steps, warmup))
    losses: list[float] = []
    model.train()
    quiet = os.environ.get("TQDM_DISABLE", "0") != "0"  # tqdm's bar for notebooks does not read it by itself
    bar = tqdm(range(steps), desc=description, unit="step", mininterval=0.5, disable=quiet)
    with torch.random.fork_rng(), bar:
        torch.manual_seed(seed)
        for step in bar:
            source, target_in, target_out = (part.to(device) for part in next(batches))
            logits, *_ = model(source, target_in)
            loss = F.cross_entropy(logits.flatten(0, 1), target_out.flatten(), ignore_index=PAD)
            if not torch.isfinite(loss):
                raise ValueError(f"learning_rate must be small enough for a finite loss; got {loss} at step {step}")
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), clip)
            optimizer.step()
            schedule.step()
            losses.append(loss.item())
            if step % 10 == 0:
                bar.set_postfix(loss=f"{losses[-1]:.3f}", refresh=False)
    model.eval()
    return losses


def rate(step: int, steps: int, warmup: int) -> float:
    """The learning rate of a step (from 0), as a share of its peak."""
    rise = min(1.0, (step + 1) / warmup) if warmup else 1.0
    return rise * (0.02 + 0.98 * (1 + math.cos(math.pi * step / steps)) / 2)
