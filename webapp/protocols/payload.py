"""A body that clients may have compressed, and may have written as Python writes JSON."""

import json
import zlib
from typing import Any

import msgspec

from experiments.errors import Malformed
from webapp.errors import TooLarge, UnsupportedMedia

INFLATES_TO = 4
"""A compressed body may inflate to this many times what is read of a plain one: RudderStack's clients send 4 MB."""


def plain(body: bytes, encoding: str | None, most: int) -> bytes:
    """The body, inflated where it is compressed; TooLarge as soon as it grows beyond what is read."""
    if len(body) > most:
        raise TooLarge(f"The body has {len(body)} bytes; at most {most} are read")
    encoding = (encoding or "").strip().lower()
    if encoding in {"", "identity"}:
        return body
    if encoding not in {"gzip", "x-gzip"}:
        raise UnsupportedMedia("Content-Encoding may be gzip")
    limit, inflated, rest = most * INFLATES_TO, b"", body
    try:
        while rest:  # a gzip file may be several, one after the other
            stream = zlib.decompressobj(wbits=31)
            inflated += stream.decompress(rest, limit + 1 - len(inflated))
            if len(inflated) > limit:
                raise TooLarge(f"The body inflates to more than {limit} bytes")
            if not stream.eof:
                raise Malformed("The compressed body ends early")
            rest = stream.unused_data
    except zlib.error as error:
        raise Malformed(f"The body is not gzip: {error}") from None
    return inflated


def read_object(body: bytes) -> dict[str, Any]:
    """The body's object. Python's clients write NaN, which is no JSON: it is read, so that one message alone fails."""
    found: object
    try:
        found = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        try:
            found = json.loads(body, parse_constant=str)
        except (ValueError, RecursionError) as error:
            raise Malformed(f"The body is not valid JSON: {error}") from None
    except RecursionError:
        raise Malformed("The body is nested too deeply") from None
    if not isinstance(found, dict):
        raise Malformed("The body must be an object")
    return found
