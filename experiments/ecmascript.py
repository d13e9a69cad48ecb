"""The conversions that ECMAScript makes unasked, on values as JSON has them.

GrowthBook's conditions are defined by its JavaScript SDK, where `8 > "5"` holds and a missing attribute counts as 0
in a comparison. Names in brackets are those of the ECMAScript specification (ECMA-262).
"""

import math
import re
from collections.abc import Mapping

_EXACT = 2**53  # beyond it a double no longer holds every whole number
_WHITESPACE = "\t\n\v\f\r \xa0\u1680\u2028\u2029\u202f\u205f\u3000\ufeff" + "".join(map(chr, range(0x2000, 0x200B)))
_DECIMAL = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?\Z")
_PREFIXED = re.compile(r"0(?:[xX][0-9a-fA-F]+|[oO][0-7]+|[bB][01]+)\Z")
_INFINITY = {"Infinity": math.inf, "+Infinity": math.inf, "-Infinity": -math.inf}


def kind(value: object) -> str:
    """The type of a JSON value: null, boolean, number, string, array, object; unknown for what JSON does not have."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, (int, float)):
        return "number"
    if isinstance(value, str):
        return "string"
    if isinstance(value, (list, tuple)):
        return "array"
    return "object" if isinstance(value, Mapping) else "unknown"


def double(value: float) -> float:
    """The number as JavaScript holds it: whole numbers beyond 2^53 lose their last digits."""
    if isinstance(value, int) and not -_EXACT <= value <= _EXACT:
        try:
            return float(value)
        except OverflowError:
            return math.inf if value > 0 else -math.inf
    return value


def truthy(value: object) -> bool:
    """Whether the value counts as true (ToBoolean): empty arrays and objects do, 0, NaN and "" do not."""
    if isinstance(value, (str, int)):
        return bool(value)
    if isinstance(value, float):
        return value != 0 and not math.isnan(value)
    return value is not None


def to_number(value: object) -> float:
    """The value as a number (ToNumber); NaN where it is none. null is 0, true is 1, "" is 0, [5] is 5."""
    if value is None:
        return 0
    if isinstance(value, (int, float)):
        return double(value)
    if isinstance(value, str):
        return _read_number(value.strip(_WHITESPACE))
    if isinstance(value, (list, tuple)):
        return to_number(to_string(value))
    return math.nan


def _read_number(text: str) -> float:
    if not text:
        return 0
    if _DECIMAL.match(text):
        return float(text)
    if _PREFIXED.match(text):
        return double(int(text, 0))
    return _INFINITY.get(text, math.nan)


def to_string(value: object) -> str:
    """The value as text (ToString): 1.0 is "1", [1, null] is "1,", an object is "[object Object]"."""
    if isinstance(value, str):
        return value
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return _number_text(double(value))
    if isinstance(value, (list, tuple)):
        return ",".join("" if item is None else to_string(item) for item in value)
    return "[object Object]"


def _number_text(number: float) -> str:
    # Number::toString: the shortest digits that read back the same, as repr() finds them, laid out in its own way
    if isinstance(number, int):
        return str(number)
    if math.isnan(number):
        return "NaN"
    if math.isinf(number):
        return "Infinity" if number > 0 else "-Infinity"
    if number == 0:
        return "0"
    mantissa, _, exponent = repr(abs(number)).partition("e")
    whole, _, fraction = mantissa.partition(".")
    padded = (whole + fraction).lstrip("0")
    digits = padded.rstrip("0")
    point = int(exponent or "0") - len(fraction) + len(padded)  # the number is 0.digits * 10^point
    return ("-" if number < 0 else "") + _layout(digits, point)


def _layout(digits: str, point: int) -> str:
    if len(digits) <= point <= 21:
        return digits + "0" * (point - len(digits))
    if 0 < point <= 21:
        return f"{digits[:point]}.{digits[point:]}"
    if -6 < point <= 0:
        return "0." + "0" * -point + digits
    mantissa = f"{digits[0]}.{digits[1:]}" if len(digits) > 1 else digits
    return f"{mantissa}e{point - 1:+d}"


def identical(a: object, b: object) -> bool:
    """Whether `a === b` for two values read from different JSON texts: arrays and objects never are."""
    of = kind(a)
    if of != kind(b) or of in ("array", "object", "unknown"):
        return False
    if isinstance(a, (int, float)) and isinstance(b, (int, float)):
        return double(a) == double(b)
    return a == b


def same_json(a: object, b: object) -> bool:
    """Whether both are written as the same JSON text, the order of an object's keys included."""
    if isinstance(a, (list, tuple)) and isinstance(b, (list, tuple)):
        return len(a) == len(b) and all(map(same_json, a, b))
    if isinstance(a, Mapping) and isinstance(b, Mapping):
        return _ordered(a) == _ordered(b) and all(same_json(a[key], b[key]) for key in a)
    return identical(_finite(a), _finite(b))


def _ordered(members: Mapping[str, object]) -> list[str]:
    # keys that are array indices come first and in order, the others as they were written
    indices = [key for key in members if is_index(key)]
    return sorted(indices, key=int) + [key for key in members if not is_index(key)] if indices else list(members)


def _finite(value: object) -> object:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def is_index(key: str) -> bool:
    """Whether a property's name is an array index: "0" or "12", not "01" or "-1"."""
    return key.isascii() and key.isdigit() and len(key) <= 10 and str(int(key)) == key and int(key) < 2**32 - 1


def comparable(a: object, b: object) -> tuple[str, str] | tuple[bytes, bytes] | tuple[float, float]:
    """Both as what `<` compares: texts by UTF-16 code unit if both are texts, else numbers (IsLessThan)."""
    a, b = _primitive(a), _primitive(b)
    if isinstance(a, str) and isinstance(b, str):
        if a.isascii() and b.isascii():
            return a, b
        return a.encode("utf-16-be", "surrogatepass"), b.encode("utf-16-be", "surrogatepass")
    return to_number(a), to_number(b)


def _primitive(value: object) -> object:
    return value if value is None or isinstance(value, (str, int, float)) else to_string(value)
