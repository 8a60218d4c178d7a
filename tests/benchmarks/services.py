"""The same planted target through every service, and a photograph through real servers.

    python -m tests.benchmarks.services [NAME ...]         # by the mock server, all services
    python -m tests.benchmarks.services --servers DIR      # by those of tests/servers/install.sh

`probe occlude`, 64 answers, in a process of its own for each service. Planted: a red box of 64 x 64
on a grey ramp of 256 x 192, whose score is the share of the box that shows. Found: the map's
maximum lies in the box. Levels: how many different scores there were.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import matplotlib.cbook
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.stats import spearmanr

from probe import mock
from probe.api.profile import catalogue
from probe.testing.planted import Planted, planted_picture
from probe.types import Scores
from tests.benchmarks.metrics import auroc
from tests.servers.running import SERVERS

ROOT = Path(__file__).parents[2]
RETINA = ROOT / "examples/retina.jpg"
SIZE, BOX = (256, 192), (136, 56, 200, 120)
FACE = (168, 138, 356, 345)
KEY = "planted"
AMAZON = {
    "AWS_ACCESS_KEY_ID": KEY,
    "AWS_SECRET_ACCESS_KEY": KEY,
    "AWS_DEFAULT_REGION": "us-east-1",
}


class Red(Planted):
    """As Planted, of pictures that were sent with loss, too."""

    def answer(self, image: Image.Image) -> Scores:
        pixels = np.asarray(image).astype(int)
        red = (pixels[..., 0] > 200) & (pixels[..., 1:].max(axis=-1) < 60)
        return super().answer(
            Image.fromarray(np.where(red[..., None], (255, 0, 0), 0).astype("u1"))
        )


def environ_of(name: str, url: str) -> dict[str, str]:
    """The environment in which the profile asks the server at `url`, with the mock's key."""
    if name == "rekognition":
        return AMAZON | {"AWS_ENDPOINT_URL_REKOGNITION": url}
    text = catalogue.source_of(name).read_text(encoding="utf-8")
    environ = dict.fromkeys(re.findall(r"\$\{(\w+)", text), KEY)
    for variable, path in re.findall(r'url = "\$\{(\w+)(?::-https?://[^/}]+([^}]*))?\}', text):
        environ[variable] = url + path
    return environ


def occlude(api: object, picture: object, folder: Path, *more: str, **environ: str) -> Any:
    """What the command says, with the map that it wrote as "map"."""
    command = [sys.executable, "-m", "probe", "occlude", picture, "--api", api, "--json", "--quiet"]
    command += ["--yes", "--out", folder / "out", "--ledger", folder / "ledger.db", *more]
    done = subprocess.run(
        [str(word) for word in command],
        cwd=ROOT,
        env=os.environ | environ,
        capture_output=True,
        text=True,
    )
    said = json.loads(done.stdout or "{}")
    if done.returncode:
        raise RuntimeError(f"exit {done.returncode}: {said.get('error') or done.stderr[-500:]}")
    return said | {"map": np.load(folder / "out/map.npy")}


def inside(values: NDArray[np.floating], box: tuple[int, int, int, int]) -> bool:
    y, x = np.unravel_index(int(np.nanargmax(values)), values.shape)
    return bool(box[0] <= x < box[2] and box[1] <= y < box[3])


def levels(folder: Path, label: str) -> int:
    lines = (folder / "out/scores.csv").read_text(encoding="utf-8").splitlines()
    column = lines[0].split(",").index(label)
    return len({line.split(",")[column] for line in lines[1:]})


def row(*cells: object) -> None:
    print("| " + " | ".join(str(cell) for cell in cells) + " |", flush=True)


def counts(said: Mapping[str, Any]) -> list[object]:
    return [said[key] for key in ("answers", "calls", "requests", "failures")] + [
        f"{said['seconds']:.1f}"
    ]


def planted(names: list[str]) -> None:
    row("service", "found", "AUROC", "reference", "levels", "answers", "calls", "requests")
    row(*["---"] * 8)
    mask = np.zeros(SIZE[::-1], bool)
    mask[BOX[1] : BOX[3], BOX[0] : BOX[2]] = True
    for name in names:
        with tempfile.TemporaryDirectory() as at, mock.serve(Red(64 * 64), key=KEY) as server:
            folder = Path(at)
            planted_picture(SIZE, BOX).save(folder / "planted.png")
            try:
                environ = environ_of(name, server.url)
                said = occlude(name, folder / "planted.png", folder, **environ)
            except RuntimeError as error:
                row(name, str(error)[:200], *[""] * 6)
                continue
            assert said["requests"] == server.requests, (said["requests"], server.requests)
            label = said["label"]
            row(
                name,
                "yes" if inside(said["map"], BOX) else "no",
                f"{auroc(said['map'], mask):.3f}",
                f"{label} {said['reference'][label]:.3f}",
                levels(folder, label),
                *counts(said)[:3],
            )


def apis(name: str, url: str) -> tuple[object, dict[str, str]]:
    """What --api is given for a real server, and the environment."""
    if name == "mlserver":
        return f"{url}/v2/models/nsfw/infer", {}
    if name == "openmoderate":
        return f"{url}/v1/moderate/batch", {}
    if name == "litserve":
        return ROOT / "tests/servers/litserve/profile.toml", {"LITSERVE_BASE": url}
    profile, base = {
        "triton": ("triton-binary", "TRITON_BASE"),
        "nsfwpy": ("nsfwpy", "NSFWPY_BASE"),
        "nsfwjs": ("nsfwjs-express", "NSFWJS_BASE"),
        "nudenet": ("nudenet-fastdeploy", "NUDENET_BASE"),
    }[name]
    return profile, {base: url}


def rank_correlation(a: NDArray[np.floating], b: NDArray[np.floating]) -> float:
    both = np.isfinite(a) & np.isfinite(b)
    return float(spearmanr(a[both], b[both]).statistic)


def real(installed: Path) -> None:
    """Like local: the rank correlation of the map with the local network's own."""
    row("server", "like local", "reference", "answers", "calls", "requests", "failures", "seconds")
    row(*["---"] * 8)
    with tempfile.TemporaryDirectory() as at:
        local = occlude("local", RETINA, Path(at))
        row("(local)", 1, f"nsfw {local['reference']['nsfw']:.4f}", *counts(local))
    for name, start in SERVERS.items():
        with tempfile.TemporaryDirectory() as at, tempfile.TemporaryDirectory() as scratch:
            more = [] if name == "nsfwjs" else ["--codec", "png"]
            if name == "nudenet":
                more += ["--label", "FACE_FEMALE"]
            with start(installed.resolve() / name, Path(scratch)) as url:
                api, environ = apis(name, url)
                picture = hopper() if name == "nudenet" else RETINA
                said = occlude(api, picture, Path(at), *more, **environ)
        label = said["label"]
        if name == "nudenet":
            found = "the face" if inside(said["map"], FACE) else "no"
        else:
            found = f"{rank_correlation(said['map'], local['map']):.3f}"
        row(name, found, f"{label} {said['reference'][label]:.4f}", *counts(said))


def hopper() -> str:
    return str(matplotlib.cbook.get_sample_data("grace_hopper.jpg", asfileobj=False))


def names() -> Iterator[str]:
    yield from catalogue.names()
    yield "rekognition"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*")
    parser.add_argument("--servers", type=Path)
    arguments = parser.parse_args()
    if arguments.servers:
        real(arguments.servers)
    else:
        planted(arguments.names or list(names()))


if __name__ == "__main__":
    main()
