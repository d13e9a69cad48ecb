"""From untrusted JSON to a typed value: the one place where a shape error becomes a FieldError."""

import re
from typing import Any, TypeVar

import msgspec

from experiments.errors import Invalid, Malformed
from experiments.identifiers import KEY, PLACEMENT_KEY, PRINTABLE, UNIT_ID
from experiments.wording import worded

T = TypeVar("T")

_PATH = re.compile(r"(?P<message>.*?)(?: - at `(?P<kind>key in )?\$(?P<path>[^`]*)`)?$", re.DOTALL)
_MISMATCH = re.compile(r"Expected (?P<expected>`.+`), got (?P<given>`.+`)")

_PLAIN = {
    f"matching regex {UNIT_ID!r}": worded("must be 1 to 128 printable ASCII characters without spaces"),
    f"matching regex {KEY!r}": worded("must be 1 to 64 letters, digits, . : - or _, starting with a letter or digit"),
    f"matching regex {PRINTABLE!r}": worded("must be one line of text without control characters"),
    f"matching regex {PLACEMENT_KEY!r}": worded("must be 1 to 64 letters, digits, . - or _"),
    "nvalid decimal string": worded("is not a number"),
    "datetime` with a timezone": worded("needs its time zone: 2026-11-21T12:00:00Z"),
}
"""What msgspec says for machines, as people would say it."""


_decoders: dict[Any, msgspec.json.Decoder[Any]] = {}
"""By shape; a decoder that is made once is twice as fast as one made for each body."""


def decode(body: bytes, shape: type[T]) -> T:
    """JSON bytes as `shape`; Malformed where it is no JSON, Invalid (naming the field) where it does not fit."""
    try:
        decoder = _decoders.get(shape) or _decoders.setdefault(shape, msgspec.json.Decoder(shape))
        read: T = decoder.decode(body)
    except msgspec.ValidationError as error:
        raise invalid(error) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Malformed(worded("The body is not valid JSON: %(error)s", error=str(error))) from None
    except RecursionError:
        raise Malformed(worded("The body is nested too deeply")) from None
    return read


def convert(value: Any, shape: type[T]) -> T:
    """A parsed JSON value as `shape`; Invalid, naming the field, where it does not fit."""
    try:
        return msgspec.convert(value, shape)
    except msgspec.ValidationError as error:
        raise invalid(error) from None


def invalid(error: msgspec.ValidationError) -> Invalid:
    """A msgspec shape error as ours: `Object contains unknown field `x` - at `$.a[0]`` names the field a[0].x."""
    match = _PATH.match(str(error))
    if match is None:  # the pattern's parts are all optional: it matches any text
        return Invalid.at("", str(error))
    message, path = match["message"], (match["path"] or "").replace("[...]", "").lstrip(".")
    for pattern in (r"Object contains unknown field `(.+)`", r"Object missing required field `(.+)`"):
        named = re.match(pattern, message)
        if named:
            path = f"{path}.{named[1]}" if path else named[1]
            message = worded("is not a field here") if "unknown" in message else worded("is required")
    for pattern, plain in _PLAIN.items():
        if pattern in message:
            return Invalid.at(path, plain)
    if mismatch := _MISMATCH.fullmatch(message):
        return Invalid.at(path, worded("expected %(expected)s, got %(given)s", **mismatch.groupdict()))
    return Invalid.at(path, message[:1].lower() + message[1:] if message.startswith("Expected") else message)
