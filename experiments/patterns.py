"""Regular expressions as browsers write them, matched by RE2 in time that grows only with the text.

The patterns come from an experiment's targeting and the texts from strangers, so backtracking is out of the question.
What RE2 leaves out for that reason, look-around and back-references, is refused.
"""

import re
from collections.abc import Callable

import re2  # type: ignore[import-untyped]  # Google's bindings carry no types

from experiments.wording import worded

MAX_LENGTH = 1_000

_SPACE = r"\t-\r \x{a0}\x{1680}\x{2000}-\x{200a}\x{2028}\x{2029}\x{202f}\x{205f}\x{3000}\x{feff}"
_OUTSIDE = {  # in JavaScript's words -> in RE2's
    ".": r"[^\n\r\x{2028}\x{2029}]",
    r"\s": f"[{_SPACE}]",
    r"\S": f"[^{_SPACE}]",
    r"\0": r"\x00",
    "[]": r"[^\x00-\x{10ffff}]",
    "[^]": "(?s:.)",
}
_INSIDE = {r"\s": _SPACE, r"\b": r"\x08", r"\0": r"\x00", "[": r"\["}
_SHARED_ESCAPES = set("bBdDwWsSfnrtv")
_ESCAPED = r"\\(?:u[0-9a-fA-F]{4}|x[0-9a-fA-F]{2}|.)"
_NEXT_OUTSIDE = re.compile(rf"{_ESCAPED}|\[\^?\]|\(\?<?[=!]|\(\?(?![:<])|.", re.DOTALL)
_NEXT_INSIDE = re.compile(rf"{_ESCAPED}|.", re.DOTALL)
_LOOK_AROUND = ("(?=", "(?!", "(?<=", "(?<!")


class UnsupportedPattern(ValueError):  # the error tree's names say what is wrong, not that it is
    """A pattern that a browser may understand and that cannot be matched here; `why` says what is in the way."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


def compile_pattern(pattern: str, *, ignore_case: bool = False) -> Callable[[str], bool] | None:
    """What tells whether a text holds a match; None if the pattern is no regular expression.

    Raises UnsupportedPattern.
    """
    if len(pattern) > MAX_LENGTH:
        raise UnsupportedPattern(worded("is longer than %(most)s characters", most=MAX_LENGTH))
    translated = _translate(pattern)
    if translated is None:
        return None
    options = re2.Options()
    options.log_errors = False
    options.case_sensitive = not ignore_case
    try:
        # a set of one answers yes or no; a compiled pattern of these bindings costs eight times as much to ask
        automaton = re2.Set.SearchSet(options)
        automaton.Add(translated)
        automaton.Compile()
    except (re2.error, UnicodeEncodeError):
        return None

    def found(text: str) -> bool:
        try:
            return automaton.Match(text) is not None
        except UnicodeEncodeError:  # a lone half of a surrogate pair is no character
            return False

    return found


def _translate(pattern: str) -> str | None:
    words: list[str] = []
    position, in_class = 0, False
    while found := (_NEXT_INSIDE if in_class else _NEXT_OUTSIDE).match(pattern, position):
        piece, position = found[0], found.end()
        if in_class:
            in_class = piece != "]"
            words.append(_INSIDE.get(piece) or _escape(piece))
        elif piece in _LOOK_AROUND:
            raise UnsupportedPattern(worded("look-ahead and look-behind need more time than the text is long"))
        elif piece == "(?":
            return None
        else:
            in_class = piece == "["
            words.append(_OUTSIDE.get(piece) or _escape(piece))
    return "".join(words)


def _escape(piece: str) -> str:
    if len(piece) < 2 or piece[0] != "\\":
        return piece
    letter = piece[1]
    if len(piece) == 6:  # \u0041
        return f"\\x{{{piece[2:]}}}"
    if len(piece) > 2 or letter in _SHARED_ESCAPES:
        return piece
    if letter.isdigit() or letter in "kc":
        raise UnsupportedPattern(
            worded("%(piece)s is a back-reference, an octal or a control character: none is supported", piece=piece)
        )
    # RE2 does not forgive what is escaped for nothing
    return piece if letter.isascii() and not letter.isalpha() else letter
