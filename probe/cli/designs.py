"""What --size, --stride and --option say of a method, by the names that the method gives them."""

from __future__ import annotations

from typing import Any


def method_options(method: str, given: dict[str, Any]) -> dict[str, Any]:
    """The options of a method as they were typed; UsageError for what it does not have."""
    return _lengths(method, given) | _named(method, given.get("method_settings") or ())


def _lengths(method: str, given: dict[str, Any]) -> dict[str, Any]:
    from probe.errors import UsageError

    sizes, stride = list(given.get("size") or ()), given.get("stride")
    if method == "windows":
        named = {"sizes": sizes or None, "stride": stride}
    elif method == "grid":
        if len(sizes) > 1:
            raise UsageError("a grid has one --size; several belong to windows (probe crop)")
        named = {"size": sizes[0] if sizes else None, "stride": stride}
    elif sizes or stride is not None:
        raise UsageError(f"--size and --stride belong to grid and windows, not to {method}")
    else:
        named = {}
    return {name: value for name, value in named.items() if value is not None}


def _named(method: str, settings: tuple[str, ...]) -> dict[str, Any]:
    """KEY=VALUE, each value of the kind that the option's default is."""
    if not settings:
        return {}
    from probe.errors import UsageError
    from probe.methods import method as named_method
    from probe.text import pairs, printable

    chosen = named_method(method)
    found: dict[str, Any] = {}
    for name, text in pairs(settings, "--option").items():
        chosen.settle({name: None})
        try:
            found[name] = _read(text, chosen.options[name])
        except ValueError:
            shown, kind = printable(f"{name}={text}", 60), _kind(chosen.options[name])
            raise UsageError(f"--option {shown!r}: {name} takes {kind}") from None
    return found


def _read(text: str, default: Any) -> Any:
    if isinstance(default, bool):
        return ("false", "true").index(text.lower()) == 1
    if isinstance(default, int):
        return int(text)
    if isinstance(default, tuple):
        parts = text.split(",")
        return tuple(_number(part) for part, _ in zip(parts, default, strict=True))
    if isinstance(default, str):
        return text
    return _number(text)


def _number(text: str) -> int | float:
    """Whole where it is written so, as a Python literal is."""
    try:
        return int(text)
    except ValueError:
        return float(text)


def _kind(default: Any) -> str:
    if isinstance(default, bool):
        return "true or false"
    if isinstance(default, int):
        return f"a whole number, as {default}"
    if isinstance(default, tuple):
        return f"numbers with a comma between, as {','.join(map(str, default))}"
    return "a number" if default is None else f"a number, as {default}"
