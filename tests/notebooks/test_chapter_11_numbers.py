"""Chapter 11's printed numbers against a second computation that shares no code with attnbook (letters_by_hand.py).

Every number of the letters-to-sounds half is computed again from the stored weights and the installed dictionary, in
NumPy; the numbers of the dates come from the calendar. What is read from the page are its outputs.
"""

import datetime
import hashlib
import math
import re
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import pytest

from tests.notebooks.letters_by_hand import VOWELS, ByHand, closest, dictionary, rates, split

CHAPTER = Path(__file__).resolve().parents[2] / "chapters" / "11-sequences-to-sequences.ipynb"
MODELS = ("none", "bahdanau", "luong-dot", "luong-general", "luong-concat", "luong-local-p")
OUGH = ("though", "through", "tough", "cough", "bough", "thought")


@pytest.fixture(scope="module")
def words():
    """(accepted pronunciations, training, test and long test words)."""
    accepted, order = dictionary()
    return accepted, *split(order)


@pytest.fixture(scope="module")
def answers(words):
    """Every model's (phonemes, weights) for the 2,600 test words, by hand."""
    _, _, test, long = words
    return {name: ByHand(name).answers(test + long) for name in MODELS}


@pytest.fixture(scope="module")
def days():
    """(year, month, day, weekday) of the 10,000 days to learn from and of the 1,000 unseen ones."""
    first = datetime.date(1900, 1, 1)
    everyday = [first + datetime.timedelta(n) for n in range((datetime.date(2100, 1, 1) - first).days)]
    everyday.sort(key=lambda day: hashlib.sha256(f"0:{day:%Y-%m-%d}".encode()).hexdigest())
    parts = [(day.year, day.month, day.day, day.weekday()) for day in everyday[:11000]]
    return parts[:10000], parts[10000:]


def numbers(printed, label):
    """The numbers on the one line that begins with the label."""
    [line] = [line for line in printed.splitlines() if line.startswith(label)]
    return [float(x.replace(",", "")) for x in re.findall(r"-?\d[\d,]*\.?\d*", line[len(label) :])]


def chinese(year, month, day, weekday):
    return f"{year}年{month}月{day}日星期{'一二三四五六日'[weekday]}"


def test_the_dates(page, days):
    printed, _ = page
    training, unseen = days
    english = [datetime.date(*parts[:3]).strftime("%A, %B {0}, %Y").format(parts[2]).lower() for parts in unseen[:3]]
    for source, parts in zip(english, unseen, strict=False):
        assert re.search(rf"^{source} +{chinese(*parts)}$", printed, re.MULTILINE)
    assert numbers(printed, "year: read at position") == [english[0].index(str(unseen[0][0])), 0]
    assert numbers(printed, "bits that name one of the 73,049 days:") == [round(math.log2(73049), 2)]
    symbols = sum(len(chinese(*parts)) + 1 for parts in training) / 10000
    *_, shown, loss = numbers(printed, "(ln 73,049 + ln 7) /")
    assert shown == round(symbols, 2) and loss == round((math.log(73049) + math.log(7)) / symbols, 4)
    for place, part in enumerate(("year", "month", "day", "weekday")):
        counts = Counter(parts[place] for parts in training)
        commonest = [value for value, n in counts.items() if n == max(counts.values())]
        guessed = {sum(parts[place] == value for parts in unseen) for value in commonest}
        [line] = re.findall(rf"^{part} +([\d.]+)% +at most 30% +at least 99%$", printed, re.MULTILINE)
        assert float(line) in {round(n / 10, 1) for n in guessed}


def test_the_table_of_errors(page, words, answers):
    printed, prose = page
    accepted, training, test, long = words
    counts = defaultdict(Counter)
    for word in training:
        said = accepted[word][0]
        if len(said) == len(word):
            for letter, phoneme in zip(word, said, strict=True):
                counts[letter][phoneme] += 1
    rule = {letter: max(counts[letter], key=counts[letter].get) for letter in counts}
    said = {name: [phonemes for phonemes, _ in answers[name]] for name in MODELS}
    said["letter rule"] = [[rule[letter] for letter in word] for word in test + long]
    for name, phonemes in said.items():
        on_test = rates(phonemes[:2000], [accepted[word] for word in test])
        on_long = rates(phonemes[2000:], [accepted[word] for word in long])
        rows = re.findall(rf"^{name} +([\d.]+) +([\d.]+) +([\d.]+) +([\d.]+)$", printed, re.MULTILINE)
        assert rows == [tuple(f"{rate:.2f}" for rate in (*on_test, *on_long))], name
    p = rates(said["luong-dot"][:2000], [accepted[word] for word in test])[1] / 100
    assert numbers(printed, "standard error")[-1] == round(100 * math.sqrt(p * (1 - p) / 2000), 2)
    whole = [rates(said[name][:2000], [accepted[word] for word in test])[1] for name in MODELS[1:]]
    assert f"{max(whole) - min(whole):.2f} points of word error apart" in prose
    sizes = {name: sum(array.size for array in ByHand(name).p.values()) for name in MODELS}
    for name, size in sizes.items():
        assert f"{name:14} {size:8,} parameters" in printed
    assert f"Luong's dot has {sizes['luong-dot'] / sizes['none'] - 1:.0%} more" in prose
    assert f"Bahdanau's {sizes['bahdanau'] / sizes['none'] - 1:.0%} more" in prose


def test_the_errors_by_length(page, words, answers):
    printed, prose = page
    accepted, _, test, long = words
    table = {}
    for length in range(3, 17):
        chosen = [i for i, word in enumerate(test + long) if len(word) == length]
        right = [accepted[(test + long)[i]] for i in chosen]
        row = [rates([answers[name][i][0] for i in chosen], right)[0] for name in MODELS[:4]]
        table[length] = row[0] - row[2]
        line = f"{length:7}{len(chosen):7}" + "".join(f"{rate:15.1f}" for rate in row) + f"{table[length]:13.1f}"
        assert line in printed, line
    assert f"is {table[4]:.1f} points behind the dot product" in prose
    assert f"with 9 letters it is {table[9]:.1f}, and with 14 letters {table[14]:.1f}" in prose


@pytest.mark.parametrize("name", ["none", "luong-dot"])
def test_long_words_of_the_training_set(page, words, name):
    accepted, training, *_ = words
    known = [word for word in training if len(word) >= 12][:600]
    said = [phonemes for phonemes, _ in ByHand(name).answers(known)]
    phoneme, word = rates(said, [accepted[word] for word in known])
    assert f"{name:10} on 600 long words of its own training set: phoneme {phoneme:.2f}%, word {word:.2f}%" in page[0]


@pytest.mark.parametrize("name", ["bahdanau", "luong-dot", "luong-general"])
def test_soft_and_sharp(page, answers, name):
    largest = np.array([row.max() for _, weights in answers[name][:2000] for row in weights])
    sharp = np.mean(largest > 0.99)
    assert f"{name:14} largest weight of a row: mean {largest.mean():.3f}, above 0.99 in {sharp:.1%}" in page[0]


def test_what_is_never_looked_at(page, words, answers):
    seen, passed, final = Counter(), Counter(), []
    for word, (_, weights) in zip(words[2], answers["luong-dot"], strict=False):
        looked = {int(row.argmax()) for row in weights}
        for j, letter in enumerate(word):
            seen[letter] += 1
            passed[letter] += j not in looked
        final += [len(word) - 1 not in looked] if word[-1] == "e" else []
    share = {letter: passed[letter] / n for letter, n in seen.items() if n >= 100}
    most = sorted(share, key=lambda letter: -share[letter])[:6]
    assert "passed over: " + ", ".join(f"{letter} {share[letter]:.0%}" for letter in most) in page[0]
    assert f"final e:     {np.mean(final):.0%} of {len(final)}" in page[0]


def test_the_first_ten_errors_and_the_six_hard_words(page, words, answers):
    printed, _ = page
    accepted, _, test, _ = words
    said = {word: phonemes for word, (phonemes, _) in zip(test, answers["bahdanau"], strict=False)}
    wrong = [(word, phonemes) for word, phonemes in said.items() if phonemes not in accepted[word]]
    for word, said in wrong[:10]:
        right = " ".join(accepted[word][0])
        assert f"{word:14}{' '.join(said):26}{right:26}{closest(said, accepted[word])[0]:5}" in printed
    hard = zip(*(ByHand(name).answers(OUGH) for name in ("none", "bahdanau", "luong-dot")), strict=True)
    for word, row in zip(OUGH, hard, strict=True):
        cells = [" ".join(phonemes) + (" *" if phonemes in accepted[word] else "") for phonemes, _ in row]
        assert f"{word:9}" + "".join(f"{cell:14}" for cell in cells) in printed


@pytest.mark.parametrize("size", [1, 50, 400])
def test_the_forgotten_mask(page, words, size):
    """Words sorted by length and cut into batches; each gets annotations of zeros up to the longest of its batch."""
    accepted, _, test, _ = words
    model, some = ByHand("bahdanau"), sorted(test[:400], key=len)
    batches = [some[i : i + size] for i in range(0, 400, size)]
    said = [phonemes for batch in batches for phonemes, _ in model.answers(batch, longest=len(batch[-1]))]
    assert f"without, batches of {size:3}:  word error {rates(said, [accepted[w] for w in some])[1]:.2f}%" in page[0]


@pytest.mark.parametrize("batch", [["though"], ["though", "incomprehensibility"]])
def test_a_word_and_its_neighbor(page, batch):
    said, _ = ByHand("bahdanau").answers(batch, longest=len(batch[-1]))[0]
    assert f"without, 'though' in a batch of {len(batch)}: {' '.join(said)}" in page[0]


def test_a_final_e_that_is_not_said(page, words):
    accepted, _, test, _ = words
    ending = [word for word in test if word.endswith("e")]
    silent = [word for word in ending if all(said[-1] not in VOWELS for said in accepted[word])]
    assert f"silent in at least {len(silent)} of the {len(ending)} words" in page.prose


def test_the_model_of_the_first_section(page, words):
    """The smallest model, which runs in the page."""
    accepted, _, test, _ = words
    said = [phonemes for phonemes, _ in ByHand("bahdanau-small").answers(test)]
    sounds, whole = rates(said, [accepted[word] for word in test])
    assert f"gets {sounds:.1f}% of the sounds and {whole:.1f}% of the words wrong" in page.prose
