"""Reads what others wrote (files, answers of programs), and says whose words could not be read and what to do."""

import json
import pathlib

from failures import Failure, failure_of

SHOWN = 80


def read_text(path: pathlib.Path, kind: str, way: str) -> str:
    """The text of a file that must be there. `kind` is that of a file which is no text, `way` what to do then."""
    try:
        return path.read_text("utf-8")
    except FileNotFoundError as error:
        raise Failure("missing", f"{path} is not there. {way}") from error
    except UnicodeError as error:
        raise Failure(kind, f"{path} is no text in UTF-8 ({error.reason}). {way}") from error
    except OSError as error:
        raise failure_of(error) from error


def parse(text: str, shape, kind: str, source: str, way: str):
    """The value of a text in JSON that has the given shape. `source` says whose words it is, `way` what to do if not.

    A shape is a type or several; a list of one shape; an object with the shapes of what it must have, where `...`
    stands for every member; or a function that says whether it fits. What is read once here is believed later on.
    """
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Failure(kind, f"{source} what is no JSON: {_excerpt(text)}. {way}") from error
    if not fits(value, shape):
        raise Failure(kind, f"{source} other JSON than is written there: {_excerpt(text)}. {way}")
    return value


def fits(value, shape) -> bool:
    """Whether a value has this shape."""
    if isinstance(shape, dict):
        if not isinstance(value, dict):
            return False
        every = [fits(one, shape[...]) for one in value.values()] if ... in shape else []
        named = [name in value and fits(value[name], one) for name, one in shape.items() if name is not ...]
        return all(every) and all(named)
    if isinstance(shape, list):
        return isinstance(value, list) and all(fits(one, shape[0]) for one in value)
    if isinstance(shape, (type, tuple)):
        return isinstance(value, shape)
    return bool(shape(value))


def _excerpt(text: str) -> str:
    """As much of it as helps to recognise it, on one line."""
    if not text.strip():
        return "nothing at all"
    return repr(text[:SHOWN]) + (" …" if len(text) > SHOWN else "")
