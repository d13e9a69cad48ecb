"""Version numbers as texts that sort like versions: GrowthBook's `paddedVersionString`."""

import re
from functools import lru_cache

from experiments.ecmascript import to_string

_PREFIX_AND_BUILD = re.compile(r"^v|\+[^\n\r\u2028\u2029]*\Z")
_SEPARATOR = re.compile(r"[-.]")


def padded_version(version: object) -> bytes:
    """The version such that `<` on two of them orders by precedence; a number is its text, anything else "0".

    Three parts without a pre-release get "~", the last of ASCII, so that 1.0.0 comes after 1.0.0-beta.
    """
    if isinstance(version, (int, float)) and not isinstance(version, bool):
        version = to_string(version)
    return _padded(version if isinstance(version, str) and version else "0")


@lru_cache(maxsize=4096)  # a shop's visitors have few versions of few things
def _padded(version: str) -> bytes:
    parts = _SEPARATOR.split(_PREFIX_AND_BUILD.sub("", version))
    if len(parts) == 3:
        parts.append("~")
    padded = "-".join(part.rjust(5) if part.isascii() and part.isdigit() else part for part in parts)
    return padded.encode("utf-16-be", "surrogatepass")
