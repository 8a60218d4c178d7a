"""The options that the probing commands share, and what their words mean."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from probe.cli.designs import method_options as method_options
from probe.cli.values import BudgetType, CodecType, LengthType

if TYPE_CHECKING:
    from probe.backends.connection import Connection
    from probe.image import Picture
    from probe.prober import Prober
    from probe.types import Backend

F = TypeVar("F", bound=Callable[..., Any])
Through = Callable[["Backend"], "Backend"]


def _stack(*options: Callable[[F], F]) -> Callable[[F], F]:
    def decorate(command: F) -> F:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


picture = _stack(
    click.option("--frame", default=0, help="Which frame of an animation or page of a TIFF."),
    click.option("--background", default="white", help="The colour under transparent parts."),
)
pictures = _stack(
    click.argument("images", nargs=-1, required=True, metavar="IMG...", type=click.Path()),
    picture,
)

settings = click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="KEY=VALUE",
    help="A variable of the service's profile, as model=NAME; several times for several.",
)
reach = _stack(
    click.option(
        "--timeout",
        default=60.0,
        show_default=True,
        type=click.FloatRange(min=0, min_open=True),
        help="Seconds for a request and its whole answer.",
    ),
    click.option("--ca-file", type=click.Path(), help="Certificates to trust (PEM)."),
    click.option("--allow-http", is_flag=True, help="Send keys without encryption."),
)
connection = _stack(settings, reach)

sending = _stack(
    click.option(
        "--side", default=512, show_default=True, help="Longest side that is sent, in px."
    ),
    click.option(
        "--codec", type=CodecType(), help="png, or jpeg:QUALITY; the service's own first."
    ),
    click.option("--repeats", type=click.IntRange(min=0), help="Measure the noise by this many."),
    click.option("--max-calls", type=click.IntRange(min=0), help="Never send more pictures."),
    click.option("--max-cost", type=click.FloatRange(min=0), help="Never spend more."),
    click.option("--max-time", type=click.FloatRange(min=0), help="Stop after these seconds."),
    click.option("--offline", is_flag=True, help="Answer from the ledger alone."),
    click.option(
        "--ledger",
        type=click.Path(),
        envvar="PROBE_LEDGER",
        help="The file that answers are kept in, or postgresql://USER@HOST/DATABASE.",
    ),
    click.option(
        "--no-raw",
        is_flag=True,
        help="Keep no raw answers: smaller, but a corrected profile must ask anew.",
    ),
)

SENDING = ("side", "codec", "ledger", "offline", "repeats", "max_calls", "max_cost", "max_time")
"""The options of `sending`, which are arguments of Prober."""

service = _stack(
    click.option(
        "--api",
        default="local",
        show_default=True,
        metavar="NAME|URL|FILE",
        help="Who scores: local (a real NSFW network), skin (a 1996 skin filter), a service by its "
        "name (`probe providers` lists them) or by its profile's file (.toml), the URL of a "
        "server, or an ONNX file.",
    ),
    connection,
    click.option(
        "--scores",
        type=click.Path(),
        metavar="FILE",
        help="Read the scores from a CSV that `probe variants --write` made and you filled in.",
    ),
    sending,
)

design = _stack(
    click.option("--label", help="The label to map; the service's own question by default."),
    click.option(
        "--budget",
        type=BudgetType(),
        default=64,
        show_default=True,
        help="Answers a map may use; auto: until it is settled, 256 at most.",
    ),
    click.option(
        "--size",
        type=LengthType(),
        multiple=True,
        help="Of a grid's box or the windows: 0.25 or 64px; several times for windows.",
    ),
    click.option(
        "--stride", type=LengthType(), help="Step of a grid (0.125, 32px); of windows, in windows."
    ),
    click.option(
        "--option",
        "method_settings",
        multiple=True,
        metavar="KEY=VALUE",
        help="An option of the method, as cells=4 or sides=0.1,0.5; several times for several.",
    ),
)

cover = _stack(
    click.option("--seed", default=0, show_default=True, type=click.IntRange(min=0)),
    click.option(
        "--fill",
        default="mean",
        show_default=True,
        help="What covers: mean, black, gray, blur[:RADIUS as a fraction], noise[:SEED], inpaint, "
        "a colour.",
    ),
)

truth = _stack(
    click.option(
        "--truth",
        default="truth",
        show_default=True,
        metavar="COLUMN",
        help="The column that says what is true of each picture.",
    ),
    click.option(
        "--positive",
        multiple=True,
        metavar="WORD",
        help="A word of the truth that means yes; by default the label itself, 1, true and yes.",
    ),
    click.option(
        "--negative",
        multiple=True,
        metavar="WORD",
        help="A word that means no, beside 0, false, no and sfw; '*': all others.",
    ),
)

report = click.option(
    "--report", is_flag=True, help="Also write the run as one page to hover: report.html."
)
preview = click.option("--preview", is_flag=True, help="Also draw the map in the terminal.")
yes = click.option("--yes", "-y", is_flag=True, help="Do not ask before a dear run.")

run = _stack(
    click.option("--out", type=click.Path(), help="Folder for the results; IMG.probe here."),
    click.option("--force", is_flag=True, help="Write over another run's folder."),
    click.option("--dry-run", is_flag=True, help="Only say, and draw, what would be sent."),
    yes,
)

quiet = click.option("--quiet", "-q", is_flag=True, help="Only errors on stderr.")
debug = click.option("--debug", is_flag=True, help="Show a traceback with an error.")
as_json = click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")

output = _stack(
    click.option("--json", "as_json", is_flag=True, help="One JSON object a picture on stdout."),
    quiet,
    click.option("--verbose", "-v", is_flag=True, help="Log what is sent and retried."),
    debug,
)


def open_picture(image: str, given: dict[str, Any]) -> Picture:
    """The picture that an argument and its options mean."""
    from PIL import ImageColor

    from probe.errors import UsageError
    from probe.image import open_image

    try:
        red, green, blue, *_ = ImageColor.getrgb(given["background"])
    except ValueError:
        raise UsageError(
            f"--background {given['background']!r} is no colour: give a CSS name or #rrggbb"
        ) from None
    return open_image(image, background=(red, green, blue), frame=given["frame"])


def connection_of(given: dict[str, Any]) -> Connection:
    from probe.backends.connection import Connection

    return Connection(given["timeout"], given["ca_file"], given["allow_http"])


def make_backend(spec: str, given: dict[str, Any]) -> Backend:
    """The backend that a name, URL or file and the options of `connection` mean."""
    from probe.backends import resolve
    from probe.text import pairs

    return resolve(spec, pairs(given["settings"], "--set"), connection_of(given))


def sending_of(given: dict[str, Any]) -> dict[str, Any]:
    """The arguments of Prober that the options of `sending` mean."""
    found = {name: given[name] for name in SENDING}
    if given["no_raw"]:
        from probe.ledger import Ledger, default_path

        found["ledger"] = Ledger(given["ledger"] or default_path(), raw=False)
    return found


def start_logging(given: dict[str, Any]) -> None:
    """What --verbose asks for."""
    if given.get("verbose"):
        import logging

        logging.basicConfig(level=logging.INFO, format="%(name)s: %(message)s")


def make_prober(given: dict[str, Any], through: Through = lambda backend: backend) -> Prober:
    """The Prober that the shared options describe. through: as of Prober."""
    from probe.prober import Prober

    start_logging(given)
    if given.get("scores"):
        from probe.backends.table import ScoresFile

        backend: Backend = ScoresFile(given["scores"])
    else:
        backend = make_backend(given["api"], given)
    fill = given.get("fill", "mean")
    return Prober(backend, fill=fill, through=through, **sending_of(given))
