"""All forms of attention and their peers over the length of the text: the table of chapters 16 and 17.

    python -m benchmarks.lengths [--device cuda] [--lengths 256 1024] [--no-peers] [--output FILE]

Batch 1, 8 heads of 64, float32. On the CPU: one thread, CPU time. Forward, forward with backward, and the memory beside
the inputs, each form in a fresh process. All forms of a length take turns; what is stored are ratios to PyTorch's fused
kernel in the same round: median and quartiles. Without the peers' packages, --no-peers.
"""

import argparse
import json
import platform
import statistics
from pathlib import Path

import torch

from attnbook import measurements
from benchmarks.clock import by_turns, on_gpu, ratios
from benchmarks.forms import BASE, HEADS, WINDOW, D, Form, forms
from benchmarks.memory import in_fresh_process
from benchmarks.peers import peers

LENGTHS = [2**e for e in range(8, 15)]
ROUNDS = {256: 41, 512: 31, 1024: 21, 2048: 11, 4096: 7, 8192: 4, 16384: 3}
BACKWARD = [256, 1024, 4096, 16384]
MEMORY = [1024, 4096, 16384]


def chosen(n: int, *, with_peers: bool, backward: bool, device: str = "cpu") -> dict[str, Form]:
    every = forms(n, device) | (peers(n, device) if with_peers else {})
    return {name: form for name, form in every.items() if n <= form.longest and (form.backward or not backward)}


def timed(n: int, *, device: str, with_peers: bool, backward: bool) -> dict:
    running = {}
    for name, form in chosen(n, with_peers=with_peers, backward=backward, device=device).items():
        inputs = form.inputs(n, device=device, requires_grad=backward)
        running[name] = lambda form=form, inputs=inputs: form.run(inputs)
    with torch.set_grad_enabled(backward):
        rounds = 1 if backward and n > 8192 else ROUNDS[n]
        seconds = by_turns(running, rounds, warm=n <= 4096, **({"clock": on_gpu} if device == "cuda" else {}))
    base = statistics.median(seconds[BASE])
    print(n, "forward+backward" if backward else "forward", f"{BASE}: {1000 * base:.1f} ms")
    found = ratios(seconds, BASE)
    for name, ratio in found.items():
        print(f"  {name:40} {ratio.median:8.3f}  ({ratio.low:.3f} to {ratio.high:.3f})", flush=True)
    return {name: list(ratio) for name, ratio in found.items()} | {"seconds": float(f"{base:.3g}")}


def remembered(n: int, *, with_peers: bool, backward: bool) -> dict[str, float]:
    names = chosen(n, with_peers=with_peers, backward=backward)
    found = {name: in_fresh_process(name, n, backward=backward) for name in names if "again" not in name}
    print(n, "MiB", "forward+backward" if backward else "forward", found, flush=True)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--lengths", type=int, nargs="+", default=LENGTHS)
    parser.add_argument("--no-peers", action="store_true")
    parser.add_argument("--output", type=Path, default=measurements.LENGTHS)
    options = parser.parse_args()
    torch.set_num_threads(1)
    modes = {"forward": False, "forward and backward": True}
    ask = {"with_peers": not options.no_peers}
    table = {
        "settings": {
            "command": "make bench", "device": options.device, "machine": platform.machine(), "threads": 1,
            "heads": HEADS, "d": D, "window": WINDOW, "dtype": "float32", "torch": torch.__version__,
        },
        "lengths": options.lengths,
        "ratios": {
            mode: {
                n: timed(n, device=options.device, backward=backward, **ask)
                for n in options.lengths if n in BACKWARD or not backward
            }
            for mode, backward in modes.items()
        },
    }  # fmt: skip
    if options.device == "cpu":
        table["mebibytes"] = {
            mode: {n: remembered(n, backward=backward, **ask) for n in MEMORY if n in options.lengths}
            for mode, backward in modes.items()
        }
        table["mebibytes"]["forward"][32768] = {"tiled": in_fresh_process("tiled", 32768, backward=False)}
    options.output.write_text(json.dumps(table, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
