"""The page for those whom transformers 5 left: each block of ours runs, in order, and prints what the page says."""

import re
import shlex
import shutil
from pathlib import Path

import pytest
import transformers

from wwmcorpus.cli import main

ROOT = Path(__file__).resolve().parent.parent
PAGE = (ROOT / "docs" / "migration.md").read_text("utf-8")
#: Code, commands and output, as (language, content). Old code has languages of its own: py and console.
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)


def run_command(line, monkeypatch):
    monkeypatch.setattr("sys.argv", shlex.split(line.replace("\\\n", " ")))
    with pytest.raises(SystemExit) as end:
        main()
    assert not end.value.code


def test_the_page_does_what_it_says(tmp_path, monkeypatch, capsys):
    shutil.copytree(ROOT / "sample_data", tmp_path / "sample_data")
    monkeypatch.chdir(tmp_path)
    names = {}
    num_run = 0
    for (kind, text), (_, after) in zip(BLOCKS, [*BLOCKS[1:], ("", "")], strict=True):
        capsys.readouterr()
        if kind == "sh":
            run_command(text, monkeypatch)
        elif kind == "python":
            exec(compile(text, "docs/migration.md", "exec"), names)
            assert capsys.readouterr().out.endswith(after)  # before it, a Trainer prints figures of its own
            num_run += 1
    assert num_run == 4


def test_code_is_followed_by_its_output():
    kinds = [kind for kind, _ in BLOCKS]
    assert all(kinds[number + 1] == "text" for number, kind in enumerate(kinds) if kind == "python")


def test_the_old_code_is_gone():
    """What the page calls old is not in the transformers at hand, so that the page has its reason."""
    assert "DataCollatorForWholeWordMask" in "".join(text for kind, text in BLOCKS if kind == "py")
    assert not hasattr(transformers, "DataCollatorForWholeWordMask")
