"""probe crop: send parts of a picture by themselves and see what they score."""

from __future__ import annotations

from typing import Any

import click

from probe.cli import options


@click.command()
@options.pictures
@options.service
@options.design
@options.run
@options.report
@options.preview
@options.output
def crop(images: tuple[str, ...], **given: Any) -> int:
    """Map what the parts of IMG score when each is sent by itself.

    Windows of one or several sizes (--size) slide over the picture; the map is the mean score of
    the windows over each pixel.
    """
    from probe.cli.probing import probe_pictures

    return probe_pictures(images, "windows", given)
