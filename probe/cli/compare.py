"""probe compare: the same variants to two services, and where their maps differ."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from probe.cli import options
from probe.cli.values import LengthType
from probe.errors import Interrupted, LedgerError, ProbeError, UsageError
from probe.text import printable

if TYPE_CHECKING:
    from probe.decide.compare_ground import Contender
    from probe.decide.comparison import Comparison
    from probe.result import Result


@click.command()
@click.argument("image", metavar="IMG", type=click.Path())
@click.option(
    "--api",
    "apis",
    multiple=True,
    metavar="NAME|URL|FILE",
    help="One of the two, as of `probe occlude`; to be given twice.",
)
@click.option(
    "--map",
    "maps",
    multiple=True,
    metavar="NAME|FOLDER|FILE",
    help="Instead of two services: two maps of one network, as occlude and deconv (or another "
    "view of `probe deconv`), or a saved one; to be given twice.",
)
@click.option(
    "--label", "labels", multiple=True, help="For both; or twice, for each --api in its order."
)
@click.option(
    "--unit",
    type=click.Choice(["score", "share"]),
    default="score",
    show_default=True,
    help="Compare drops of the score, or the share of the whole picture's score that they are.",
)
@click.option(
    "--method", default="multiscale", show_default=True, help="One that does not learn, or grid."
)
@click.option("--budget", default=64, show_default=True, help="Answers of each service.")
@click.option("--size", type=LengthType(), multiple=True, help="Of a grid's box.")
@click.option("--stride", type=LengthType(), help="Step of a grid.")
@options.cover
@options.picture
@options.connection
@options.sending
@options.run
@options.report
@options.output
def compare(image: str, **given: Any) -> int:
    """Send the same variants of IMG to two services and compare their maps.

    Or, with --map twice, two maps of one network: from outside and from inside.

    Both get the same pixels, side by side; caps such as --max-calls hold for each, and
    --set 1:KEY=VALUE is for the first --api alone, 2:KEY=VALUE for the second. Writes a folder
    with both maps on one scale and where they differ beyond both errors; the same command again
    costs no call.
    """
    from probe.cli.comparing import announce, report, report_partial
    from probe.cli.running import HOLES, held_folder, stem_of
    from probe.decide.compare import digest

    options.start_logging(given)
    if given["maps"]:
        from probe.cli.viewing import compare_maps

        return compare_maps(image, given)
    pair = _contenders(image, given)
    if given["dry_run"]:
        announce(pair, image, given)
        return 0
    with held_folder(
        stem_of(image), "compare", digest(pair, given["unit"]), given, "compare.json"
    ) as folder:
        latest: dict[int, Result] = {}
        try:
            found = _ask(pair, given, latest)
        except (ProbeError, Interrupted) as error:
            error.partial = error.partial or next(iter(latest.values()), None)
            if len(latest) == 2:
                report_partial(_partial(pair, latest, given), folder, image, given, error)
            raise
        code = HOLES if any(result.failures for result in found.results) else 0
        report(found, folder, image, given, code)
    return code


def _contenders(image: str, given: dict[str, Any]) -> tuple[Contender, Contender]:
    from probe.decide.compare import contenders

    apis, labels = given["apis"], given["labels"]
    if len(apis) != 2:
        raise UsageError(
            f"--api is given {len(apis)} x: name the two services to compare, as in "
            "`--api local --api skin`"
        )
    own = [_own_settings(given["settings"], which) for which in ("1", "2")]
    backends = [
        options.make_backend(api, {**given, "settings": settings})
        for api, settings in zip(apis, own, strict=True)
    ]
    names = [
        " ".join([api, *(settings if apis[0] == apis[1] else ())])
        for api, settings in zip(apis, own, strict=True)
    ]
    return contenders(
        options.open_picture(image, given),
        backends,
        labels[0] if len(labels) == 1 else labels or None,
        given["budget"],
        method=given["method"],
        seed=given["seed"],
        names=[printable(name, 60) for name in names],
        fill=given["fill"],
        **options.sending_of(given),
        **options.method_options(given["method"], given),
    )


def _own_settings(settings: tuple[str, ...], which: str) -> list[str]:
    """Those of --set that are for one of the two, without the `1:` or `2:` before the key."""
    found = []
    for setting in settings:
        before, colon, rest = setting.partition(":")
        if not (colon and before in ("1", "2")):
            found.append(setting)
        elif before == which:
            found.append(rest)
    return found


def _ask(
    pair: tuple[Contender, Contender], given: dict[str, Any], latest: dict[int, Result]
) -> Comparison:
    """Run both, after consent, with progress on stderr; `latest` holds what is known of each."""
    from probe.cli.progress import progress
    from probe.cli.running import allow
    from probe.decide.compare import ask_both
    from probe.plan.words import describe
    from probe.progress import Sum

    for one in pair:
        plan = one.plan
        if given["offline"] and plan.calls:
            raise LedgerError(
                f"{one.name}: offline, and {plan.calls} of {plan.answers} answers are not in the "
                "ledger: run once without --offline"
            )
        line = f"{one.name}: {describe(plan, one.prober.backend)}"
        allow(line, plan.calls, plan.cost, plan.host, given)
    answers = sum(one.plan.answers for one in pair)
    calls = sum(one.plan.calls for one in pair)
    probers = [one.prober for one in pair]
    with progress(given["quiet"], answers, *probers, missing=calls) as show:

        def watch(which: int, result: Result) -> None:
            latest[which] = result
            show(Sum(list(latest.values())))

        return ask_both(pair, given["unit"], watch)


def _partial(
    pair: tuple[Contender, Contender], latest: dict[int, Result], given: dict[str, Any]
) -> Comparison:
    from probe.decide.compare import digest
    from probe.decide.comparison import Comparison

    names = pair[0].name, pair[1].name
    return Comparison(names, (latest[0], latest[1]), given["unit"], digest(pair, given["unit"]))
