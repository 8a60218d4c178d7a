"""Kinds of values that options take."""

from __future__ import annotations

import re
from typing import Any

import click


class LengthType(click.ParamType[Any]):
    """`0.25` (up to 1) is a fraction of the side, `64` or `64px` pixels; `0.25x0.5` is w x h."""

    name = "length"

    def convert(self, value: Any, param: Any, ctx: Any) -> Any:
        if not isinstance(value, str):
            return value
        parts = [self._one(part, value, param, ctx) for part in re.split(r"x(?=[\d.])", value)]
        if len(parts) > 2:
            self.fail(f"{value!r}: give one length, or width x height", param, ctx)
        return parts[0] if len(parts) == 1 else tuple(parts)

    def _one(self, part: str, whole: str, param: Any, ctx: Any) -> float | int:
        number = part.removesuffix("px")
        try:
            pixels = number != part or (number.isdigit() and int(number) > 1)
            return int(number) if pixels else float(number)
        except ValueError:
            self.fail(
                f"{whole!r}: give a fraction of the side (0.25), pixels (64) or both sides "
                "(0.25x0.5)",
                param,
                ctx,
            )


def length_text(length: Any) -> str:
    """What `LengthType` reads as this length."""
    return "x".join(map(str, length)) if isinstance(length, tuple) else str(length)


class CodecType(click.ParamType[Any]):
    name = "codec"

    def convert(self, value: Any, param: Any, ctx: Any) -> Any:
        from probe.types import Codec

        if not isinstance(value, str):
            return value
        form, _, quality = value.partition(":")
        if form == "png" and not quality:
            return Codec("png")
        if form == "jpeg" and (not quality or (quality.isdigit() and 1 <= int(quality) <= 100)):
            return Codec("jpeg", int(quality or 90))
        self.fail(f"{value!r}: give png, jpeg or jpeg:QUALITY (1 to 100)", param, ctx)


class BudgetType(click.ParamType[Any]):
    name = "number or auto"

    def convert(self, value: Any, param: Any, ctx: Any) -> Any:
        if not isinstance(value, str) or value == "auto":
            return value
        try:
            return int(value)
        except ValueError:
            self.fail(f"{value!r}: give a number of answers, or auto", param, ctx)
