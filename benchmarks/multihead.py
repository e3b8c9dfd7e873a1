"""Compare the CPU time of MultiHeadAttention with that of PyTorch's own module: a table of ratios, ours to theirs.

    python -m benchmarks.multihead [--lengths 256 1024 4096] [--rounds 21]

One thread, batch 1, d_model 512, 8 heads, float32, the same weights. The two take turns, and the ratio is the median of
the ratios of neighboring turns, so that what else the machine does reaches both alike. Two rows with the same code on
both sides say how far from 1 chance alone takes it.
"""

import argparse
import statistics

import torch
from torch import nn

from attnbook import MultiHeadAttention
from benchmarks.clock import by_turns, ratios

D_MODEL, N_HEADS = 512, 8


def forward(layer, x):
    """A forward pass as in use: evaluation, no gradients. PyTorch's module then takes its fast path."""
    layer.eval()

    def run():
        with torch.no_grad():
            layer(x)

    return run


def forward_in_training(layer, x):
    """A forward pass that records what the backward pass needs."""
    layer.train()
    return lambda: layer(x)


def forward_and_backward(layer, x):
    """Gradients of the input and of every parameter."""
    layer.train()
    x = x.clone().requires_grad_()
    learned = [x, *layer.parameters()]

    def run():
        torch.autograd.grad(layer(x).sum(), learned)

    return run


MODES = {
    "forward, eval and no_grad": forward,
    "forward, training": forward_in_training,
    "forward and backward": forward_and_backward,
}


class Output(nn.Module):
    """A layer called on one sequence, of whose answer only the output is used."""

    def __init__(self, layer, arguments, **options):
        super().__init__()
        self.layer, self.arguments, self.options = layer, arguments, options

    def forward(self, x):
        return self.layer(*[x] * self.arguments, **self.options)[0]


def pair(weights):
    """PyTorch's module and ours with its weights."""
    theirs = nn.MultiheadAttention(D_MODEL, N_HEADS, batch_first=True)
    ours = MultiHeadAttention.from_torch(theirs)
    return Output(theirs, 3, need_weights=weights, average_attn_weights=False), Output(ours, 1, need_weights=weights)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lengths", type=int, nargs="+", default=[256, 1024, 4096])
    parser.add_argument("--rounds", type=int, default=21)
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    print("| tokens | weights | what | PyTorch ms | attnbook ms | ratio |")
    print("| ---: | --- | --- | ---: | ---: | ---: |")

    def row(length, label, what, theirs, ours):
        seconds = by_turns({"theirs": theirs, "ours": ours}, options.rounds)
        a, b = (1000 * statistics.median(times) for times in seconds.values())
        cells = length, label, what, f"{a:.2f}", f"{b:.2f}", f"{ratios(seconds, 'theirs')['ours'].median:.3f}"
        print("| " + " | ".join(map(str, cells)) + " |", flush=True)

    for length in options.lengths:
        x = torch.randn(1, length, D_MODEL)
        for weights in (True, False):
            theirs, ours = pair(weights)
            label = "with" if weights else "without"
            for what, mode in MODES.items():
                row(length, label, what, mode(theirs, x), mode(ours, x))
        row(length, "without", "PyTorch against itself", forward(theirs, x), forward(theirs, x))


if __name__ == "__main__":
    main()
