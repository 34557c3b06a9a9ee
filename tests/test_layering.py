"""One road: a module imports only from what stands left of it; and asking for help loads nothing heavy."""

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

import wwmcorpus

PACKAGE = Path(wwmcorpus.__file__).parent
#: From left to right. What is to be imported stands before what imports it.
ROAD = (
    "errors",
    "files",
    "records",
    "hashing",
    "resources",
    "config",
    "text",
    "segment",
    "align",
    "corpus",
    "report",
    "masking",
    "stream",
    "training",
    "models",
    "tasks",
    "show",
    "progress",
    "jobs",
    "quickstart",
    "cli",
    "__main__",
)
HEAVY = ("torch", "transformers", "datasets", "jieba", "ltp", "ltp_extension")
MODULES = sorted(path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py"))


def imported_parts(path):
    """Give (line, part) of every import of the package in a module.

    Imports inside functions count, and so do those under ``if TYPE_CHECKING``: a reader has to follow them too. What is
    asked of the package itself is looked up where it lives: ``from wwmcorpus import Stream`` imports ``stream``.
    """
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: imports are written out from the package's root"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            package, _, rest = name.partition(".")
            first = rest.split(".")[0]
            if package == "wwmcorpus" and not first.startswith("__"):
                yield node.lineno, wwmcorpus._HOME.get(first, first).split(".")[0]


@pytest.mark.parametrize("name", [name for name in MODULES if name != "__init__.py"])
def test_a_module_imports_only_from_the_left(name):
    part = name.split("/")[0].removesuffix(".py")
    assert part in ROAD, "a new part of the package needs its place on the road"
    for line, imported in imported_parts(PACKAGE / name):
        assert imported in ROAD, f"{name}:{line}: no such part: {imported!r}"
        inside = "/" in name and imported == part
        assert inside or ROAD.index(imported) < ROAD.index(part), f"{name}:{line}: {part} stands left of {imported}"


def test_the_root_says_where_every_public_name_lives():
    assert wwmcorpus.__all__ == sorted(wwmcorpus.__all__) == sorted(wwmcorpus._HOME)
    assert {home.split(".")[0] for home in wwmcorpus._HOME.values()} <= set(ROAD)
    assert all(getattr(wwmcorpus, name) is not None for name in wwmcorpus.__all__)
    assert set(dir(wwmcorpus)) == {*wwmcorpus.__all__, "__version__"}
    with pytest.raises(AttributeError, match="no attribute 'steam'; it has Aligner"):
        _ = wwmcorpus.steam


@pytest.mark.parametrize(
    "code",
    [
        "import wwmcorpus",
        "import wwmcorpus.cli",
        *(
            f"import runpy; sys.argv = ['wwmcorpus', {arguments}]; runpy.run_module('wwmcorpus', run_name='__main__')"
            for arguments in ("'--help'", "'build', '--help'", "'distill', '--help'", "'version'")
        ),
    ],
)
def test_nothing_heavy_is_loaded(code):
    script = f"""
import json, sys
try:
    {code}
except SystemExit as end:
    assert not end.code, end.code
print(json.dumps([name for name in {HEAVY} if name in sys.modules]))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == []
    assert done.stderr == ""
