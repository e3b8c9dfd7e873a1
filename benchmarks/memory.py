"""How much memory a form needs beside its inputs: the peak of a fresh process, taken by the operating system.

python -m benchmarks.memory NAME LENGTH [--backward]      (Linux; prints MiB)
"""

import argparse
import json
import subprocess
import sys

import torch

from benchmarks.forms import forms
from benchmarks.peers import peers


def status(field: str) -> float:
    """MiB, out of what Linux says of this process."""
    with open("/proc/self/status") as lines:
        [line] = [line for line in lines if line.startswith(field + ":")]
    return int(line.split()[1]) / 1024


def extra(name: str, n: int, *, backward: bool) -> float:
    """MiB above what the process held before; gradients of the inputs belong to it."""
    torch.set_num_threads(1)
    own = forms(n)
    form = own[name] if name in own else peers(n)[name]
    short = min(n, 512)
    if name in own:  # what a first call loads is not the form's
        warm = forms(short)[name]
        warm.run(warm.inputs(short, requires_grad=backward))
    inputs = form.inputs(n, requires_grad=backward)
    with open("/proc/self/clear_refs", "w") as peak:
        peak.write("5")  # the peak starts anew
    before = status("VmRSS")
    form.run(inputs)
    return status("VmHWM") - before


def in_fresh_process(name: str, n: int, *, backward: bool) -> float:
    command = [sys.executable, "-m", "benchmarks.memory", name, str(n), *["--backward"] * backward]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name")
    parser.add_argument("length", type=int)
    parser.add_argument("--backward", action="store_true")
    options = parser.parse_args()
    print(round(extra(options.name, options.length, backward=options.backward), 1))


if __name__ == "__main__":
    main()
