"""JMESPath: checked when a profile is loaded, applied to what a server says."""

from __future__ import annotations

from functools import lru_cache
from math import prod
from typing import Any

import jmespath
from jmespath.exceptions import JMESPathError
from jmespath.functions import Functions

from probe.errors import ContractError
from probe.text import printable

LONGEST = 2000
DEEPEST = 50
MOST_GROWTH = 500
"""How many times as large as the data the result may be."""

_FAULTS = (JMESPathError, ArithmeticError, AttributeError, LookupError, TypeError, ValueError)


def fault(text: str) -> str | None:
    """What keeps `text` from being an expression, or None: also functions that do not exist."""
    if len(text) > LONGEST:
        return f"longer than {LONGEST} characters"
    try:
        tree = _compiled(text).parsed
        if wrong := _misuse(tree, 0):
            return wrong
        return "it multiplies what it is given" if _growth(tree) > MOST_GROWTH else None
    except RecursionError:
        return "nested too deep"
    except _FAULTS as error:
        return printable(str(error).splitlines()[0].rstrip(":"), 150)


def search(text: str, data: Any) -> Any:
    """What the expression finds in `data`; ContractError where it does not fit the data."""
    try:
        return _compiled(text).search(data)
    except RecursionError:
        raise ContractError(f"{printable(text, 60)}: the answer is nested too deep") from None
    except _FAULTS as error:
        said = printable(str(error).splitlines()[0], 120) if str(error) else type(error).__name__
        raise ContractError(f"{printable(text, 60)}: {said}") from None


@lru_cache(maxsize=512)
def _compiled(text: str) -> Any:
    return jmespath.compile(text)


def _misuse(node: Any, depth: int) -> str | None:
    if depth > DEEPEST:
        return "nested too deep"
    if node["type"] == "function_expression":
        function = Functions.FUNCTION_TABLE.get(node["value"])
        if function is None:
            return f"no function {printable(node['value'], 40)}()"
        signature = function["signature"]
        given, variadic = len(node["children"]), signature[-1].get("variadic", False)
        if given < len(signature) or (given > len(signature) and not variadic):
            return f"{node['value']}() takes {len(signature)} arguments, not {given}"
    for child in node["children"]:
        wrong = _misuse(child, depth + 1) if isinstance(child, dict) else None
        if wrong:
            return wrong
    return None


def _growth(node: Any) -> int:
    """How often a result may hold the data: alternatives side by side add up, steps multiply."""
    children = [child for child in node["children"] if isinstance(child, dict)]
    inside = [_growth(child) for child in children]
    if node["type"] in ("multi_select_list", "multi_select_dict"):
        return max(1, sum(inside))
    if node["type"] in ("or_expression", "and_expression"):
        return max(inside)
    if node["type"] == "function_expression" and all(one["type"] != "expref" for one in children):
        return max(1, sum(inside))
    return prod(inside)
