"""Time the forms of the Cost explorer on a CPU: attnbook/widgets/cost_measured.json, ratios to the fused form.

    python site/scripts/benchmark_forms.py [--rounds 9] [--output FILE]

One layer on one text, projections included: one thread, float32, no gradients. All forms of a length take turns, and
each ratio is the median over the rounds of a form's time over the fused form's time in the same round, so that what
else the machine does reaches all alike. A form that would store more than a gigabyte is not run.
"""

import argparse
import json
import statistics
import time
from pathlib import Path

import torch
from torch import nn
from torch.nn.functional import elu, pad, scaled_dot_product_attention

from attnbook import attention, costs, masks

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
    """Each block of w/2 queries with its own keys and those of the blocks beside it, cut to w/2 keys to each side."""
    n, half = query.shape[2], WINDOW // 2
    blocks = lambda x: x.unflatten(2, (n // half, half))  # noqa: E731
    beside = lambda x: pad(x, (0, 0, half, half)).unfold(2, 3 * half, half).transpose(-1, -2)  # noqa: E731
    offset = torch.arange(3 * half) - torch.arange(half)[:, None]  # from half to each side: 0 to 2 half
    near = (offset >= 0) & (offset <= 2 * half)
    real = pad(torch.ones(n, dtype=torch.bool), (half, half)).unfold(0, 3 * half, half)
    mask = near & real[:, None, :]
    return scaled_dot_product_attention(blocks(query), beside(key), beside(value), attn_mask=mask).flatten(2, 3)


def window_as_mask(query, key, value):
    n, half = query.shape[2], WINDOW // 2
    return scaled_dot_product_attention(query, key, value, attn_mask=masks.sliding_window(n, before=half, after=half))


def linear(query, key, value):
    """Katharopoulos et al. (2020), with the feature map elu + 1."""
    query, key = elu(query) + 1, elu(key) + 1
    return query @ (key.transpose(-1, -2) @ value) / (query @ key.sum(dim=2, keepdim=True).transpose(-1, -2))


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
        rounds = []
        with torch.no_grad():
            for layer in running.values():
                layer(x)
            for turn in range(options.rounds):
                order = list(running) if turn % 2 else list(reversed(running))
                seconds = {}
                for name in order:
                    begin = time.process_time()
                    running[name](x)
                    seconds[name] = time.process_time() - begin
                rounds.append(seconds)
        for name, ratios in table.items():
            median = statistics.median(r[name] / r["fused"] for r in rounds) if name in running else None
            ratios.append(None if median is None else float(f"{median:.3g}"))
        print(n, {name: ratios[-1] for name, ratios in table.items()}, flush=True)
    settings = {"d": D, "h": HEADS, "w": WINDOW, "threads": 1, "dtype": "float32", "torch": torch.__version__}
    options.output.write_text(json.dumps({"settings": settings, "lengths": LENGTHS, "ratios": table}, indent=1) + "\n")


if __name__ == "__main__":
    main()
