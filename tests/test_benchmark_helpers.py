"""What the benchmarks measure with: turns, ratios round by round, lines that say everything, the published refs."""

import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture(autouse=True)
def _importable(monkeypatch):
    monkeypatch.setattr(sys, "path", [str(BENCHMARKS), *sys.path])


def test_works_take_turns_and_what_comes_before_is_not_timed():
    from side_by_side import Work, in_turns

    now, log = [0.0], []

    def work(name, seconds):
        def run():
            log.append(name)
            now[0] += seconds

        return run

    works = {"a": Work(work("a", 2.0), before=work("before a", 100.0)), "b": Work(lambda: (work("b", 50.0)(), 3.0)[1])}
    times = in_turns(works, lambda: now[0], seconds=0, min_rounds=3)
    assert log == ["before a", "a", "b"] * 4, "one pass to warm up, three rounds"
    assert times == {"a": [2.0] * 3, "b": [3.0] * 3}, "a run that gives its own seconds is taken at its word"


def test_a_warm_up_takes_the_place_of_the_first_pass():
    from side_by_side import Work, in_turns

    log = []
    in_turns({"a": Work(lambda: log.append("a"))}, lambda: 0.0, 0, min_rounds=2, warm_up=lambda: log.append("warm"))
    assert log == ["warm", "a", "a"]


def test_the_ratio_is_the_median_over_the_rounds_and_not_the_ratio_of_medians(capsys):
    from side_by_side import Lines

    lines = Lines("a machine, 2 cores")
    times = {"ours": [1.0, 10.0, 2.0], "theirs": [4.0, 20.0, 3.0]}
    lines.add("ours", "theirs", times, 2_000_000, text="a text", threads=1, precision="fp32", words="F1 1.0")
    line = lines.lines[0]
    assert (line["ratio"], line["ratio_range"], line["rounds"]) == (2.0, [1.5, 4.0], 3)
    assert (line["mb_per_second"], line["beside_mb_per_second"], line["bytes"]) == (1.0, 0.5, 2_000_000)
    assert line["machine"] == "a machine, 2 cores"
    assert line["load"] >= 0
    printed = capsys.readouterr().out
    assert all(said in printed for said in ("ours / theirs", "a text", "1.5-4", "fp32", "F1 1.0"))


def test_what_cannot_run_is_said_in_one_line_and_is_in_no_file(capsys):
    from side_by_side import Lines

    lines = Lines("a machine")
    lines.skip("rjieba", "the extra is not installed")
    assert capsys.readouterr().out == "left out: rjieba: the extra is not installed\n"
    assert lines.lines == []


def test_published_refs_by_hand():
    from published import published_refs

    class Engine:
        def batch_predict(self, lines, parallelism):
            return [["研究", "生命", "的", "研究生", "abc"]]

    class Tokens:
        def __call__(self, lines, add_special_tokens, truncation, max_length):
            return {"input_ids": [["[CLS]", *"研究生命的研究生", "abc", "[SEP]"]]}

        def convert_ids_to_tokens(self, token):
            return token

    # 研究生 is taken before 研究 wherever it fits: the words are a set, longest first.
    assert published_refs(Engine(), Tokens(), ["研究生命的研究生abc"], parallel=False) == [[2, 3, 7, 8]]
