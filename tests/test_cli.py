"""The command line: exit statuses, one readable message for each error, no traceback."""

import subprocess
import sys
from pathlib import Path

import pytest

from wwmcorpus import cli


def call(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["wwmcorpus", *arguments])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    return int(ended.value.code or 0)


@pytest.fixture
def text(tmp_path: Path) -> Path:
    path = tmp_path / "text.txt"
    path.write_text("他叫汤姆去拿外衣。\n我们在南京市长江大桥上。\n", "utf-8")
    return path


def test_unknown_segmenter_lists_the_choices(
    text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(monkeypatch, "build", str(text), "--output", str(tmp_path / "c"), "--segmenter", "jeiba") == 2
    message = capsys.readouterr().err
    assert "'jeiba'" in message
    assert "'jieba'" in message
    assert "Traceback" not in message


def test_unknown_key_names_the_nearest(
    text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(monkeypatch, "build", str(text), "--output", str(tmp_path / "c"), "--set", "max_lenght=64") == 2
    assert "'max_length'" in capsys.readouterr().err


def test_missing_input_is_a_failed_job(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(monkeypatch, "build", str(tmp_path / "none.txt"), "--output", str(tmp_path / "c")) == 1
    assert "none.txt" in capsys.readouterr().err


def test_build_describe_show(
    text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    corpus = str(tmp_path / "corpus")
    assert call(monkeypatch, "build", str(text), "--output", corpus, "--segmenter", "jieba") == 0
    assert "2 rows" in capsys.readouterr().out
    assert call(monkeypatch, "describe", corpus) == 0
    assert "documents" in capsys.readouterr().out
    assert call(monkeypatch, "show", corpus) == 0
    assert "[CLS] | 他 | 叫 | 汤 姆 | 去 | 拿 | 外 衣 | 。 | [SEP]" in capsys.readouterr().out


def test_segment_keeps_one_line_per_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "lines.txt"
    path.write_text("他 叫\n\n汤姆\n", "utf-8")
    assert call(monkeypatch, "segment", str(path), "--segmenter", "given", "--separator", "/") == 0
    assert capsys.readouterr().out == "他/叫\n\n汤姆\n"


def test_print_config_shows_defaults_and_overrides(
    text: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ("build", str(text), "--output", "c", "--set", "source.text_field=body", "--print-config")
    assert call(monkeypatch, *arguments) == 0
    printed = capsys.readouterr().out
    assert '"text_field": "body"' in printed
    assert '"max_length": 512' in printed


def test_debug_shows_the_traceback(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "wwmcorpus",
        "--debug",
        "build",
        str(tmp_path / "none.txt"),
        "--output",
        str(tmp_path),
    ]
    finished = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert finished.returncode == 1
    assert "Traceback" in finished.stderr
