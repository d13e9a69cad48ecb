"""A product feed in XML: RSS items or Atom entries with Google's fields, read as a stream."""

import gzip
from collections.abc import Iterator
from pathlib import Path
from typing import IO, cast
from xml.parsers import expat

from experiments.errors import Malformed, NotFound
from experiments.importing.rowfile import LONGEST_LINE, Cells, Names, Row

HEADER = ("id", "title", "price", "availability")
"""What every feed has: by it a feed is told apart as tables are."""
_CHUNK = 65_536
_ITEMS = {"item", "entry"}


class FeedFile:
    """A feed as rows. Raises NotFound, or Malformed where the file as a whole cannot be read."""

    def __init__(self, path: Path) -> None:
        if not path.is_file():
            raise NotFound(f"There is no file {path}")
        self.path = path
        self.size = path.stat().st_size
        self.position = 0
        self.header = HEADER

    def rows(self, names: Names) -> Iterator[Row]:
        """The items in order; a row's line is that of the item's beginning."""
        reader = _Items(names)
        try:
            with self.path.open("rb") as raw:
                stream = cast("IO[bytes]", gzip.GzipFile(fileobj=raw)) if self.path.suffix == ".gz" else raw
                while chunk := stream.read(_CHUNK):
                    reader.parser.Parse(chunk, False)
                    self.position = raw.tell()
                    yield from reader.taken()
                reader.parser.Parse(b"", True)
        except (expat.ExpatError, OSError, EOFError) as error:
            raise Malformed(f"{self.path.name} cannot be read: {error}") from error
        self.position = self.size


def is_feed(path: Path) -> bool:
    """Whether the file's name says that it is XML."""
    return path.name.lower().removesuffix(".gz").endswith(".xml")


class _Items:
    """What the parser tells, item by item; a document that declares entities is refused before it can use one."""

    def __init__(self, names: Names) -> None:
        self._names = names
        self._found: list[Row] = []
        self._item: Cells | None = None
        self._line = 0
        self._field: str | None = None
        self._text: list[str] = []
        self._size = 0
        self.parser = expat.ParserCreate(namespace_separator=" ")
        self.parser.buffer_text = True
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._said
        self.parser.StartDoctypeDeclHandler = _refuse

    def taken(self) -> list[Row]:
        """The items that are whole since it was last asked."""
        found, self._found = self._found, []
        return found

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        name = tag.rpartition(" ")[2]
        if name in _ITEMS:
            self._item, self._line = {}, self.parser.CurrentLineNumber
        elif self._item is not None and self._field is None:
            self._field, self._text, self._size = name, [], 0
            if "href" in attributes:  # Atom's link
                self._text.append(attributes["href"])

    def _said(self, text: str) -> None:
        if self._field is not None:
            self._size += len(text)
            if self._size > LONGEST_LINE:
                raise Malformed(f"the {self._field} on line {self.parser.CurrentLineNumber} has no end")
            self._text.append(text)

    def _end(self, tag: str) -> None:
        name = tag.rpartition(" ")[2]
        if self._item is None:
            return
        if name in _ITEMS:
            self._found.append(Row(self._line, self._item))
            self._item = None
        elif name == self._field:
            meaning, value = self._names(name), "".join(self._text).strip()
            if meaning is not None and value:
                self._item.setdefault(meaning, value)  # a field that repeats, as product_type may, counts once
            self._field = None


def _refuse(*_declared: object) -> None:
    raise Malformed("A feed may not declare entities of its own (DOCTYPE)")
