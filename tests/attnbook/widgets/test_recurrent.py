"""The small letters-to-sounds model in the page: the same phonemes as in Python, the same weights."""

import base64

import pytest
import torch

from attnbook import pretrained, seq2seq
from attnbook.data import pronunciations
from attnbook.data.pronunciations import LETTERS, PHONEMES
from tests.attnbook.widgets.javascript import evaluate

FILE = pretrained.pronunciation_file("bahdanau-small")
READ = "new DataView(Uint8Array.from(atob(file), (c) => c.charCodeAt(0)).buffer)"
MODEL = f"pronouncer(readTensors({READ}))"


@pytest.fixture(scope="module")
def file():
    return base64.b64encode(FILE.read_bytes()).decode()


@pytest.fixture(scope="module")
def answers():
    """Python's, for 500 held-out words."""
    words = pronunciations.load().test[:500]
    model = pretrained.load_pronunciations("bahdanau-small")
    return words, seq2seq.decode(model, words, LETTERS, PHONEMES, max_length=28)


def test_the_file_is_small():
    assert FILE.stat().st_size < 200_000


def test_the_tensors_are_read(file):
    found = evaluate(
        "recurrent.js",
        f"Object.fromEntries(Object.entries(readTensors({READ})).map(([k, v]) => [k, v.length === undefined ? v"
        " : v[0].length === undefined ? [...v] : v.map((row) => [...row])]))",
        file=file,
    )
    expected = pretrained.load_pronunciations("bahdanau-small").state_dict()
    assert set(found) == set(expected)
    for name, tensor in expected.items():
        assert found[name] == tensor.tolist(), name


def test_the_same_phonemes_on_500_held_out_words(file, answers):
    words, expected = answers
    found = evaluate(
        "recurrent.js",
        f"((model) => numbers.map((word) => [...pronounce(model, word)].map((step) => step.symbol)))({MODEL})",
        file=file,
        numbers=[LETTERS.encode(word) for word in words],
    )
    assert [PHONEMES.decode(symbols) for symbols in found] == [answer.symbols for answer in expected]
    assert len(found) == 500


def test_the_same_weights_and_probabilities(file, answers):
    words, expected = answers
    chosen = [0, 7, 99, 350, 499]
    found = evaluate(
        "recurrent.js",
        f"((model) => numbers.map((word) => [...pronounce(model, word)]))({MODEL})",
        file=file,
        numbers=[LETTERS.encode(words[k]) for k in chosen],
    )
    model = pretrained.load_pronunciations("bahdanau-small")
    for steps, k in zip(found, chosen, strict=True):
        weights = torch.tensor([step["weights"] for step in steps], dtype=torch.float64)
        torch.testing.assert_close(weights, expected[k].weights, rtol=1e-12, atol=1e-12)
        source = torch.tensor([LETTERS.encode(words[k])])
        written = torch.tensor([[1, *PHONEMES.encode(expected[k].symbols)[:-1]]])
        with torch.no_grad():
            logits, _ = model(source, written)
        probabilities = torch.tensor([step["probabilities"] for step in steps], dtype=torch.float64)
        torch.testing.assert_close(probabilities, logits[0].softmax(dim=-1), rtol=1e-12, atol=1e-12)


def test_half_precision_at_its_edges():
    """Zero, the smallest and the largest numbers, both signs, infinity, against PyTorch."""
    bits = [0, 0x8000, 1, 0x03FF, 0x0400, 0x3C00, 0xBC01, 0x7BFF, 0xFBFF]
    expected = torch.tensor(bits, dtype=torch.int32).to(torch.int16).view(torch.float16).double().tolist()
    assert evaluate("recurrent.js", "bits.map(half)", bits=bits) == expected
    assert evaluate("recurrent.js", "[half(0x7c00) === Infinity, Number.isNaN(half(0x7c01))]") == [True, True]


def test_other_types_of_weights_are_refused():
    header = b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}'
    data = base64.b64encode(len(header).to_bytes(8, "little") + header + bytes(4)).decode()
    caught = f"(() => {{ try {{ readTensors({READ}); }} catch (error) {{ return error.message; }} }})()"
    assert evaluate("recurrent.js", caught, file=data) == "weights of type F16 can be read; a has F32"
