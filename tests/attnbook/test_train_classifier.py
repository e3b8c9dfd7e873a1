"""Training a classifier: against a loop of its own, the same twice, and what it refuses."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from attnbook.training import train_classifier
from tests.attnbook.reference import refused


@pytest.fixture
def data():
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(40, 3, generator=generator)
    return x, (x[:, 0] > 0).long()


def model():
    torch.manual_seed(0)
    return nn.Linear(3, 2)


def test_the_steps_are_those_of_a_plain_loop(data):
    x, y = data
    ours, plain = model(), model()
    losses = train_classifier(ours, x, y, steps=7, learning_rate=0.05, batch_size=8, weight_decay=0.1, seed=3)
    generator = torch.Generator().manual_seed(3)
    optimizer = torch.optim.AdamW(plain.parameters(), lr=0.05, weight_decay=0.1)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=0.05, total_steps=7)
    for k in range(7):
        rows = torch.randint(40, (8,), generator=generator)
        loss = F.cross_entropy(plain(x[rows]), y[rows])
        assert losses[k] == loss.item()
        plain.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    assert torch.equal(ours.weight, plain.weight) and not ours.training


def test_it_learns_and_takes_models_with_weights_beside_the_logits(data):
    class WithWeights(nn.Linear):
        def forward(self, x):
            return super().forward(x), None

    torch.manual_seed(0)
    made = WithWeights(3, 2)
    losses = train_classifier(made, *data, steps=100, learning_rate=0.1)
    assert len(losses) == 100 and losses[-1] < 0.5 * losses[0]
    assert (made(data[0])[0].argmax(dim=1) == data[1]).double().mean() > 0.9


def test_the_caller_s_random_numbers_are_left_alone(data):
    torch.manual_seed(5)
    expected = torch.rand(3)
    made = model()
    torch.manual_seed(5)
    train_classifier(made, *data, steps=3, learning_rate=0.1)
    assert torch.equal(torch.rand(3), expected)


@pytest.mark.parametrize(
    ("options", "error", "starts", "says"),
    [
        ({"steps": 0}, ValueError, "steps must be at least 1", "0"),
        ({"batch_size": 1.5}, TypeError, "batch_size must be an integer", "float"),
        ({"learning_rate": 0.0}, ValueError, "learning_rate must be positive", "0.0"),
    ],
)
def test_errors(options, error, starts, says, data, own_errors):
    with refused(error, starts, says):
        train_classifier(model(), *data, **{"steps": 1, "learning_rate": 0.1, **options})
