"""Give an executed notebook one form: what is left depends on its code, not on the run."""

import json
import re

import nbformat

STATE = "application/vnd.jupyter.widget-state+json"
VIEW = "application/vnd.jupyter.widget-view+json"
EXPLORER = "application/vnd.attnbook.explorer+json"
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python", "pygments_lexer": "ipython3"},
}
KEPT_METADATA = ("mystnb", "widgets")
KEPT_CELL_METADATA = ("tags", "mystnb")


def with_cell_ids(text):
    """Read a notebook; cells without an id get one from their place, so that reading twice gives the same ids."""
    content = json.loads(text)
    for number, cell in enumerate(content["cells"], 1):
        cell.setdefault("id", f"cell-{number}")
    content["nbformat_minor"] = 5
    return nbformat.reads(json.dumps(content), as_version=4)


def normalise(notebook):
    """Return the notebook in its one form; the argument is not to be used afterwards."""
    kept = {key: notebook.metadata[key] for key in KEPT_METADATA if key in notebook.metadata}
    notebook.metadata = nbformat.from_dict(kept | METADATA)
    for cell in notebook.cells:
        kept = {key: cell.metadata[key] for key in KEPT_CELL_METADATA if key in cell.metadata}
        cell.metadata = nbformat.from_dict(kept)
        if cell.cell_type == "code":
            cell.outputs = [tidy(output) for output in merge_streams(cell.outputs)]
    return number_widgets(notebook)


def merge_streams(outputs):
    """Join neighbouring pieces of one stream: how a kernel cuts its output is a matter of timing."""
    merged = []
    for output in outputs:
        last = merged[-1] if merged else None
        if last and output.output_type == last.output_type == "stream" and output.name == last.name:
            last.text += output.text
        else:
            merged.append(output)
    return merged


def tidy(output):
    """Mask addresses, keep an error's message without its frames (they name files), clean up pictures.

    An explorer stores its picture and its own state. The link to its live model goes: without a kernel it leads
    nowhere, and front ends would show an empty place instead of the picture.
    """
    if EXPLORER in output.get("data", {}):
        output.data.pop(VIEW, None)
    if output.output_type == "error":
        output.traceback = [f"{output.ename}: {output.evalue}"]
    elif output.output_type == "stream":
        output.text = mask_addresses(output.text)
    for kind, content in output.get("data", {}).items():
        if kind == "image/svg+xml":
            output.data[kind] = tidy_svg("".join(content))
        elif kind.startswith("text/") and isinstance(content, str):
            output.data[kind] = mask_addresses(content)
    return output


def mask_addresses(text):
    return re.sub(r"\b0x[0-9a-f]{6,}\b", "0x…", text)


def tidy_svg(svg):
    """Drop matplotlib's metadata (it holds the date) and number the ids that it draws at random."""
    svg = re.sub(r"\s*<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r"[ \t]+$", "", svg, flags=re.MULTILINE)
    for number, name in enumerate(dict.fromkeys(re.findall(r'id="([a-zA-Z]*[0-9a-f]{10})"', svg)), 1):
        svg = svg.replace(f'"{name}"', f'"r{number}"').replace(f"#{name}", f"#r{number}")
    return svg


def number_widgets(notebook):
    """Number the widgets from 1 in the order in which the page reaches them, and drop those that it cannot reach."""
    state = notebook.metadata.get("widgets", {}).get(STATE, {}).get("state", {})
    if not state:
        notebook.metadata.pop("widgets", None)
        return notebook
    order = []

    def visit(identity):
        if identity in state and identity not in order:
            order.append(identity)
            for child in re.findall(r"IPY_MODEL_([0-9a-f]{32})", json.dumps(state[identity])):
                visit(child)

    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            if VIEW in output.get("data", {}):
                visit(output.data[VIEW]["model_id"])
    for identity, model in state.items():
        if model["model_name"] in ("LinkModel", "DirectionalLinkModel"):
            visit(identity)

    if not order:
        del notebook.metadata["widgets"]
        return notebook
    notebook.metadata["widgets"][STATE]["state"] = {identity: state[identity] for identity in order}
    text = json.dumps(notebook)
    for number, identity in enumerate(order, 1):
        text = text.replace(identity, f"{number:032x}")
    return nbformat.from_dict(json.loads(text))
