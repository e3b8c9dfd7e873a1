"""Time the forms of the Cost explorer on a CPU: attnbook/widgets/cost_measured.json, ratios to the fused form.

    python -m benchmarks.layers [--rounds 9] [--output FILE]

One layer on one text, projections included: one thread, float32, no gradients. All forms of a length take turns, and
each ratio is the median over the rounds of a form's time over the fused form's time in the same round, so that what
else the machine does reaches all alike. A form that would store more than a gigabyte is not run.
"""

import argparse
import json
from functools import partial
from pathlib import Path

import torch
from torch import nn
from torch.nn.functional import scaled_dot_product_attention

from attnbook import attention, costs, masks
from attnbook.linear import linear_attention
from attnbook.sparse import sliding_window_attention
from benchmarks.clock import by_turns, ratios

D, HEADS, WINDOW = 256, 4, 128
LENGTHS = [2**e for e in range(8, 14)]
OUTPUT = Path(__file__).resolve().parents[2] / "attnbook" / "widgets" / "cost_measured.json"
MOST = 2**30  # bytes


class Layer(nn.Module):
    """Project, split into heads, attend in some form, join, project."""

    def __init__(self, attend):
        super().__init__()
        torch.manual_seed(0)
        self.project, self.join = nn.Linear(D, 3 * D), nn.Linear(D, D)
        self.attend = attend

    def forward(self, x):
        query, key, value = self.project(x).view(1, -1, 3, HEADS, D // HEADS).permute(2, 0, 3, 1, 4)
        return self.join(self.attend(query, key, value).transpose(1, 2).flatten(2))


def full(query, key, value):
    return attention(query, key, value)[0]


def fused(query, key, value):
    return scaled_dot_product_attention(query, key, value)


def window(query, key, value):
    return sliding_window_attention(query, key, value, before=WINDOW // 2, after=WINDOW // 2)


def window_as_mask(query, key, value):
    n, half = query.shape[2], WINDOW // 2
    return scaled_dot_product_attention(query, key, value, attn_mask=masks.sliding_window(n, before=half, after=half))


def linear(query, key, value):
    return linear_attention(query, key, value)[0]


class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.cell = nn.GRU(D, D, batch_first=True)

    def forward(self, x):
        return self.cell(x)[0]


def forms():
    attend = {"full": full, "fused": fused, "window": window, "window as a mask": window_as_mask, "linear": linear}
    return {name: Layer(function) for name, function in attend.items()} | {"recurrent": Recurrent()}


def stored(name, n):
    """Bytes of the largest table that a form stores."""
    if name == "window as a mask":
        return n * n * (4 + 1)  # the kernel turns the mask into floats
    return 4 * 2 * costs.memory(name, n=n, d=D, h=HEADS, w=WINDOW)["attention"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--output", type=Path, default=OUTPUT)
    options = parser.parse_args()
    torch.set_num_threads(1)
    layers = forms()
    table = {name: [] for name in layers if name != "fused"}
    for n in LENGTHS:
        x = torch.randn(1, n, D, generator=torch.Generator().manual_seed(n))
        running = {name: layer for name, layer in layers.items() if stored(name, n) <= MOST}
        with torch.no_grad():
            found = ratios(
                by_turns({name: partial(layer, x) for name, layer in running.items()}, options.rounds), "fused"
            )
        for name, medians in table.items():
            medians.append(found[name].median if name in found else None)
        print(n, {name: medians[-1] for name, medians in table.items()}, flush=True)
    settings = {"d": D, "h": HEADS, "w": WINDOW, "threads": 1, "dtype": "float32", "torch": torch.__version__}
    options.output.write_text(json.dumps({"settings": settings, "lengths": LENGTHS, "ratios": table}, indent=1) + "\n")


if __name__ == "__main__":
    main()
