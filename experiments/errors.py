"""The one error tree.

OfferlabError
├── Malformed      the input cannot be read at all
├── Invalid        it reads, but breaks rules; carries a FieldError for each
├── NotFound       the thing named does not exist (or is another storefront's)
├── Forbidden      the caller may not do this
├── Conflict       the thing's state forbids it; carries a code
├── Unavailable    the database is away or full; carries when to try again
└── NotEstimable   a number that cannot be given honestly; carries the reason

Each has a `code`, stable for programs, and a message for people.
"""

from collections.abc import Iterable
from dataclasses import dataclass


class OfferlabError(Exception):
    """Anything Offerlab refuses, with a reason."""

    code = "error"

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class Malformed(OfferlabError):
    """The input cannot be read at all."""

    code = "malformed"


@dataclass(frozen=True, slots=True)
class FieldError:
    """One broken rule: where (`variants[1].weight`), and what to do about it."""

    field: str
    message: str


class Invalid(OfferlabError):
    """The input reads, but breaks rules: one FieldError for each broken rule."""

    code = "invalid"

    def __init__(self, errors: Iterable[FieldError]) -> None:
        self.errors = tuple(errors)
        super().__init__("; ".join(f"{e.field}: {e.message}" if e.field else e.message for e in self.errors))

    @classmethod
    def at(cls, field: str, message: str) -> "Invalid":
        """A single broken rule."""
        return cls([FieldError(field, message)])


class NotFound(OfferlabError):
    """The thing named does not exist, or belongs to another storefront."""

    code = "not_found"


class Forbidden(OfferlabError):
    """The caller may not do this."""

    code = "forbidden"


class Conflict(OfferlabError):
    """The state of the thing forbids it; `code` says which rule."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class Unavailable(OfferlabError):
    """The store is away, busy or full: try again after `retry_after` seconds."""

    code = "unavailable"

    def __init__(self, message: str, retry_after: int = 1) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class NotEstimable(OfferlabError):
    """A number that cannot be given honestly; the message is the reason."""

    code = "not_estimable"
