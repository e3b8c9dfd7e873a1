"""Write attnbook/widgets/alignments.json: the forms of attention side by side, on some words and dates.

    python site/scripts/align_examples.py [--output FILE]

Words: the stored letters-to-sounds models. Dates: models trained here as in chapter 11, each 200 steps with seed 0 (a
minute or two in all). Weights are rounded to thousandths.
"""

import argparse
import json
from pathlib import Path

import torch

from attnbook import pretrained, scores, seq2seq
from attnbook.data import Vocabulary, batches, dates, pronunciations
from attnbook.data.pronunciations import LETTERS, PHONEMES
from attnbook.training import train

OUTPUT = Path(__file__).resolve().parents[2] / "attnbook" / "widgets" / "alignments.json"
FORMS = {
    "bahdanau": "Bahdanau: additive",
    "luong-dot": "Luong: dot",
    "luong-general": "Luong: general",
    "luong-concat": "Luong: concat",
    "luong-local-p": "Luong: local-p",
}
D = 64  # of the models for dates, as in the chapter


def word_models():
    return {form: pretrained.load_pronunciations(form) for form in FORMS}


def date_models(training, english, chinese):
    luong = {
        "luong-dot": lambda: {"score": scores.dot},
        "luong-general": lambda: {"score": scores.General(D, D)},
        "luong-concat": lambda: {"score": scores.Concat(D, D, D)},
        "luong-local-p": lambda: {"alignment": seq2seq.LocalPredictive(scores.General(D, D), D, half_width=3)},
    }
    models = {}
    for form in FORMS:
        torch.manual_seed(0)
        sizes = {"d_embedding": D, "d_hidden": D, "dropout": 0.1}
        if form == "bahdanau":
            model = seq2seq.bahdanau(english, chinese, **sizes)
        else:
            model = seq2seq.luong(english, chinese, **sizes, **luong[form]())
        stream = batches(training, english, chinese, size=32)
        train(model, stream, steps=200, learning_rate=8e-3, warmup=20, description=form)
        models[form] = model.double().eval()
    return models


def item(title, source, accepted, models, vocabularies, most):
    """One source, and what each model made of it."""
    answers = []
    for form, model in models.items():
        (answer,) = seq2seq.decode(model, [source], *vocabularies, max_length=most)
        weights = [[round(1000 * w) for w in row] for row in answer.weights.tolist()]
        written = [*answer.symbols, "⏎"][: len(weights)]
        right = answer.symbols in [list(one) for one in accepted]
        answers.append({"form": FORMS[form], "written": written, "right": right, "weights": weights})
    read = [*("␣" if symbol == " " else symbol for symbol in source), "⏎"]
    return {"title": title, "read": read, "expected": list(accepted[0]), "answers": answers}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=OUTPUT)
    options = parser.parse_args()
    torch.set_num_threads(1)
    words = pronunciations.load()
    chosen = [words.test[0], "attention", "thoughtful", "xylophone"]
    items = [item(word, word, words.accepted[word], word_models(), (LETTERS, PHONEMES), 28) for word in chosen]
    training, unseen = dates.english_to_chinese()
    english, chinese = (Vocabulary.of(pair[side] for pair in training) for side in (0, 1))
    models = date_models(training, english, chinese)
    items += [item(source, source, [target], models, (english, chinese), 20) for source, target in unseen[:2]]
    text = json.dumps(items, ensure_ascii=False, separators=(",", ":"))
    options.output.write_text(text.replace('{"title"', '\n{"title"').replace('{"form"', '\n {"form"') + "\n")
    for one in items:
        print(one["title"])
        for answer in one["answers"]:
            print(f"  {answer['form']:20} {'right' if answer['right'] else 'wrong'}  {' '.join(answer['written'])}")


if __name__ == "__main__":
    main()
