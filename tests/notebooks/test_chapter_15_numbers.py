"""Chapter 15's tables against the libraries themselves, called without the package's adapters.

The conventions are asked again with other inputs and other experiments: random scores, softmax by hand in NumPy, and
each library's own call written out here. Keras runs in a process of its own for each backend.
"""

import json
import os
import re
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

CHAPTER = Path(__file__).resolve().parents[2] / "chapters" / "15-tools.ipynb"
Q, K, V = np.random.default_rng(1).normal(size=(3, 5, 4)).astype(np.float32)
HIDDEN = 2  # the key that is hidden where polarity is asked


@pytest.fixture(scope="module")
def page():
    """(tables as {row: {column: cell}}, what cells printed, all prose)."""
    cells = json.loads(CHAPTER.read_text(encoding="utf-8"))["cells"]
    outputs = [output for cell in cells for output in cell.get("outputs", [])]
    printed = "\n".join("".join(output.get("text", "")) for output in outputs)
    shown = ["".join(output.get("data", {}).get("text/markdown", "")) for output in outputs]
    tables = []
    for text in shown:
        if text.startswith("| routine |"):
            rows = [[x.strip() for x in line.strip("|").split("|")] for line in text.split("\n")]
            tables.append({row[0]: dict(zip(rows[0][1:], row[1:], strict=True)) for row in rows[2:]})
    prose = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown"]
    return tables, printed, re.sub(r"\s+", " ", " ".join(prose))


def softmax(allowed):
    """Weights (n, m) of Q and K where `allowed`; the rows of `allowed` without a True are left NaN."""
    e = np.exp(Q[: len(allowed)] @ K.T / 2) * allowed
    with np.errstate(invalid="ignore"):
        return e / e.sum(-1, keepdims=True)


TOP_LEFT, BOTTOM_RIGHT = np.tri(3, 5) > 0, np.tri(3, 5, 2) > 0
BUT_ONE = np.broadcast_to(np.arange(5) != HIDDEN, (3, 5))


def corner(output):
    """Which triangle an output (3, 4) comes from."""
    fits = [np.allclose(output, softmax(t) @ V, atol=1e-5) for t in (TOP_LEFT, BOTTOM_RIGHT)]
    return ["top left", "bottom right"][fits.index(True)]


def meaning(output):
    """What False at one key, True elsewhere, has meant for the output (3, 4): True may see, or is hidden."""
    if np.allclose(output, softmax(BUT_ONE) @ V, atol=1e-5):
        return "may see"
    return "hidden" if np.allclose(output, softmax(~BUT_ONE) @ V, atol=1e-5) else "neither"


def empty(row):
    """What a row (4,) is that may see nothing."""
    if np.isnan(row).all():
        return "NaN"
    return "0" if (row == 0).all() else "mean of all" if np.allclose(row, V.mean(0), atol=1e-5) else "neither"


NOTHING = np.zeros((3, 5), dtype=bool)


def test_pytorch_sdpa(page):
    (_, table), _, _ = page
    q, k, v = (torch.from_numpy(x)[None, None] for x in (Q[:3], K, V))
    call = lambda **options: F.scaled_dot_product_attention(q, k, v, **options)[0, 0].numpy()  # noqa: E731
    masked = lambda mask: torch.from_numpy(mask.copy())  # noqa: E731
    row = table["PyTorch SDPA"]
    assert row["causal, 3 x 5"] == corner(call(is_causal=True))
    assert row["True"] == meaning(call(attn_mask=masked(BUT_ONE)))
    assert row["empty row"] == empty(call(attn_mask=masked(NOTHING))[0])
    assert row["layout"] == "b h n d" and row["weights"] == "no"
    assert row["dropout"] == "always" and not np.allclose(call(dropout_p=0.5), call())  # it has no mode to be told
    assert table["attnbook SDPA"] == row | {"causal, 3 x 5": "bottom right", "dropout": "no option"}


def test_pytorch_has_a_causal_mask_for_a_cache(page):
    """Chapters 4 and 15 name it: aligned at the end, where `is_causal` is aligned at the start."""
    from torch.nn.attention.bias import causal_lower_right

    assert "`causal_lower_right(3, 5)` from `torch.nn.attention.bias`" in page[2]
    query, key, value = torch.randn(3, 1, 1, 5, 8, generator=torch.Generator().manual_seed(0))
    whole = F.scaled_dot_product_attention(query, key, value, is_causal=True)
    last = F.scaled_dot_product_attention(query[..., 2:, :], key, value, attn_mask=causal_lower_right(3, 5))
    torch.testing.assert_close(last, whole[..., 2:, :])
    start = F.scaled_dot_product_attention(query[..., 2:, :], key, value, is_causal=True)
    assert (start - last).abs().max() > 0.1


def test_pytorch_flex(page):
    from torch.nn.attention.flex_attention import create_block_mask, flex_attention

    (_, table), _, _ = page
    q, k, v = (torch.from_numpy(x)[None, None] for x in (Q[:3], K, V))
    row = table["PyTorch flex"]
    for rule, test, name in (
        (lambda b, h, i, j: j != HIDDEN, lambda x: meaning(x), "True"),
        (lambda b, h, i, j: j < 0, lambda x: empty(x[0]), "empty row"),
    ):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            mask = create_block_mask(rule, 1, 1, 3, 5, device="cpu")
            assert row[name] == test(flex_attention(q, k, v, block_mask=mask)[0, 0].numpy())


def test_pytorch_multihead(page):
    (_, table), _, _ = page
    layer = nn.MultiheadAttention(4, 1, bias=False, dropout=0.5)
    with torch.no_grad():
        layer.in_proj_weight.copy_(torch.eye(4).repeat(3, 1))
        layer.out_proj.weight.copy_(torch.eye(4))
    q, k, v = (torch.from_numpy(x)[:, None] for x in (Q[:3], K, V))  # the length first, as built by default
    row = table["PyTorch multihead"]
    assert row["layout"] == "n b hd"
    layer.eval()
    with torch.no_grad():
        call = lambda mask, **options: layer(q, k, v, attn_mask=torch.from_numpy(mask.copy()), **options)  # noqa: E731
        assert row["True"] == meaning(call(BUT_ONE)[0][:, 0].numpy())
        closed = [empty(call(~NOTHING, need_weights=need)[0][0, 0].numpy()) for need in (True, False)]
        assert row["empty row"] == "{}; {} without weights".format(*closed)
        with pytest.raises(RuntimeError, match="Need attn_mask"):
            layer(q, k, v, is_causal=True)
        assert row["causal, 3 x 5"] == "needs a mask"
        layer.train()
        output, weights = layer(q, k, v)
        assert (weights == 0).any() and torch.allclose(weights[0] @ v[:, 0], output[:, 0], atol=1e-6)
    assert row["weights"] == "mean of heads, after dropout" and row["dropout"] == "in training"


KERAS = """
import json, sys
import numpy as np
import keras

Q, K, V = (np.array(x, "float32")[None] for x in json.loads(sys.argv[1]))
number = lambda x: keras.ops.convert_to_numpy(x)[0].tolist()
layer = keras.layers.Attention(use_scale=True, dropout=0.5)
layer.build([Q.shape, V.shape, K.shape])
layer.set_weights([np.float32(0.5)])
key_mask = lambda shown: [None, np.array([shown])]
found = {"Attention": {
    "causal": number(layer([Q, V, K], use_causal_mask=True)),
    "but one": number(layer([Q, V, K], mask=key_mask([True, True, False, True, True]))),
    "nothing": number(layer([Q, V, K], mask=key_mask([False] * 5))),
    "training": [number(x) for x in layer([Q, V, K], training=True, return_attention_scores=True)],
}}
layer = keras.layers.MultiHeadAttention(1, 4, use_bias=False, dropout=0.0)
layer.build(Q.shape, V.shape, K.shape)
eye = np.eye(4, dtype="float32")
weights = [eye[:, None]] * 3 + [eye[None]]
layer.set_weights(weights)
shown = np.ones((1, 3, 5), bool)
shown[..., 2] = False
closed = np.zeros((1, 3, 5), bool)
found["multihead"] = {
    "causal": number(layer(Q, V, K, use_causal_mask=True)),
    "but one": number(layer(Q, V, K, attention_mask=shown)),
    "nothing": number(layer(Q, V, K, attention_mask=closed)),
    "nothing, weights": number(layer(Q, V, K, attention_mask=closed, return_attention_scores=True)[0]),
}
layer = keras.layers.MultiHeadAttention(1, 4, use_bias=False, dropout=0.5)
layer.build(Q.shape, V.shape, K.shape)
layer.set_weights(weights)
found["multihead"]["training"] = [
    number(x) for x in layer(Q, V, K, training=True, return_attention_scores=True)
]
print("FOUND", json.dumps(found))
"""


@pytest.fixture(scope="module", params=["torch", "tensorflow"])
def keras_found(request):
    """What Keras gives on that backend, in a process of its own."""
    env = os.environ | {"KERAS_BACKEND": request.param, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"}
    given = json.dumps([x.tolist() for x in (Q[:3], K, V)])
    run = subprocess.run([sys.executable, "-c", KERAS, given], env=env, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    return {"torch": "Keras/PyTorch", "tensorflow": "Keras/TF"}[request.param], json.loads(run.stdout.split("FOUND")[1])


def test_keras(page, keras_found):
    (_, table), _, _ = page
    backend, found = keras_found
    for layer, answers in found.items():
        row = table[f"{backend} {layer}"]
        answers = {name: np.array(x) for name, x in answers.items() if name != "training"}
        assert row["causal, 3 x 5"] == corner(answers["causal"])
        assert row["True"] == meaning(answers["but one"])
        assert row["dropout"] == "in training"
        output, weights = (np.array(x).squeeze() for x in found[layer]["training"])
        used = np.allclose(weights @ V, output, atol=1e-5)
        assert row["weights"] == f"each head, {'after' if used else 'before'} dropout"
        nothing = empty(answers["nothing"][0])
        if layer == "multihead":
            nothing = f"{empty(answers['nothing, weights'][0])}; {nothing} without weights"
        assert row["empty row"] == nothing
    assert table[f"{backend} Attention"]["layout"] == "b n d" and table[f"{backend} multihead"]["layout"] == "b n hd"


def test_jax(page):
    import jax

    (_, table), _, _ = page
    q, k, v = (x[None, :, None] for x in (Q[:3], K, V))  # (batch, length, heads, dim)
    call = lambda **options: np.array(jax.nn.dot_product_attention(q, k, v, **options))[0, :, 0]  # noqa: E731
    assert table["JAX"] == {
        "layout": "b n h d",
        "True": meaning(call(mask=BUT_ONE[None, None])),
        "causal, 3 x 5": corner(call(is_causal=True)),
        "empty row": empty(call(mask=NOTHING[None, None])[0]),
        "dropout": "no option",
        "weights": "no",
    }


def test_transformers(page):
    from transformers.integrations.sdpa_attention import sdpa_attention_forward
    from transformers.models.llama.modeling_llama import eager_attention_forward

    (_, table), _, _ = page
    q, k, v = (torch.from_numpy(x)[None, None] for x in (Q[:3], K, V))
    module = nn.Module()
    module.num_key_value_groups, module.is_causal = 1, True
    sdpa = lambda mask: sdpa_attention_forward(module, q, k, v, mask, scaling=0.5)[0][0, :, 0].numpy()  # noqa: E731
    row = table["transformers sdpa"]
    assert row["causal, 3 x 5"] == corner(sdpa(None))
    assert row["True"] == meaning(sdpa(torch.from_numpy(BUT_ONE.copy())))
    assert row["empty row"] == empty(sdpa(torch.from_numpy(NOTHING))[0])
    row = table["transformers eager"]
    added = np.exp(Q[:3] @ K.T / 2 + BUT_ONE)
    output, weights = eager_attention_forward(module, q, k, v, torch.from_numpy(BUT_ONE.copy()), scaling=0.5)
    assert np.allclose(weights[0, 0], added / added.sum(-1, keepdims=True), atol=1e-6) and row["True"] == "adds 1.00"
    output, _ = eager_attention_forward(module, q, k, v, torch.full((3, 5), -torch.inf), scaling=0.5)
    assert row["empty row"] == empty(output[0, 0, 0].numpy())
    output, weights = eager_attention_forward(module.train(), q, k, v, None, scaling=0.5, dropout=0.5)
    assert (weights == 0).any() and torch.allclose(weights[0, 0] @ v[0, 0], output[0, :, 0], atol=1e-6)
    assert row["weights"] == "each head, after dropout" and row["dropout"] == "in training"


def test_onnx(page):
    import onnx
    from onnx.reference import ReferenceEvaluator

    (_, table), _, _ = page

    def call(attributes="", mask=None):
        names = "Q, K, V" + ("" if mask is None else ", M")
        text = f"""<ir_version: 10, opset_import: ["" : 23]>
            one (float[1,1,3,4] Q, float[1,1,5,4] K, float[1,1,5,4] V, bool[3,5] M) => (float[1,1,3,4] Y)
            {{ Y = Attention{attributes} ({names}) }}"""
        given = {"Q": Q[None, None, :3], "K": K[None, None], "V": V[None, None], "M": BUT_ONE if mask is None else mask}
        return ReferenceEvaluator(onnx.parser.parse_model(text)).run(None, given)[0][0, 0]

    assert table["ONNX Attention"] == {
        "layout": "b h n d",
        "True": meaning(call(mask=BUT_ONE)),
        "causal, 3 x 5": corner(call("<is_causal = 1>")),
        "empty row": empty(call(mask=NOTHING)[0]),
        "dropout": "no option",
        "weights": "each head",
    }


def test_the_table_of_agreement(page):
    """That they agree is tested in tests/attnbook/libraries; here, that the page says how many were asked."""
    (agreed, _), printed, prose = page
    cells = [cell for row in agreed.values() for cell in row.values()]
    counts = {word: cells.count(word) for word in ("refused", "no option", "not installed", "same", "1e-6", "1e-12")}
    same = counts["same"] + counts["1e-6"] + counts["1e-12"]
    assert (
        f"the same numbers: {same} of {len(cells)}" in printed and same + counts["refused"] + counts["no option"] == 78
    )
    assert re.search(rf"refused: +{counts['refused']}\n", printed)
    assert re.search(rf"no option: +{counts['no option']}\n", printed) and counts["not installed"] == 0
    assert "eleven routines of five libraries" in prose and len(agreed) == 13
    single = {name for name, row in agreed.items() if row["double, below"] == "1e-6"}
    assert single == {"JAX", "transformers eager", "Keras/PyTorch Attention", "Keras/TF multihead"}


def test_the_counts_of_onnx_cases(page):
    """As tests/attnbook/test_onnx_cases.py asserts them."""
    from tests.attnbook.test_onnx_cases import BIASED, OTHER_STAGES, SOFTCAP

    prose = page[2]
    assert f"`attention` | {93 - len(BIASED)} of 93 | in {len(BIASED)}, the scores" in prose
    left = len(SOFTCAP | BIASED | OTHER_STAGES)
    assert f"| {93 - left} of 93 | in {len(SOFTCAP)}, a softcap, which the kernel has no place for; in" in prose
    assert f"no place for; in {left - len(SOFTCAP)}, scores or weights" in prose
    assert f"in the {93 - len(SOFTCAP)} that have no softcap" in prose


WITHOUT = """
import json, sys
for package in ("keras", "tensorflow", "jax", "transformers", "onnx"):
    sys.modules[package] = None  # as Python marks what cannot be imported
import matplotlib
matplotlib.use("Agg")
cells = json.load(open(sys.argv[1], encoding="utf-8"))["cells"]
names = {}
for cell in cells:
    source = "".join(cell["source"])
    if cell["cell_type"] == "code" and "%pip" not in source and "exercise" not in source and "check(" not in source:
        exec(source, names)
print(json.dumps({"agreed": names["agreed"], "table": names["table"]}))
"""


def test_the_chapter_runs_without_the_libraries_and_says_so(page):
    run = subprocess.run([sys.executable, "-c", WITHOUT, str(CHAPTER)], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr[-2000:]
    found = json.loads(run.stdout.split("\n")[-2])
    for stored, fresh in zip(page[0], (found["agreed"], found["table"]), strict=True):
        for name, row in fresh.items():
            here = name.startswith(("attnbook", "PyTorch"))
            assert row == stored[name] if here else {x[:13] for x in row.values()} == {"not installed"}
    assert re.search(r"^TensorFlow +not installed here$", run.stdout, re.MULTILINE)
