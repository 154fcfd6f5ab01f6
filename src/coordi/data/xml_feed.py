"""Google Merchant feeds in XML, RSS 2.0 and Atom: their items as rows, while the file is being read."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.sax import SAXParseException, handler
from xml.sax.xmlreader import AttributesImpl

from coordi.data.tables import BadRow, NumberedRows, Row

CUT = "bad XML, what comes after it isn't read"
REFUSED = "XML entities and external references aren't read, nor what comes after"
_ITEMS = frozenset({"item", "entry", "product", "offer"})
_NAMESPACE = re.compile(r"^\w+:")
_MOST_CHARACTERS = 2**20  # of an element
_CHUNK = 2**16  # bytes


def xml_rows(path: Path) -> NumberedRows:
    """Rows of the items of a feed by the line on which each ends. Names lose their namespace; of two elements that
    differ in it alone, as ``g:id`` and Atom's ``id``, the first with one counts. Entities, external references and
    what follows a fault aren't read.
    """
    from defusedxml.common import DefusedXmlException
    from defusedxml.sax import make_parser

    parser = make_parser()
    items = _Items(parser.getLineNumber)
    parser.setContentHandler(items)
    line = 1
    with path.open("rb") as file:
        try:
            while chunk := file.read(_CHUNK):
                parser.feed(chunk)
                while items.rows:
                    line, row = items.rows.popleft()
                    yield line, row
            parser.close()
        except (SAXParseException, ValueError, LookupError) as error:  # such as an encoding that expat doesn't know
            yield from items.rows
            is_refused = isinstance(error, DefusedXmlException)
            yield parser.getLineNumber() or line, BadRow(REFUSED if is_refused else CUT, " ".join(str(error).split()))


class _Items(handler.ContentHandler):
    """Collects the direct children of items; ``rows`` are those of items that have ended."""

    def __init__(self, line: Callable[[], int]) -> None:
        super().__init__()
        self.rows: deque[tuple[int, Row | BadRow]] = deque()
        self._depth = 0  # within an item: 1 for the item, 2 for its children
        self._row: dict[str, Any] = {}
        self._named: set[str] = set()  # columns that came with a namespace
        self._text: list[str] = []
        self._size = 0
        self._line = line

    def startElement(self, name: str, attrs: AttributesImpl[str]) -> None:  # noqa: N802
        if self._depth or _NAMESPACE.sub("", name) in _ITEMS:
            self._depth += 1
        if self._depth == 1:
            self._row, self._named = {}, set()
        elif self._depth == 2:
            self._text, self._size = [], 0
            if "href" in attrs:
                self._text.append(attrs["href"])

    def characters(self, content: str) -> None:
        if self._depth == 2 and self._size < _MOST_CHARACTERS:
            self._text.append(content)
            self._size += len(content)

    def endElement(self, name: str) -> None:  # noqa: N802
        if self._depth == 2:
            self._add(name, "".join(self._text).strip())
        elif self._depth == 1:
            self.rows.append((self._line(), self._row))
        self._depth -= bool(self._depth)

    def _add(self, name: str, text: str) -> None:
        column = _NAMESPACE.sub("", name)
        is_named = column != name
        if not text or (column in self._named and not is_named):
            return
        if is_named and column not in self._named:
            self._named.add(column)
            self._row[column] = text
        elif isinstance(before := self._row.get(column), list):
            before.append(text)
        elif before is not None:
            self._row[column] = [before, text]
        else:
            self._row[column] = text
