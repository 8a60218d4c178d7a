"""The tables of a profile, read key by key; every error names the file, the line and the key."""

from __future__ import annotations

import re
import reprlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from probe.api.json import is_number
from probe.errors import ProfileError, nearest
from probe.text import printable

LONGEST_TEXT = 20_000
MOST_ITEMS = 1000

T = TypeVar("T")
_NEEDED: Any = object()
_BRIEF = reprlib.Repr()
_BRIEF.maxstring = _BRIEF.maxother = 80


@dataclass(frozen=True)
class Source:
    """Where a profile comes from, and its text, to find the line of a key."""

    where: str
    text: str

    def error(self, key: str, said: str) -> ProfileError:
        """The error that names `key` ("request.url") and what is wrong with it."""
        number = self._line(key)
        line = f", line {number}" if number else ""
        return ProfileError(f"{printable(self.where)}{line}: {printable(key, 200)}: {said}")

    def _line(self, key: str) -> int | None:
        path = re.sub(r"\[\d+\]", "", key)
        table, _, name = path.rpartition(".")
        assigned = re.compile(rf"(?:^|[\s{{,])[\"']?{re.escape(name)}[\"']?\s*=")
        within = ""
        for number, line in enumerate(self.text.splitlines(), 1):
            if header := re.match(r"\s*\[+\s*([\w.\"-]+)\s*\]+\s*(?:#.*)?$", line):
                within = header[1]
                if within == path:
                    return number
            elif table.startswith(within) and assigned.search(line):
                return number
        return None


class Table:
    """One table of TOML with the keys it may have; others are refused at once."""

    def __init__(
        self, fields: Mapping[str, Any], path: str, source: Source, known: Sequence[str]
    ) -> None:
        self._fields, self._path, self._source, self._known = fields, path, source, known
        for key in fields:
            if key not in known:
                raise self.error(key, f"no such key.{nearest(key, known)} Known: {_list(known)}")

    def __contains__(self, key: str) -> bool:
        return key in self._fields

    def error(self, key: str, said: str) -> ProfileError:
        return self._source.error(f"{self._path}.{key}" if self._path else key, said)

    def text(self, key: str, default: Any = _NEEDED) -> Any:
        return self._read(key, _text, default)

    def choice(self, key: str, of: Sequence[str], default: Any = _NEEDED) -> Any:
        def read(value: Any) -> str:
            if value not in of:
                near = nearest(value, of) if isinstance(value, str) else ""
                raise ValueError(f"one of {_list(of)}.{near}")
            return str(value)

        return self._read(key, read, default)

    def flag(self, key: str, default: Any) -> Any:
        return self._read(key, _flag, default)

    def whole(self, key: str, low: int, high: int, default: Any = _NEEDED) -> Any:
        def read(value: Any) -> int:
            if type(value) is not int or not low <= value <= high:
                raise ValueError(f"a whole number from {low} to {high}")
            return value

        return self._read(key, read, default)

    def number(self, key: str, low: float, high: float, default: Any = _NEEDED) -> Any:
        def read(value: Any) -> float:
            if not is_number(value) or not low <= value <= high:
                raise ValueError(f"a number from {low:g} to {high:g}")
            return float(value)

        return self._read(key, read, default)

    def list_of(self, key: str, kind: type, default: Any = _NEEDED) -> Any:
        """A list of texts (`str`), whole numbers (`int`) or numbers (`float`), as a tuple."""
        names = {str: "texts", int: "whole numbers", float: "numbers"}

        def read(value: Any) -> tuple[Any, ...]:
            fits: Callable[[Any], bool] = lambda one: type(one) is kind  # noqa: E731
            if kind is float:
                fits = is_number
            if not isinstance(value, list) or len(value) > MOST_ITEMS or not all(map(fits, value)):
                raise ValueError(f"a list of {names[kind]}")
            return tuple(map(kind, value))

        return self._read(key, read, default)

    def map_of(self, key: str, kind: type, default: Any = _NEEDED) -> Any:
        """A table of texts (`str`) or numbers (`float`) by name."""

        def read(value: Any) -> dict[str, Any]:
            fits = is_number if kind is float else lambda one: isinstance(one, str)
            if not isinstance(value, dict) or not all(map(fits, value.values())):
                raise ValueError(f"a table of {'numbers' if kind is float else 'texts'}")
            return {name: kind(one) for name, one in value.items()}

        return self._read(key, read, default)

    def either(self, key: str, read: Callable[[Any], T], default: Any = _NEEDED) -> T:
        """What `read` makes of the value; its ValueError says what was expected."""
        value: T = self._read(key, read, default)
        return value

    def table(self, key: str, known: Sequence[str], needed: bool = False) -> Table | None:
        """The table under `key`, or None where it may be left out and is."""
        if key not in self._fields and not needed:
            return None
        fields = self._read(key, _fields, _NEEDED)
        return Table(fields, f"{self._path}.{key}".lstrip("."), self._source, known)

    def tables(self, key: str, known: Sequence[str]) -> Iterator[Table]:
        for i, fields in enumerate(self._read(key, _list_of_fields, [])):
            yield Table(fields, f"{self._path}.{key}[{i}]".lstrip("."), self._source, known)

    def _read(self, key: str, read: Callable[[Any], Any], default: Any) -> Any:
        if key not in self._fields:
            if default is _NEEDED:
                raise self.error(key, f"is missing; expected {_expected(read)}")
            return default
        try:
            return read(self._fields[key])
        except ValueError as error:
            shown = printable(_BRIEF.repr(self._fields[key]), 60)
            raise self.error(key, f"expected {error}, not {shown}") from None
        except RecursionError:
            raise self.error(key, "nested too deep") from None


def _expected(read: Callable[[Any], Any]) -> str:
    """What `read` asks for: what it says about a value that never fits."""
    try:
        read(object())
    except ValueError as error:
        return str(error)
    return "a value"


def _text(value: Any) -> str:
    if not isinstance(value, str) or len(value) > LONGEST_TEXT:
        raise ValueError("a text")
    return value


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("true or false")
    return value


def _fields(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError("a table")
    return value


def _list_of_fields(value: Any) -> list[dict[str, Any]]:
    if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
        raise ValueError("a list of tables")
    return value


def _list(names: Sequence[str]) -> str:
    return ", ".join(names)
