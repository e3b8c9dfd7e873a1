"""Training a model that puts things into classes, by a fixed number of steps."""

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from attnbook._validation import check_size


def train_classifier(
    model: nn.Module,
    inputs: Float[Tensor, "count ..."],
    labels: Int[Tensor, " count"],
    *,
    steps: int,
    learning_rate: float,
    batch_size: int = 64,
    weight_decay: float = 0.05,
    seed: int = 0,
) -> list[float]:
    """Trains model(inputs) -> logits, or (logits, ...), on batches drawn at random; returns the loss of every step.

    Optimizer: AdamW; the learning rate rises to its peak over the first 30% of the steps and falls again (one cycle).
    The seed governs the batches; seed the model's first weights as well, and a run can be repeated exactly. The model
    is left in evaluation mode.
    Raises: TypeError or ValueError for steps or a batch_size below 1, a rate that is not positive.
    """
    check_size("steps", steps, least=1)
    check_size("batch_size", batch_size, least=1)
    if not learning_rate > 0:
        raise ValueError(f"learning_rate must be positive; got {learning_rate}")
    generator = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.AdamW(model.parameters(), lr=learning_rate, weight_decay=weight_decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, learning_rate, total_steps=steps)
    losses: list[float] = []
    model.train()
    for _ in range(steps):
        rows = torch.randint(len(inputs), (batch_size,), generator=generator)
        logits = model(inputs[rows])
        logits = logits[0] if isinstance(logits, tuple) else logits
        loss = F.cross_entropy(logits, labels[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        losses.append(loss.item())
    model.eval()
    return losses
