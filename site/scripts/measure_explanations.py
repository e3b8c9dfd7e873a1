"""Write attnbook/pretrained/explanations.json: what chapter 18 shows of classifiers of reviews and of SmolLM2's sink.

    OMP_NUM_THREADS=1 python site/scripts/measure_explanations.py

About twenty minutes on one CPU thread. The classifiers are those of chapter 13, with three ways to read a
character: alone, with its two neighbors (a convolution), or with all others (a GRU in both directions).
"""

import json

import torch
import torch.nn.functional as F
from torch import nn

from attnbook import explanations
from attnbook.data import pad, reviews
from attnbook.pooling import AttentionPooling, mean_pooling
from attnbook.pretrained import smollm2
from attnbook.pretrained.files import FOLDER

SEEDS, STEPS, SIZE = 5, 200, 64
READINGS = ("alone", "neighbors", "all")
LAMBDAS, LONG = (0.0, 0.003, 0.01, 0.03), 800  # the other models that are trained to differ get more steps
DATA = reviews.load()
NUMBER = {c: k for k, c in enumerate(sorted({c for text, _ in DATA.train for c in text}), 2)}
SHORT = [row for row in DATA.test if 10 <= len(row[0]) <= 30][:200]


class Classifier(nn.Module):
    """Characters -> vectors (one of READINGS) -> one, by attention, by the mean or by given weights -> logits."""

    def __init__(self, reading, attention=True):
        super().__init__()
        self.reading = reading
        self.characters = nn.Embedding(len(NUMBER) + 2, SIZE, padding_idx=0)
        if reading == "all":
            self.mix = nn.GRU(SIZE, SIZE // 2, bidirectional=True, batch_first=True)
        else:
            width = {"alone": 1, "neighbors": 3}[reading]
            self.mix = nn.Conv1d(SIZE, SIZE, width, padding=width // 2)
        self.output = nn.Linear(SIZE, 2)
        self.drop = nn.Dropout(0.3)
        self.pooling = AttentionPooling(SIZE, SIZE) if attention else None

    def read(self, x, embedded=None):
        e = self.drop(self.characters(x) if embedded is None else embedded)
        if self.reading != "all":
            return self.mix(e.mT).relu().mT
        packed = nn.utils.rnn.pack_padded_sequence(e, (x != 0).sum(1), batch_first=True, enforce_sorted=False)
        return nn.utils.rnn.pad_packed_sequence(self.mix(packed)[0], batch_first=True, total_length=x.shape[1])[0]

    def forward(self, x, embedded=None, weights=None):
        mask, z = x != 0, self.read(x, embedded)
        if weights is not None:
            text = (weights.unsqueeze(1) @ z).squeeze(1)
        elif self.pooling is None:
            text, weights = mean_pooling(z, mask), mask / mask.sum(1, keepdim=True)
        else:
            text, weights = self.pooling(z, mask)
        return self.output(self.drop(text)), weights


def batch(rows):
    return pad([[NUMBER.get(c, 1) for c in text] for text, _ in rows]), torch.tensor([label for _, label in rows])


def train(reading, attention=True, *, seed, steps=STEPS, loss=None, guide=None):
    """loss(logits, weights, x, y): cross-entropy if None. guide: a model whose weights are used in place of its own."""
    torch.manual_seed(seed)
    model = Classifier(reading, attention)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=0.05)
    generator = torch.Generator().manual_seed(seed)
    for _ in range(steps):
        x, y = batch([DATA.train[k] for k in torch.randint(len(DATA.train), (64,), generator=generator).tolist()])
        logits, weights = model(x, weights=None if guide is None else weights_of(guide, x))
        value = F.cross_entropy(logits, y) if loss is None else loss(logits, weights, x, y)
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
    return model.eval()


@torch.no_grad()
def weights_of(model, x):
    return model(x)[1]


@torch.no_grad()
def tested(model, guide=None):
    """Logits, weights (in rows of 120) and the share of right answers, on the whole test set."""
    logits, weights, right = [], [], 0
    for k in range(0, len(DATA.test), 200):
        x, y = batch(DATA.test[k : k + 200])
        a, w = model(x, weights=None if guide is None else weights_of(guide, x))
        logits.append(a)
        weights.append(F.pad(w, (0, 120 - w.shape[1])))
        right += (a.argmax(1) == y).sum().item()
    return torch.cat(logits), torch.cat(weights), right / len(DATA.test)


def divergence(p, q):
    """KL(p || q), for each row."""
    return (p * ((p + 1e-12) / (q + 1e-12)).log()).sum(-1)


def apart(one, other):
    """Means over the test set: total variation of the predictions, Jensen-Shannon divergence of the weights."""
    p, q = one[0].softmax(-1), other[0].softmax(-1)
    middle = (one[1] + other[1]) / 2
    js = (divergence(one[1], middle) + divergence(other[1], middle)) / 2
    return {"predictions": round((p - q).abs().sum(-1).mean().item() / 2, 4), "weights": round(js.mean().item(), 4)}


def agreement(model):
    """Kendall's tau of the weights with the effects of leaving out, with the gradient, and what shuffling does."""
    generator = torch.Generator().manual_seed(0)
    taus = {"removal": [], "gradient": [], "random": []}
    moved = []
    for row in SHORT:
        x, _ = batch([row])
        n = x.shape[1]
        with torch.no_grad():
            logits, weights = model(x)
            p, z = logits.softmax(-1)[0, 1], model.read(x)[0]
            effects = explanations.leave_one_out(lambda t: model(t)[0].softmax(-1)[:, 1], x[0])
            shuffled = torch.stack([weights[0, torch.randperm(n, generator=generator)] for _ in range(100)])
            moved.append((model.output(shuffled @ z).softmax(-1)[:, 1] - p).abs().median())
        answer = lambda e, x=x: model(x.expand(len(e), -1), embedded=e)[0].softmax(-1)[:, 1]  # noqa: E731
        gradient = explanations.gradient_times_input(answer, model.characters(x)[0].detach())
        taus["removal"].append(explanations.kendall(weights[0], effects.abs()))
        taus["gradient"].append(explanations.kendall(weights[0], gradient.abs()))
        taus["random"].append(explanations.kendall(torch.rand(n, generator=generator), effects.abs()))
    result = {name: round(sum(values) / len(values), 4) for name, values in taus.items()}
    return result | {"shuffled": round(torch.stack(moved).mean().item(), 4)}


def classifiers():
    runs, others, adversaries = [], [], []
    for reading in READINGS:
        for seed in range(SEEDS):
            model, flat = train(reading, seed=seed), train(reading, False, seed=seed)
            result = tested(model)
            run = {"reading": reading, "seed": seed, "attention": result[2], "uniform": tested(flat)[2]}
            run |= agreement(model)
            guided = train("alone", False, seed=seed, guide=model)
            run["guided"] = tested(guided, guide=model)[2]
            runs.append(run)
            print(run, flush=True)
            if seed == 0:
                base, base_model = result, model
                others.append({"reading": reading, "kind": "uniform"} | apart(tested(flat), base))
            else:
                others.append({"reading": reading, "kind": "another start"} | apart(result, base))
        for strength in LAMBDAS:

            def loss(logits, weights, x, y, strength=strength, base_model=base_model):
                with torch.no_grad():
                    theirs, rows = base_model(x)
                far = (logits.softmax(-1) - theirs.softmax(-1)).abs().sum(-1) / 2
                return (far - strength * divergence(weights, rows)).mean()

            result = tested(train(reading, seed=100, steps=LONG, loss=loss))
            adversaries.append({"reading": reading, "lambda": strength, "right": result[2]} | apart(result, base))
            print(adversaries[-1], flush=True)
    return {"runs": runs, "others": others, "adversaries": adversaries}


@torch.no_grad()
def sink():
    """SmolLM2, on the text of chapter 14: the first token's share of the weights and of the lengths, layer by layer."""
    model, _ = smollm2.load_smollm2()
    tokens = torch.tensor([smollm2.measurements()["transformers"]["tokens"]])
    values = []
    hooks = [
        layer.self_attention.v_proj.register_forward_hook(lambda _, __, out: values.append(out[0]))
        for layer in model.layers
    ]
    _, weights = model(tokens, need_weights=True)
    for hook in hooks:
        hook.remove()
    share = {"weights": [], "lengths": [], "relative length of the value": []}
    for layer, rows, value in zip(model.layers, weights, values, strict=True):
        value = value.unflatten(-1, (3, 64)).transpose(0, 1).repeat_interleave(3, dim=0)  # (9, n, 64)
        through = layer.self_attention.out_proj.weight.unflatten(1, (9, 64)).permute(1, 2, 0)  # (9, 64, 576)
        lengths = explanations.contributions(rows[0], value @ through)[:, 1:]
        share["weights"].append(rows[0, :, 1:, 0].mean().item())
        share["lengths"].append((lengths[..., 0] / lengths.sum(-1)).mean().item())
        size = (value @ through).norm(dim=-1)
        share["relative length of the value"].append((size[:, 0] / size[:, 1:].mean(1)).median().item())
    return {name: [round(x, 4) for x in values] for name, values in share.items()}


if __name__ == "__main__":
    torch.set_num_threads(1)
    record = {
        "steps": STEPS,
        "long": LONG,
        "torch": torch.__version__,
        "reviews": len(SHORT),
        "sink": sink(),
        **classifiers(),
    }
    (FOLDER / "explanations.json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
