"""What the READMEs show is run, in order, and prints what they say; their commands work as they stand."""

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
CORPUS_COMMANDS = ("build", "describe", "show", "ref", "compare-segmenters")
_BLOCK = re.compile(r"```(\w+)\n(.*?)```", re.DOTALL)


def blocks(readme: str) -> list[tuple[str, str]]:
    """Give (language, content) of every fenced block."""
    return _BLOCK.findall((ROOT / readme).read_text("utf-8"))


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a folder that looks like a clone to whoever follows the README."""
    folder = tmp_path_factory.mktemp("clone")
    for name in ("sample_data", "pipelines"):
        shutil.copytree(ROOT / name, folder / name)
    return folder


def run(command: list[str], folder: Path) -> str:
    finished = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300)
    assert finished.returncode == 0, finished.stderr
    return finished.stdout


@pytest.mark.parametrize("readme", ["README.md", "README.zh.md"])
def test_code_prints_what_the_readme_says(readme: str, workplace: Path) -> None:
    found = blocks(readme)
    examples = [(code, found[i + 1]) for i, (kind, code) in enumerate(found) if kind == "python"]
    assert examples
    for code, (kind, expected) in examples:
        assert kind == "text", "a python block is followed by its output"
        assert run([sys.executable, "-c", code], workplace) == expected


def test_corpus_commands_work(workplace: Path) -> None:
    commands = [line for kind, text in blocks("README.md") if kind == "sh" for line in text.splitlines()]
    corpus_commands = [line for line in commands if line.split()[1] in CORPUS_COMMANDS]
    assert len(corpus_commands) == 7
    shutil.rmtree(workplace / "corpus", ignore_errors=True)
    for line in corpus_commands:
        assert run([sys.executable, "-m", *shlex.split(line)], workplace)


def test_commands_of_the_page_on_corpora_work(workplace: Path) -> None:
    commands = [line for kind, text in blocks("docs/corpora.md") if kind == "sh" for line in text.splitlines()]
    here = [line for line in commands if "--engine ray" not in line]
    assert len(here) == 10
    shutil.rmtree(workplace / "corpus", ignore_errors=True)
    for line in here:
        assert run([sys.executable, "-m", *shlex.split(line)], workplace)


def test_readmes_show_the_same_commands_and_code() -> None:
    english, chinese = blocks("README.md"), blocks("README.zh.md")
    assert [block for block in chinese if block not in english] == []
