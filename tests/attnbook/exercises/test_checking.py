"""The engine: counterexamples, errors, endless loops, two mistakes at once, odd results, hints, progress."""

import functools
import json
import math
import random
import statistics
import time

import numpy as np
import pytest
import torch
from torch import nn

from attnbook import exercises
from attnbook.exercises import check, checking, examine, record, running
from attnbook.exercises.catalogue import all_exercises, find
from attnbook.exercises.kinds import FunctionExercise
from attnbook.exercises.values import same

FUNCTIONS = [one for one in all_exercises().values() if isinstance(one, FunctionExercise)]


def unscaled(query, key, value):
    weights = (query @ key.mT).softmax(dim=-1)
    return weights @ value, weights


def test_the_counterexample_is_small_and_true():
    report = examine("scaled-dot-product", unscaled)
    found = report.counterexample
    query, key, value = found.inputs.values()
    # two keys are needed to see a weight, two components to see a scale
    assert query.shape == (1, 1, 2) and key.shape == (1, 2, 2) and value.shape == (1, 2, 1)
    weights = (query.double() @ key.double().mT / math.sqrt(2)).softmax(-1)
    shown = torch.tensor(eval(found.expected)[0])
    torch.testing.assert_close(shown.double(), weights @ value.double(), atol=1e-3, rtol=1e-3)
    assert eval(found.given) != eval(found.expected)
    assert str(report).count("key = ") == 1


def test_two_mistakes_are_found_as_two():
    def both(query, key, value):
        weights = (query @ key.mT).softmax(dim=-2)
        return weights @ value, weights

    report = examine("scaled-dot-product", both)
    assert set(report.mistakes) == {"no scale", "softmax over the queries"}
    assert " and " in report.mistake
    assert report.broken == "normalization"


def test_an_error_is_told_by_its_line():
    def attempt(query, key, value):
        scores = query @ key  # fails
        return scores

    report = examine("scaled-dot-product", attempt)
    assert report.mistakes == ("shapes that do not fit",)
    line = attempt.__code__.co_firstlineno + 1
    assert f"line {line}: scores = query @ key" in str(report)
    assert "attnbook" not in str(report)


def test_an_error_on_some_inputs_only():
    def attempt(query, key, value):
        weights = (query @ key.transpose(0, 1) / math.sqrt(query.shape[-1])).softmax(-1)
        return weights @ value, weights

    report = examine("scaled-dot-product", attempt)
    assert not report.passed and "RuntimeError" in str(report) and "key.transpose(0, 1)" in str(report)


@pytest.mark.parametrize("swallow", [False, True])
def test_an_endless_attempt_is_stopped(monkeypatch, swallow):
    monkeypatch.setattr(running, "SECONDS", 0.3)

    def endless(query, key, value):
        while True:
            try:
                query = query + 0
            except Exception:
                if not swallow:
                    raise

    before = time.perf_counter()
    report = examine("scaled-dot-product", endless)
    assert time.perf_counter() - before < 5
    assert report.mistakes == ("it never ends",) and "line" in str(report)


@pytest.mark.parametrize(
    "attempt",
    [..., None, exercises.find("softmax").stub, "pass", "raise", "docstring", "return ..."],
    ids=["dots", "None", "stub", "pass", "raise", "docstring", "return dots"],
)
def test_not_attempted(attempt):
    sources = {
        "pass": "def f(scores):\n    pass",
        "raise": "def f(scores):\n    raise NotImplementedError",
        "docstring": "def f(scores):\n    'Write me.'",
        "return ...": "def f(scores):\n    return ...",
    }
    if isinstance(attempt, str):
        names = {}
        exec(sources.get(attempt, attempt), names)
        attempt = names.get("f") or names["softmax_rows"]
    report = examine("softmax", attempt)
    assert not report.attempted and not report.passed and report.hint is None
    assert "Not attempted" in str(report)


def test_any_style_passes():
    class Rows(nn.Module):
        def forward(self, scores):
            return scores.softmax(-1)

    for attempt in (Rows(), functools.partial(torch.softmax, dim=-1), lambda s: s.softmax(-1).numpy(), nn.Softmax(-1)):
        assert examine("softmax", attempt).passed, attempt


def test_inputs_may_be_changed_in_place():
    def attempt(scores):
        scores -= scores.max(dim=1, keepdim=True).values
        return scores.exp_().div_(scores.sum(1, keepdim=True))

    assert examine("softmax", attempt).passed


def test_what_any_function_can_have():
    def nothing(scores):
        scores.softmax(-1)

    cases = {
        "nothing returned": nothing,
        "rows and columns exchanged": lambda s: s.softmax(-1).mT,
        "wrong shape": lambda s: s.softmax(-1).sum(-1),
        "a factor": lambda s: 3 * s.softmax(-1),
        "the sign": lambda s: -s.softmax(-1),
        "several results": lambda s: (s.softmax(-1), s),
        "scores is not used": lambda s: torch.full(s.shape, 1 / s.shape[1]),
        "an error": lambda s: s["a"] if s is None else {}[0],
        "a name that is not defined": lambda s: softmax(s),
        "another number of arguments": lambda s, t: s,
    }
    for name, attempt in cases.items():
        assert examine("softmax", attempt).mistake == name


def test_right_in_one_size_only():
    def attempt(x):
        return (x @ x.mT / math.sqrt(x.shape[-1])).softmax(-1)[:1].expand(x.shape[0], -1, -1)

    assert "those where batch is 1 came out right, the others wrong" in str(examine("weights-for-many", attempt))


WEIRD = [
    *(lambda *x: None, lambda *x: "text", lambda *x: {1: 2}, lambda *x: object(), lambda *x: [], lambda *x: ()),
    *(lambda *x: [[1], [2, 3]], lambda *x: float("nan"), lambda *x: torch.tensor(float("inf"))),
    *(lambda *x: np.array(["a"]), lambda *x: torch.zeros(0), lambda *x: torch.zeros(2, 3, 4, 5, 6), lambda *x: x),
    *(lambda *x: x[0], lambda *x: x[-1], lambda *x: True, lambda *x: 1 + 2j, lambda *x: [None, None]),
    *(lambda *x: torch.zeros(2, dtype=torch.complex64), lambda *x: (torch.zeros(1), None), lambda *x: exit),
    *(lambda *x: 1 / 0, lambda *x: x[99], lambda *x: torch.zeros(3) @ torch.zeros(4), lambda *x: (_ for _ in "abc")),
    *(lambda *x: torch.tensor([True, False]), lambda *x: np.float32(3), lambda *x: (x, x), lambda *x: b"bytes"),
    *(lambda *x: 10**400,),
]


def random_function(seed):
    """A few operations on the inputs, drawn at random."""
    unary = [
        *(lambda a: a.softmax(-1), lambda a: a.mT, lambda a: a.exp(), lambda a: a.sum(-1), lambda a: -a),
        *(lambda a: a > 0, lambda a: a.mean(0), lambda a: a[..., :1], lambda a: a.double(), lambda a: a.tanh()),
    ]
    binary = [lambda a, b: a @ b, lambda a, b: a + b, lambda a, b: a * b, lambda a, b: a @ b.mT, lambda a, b: (a, b)]

    def attempt(*inputs):
        values = [x for x in inputs if isinstance(x, torch.Tensor)] or [torch.tensor([float(inputs[0])])]
        plan = random.Random(seed)
        out = plan.choice(values)
        for _ in range(plan.randint(1, 4)):
            out = plan.choice(unary)(out) if plan.random() < 0.6 else plan.choice(binary)(out, plan.choice(values))
        return out

    return attempt


@pytest.mark.parametrize("exercise", FUNCTIONS, ids=[one.name for one in FUNCTIONS])
def test_wrong_functions_neither_pass_nor_break_the_check(exercise):
    for attempt in WEIRD:
        assert not examine(exercise.name, attempt).passed
    for seed in range(12):
        attempt = random_function(seed)
        report = examine(exercise.name, attempt)
        if report.passed:  # by luck it may be right: then it is right on inputs that the check never used, too
            for k, case in enumerate(exercise.cases):
                inputs = exercise.make(case, 500 + k)
                assert same(attempt(*inputs.values()), exercise.reference(**inputs)), f"seed {seed}"
        assert str(report) and report._repr_html_()


def test_a_check_takes_less_than_two_seconds():
    times = []
    for exercise in FUNCTIONS:
        for attempt in (exercise.reference, exercise.variant(exercise.mistakes[:1]), lambda *inputs: inputs[0]):
            begin = time.perf_counter()
            examine(exercise.name, attempt)
            times.append(time.perf_counter() - begin)
    print(f"median {statistics.median(times):.3f} s, largest {max(times):.2f} s")
    assert statistics.median(times) < 2


def test_bad_input():
    cases = [
        (5, lambda: None, TypeError, "name"),
        ("no-such", lambda: None, ValueError, "name must be"),
        ("softmax", 3, TypeError, "attempt must be a function or a module; got int"),
        ("softmax", nn.Softmax, TypeError, "class Softmax"),
        ("cache-size", "512", TypeError, "attempt must be a number; got str"),
        ("cache-size", [1, 2], ValueError, "attempt must be a number"),
        ("output-of-a-query", 3.0, ValueError, "2 numbers"),
        ("which-axis", 1, TypeError, "letter"),
        ("which-axis", "z", ValueError, "letters a, b, c, d"),
    ]
    for name, attempt, error, says in cases:
        with pytest.raises(error, match=says):
            check(name, attempt)


def test_a_name_that_is_nearly_right():
    with pytest.raises(ValueError, match="'softmax'"):
        find("softmx")


def test_hints_come_one_after_the_other(capsys, monkeypatch):
    monkeypatch.setattr(record, "_read_hints", {})
    hints = find("scaled-dot-product").hints
    assert [examine("scaled-dot-product", unscaled).hint for _ in range(len(hints) + 1)] == [*hints, hints[-1]]
    monkeypatch.setattr(record, "_read_hints", {})
    exercises.hint("scaled-dot-product")
    exercises.hint("scaled-dot-product")
    assert capsys.readouterr().out == f"{hints[0]}\n{hints[1]}\n"


def test_solutions_are_the_code_that_runs(capsys):
    exercises.solution("softmax")
    names = {}
    exec(capsys.readouterr().out, names)
    assert examine("softmax", names["softmax_rows"]).passed
    exercises.solution("which-axis")
    assert "The keys: each query" in capsys.readouterr().out


def test_progress_is_a_file_of_the_readers(tmp_path, monkeypatch, capsys):
    path = tmp_path / "mine.json"
    monkeypatch.setenv(record.VARIABLE, str(path))
    examine("softmax", unscaled)
    assert not path.exists()
    examine("softmax", lambda s: s.softmax(-1))
    examine("softmax", lambda s: s.softmax(-1))
    assert json.loads(path.read_text()) == {"passed": ["softmax"]}
    exercises.progress()
    out = capsys.readouterr().out
    assert "chapter  3   1 of  6" in out and str(path) in out
    path.write_text("{")
    with pytest.raises(ValueError, match="no record of progress"):
        exercises.progress()


def test_in_colab_it_says_what_becomes_of_the_file(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "google.colab", object())
    assert "Drive" in record.place()


def test_reports_are_text_never_html():
    def attempt(scores):
        raise ValueError("<img src=x onerror=alert(1)>")

    html = examine("softmax", attempt)._repr_html_()
    assert "<img" not in html and "&lt;img" in html


def test_shown_once(capsys):
    report = check("softmax", lambda s: s.softmax(-1))
    assert capsys.readouterr().out.startswith("Passed: A softmax")
    assert report.passed and report.mistake is None


@pytest.mark.parametrize(
    ("wrong", "smallest", "said"),
    [
        ([1, 2], {"n": 2, "m": 3}, "Of the inputs tried, those where n is 1 came out right, the others wrong."),
        ([2], {"n": 3, "m": 3}, "Of the inputs tried, those where n is 2 or less came out right, the others wrong."),
        ([0], {"n": 1, "m": 3}, "Of the inputs tried, only those where n is 1 came out wrong."),
        ([1, 2], {"n": 1, "m": 3}, ""),  # the counterexample shown is wrong with n = 1 as well
        ([0], {"n": 2, "m": 3}, ""),
        ([0, 1, 2], {"n": 1, "m": 1}, ""),
    ],
)
def test_where_it_is_wrong_is_never_contradicted_by_what_is_shown(wrong, smallest, said):
    cases = [{"n": 1, "m": 3}, {"n": 2, "m": 3}, {"n": 3, "m": 3}]
    assert checking._where_wrong(cases, wrong, smallest) == said
