"""JSON templates of answers: parsed once, filled in at their leaves.

A leaf that is `$name` becomes the value of that name, whatever its type, and null where there is
none; `$name key` becomes its entry of that key, and the leaf is left out where there is none.
In other texts `{name}` is replaced.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_HOLE = re.compile(r"\{([a-z_]+)\}")
_ABSENT = object()


def fill(node: Any, values: Mapping[str, Any]) -> Any:
    """The template `node` with `values` in it."""
    if isinstance(node, str):
        return _leaf(node, values)
    if isinstance(node, dict):
        filled = ((key, fill(child, values)) for key, child in node.items())
        return {key: child for key, child in filled if child is not _ABSENT}
    if isinstance(node, list):
        return [child for child in (fill(child, values) for child in node) if child is not _ABSENT]
    return node


def text(template: str, values: Mapping[str, Any]) -> str:
    """The text with every `{name}` that has a value replaced."""
    return _HOLE.sub(lambda hole: str(values.get(hole[1], hole[0])), template)


def _leaf(leaf: str, values: Mapping[str, Any]) -> Any:
    if not leaf.startswith("$"):
        return text(leaf, values)
    name, _, key = leaf[1:].partition(" ")
    value = values.get(name)
    return (value or {}).get(key, _ABSENT) if key else value
