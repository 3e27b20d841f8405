"""How a check of `exercises` calls a student's function and words what it finds."""

import copy
import inspect
import linecache
import numbers
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Mistake:
    """A mistake that a check recognises.

    Attributes:
        seen: takes the student's result and the inputs, tells whether this mistake explains it.
        hint: what to tell the student.
    """

    seen: Callable[..., bool]
    hint: str


def gives(wrong: Callable, hint: str) -> Mistake:
    """Recognise a result that equals what `wrong` returns."""
    return Mistake(lambda result, *args: _same(result, wrong(*args)), hint)


def check(
    student: Callable,
    name: str,
    reference: Callable,
    inputs: Sequence[tuple],
    mistakes: Sequence[Mistake],
) -> bool:
    """Call a student's function on a few inputs and print one line about the outcome.

    Args:
        student: the function; it gets copies of the inputs, and whatever it raises is reported.
        name: what the function is called in the exercise.
        reference: returns the right result: an array, a float or an int. The names of its
            parameters are used in the message.
        inputs: tuples of arguments, tiny, since the first that fails is printed whole.
        mistakes: known ones; the first that explains a wrong result gives the hint.

    Returns:
        Whether all results are right.
    """
    if not callable(student):
        print(f"Not yet: give the check your function {name} itself, not {type(student).__name__}.")
        return False
    labels = list(inspect.signature(reference).parameters)
    for args in inputs:
        given = ", ".join(f"{k} = {_text(v)}" for k, v in zip(labels, args, strict=True))
        expected = reference(*copy.deepcopy(args))
        own = copy.deepcopy(args)  # whatever a student's function does, it does to its own copy
        try:
            with np.errstate(all="ignore"):
                result = student(*own)
        except Exception as error:
            where = _where(error, student)
            print(
                f"Not yet: for input {given} {name} raised {type(error).__name__}{where}: {error}"
            )
            return False
        problem = _problem(result, expected)
        if problem is None and not all(map(_same, own, args)):
            problem = "the right result, but the input was changed. Hint: work on a copy"
        if problem is None:
            continue
        hint = _hint(result, args, mistakes)
        print(f"Not yet: for input {given} expected {_text(expected)}, got {problem}.{hint}")
        return False
    print(f"Correct: {name} agrees with the reference on {len(inputs)} inputs.")
    return True


def _hint(result, args: tuple, mistakes: Sequence[Mistake]) -> str:
    result = np.asarray(result) if _is_numeric(result) else None
    if result is None or result.dtype.kind not in "biuf":
        return ""
    with np.errstate(all="ignore"):
        return next((f" Hint: {m.hint}" for m in mistakes if m.seen(result, *args)), "")


def _is_numeric(result) -> bool:
    return hasattr(result, "__array__") or isinstance(result, numbers.Number)


def _problem(result, expected) -> str | None:
    """Say what was received if it is not what was expected; type first, values last."""
    if result is None:
        return "None. Hint: is a return statement missing"
    want = np.asarray(expected)
    kind = (
        "a whole number" if want.dtype.kind == "i" else "a number" if not want.ndim else "an array"
    )
    if isinstance(result, bool) or not _is_numeric(result):
        return f"a {type(result).__name__}, but {kind} is needed"
    got = np.asarray(result)
    if got.shape != want.shape:
        shape = f"shape {want.shape}" if want.ndim else "no axes"
        return f"shape {got.shape}, but {kind} with {shape} is needed"
    if want.dtype.kind == "i" and got.dtype.kind not in "iu":
        return f"{_text(got)} of type {got.dtype}, but a whole number (int) is needed"
    if want.ndim and got.dtype not in (np.float32, np.float64):
        return f"an array of type {got.dtype}, but float32 or float64 is needed"
    return None if _same(got, want) else _text(got)


def _same(a, b) -> bool:
    if isinstance(a, str) or isinstance(b, str):
        return isinstance(a, str) and isinstance(b, str) and a == b
    a, b = np.asarray(a), np.asarray(b)
    if a.shape != b.shape or a.dtype.kind not in "biuf":
        return False
    return bool(np.allclose(a, b, rtol=1e-4, atol=1e-5, equal_nan=True))


def _text(value) -> str:
    if isinstance(value, list | tuple | bool | str):
        return repr(value)
    text = np.array2string(np.asarray(value), precision=4, separator=", ", suppress_small=True)
    return " ".join(text.split())


def _where(error: Exception, student: Callable) -> str:
    """Name the line of the student's own code where an exception passed."""
    code = getattr(inspect.unwrap(student), "__code__", None)
    lines = [
        frame.lineno
        for frame in traceback.extract_tb(error.__traceback__)
        if code and frame.filename == code.co_filename
    ]
    if not lines:
        return ""
    source = linecache.getline(code.co_filename, lines[-1]).strip()
    return f" in line {lines[-1]}" + (f" ({source})" if source else "")
