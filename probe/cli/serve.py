"""probe serve: a local model behind HTTP, for trying things out."""

from __future__ import annotations

import click


@click.command()
@click.argument("backend", default="local", metavar="[local|skin|FILE.onnx]")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port",
    default=8000,
    show_default=True,
    type=click.IntRange(0, 65535),
    help="0 takes any free one.",
)
@click.option("--quiet", "-q", is_flag=True, help="Do not say where it listens.")
@click.option("--debug", is_flag=True, help="Show a traceback with an error.")
def serve(backend: str, host: str, port: int, quiet: bool, debug: bool) -> int:
    """Serve the local network (or the skin filter) on this machine until Ctrl-C.

    In another terminal: probe occlude IMG --api http://127.0.0.1:8000
    """
    from probe.backends import resolve
    from probe.mock import Server, serve_forever

    def ready(server: Server) -> None:
        if not quiet:
            click.echo(f"serving {backend} at {server.url} (Ctrl-C ends it)")
            click.echo(f"try: probe occlude IMG --api {server.url}", err=True)

    try:
        serve_forever(resolve(backend), host, port, ready)
    except KeyboardInterrupt:
        if not quiet:
            click.echo("stopped", err=True)
    return 0
