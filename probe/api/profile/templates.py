"""The JSON templates of request bodies: parsed first, filled in only inside texts."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

PICTURE = ("b64", "data_url")
COUNTS = ("mime", "index", "n")
RESERVED = (*PICTURE, *COUNTS)
"""`{name}`s that stand for the picture of an item and facts about it."""

DEEPEST = 50


def parse(text: str) -> Any:
    """The template as a tree; ValueError where it is no JSON, has a key twice, or is too deep."""
    try:
        tree = json.loads(text, object_pairs_hook=_once, parse_constant=_no_number)
    except json.JSONDecodeError as error:
        raise ValueError(f"JSON: {error.msg} at character {error.pos}") from None
    except RecursionError:
        raise ValueError(f"JSON of at most {DEEPEST} levels") from None
    if _is_deeper(tree, DEEPEST):
        raise ValueError(f"JSON of at most {DEEPEST} levels")
    return tree


def leaves(tree: Any) -> Iterator[str]:
    """Every text in it that is a value, not a key."""
    if isinstance(tree, str):
        yield tree
    elif isinstance(tree, dict):
        for value in tree.values():
            yield from leaves(value)
    elif isinstance(tree, list):
        for value in tree:
            yield from leaves(value)


def is_mark(leaf: str) -> bool:
    """Whether a leaf is one of the texts that become a list or a number, known or not."""
    return re.fullmatch(r"\$[a-z]+", leaf) is not None


def holds_picture(leaf: str) -> bool:
    return leaf == "$pixels" or any(f"{{{name}}}" in leaf for name in PICTURE)


def filled(tree: Any, fill: Callable[[str], Any]) -> Any:
    """The tree with `fill` applied to every leaf."""
    if isinstance(tree, str):
        return fill(tree)
    if isinstance(tree, dict):
        return {key: filled(value, fill) for key, value in tree.items()}
    if isinstance(tree, list):
        return [filled(value, fill) for value in tree]
    return tree


def _is_deeper(tree: Any, levels: int) -> bool:
    """Looks no further than one level below `levels`."""
    if not isinstance(tree, dict | list):
        return False
    inside = tree.values() if isinstance(tree, dict) else tree
    return levels == 0 or any(_is_deeper(one, levels - 1) for one in inside)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    tree = dict(pairs)
    if len(tree) != len(pairs):
        raise ValueError("JSON with each key once")
    return tree


def _no_number(name: str) -> Any:
    raise ValueError(f"JSON, which has no {name}")
