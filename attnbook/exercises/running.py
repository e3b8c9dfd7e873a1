"""Calling a reader's function: prints are dropped, an error is told by its line, and an endless loop is stopped."""

import contextlib
import ctypes
import dis
import inspect
import io
import linecache
import sys
import textwrap
import threading
import traceback
from collections.abc import Callable, Mapping
from types import CodeType

import torch
from torch import nn

from attnbook.exercises.values import plain

SECONDS = 10.0  # for a whole check


class AttemptError(Exception):
    """An error that the attempt raised: its own error, the line it happened in, and the line's text."""

    def __init__(self, error: BaseException, line: int | None, text: str):
        super().__init__(str(error))
        self.error, self.line, self.text = error, line, text


class NeverEnds(BaseException):
    """Raised inside of an attempt that takes too long; no Exception, so that `except Exception` does not stop it."""


def code_of(attempt: Callable) -> CodeType | None:
    """The code that runs when the attempt is called; None for builtins and the like."""
    function = type(attempt).forward if isinstance(attempt, nn.Module) else attempt
    function = inspect.unwrap(getattr(function, "func", function))  # of functools.partial, of decorators
    if not hasattr(function, "__code__"):
        function = inspect.unwrap(getattr(function, "__func__", type(function).__call__))
    return getattr(function, "__code__", None)


def _skeleton(code: CodeType) -> list[tuple[str, object]]:
    """The instructions, without the places that they have in a file; those of functions inside as well."""
    instructions = [one for one in dis.get_instructions(code) if one.opname not in ("RESUME", "NOP")]
    values = (_skeleton(one.argval) if isinstance(one.argval, CodeType) else one.argval for one in instructions)
    return [(one.opname, value) for one, value in zip(instructions, values, strict=True)]


def _nothing() -> None: ...


def is_stub(attempt: Callable) -> bool:
    """A function whose body is `...`, `pass` or a docstring: nobody has written it yet."""
    code = code_of(attempt)
    return code is not None and _skeleton(code) == _skeleton(code_of(_nothing))


def is_listing(attempt: Callable, listing: str) -> bool:
    """The function of a listing, as it was given."""
    code = code_of(attempt)
    inside = compile(textwrap.dedent(listing), "<listing>", "exec").co_consts
    given = [one for one in inside if isinstance(one, CodeType)]  # the last is the one to mend, the others help it
    return code is not None and _skeleton(code) == _skeleton(given[-1])


def call(attempt: Callable, inputs: Mapping) -> object:
    """The attempt's result as tensors. It gets copies, by position, so that it may name and change its arguments.

    Raises: AttemptError; values.Unreadable for a result that is no number.
    """
    own = [x.clone() if isinstance(x, torch.Tensor) else x for x in inputs.values()]
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            result = attempt(*own)
    except Exception as error:
        raise AttemptError(error, *_line_of(error, attempt)) from None
    return result if result is None or result is ... or result is NotImplemented else plain(result)


def _line_of(error: BaseException, attempt: Callable) -> tuple[int | None, str]:
    """The innermost line of the attempt's own file that the error passed through."""
    code = code_of(attempt)
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if code is not None and frame.filename == code.co_filename]
    return (own[-1].lineno, own[-1].line or "") if own else (None, "")


def within(seconds: float, work: Callable, attempt: Callable) -> object:
    """The result of `work()`, which calls the attempt; AttemptError(NeverEnds) if that takes longer.

    It runs in a thread of its own, because an exception can be raised inside of a thread from outside, on every system
    and in every front end.
    """
    outcome: dict[str, object] = {}

    def run() -> None:
        try:
            outcome["result"] = work()
        except BaseException as error:
            outcome["error"] = error

    thread = threading.Thread(target=run, daemon=True)
    with contextlib.redirect_stdout(io.StringIO()):  # prints of the attempt: a check calls it many times
        thread.start()
        thread.join(seconds)
        alive = thread.is_alive()
        line, text = _where(thread, attempt) if alive else (None, "")
        for _ in range(20):  # `except:` in a loop swallows one
            if not thread.is_alive():
                break
            ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident), ctypes.py_object(NeverEnds))
            thread.join(0.1)
    if alive:
        raise AttemptError(NeverEnds(f"it was stopped after {seconds:g} seconds"), line, text)
    if "error" in outcome:
        raise outcome["error"]
    return outcome["result"]


def _where(thread: threading.Thread, attempt: Callable) -> tuple[int | None, str]:
    code = code_of(attempt)
    frame = sys._current_frames().get(thread.ident)
    while frame is not None and (code is None or frame.f_code.co_filename != code.co_filename):
        frame = frame.f_back
    return (
        (None, "") if frame is None else (frame.f_lineno, linecache.getline(code.co_filename, frame.f_lineno).strip())
    )
