"""Training LTP's perceptron: the folder opens in LTP, the bytes repeat, ugly lines do no harm."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wwmcorpus.errors import ConfigError, SegmenterError, SourceError, TrainingError
from wwmcorpus.segment.perceptron_file import Perceptron, read_perceptron, write_perceptron
from wwmcorpus.segment.training import (
    SegmenterTraining,
    TrainingText,
    read_segmented,
    score_model,
    train_segmenter,
    write_legacy_folder,
)

LINES = [
    "今天 天气 很 好 。",
    "我们 去 公园 散步 。",
    "公园 里 有 很多 人 。",
    "天气 好 的 时候 我们 去 散步 。",
    "他 叫 汤姆 。",
    "汤姆 今天 没有 来 。",
]
FAST = SegmenterTraining(epochs=4)


@pytest.fixture
def text(tmp_path: Path) -> Path:
    path = tmp_path / "train.txt"
    path.write_text("\n".join(LINES) + "\n", encoding="utf-8")
    return path


def test_learns_its_text_and_opens_in_ltp(text: Path, tmp_path: Path) -> None:
    pytest.importorskip("requests", reason="ltp imports requests without depending on it")
    ltp = pytest.importorskip("ltp")
    trained = train_segmenter([text], tmp_path / "model", [text], SegmenterTraining(epochs=10))
    assert trained.scores[str(text)].f1 == 1.0
    assert json.loads((trained.folder / "config.json").read_text()) == {
        "nerual": False,
        "tasks": {"cws": "cws_model.bin"},
    }
    assert {path.name for path in trained.folder.iterdir()} == {"config.json", "cws_model.bin"}
    words = ltp.LTP(str(trained.folder)).pipeline(["今天天气很好。", "他叫汤姆。"], tasks=["cws"]).cws
    assert words == [["今天", "天气", "很", "好", "。"], ["他", "叫", "汤姆", "。"]]


def test_same_input_gives_the_same_bytes(text: Path, tmp_path: Path) -> None:
    runs = [train_segmenter([text], tmp_path / name, [text], FAST) for name in "ab"]
    assert runs[0].sha256 == runs[1].sha256
    assert (tmp_path / "a/cws_model.bin").read_bytes() == (tmp_path / "b/cws_model.bin").read_bytes()
    assert runs[0].epoch_f1 == runs[1].epoch_f1


def test_reports_each_epoch_and_keeps_the_best(text: Path, tmp_path: Path) -> None:
    seen: list[tuple[int, float]] = []
    trained = train_segmenter([text], tmp_path / "model", [text], FAST, lambda epoch, f1: seen.append((epoch, f1)))
    assert [epoch for epoch, _ in seen] == [1, 2, 3, 4]
    assert trained.epoch_f1 == tuple(f1 for _, f1 in seen)
    assert trained.epoch_f1[trained.best_epoch - 1] == max(trained.epoch_f1)


def test_holds_out_lines_where_no_evaluation_is_given(text: Path, tmp_path: Path) -> None:
    # Six distinct lines, each twice; a sixth of them is one line, held out with its copy.
    trained = train_segmenter([TrainingText(text, 2.0)], tmp_path / "model", settings=SegmenterTraining(held_out=0.17))
    assert trained.num_sentences == 10
    assert trained.scores == {}


def test_prints_nothing(text: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    train_segmenter([text], tmp_path / "model", [text], FAST)
    assert capfd.readouterr() == ("", "")


def test_ugly_lines_train_like_clean_ones(text: Path, tmp_path: Path) -> None:
    ugly = tmp_path / "ugly.txt"
    lines = ["", "  ", *(line.replace(" ", "\t\u3000 ") for line in LINES), "\r"]
    ugly.write_bytes(b"\xef\xbb\xbf" + "\r\n".join(lines).encode())
    clean, dirty = (train_segmenter([path], tmp_path / path.stem, [text], FAST) for path in (text, ugly))
    assert clean.sha256 == dirty.sha256


@pytest.mark.parametrize(
    "line", ["a\0b \0", "你" * 3000, "😀 👍🏽 𠀀𠀁", "\u2028 x\u200by"], ids=["nul", "long", "astral", "separators"]
)
def test_awkward_characters_do_not_crash(line: str, text: Path, tmp_path: Path) -> None:
    awkward = tmp_path / "awkward.txt"
    awkward.write_text(line + "\n", encoding="utf-8", newline="\n")
    trained = train_segmenter([text, awkward], tmp_path / "model", [text, awkward], SegmenterTraining(epochs=2))
    assert trained.num_sentences == len(LINES) + 1


def test_weight_repeats_and_samples(text: Path, tmp_path: Path) -> None:
    trained = train_segmenter([TrainingText(text, 2.5)], tmp_path / "model", [text], FAST)
    assert trained.num_sentences == 15


def test_read_segmented(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes("\ufeff他 叫  汤姆\n\n去\t拿".encode())
    assert read_segmented(path) == [["他", "叫", "汤姆"], ["去", "拿"]]


def test_user_errors_name_the_place(text: Path, tmp_path: Path) -> None:
    (tmp_path / "blank.txt").write_text(" \n\n")
    (tmp_path / "gbk.txt").write_bytes("他 叫".encode("gbk"))
    (tmp_path / "one.txt").write_text("他 叫 汤姆\n", encoding="utf-8")
    (tmp_path / "full").mkdir()
    (tmp_path / "full/cws_model.bin").touch()
    out = tmp_path / "out"
    with pytest.raises(ConfigError, match="no training text"):
        train_segmenter([], out)
    with pytest.raises(ConfigError, match="holds a model already"):
        train_segmenter([text], tmp_path / "full")
    with pytest.raises(ConfigError, match="not above 0"):
        TrainingText(text, 0)
    with pytest.raises(SourceError, match="No such file"):
        train_segmenter([tmp_path / "absent.txt"], out)
    with pytest.raises(SourceError, match=r"no words.*blank\.txt"):
        train_segmenter([tmp_path / "blank.txt"], out)
    with pytest.raises(SourceError, match=r"not UTF-8.*byte 0"):
        train_segmenter([tmp_path / "gbk.txt"], out)
    with pytest.raises(SourceError, match="too little training text"):
        train_segmenter([tmp_path / "one.txt"], out)
    assert not out.exists()


def test_a_failed_trainer_is_one_error_and_no_folder(text: Path, tmp_path: Path) -> None:
    # Training words have two characters each and the evaluation words one, so that not one of them is found.
    (tmp_path / "long.txt").write_text("今天 天气 很好 今天\n" * 20, encoding="utf-8")
    (tmp_path / "short.txt").write_text("今 天 天 气 很 好\n", encoding="utf-8")
    with pytest.raises(TrainingError, match="Check that words are separated"):
        train_segmenter([tmp_path / "long.txt"], tmp_path / "out", [tmp_path / "short.txt"], FAST)
    assert not (tmp_path / "out").exists()


MODEL = Perceptron(
    features=("2乙", "2甲", "7甲乙"),
    weights=np.array([[0.5, -0.5, 0, 0], [0.26, 0, -0.26, 0], [0.1, 0, 0, -0.1]]),
    transitions=np.eye(4),
)


def test_pruning_rounds_then_drops_light_features() -> None:
    # To multiples of 0.25: sums of absolute values 1.0, 0.5 and 0.0.
    all_used = MODEL.pruned(threshold=0, step=0.25, max_features=None)
    assert all_used.features == ("2乙", "2甲")
    assert all_used.weights.tolist() == [[0.5, -0.5, 0, 0], [0.25, 0, -0.25, 0]]
    assert MODEL.pruned(threshold=0.6, step=0.25, max_features=None).features == ("2乙",)
    assert MODEL.pruned(threshold=0, step=0, max_features=2).features == ("2乙", "2甲")


def test_ties_are_kept_by_name() -> None:
    tied = Perceptron(("2甲", "2甲乙", "3丙"), np.full((3, 4), 0.5), np.zeros((4, 4)))
    assert tied.pruned(threshold=0, step=0, max_features=2).features == ("2甲", "2甲乙")


def _round_trip(model: Perceptron, folder: Path) -> Perceptron:
    return read_perceptron(write_legacy_folder(model, folder))


def test_ltp_reads_back_what_it_was_given(text: Path, tmp_path: Path) -> None:
    from ltp_extension.perceptron import CWSModel

    trained = train_segmenter([text], tmp_path / "model", [text], FAST)
    ours = read_perceptron(trained.folder / "cws_model.bin")
    CWSModel.load(str(trained.folder / "cws_model.bin")).save(str(tmp_path / "theirs.bin"))
    theirs = read_perceptron(tmp_path / "theirs.bin")
    assert ours.features == theirs.features
    assert ours.weights.tolist() == theirs.weights.tolist()
    assert ours.transitions.tolist() == theirs.transitions.tolist()


def test_an_empty_model_is_written_and_scored(tmp_path: Path) -> None:
    empty = Perceptron((), np.zeros((0, 4)), np.zeros((4, 4)))
    assert _round_trip(empty, tmp_path).features == ()
    assert score_model(tmp_path / "cws_model.bin", [["他", "叫"]]).num_gold == 2


@settings(max_examples=25)
@given(
    st.dictionaries(st.text(max_size=4), st.lists(st.floats(-1e6, 1e6), min_size=4, max_size=4), max_size=8),
    st.lists(st.floats(-1e6, 1e6), min_size=16, max_size=16),
)
def test_models_survive_a_round_trip(
    tmp_path_factory: pytest.TempPathFactory, rows: dict[str, list[float]], transitions: list[float]
) -> None:
    path = tmp_path_factory.getbasetemp() / "round_trip.bin"
    names = tuple(sorted(rows))
    model = Perceptron(names, np.array([rows[name] for name in names]).reshape(-1, 4), np.reshape(transitions, (4, 4)))
    write_perceptron(model, path)
    first = path.read_bytes()
    again = read_perceptron(path)
    assert again.features == model.features
    assert np.array_equal(again.weights, model.weights)
    assert np.array_equal(again.transitions, model.transitions)
    write_perceptron(again, path)
    assert path.read_bytes() == first


@settings(max_examples=60)
@given(st.data())
def test_damaged_files_are_one_error(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    path = tmp_path_factory.getbasetemp() / "damaged.bin"
    write_perceptron(MODEL, path)
    whole = path.read_bytes()
    path.write_bytes(whole[: data.draw(st.integers(0, len(whole) - 1))])
    with pytest.raises(SegmenterError, match=r"not an LTP segmenter model.*damaged\.bin"):
        read_perceptron(path)
