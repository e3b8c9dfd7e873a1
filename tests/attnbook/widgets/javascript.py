"""Run the explorers' JavaScript with the Node that comes with Playwright, on values that Python writes."""

import json
import subprocess
from pathlib import Path

from playwright._impl._driver import compute_driver_executable

from attnbook.widgets import sources

NODE = Path(compute_driver_executable()[0])


def evaluate(module, expression, **values):
    """What an expression gives with a module's names (its own and those it imports) and `values` at hand.

    Numbers pass both ways as JSON, which keeps every bit of a double; infinities and NaN come back as None.
    """
    text = f"""
import {{ readFileSync, writeFileSync }} from "node:fs";
{sources.module(module)}
const result = await (async ({{ {", ".join(values)} }}) => ({expression}))(JSON.parse(readFileSync(0, "utf8")));
writeFileSync(1, JSON.stringify(result));
"""
    done = subprocess.run(
        [NODE, "--input-type=module", "--eval", text], input=json.dumps(values), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def on_screen(explorer, expression):
    """What an expression gives with `model`, a stand-in that holds the explorer's traits as the page gets them."""
    traits = {name: sources.embedded(json.loads(text)) for name, text in explorer.state().items()}
    decode = (
        "x?.base64 === undefined ? x : new DataView(Uint8Array.from(atob(x.base64), (c) => c.charCodeAt(0)).buffer)"
    )
    body = f"""(() => {{
        const decode = (x) => ({decode});
        const model = {{ get: (name) => decode(traits[name]) }};
        return {expression};
    }})()"""
    return evaluate(f"{explorer.name}.js", body, traits=traits)


def copied(explorer):
    """The names that the copied Python makes when it runs."""
    names = {}
    exec(on_screen(explorer, "call(model)"), names)
    return names
