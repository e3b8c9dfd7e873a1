"""What holds for every model, whatever its decoder."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from attnbook import scores, seq2seq
from attnbook.data import EOS, PAD, Vocabulary, pad
from attnbook.data.batches import collate
from attnbook.seq2seq import (
    BackwardStart,
    BahdanauDecoder,
    BidirectionalEncoder,
    CopiedStart,
    Encoder,
    InputFeedingDecoder,
    LocalMonotonic,
    LocalPredictive,
    ProjectedStart,
    Seq2Seq,
    decode,
)
from attnbook.training import train

LETTERS = Vocabulary("abcdefgh")
SIZES = {"d_embedding": 5, "d_hidden": 8}


def paper_bahdanau():
    decoder = BahdanauDecoder(12, 5, 8, 8, score=scores.Additive(8, 8, 8), start=BackwardStart(4, 8), d_maxout=4)
    return Seq2Seq(BidirectionalEncoder(12, 5, 4), decoder)


def input_feeding(alignment):
    encoder = Encoder(12, 5, 8, layers=2)
    return Seq2Seq(encoder, InputFeedingDecoder(12, 5, 8, 8, alignment=alignment, start=CopiedStart(), layers=2))


def lstm_throughout():
    encoder = BidirectionalEncoder(12, 5, 4, cell=nn.LSTM)
    alignment = seq2seq.Global(scores.scaled_dot)
    return Seq2Seq(encoder, seq2seq.LuongDecoder(12, 5, 8, 8, alignment=alignment, start=ProjectedStart(8, 8)))


MODELS = {
    "none": lambda: seq2seq.without_attention(LETTERS, LETTERS, **SIZES),
    "bahdanau": lambda: seq2seq.bahdanau(LETTERS, LETTERS, **SIZES),
    "luong-dot": lambda: seq2seq.luong(LETTERS, LETTERS, **SIZES),
    "luong-general": lambda: seq2seq.luong(LETTERS, LETTERS, score=scores.General(8, 8), **SIZES),
    "luong-location": lambda: seq2seq.luong(LETTERS, LETTERS, score=scores.Location(8, 9), **SIZES),
    "paper-bahdanau": paper_bahdanau,
    "input-feeding-local-m": lambda: input_feeding(LocalMonotonic(scores.General(8, 8), 2)),
    "input-feeding-local-p": lambda: input_feeding(LocalPredictive(scores.Concat(8, 8, 6), 8, 2)),
    "lstm": lstm_throughout,
}
WORDS = ["abcdefg", "", "h", "cab", "feed"]


@pytest.fixture(params=MODELS)
def model(request):
    torch.manual_seed(0)
    return MODELS[request.param]().double()


def test_padding_a_batch_changes_nothing(model):
    sources = [LETTERS.encode(word) for word in WORDS]
    targets = [[1, 4, 5, 6], [1], [1, 9, 4], [1, 4, 4, 4, 4], [1, 6]]
    logits, weights = model(pad(sources), pad(targets))
    for i, (source, target) in enumerate(zip(sources, targets, strict=True)):
        alone, own = model(torch.tensor([source]), torch.tensor([target]))
        torch.testing.assert_close(logits[i, : len(target)], alone[0], rtol=1e-10, atol=1e-12)
        if weights is not None:
            torch.testing.assert_close(weights[i, : len(target), : len(source)], own[0], rtol=1e-10, atol=1e-12)
            assert (weights[i, :, len(source) :] == 0).all()


def test_greedy_is_teacher_forcing_on_its_own_output(model):
    source = pad([LETTERS.encode(word) for word in WORDS])
    numbers, weights = model.greedy(source, max_length=7)
    target_in = torch.cat([torch.ones_like(source[:, :1]), numbers[:, :-1]], dim=1)
    logits, forced = model(source, target_in)
    for i, row in enumerate(numbers.tolist()):
        n = row.index(EOS) + 1 if EOS in row else len(row)
        assert logits[i, :n].argmax(dim=-1).tolist() == row[:n]
        assert set(row[n:]) <= {PAD}
        if weights is not None:
            torch.testing.assert_close(weights[i, :n], forced[i, :n], rtol=1e-10, atol=1e-12)
            assert (weights[i, n:] == 0).all()


def test_greedy_stops_at_the_end_symbol(model):
    output = model.decoder.W_o if hasattr(model.decoder, "W_o") else model.decoder.W_s
    with torch.no_grad():
        output.bias[EOS] = 100
    numbers, _ = model.greedy(pad([LETTERS.encode("abc")] * 2), max_length=7)
    assert numbers.tolist() == [[EOS], [EOS]]


def test_greedy_ignores_dropout_and_leaves_the_mode(model):
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.5
    source = pad([LETTERS.encode("abc")])
    model.train()
    first, second = (model.greedy(source, max_length=5)[0] for _ in range(2))
    assert model.training and torch.equal(first, second)
    model.eval()
    assert torch.equal(model.greedy(source, max_length=5)[0], first) and not model.training


def test_gradients_of_a_padded_batch_are_finite_and_reach_every_parameter(model):
    source = pad([LETTERS.encode(word) for word in WORDS])
    target_in = pad([[1, 4, 5], [1], [1, 9, 4], [1, 4, 4], [1, 6]])
    logits, _ = model(source, target_in)
    F.cross_entropy(logits.flatten(0, 1), target_in.flatten(), ignore_index=PAD).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None and torch.isfinite(parameter.grad).all(), name
        # A column of a location score past the batch's longest source, and unread symbols, have zero gradient.
        assert parameter.grad.abs().sum() > 0, name
    assert (model.encoder.embedding.weight.grad[PAD] == 0).all()


def test_decoding_strings(model):
    answers = decode(model, WORDS, LETTERS, LETTERS, max_length=6, batch_size=2)
    for word, answer in zip(WORDS, answers, strict=True):
        (alone,) = decode(model, [word], LETTERS, LETTERS, max_length=6)
        assert alone.symbols == answer.symbols
        if answer.weights is not None:
            assert answer.weights.shape[1] == len(word) + 1
            torch.testing.assert_close(alone.weights, answer.weights, rtol=1e-10, atol=1e-12)
    assert decode(model, [], LETTERS, LETTERS, max_length=6) == []


def test_sources_that_are_not_batches(own_errors, model):
    target = torch.tensor([[1, 4]])
    for source, error, message in [
        ("abc", TypeError, "source must be a torch.Tensor"),
        (torch.ones(1, 3), ValueError, "source must hold whole numbers.*float32"),
        (torch.tensor([4, 5]), ValueError, r"source must hold whole numbers.*shape \(2,\)"),
        (torch.tensor([[0, 0]]), ValueError, "source must have .* a symbol .*1 rows of padding only"),
        (torch.zeros(1, 0, dtype=torch.long), ValueError, "source must have .* a symbol"),
        (torch.zeros(0, 3, dtype=torch.long), ValueError, "source must have at least one row"),
        (torch.tensor([[4, 0, 5]]), ValueError, "source must be padded on the right only"),
    ]:
        with pytest.raises(error, match=message):
            model(source, target)


def test_targets_that_are_not_batches(own_errors, model):
    source = torch.tensor([[4, 5, 2]])
    for target, error, message in [
        ([[1, 4]], TypeError, "target_in must be a torch.Tensor"),
        (torch.ones(1, 2), ValueError, "target_in must hold whole numbers.*float32"),
        (torch.ones(1, 0, dtype=torch.long), ValueError, "target_in must hold whole numbers.*at least 1"),
        (torch.ones(2, 2, dtype=torch.long), ValueError, "target_in must have as many rows as source, 1; got 2"),
    ]:
        with pytest.raises(error, match=message):
            model(source, target)
    with pytest.raises(ValueError, match="max_length must be at least 1; got 0"):
        model.greedy(source, max_length=0)


def test_the_comparison_is_equal():
    """The four models share the encoder and the start; what differs is the decoder's attention."""
    encoders = set()
    for name in ("none", "bahdanau", "luong-dot", "luong-general"):
        shared = MODELS[name]()
        encoders.add(tuple((key, tuple(value.shape)) for key, value in shared.encoder.state_dict().items()))
        assert isinstance(shared.decoder.start, ProjectedStart)
    assert len(encoders) == 1


def test_an_odd_size():
    with pytest.raises(ValueError, match=r"d_hidden must be even.*got 7"):
        seq2seq.luong(LETTERS, LETTERS, d_hidden=7)


def test_it_runs_on_the_device_of_its_parameters(model, device):
    """Training, teacher forcing and decoding give what the CPU gives."""
    source, target = pad([LETTERS.encode(word) for word in WORDS]), pad([[1, 4, 5], [1], [1, 9, 4], [1, 4, 4], [1, 6]])
    logits, weights = model(source, target)
    moved = model.to(device)
    moved_logits, moved_weights = moved(source.to(device), target.to(device))
    assert moved_logits.device.type == device.type
    torch.testing.assert_close(moved_logits.cpu(), logits, rtol=1e-8, atol=1e-10)
    if weights is not None:
        torch.testing.assert_close(moved_weights.cpu(), weights, rtol=1e-8, atol=1e-10)
    decode(moved, WORDS, LETTERS, LETTERS, max_length=5)
    batch = collate([("abc", "cab"), ("d", "e")], LETTERS, LETTERS)
    losses = train(moved, iter([batch] * 2), steps=2, learning_rate=1e-3)
    assert len(losses) == 2


class Script(nn.Module):
    """Stands in for encoder and decoder: writes the given rows, whatever it reads."""

    def __init__(self, rows):
        super().__init__()
        self.rows = torch.tensor(rows)

    def begin(self, encoding):
        return ()

    def forward(self, symbols, encoding=None, state=None, first=0):
        if encoding is None:
            return symbols
        logits = F.one_hot(self.rows[:, first : first + 1], 12).double()
        return logits, torch.ones(len(self.rows), 1, encoding.shape[1]), ()


def test_each_row_ends_at_its_own_end_symbol():
    rows = [[5, EOS, 7, 8, 9], [5, 6, 7, EOS, 9], [EOS, 5, EOS, 6, 7]]
    script = Script(rows)
    numbers, weights = Seq2Seq(script, script).greedy(torch.ones(3, 2, dtype=torch.long), max_length=5)
    assert numbers.tolist() == [[5, EOS, PAD, PAD], [5, 6, 7, EOS], [EOS, PAD, PAD, PAD]]
    assert weights[:, :, 0].tolist() == [[1, 1, 0, 0], [1, 1, 1, 1], [1, 0, 0, 0]]


def test_greedy_stops_at_the_greatest_length():
    script = Script([[5] * 9])
    numbers, _ = Seq2Seq(script, script).greedy(torch.ones(1, 2, dtype=torch.long), max_length=3)
    assert numbers.tolist() == [[5, 5, 5]]
