"""Trained weights as safetensors files of float16, with a record of their training."""

import json
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save
from torch import nn

FOLDER = Path(__file__).parent


def write(model: nn.Module, record: dict[str, object], path: Path) -> None:
    """Store the weights, rounded to float16, and the record; the same weights and record make the same bytes."""
    state = {key: value.half().contiguous() for key, value in model.state_dict().items()}
    # One entry only: safetensors writes several in an order that changes from run to run.
    path.write_bytes(save(state, metadata={"training": json.dumps(record)}))


def read(model: nn.Module, path: Path) -> nn.Module:
    """The model with the weights of the file, in evaluation mode and float64.

    Computing in float64 makes the greedy answers, and so every count, the same on all machines.
    Raises: FileNotFoundError with the remedy if the file is missing.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path.name} was not found in {path.parent}: make it with `make train`.")
    with safe_open(path, framework="pt") as file:
        state = {key: file.get_tensor(key).to(torch.float64) for key in file.keys()}  # noqa: SIM118
    model.double().load_state_dict(state)
    return model.eval()


def read_record(path: Path) -> dict[str, object]:
    """What the file says about its own training: steps, seed, versions and the rest."""
    with safe_open(path, framework="pt") as file:
        return json.loads(file.metadata()["training"])
