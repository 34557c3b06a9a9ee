"""The wheel holds the package with its resources and the quickstart's documents, and nothing else of the clone."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def names(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    folder = tmp_path_factory.mktemp("wheel")
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-deps",
        "--no-build-isolation",
        "-w",
        str(folder),
        ".",
    ]
    subprocess.run(command, cwd=ROOT, check=True, timeout=300)
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def test_top_level_is_the_package_alone(names: set[str]) -> None:
    assert {name.split("/")[0].split("-")[0] for name in names} == {"wwmcorpus"}


@pytest.mark.parametrize(
    "name",
    [
        "wwmcorpus/py.typed",
        "wwmcorpus/resources/ltp/cws_model.bin",
        "wwmcorpus/resources/ltp/config.json",
        "wwmcorpus/resources/tokenizer/vocab.txt",
        "wwmcorpus/resources/sample_data/corpus/news.txt",
    ],
)
def test_what_the_quickstart_needs_is_inside(names: set[str], name: str) -> None:
    assert name in names


def test_licence_and_notice_travel(names: set[str]) -> None:
    assert {"LICENSE", "NOTICE"} <= {Path(name).name for name in names}
