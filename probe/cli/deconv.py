"""probe deconv: into a local network, and what it saw."""

from __future__ import annotations

from typing import Any

import click

from probe.cli import options


@click.command()
@click.argument("image", metavar="IMG", type=click.Path())
@options.picture
@click.option(
    "--api",
    default="local",
    show_default=True,
    metavar="NAME|FILE",
    help="The network: local (a real NSFW network), or an ONNX file.",
)
@click.option(
    "--view",
    default="deconvnet",
    show_default=True,
    help="deconvnet, guided, integrated, gradient, smoothgrad, gradcam, layercam or extremal.",
)
@click.option(
    "--layer",
    help="Of deconvnet and guided: its strongest maps instead of the label; of gradcam and "
    "layercam: the layer, by default the last with places.",
)
@click.option("--layers", is_flag=True, help="Only list the layers that have places.")
@click.option("--label", help="The label to look for; the network's own question by default.")
@click.option(
    "--fit",
    type=click.Choice(["pad", "squeeze"]),
    default="pad",
    show_default=True,
    help="Keep the picture's proportions by padding it, or squeeze it as the service does.",
)
@click.option(
    "--toward",
    metavar="LABEL",
    help="Change the picture's colours and light a little, so that this label scores higher.",
)
@click.option(
    "--strength",
    type=click.IntRange(1, 255),
    default=12,
    show_default=True,
    help="Of --toward: no channel of any pixel moves by more levels of 255.",
)
@click.option(
    "--also",
    metavar="NAME|URL|FILE",
    help="Of --toward: let this service, too, score before and after, by two calls; --set, "
    "--codec, --side, --max-calls and --max-cost are its own then.",
)
@options.connection
@options.sending
@click.option("--seed", default=0, show_default=True, type=click.IntRange(min=0))
@click.option("--out", type=click.Path(), help="Folder for the results; IMG.deconv here.")
@click.option("--force", is_flag=True, help="Write over another view's folder.")
@options.yes
@options.output
def deconv(image: str, **given: Any) -> int:
    """Show from the inside what a local network saw in IMG.

    Follows the signal of a label, or of a layer's strongest feature maps, from the network back
    to the pixels. With --toward it says what to change instead. Writes a folder with the picture
    of it, the map and deconv.json. Needs the extra `inside`.
    """
    from probe.inside import require

    require()
    from probe.cli.looking import list_layers, look_inside

    options.start_logging(given)
    if given["layers"]:
        return list_layers(given)
    if given["toward"]:
        from probe.cli.changing import look_toward

        return look_toward(image, given)
    return look_inside(image, given)
