"""Segmenters side by side: figures counted by hand on two lines, and the printed tables."""

import sys

import pytest

from wwmcorpus import cli, jobs
from wwmcorpus.errors import ConfigError, SourceError
from wwmcorpus.segment.scores import WordScores


@pytest.fixture
def files(tmp_path):
    """A text whose spaces are words to ``given``; gold words; words that were seen in training."""
    (tmp_path / "on.txt").write_text("他叫 汤姆\n\n去 拿 外衣\n", "utf-8")
    (tmp_path / "gold.txt").write_text("他 叫 汤姆\n外衣\n", "utf-8")
    (tmp_path / "seen.txt").write_text("他 叫\n", "utf-8")
    return {name: str(tmp_path / f"{name}.txt") for name in ("on", "gold", "seen")}


def test_words_and_lengths(files):
    found = jobs.compare_segmenters(["given"], files["on"])
    # 他叫, 汤姆; 去, 拿, 外衣: two words of one character, three of two.
    (given,) = found.figures
    assert (given.num_words, given.num_by_length, given.mean_length) == (5, (2, 3, 0, 0, 0), 8 / 5)
    assert (found.num_texts, found.num_rejected, found.num_bytes) == (2, 1, 8 * 3 + 3)
    assert given.mb_per_second > 0
    assert given.scores is None
    assert found.agreement == ()


def test_five_characters_and_more_share_a_bin(tmp_path):
    (tmp_path / "on.txt").write_text("一二三四五 一二三四五六七 一二三四\n", "utf-8")
    assert jobs.compare_segmenters(["given"], str(tmp_path / "on.txt")).figures[0].num_by_length == (0, 0, 0, 1, 2)


def test_agreement_is_f1_between_segmenters(files):
    found = jobs.compare_segmenters(["given", "jieba:nohmm", "jieba:nohmm"], files["on"])
    # jieba: 他, 叫, 汤姆, 去, 拿, 外衣: 4 common words of 5 and 6.
    assert found.agreement == ((0, 1, 8 / 11), (0, 2, 8 / 11), (1, 2, 1.0))


def test_scores_against_gold(files):
    found = jobs.compare_segmenters(["given", "jieba"], files["on"], files["gold"], files["seen"])
    given, jieba = (figures.scores for figures in found.figures)
    # The lines lose their spaces: given finds 他叫汤姆 and 外衣. Unseen: 汤姆, 外衣.
    assert given == WordScores(num_gold=4, num_predicted=2, num_correct=1, num_unseen=2, num_unseen_correct=1)
    assert jieba == WordScores(num_gold=4, num_predicted=4, num_correct=4, num_unseen=2, num_unseen_correct=2)


def test_the_command_prints_aligned_tables(files, monkeypatch, capsys):
    command = ["compare-segmenters", "given", "jieba", "--on", files["on"], "--gold", files["gold"]]
    monkeypatch.setattr(sys, "argv", ["wwmcorpus", *command])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert not ended.value.code
    head, speed, lengths, scores, agreement = capsys.readouterr().out.strip().split("\n\n")
    assert head == "2 lines, 27 bytes; left out, blank or unreadable: 1"
    assert speed.splitlines()[0].split() == ["segmenter", "MB/s", "words", "signature"]
    assert lengths == (
        "characters  mean      1      2     3     4    5+\n"
        "given       1.60  40.0%  60.0%  0.0%  0.0%  0.0%\n"
        "jieba       1.33  66.7%  33.3%  0.0%  0.0%  0.0%"
    )
    assert scores == (
        "against gold  precision   recall       F1\n"
        "given            50.00%   25.00%   33.33%\n"
        "jieba           100.00%  100.00%  100.00%"
    )
    assert agreement == "agreement F1   given\njieba         72.73%"


def test_unseen_words_have_a_column_where_they_are_known(files):
    tables = jobs.compare_segmenters(["given"], files["on"], files["gold"], files["seen"]).tables()
    assert "recall of unseen" in tables
    assert "agreement" not in tables


def test_what_cannot_be_compared(files, tmp_path):
    (tmp_path / "blank.txt").write_text("\n", "utf-8")
    with pytest.raises(SourceError, match="no text to segment"):
        jobs.compare_segmenters(["given"], str(tmp_path / "blank.txt"))
    with pytest.raises(ConfigError, match="unknown segmenter: 'nope'"):
        jobs.compare_segmenters(["nope"], files["on"])
