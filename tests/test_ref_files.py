"""``wwmcorpus ref`` writes a file that matches its text row for row."""

import json
from pathlib import Path

import pytest

from wwmcorpus import chinese_ref, jobs, load_segmenter, load_tokenizer
from wwmcorpus.errors import ConfigError

LINES = ["他 叫 汤姆 去 拿 外衣 。", "研究 生命 起源 的 研究生", "", "买 了 10万 个 T恤"]


@pytest.fixture
def text(tmp_path: Path) -> Path:
    path = tmp_path / "text.txt"
    path.write_text("".join(line + "\n" for line in LINES), "utf-8")
    return path


def rows(path: Path) -> list[list[int]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def test_exact_positions_follow_the_given_words(text: Path, tmp_path: Path) -> None:
    report = jobs.write_refs([str(text)], str(tmp_path / "ref"), segmenter="given")
    # [CLS] = 0; 汤|姆 and 外|衣; 研|究 生|命 起|源 的 研|究|生; 买 了 10|万 个 t|恤
    assert rows(tmp_path / "ref") == [[4, 8], [2, 4, 6, 9, 10], [4, 7]]
    assert (report.num_rows, report.num_unreadable) == (3, 0)


def test_compat_matches_words_again_as_a_set(text: Path, tmp_path: Path) -> None:
    report = jobs.write_refs([str(text)], str(tmp_path / "ref"), segmenter="given", mode="compat")
    # 研究生 is a word of the line, so its first three characters are taken for it; 10万 and T恤 are not Chinese words
    assert rows(tmp_path / "ref") == [[4, 8], [2, 3, 6, 9, 10], []]
    assert report.num_differing == 2


def test_blank_lines_are_dropped_or_kept(text: Path, tmp_path: Path) -> None:
    jobs.write_refs([str(text)], str(tmp_path / "ref"), segmenter="given", keep_blank=True)
    assert rows(tmp_path / "ref")[2] == []
    assert len(rows(tmp_path / "ref")) == len(LINES)


def test_an_unreadable_line_keeps_its_row_and_is_counted(tmp_path: Path) -> None:
    path = tmp_path / "bad.txt"
    path.write_bytes("汤姆\n".encode() + b"\xff\n" + "外衣\n".encode())
    report = jobs.write_refs([str(path)], str(tmp_path / "ref"), segmenter="given")
    assert rows(tmp_path / "ref") == [[2], [], [2]]
    assert report.num_unreadable == 1


def test_truncated_positions_are_absent(text: Path, tmp_path: Path) -> None:
    jobs.write_refs([str(text)], str(tmp_path / "ref"), segmenter="given", max_length=6)
    assert rows(tmp_path / "ref") == [[4], [2, 4], [4]]


def test_the_file_equals_the_function(text: Path, tmp_path: Path) -> None:
    jobs.write_refs([str(text)], str(tmp_path / "ref"), segmenter="given")
    texts = [line for line in LINES if line]
    assert rows(tmp_path / "ref") == chinese_ref(texts, load_segmenter("given"), load_tokenizer("embedded"))


def test_unknown_mode_lists_the_choices(text: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="compat, exact"):
        jobs.write_refs([str(text)], str(tmp_path / "ref"), mode="set")  # type: ignore[arg-type]
