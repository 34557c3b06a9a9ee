"""Scores of tasks against numbers worked out by hand; those of CMRC 2018 on the cases that its definition is about."""

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wwmcorpus.errors import ConfigError, MissingExtraError
from wwmcorpus.tasks import Answer, Examples, ReadingExample, TaggedExample, Task, TextExample, load_task
from wwmcorpus.tasks.reading_scores import exact_match, overlap_f1, units


def texts(*labels: object) -> Examples:
    return Examples("a.tsv", tuple(TextExample(str(i), "甲", None, label) for i, label in enumerate(labels)))


# CMRC 2018


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("北京大学", ["北", "京", "大", "学"]),
        ("iPhone 6s于2015年，发布！", ["iphone", "6s", "于", "2015", "年", "发", "布"]),
        ("约3.5万元，共1,000人", ["约", "3.5", "万", "元", "共", "1,000", "人"]),
        # Marks of the list vanish before anything is cut: what stood to both sides becomes one word.
        ("1990-1995", ["19901995"]),
        ("《C++》", ["c"]),
        ("a,b (c)", ["a", ",", "b", "(", "c", ")"]),
        ("", []),
        ("。！", []),
        ("ひらがな漢字", ["ひらがな", "漢", "字"]),
    ],
)
def test_what_counts_as_a_unit(text: str, wanted: list[str]) -> None:
    assert units(text) == wanted


@pytest.mark.parametrize(
    ("answers", "prediction", "exact", "f1"),
    [
        (["北京大学"], "北京大学", 1, 1),
        # Punctuation and case aside.
        (["《红楼梦》"], "红楼梦。", 1, 1),
        (["GitHub"], " github ", 1, 1),
        # An ASCII full stop is not on the list: it is a unit.
        (["红楼梦"], "红楼梦.", 0, 2 * 3 / 7),
        # 4 of 5 units right, all 4 of the answer found.
        (["北京大学"], "在北京大学", 0, 2 * (4 / 5) * 1 / (4 / 5 + 1)),
        # Only the longest run counts: 北京 (2), not all four characters that both hold.
        (["北京大学"], "北京的大学", 0, 2 * 2 / (4 + 5)),
        # A Latin word or a number is one unit: 20 is not a part of 2015.
        (["2015年"], "20年", 0, 2 * 1 / (2 + 2)),
        (["iPhone 6s"], "iPhone", 0, 2 * 1 / (2 + 1)),
        # The best of several answers.
        (["上海", "上海市浦东", "上海市"], "上海市", 1, 1),
        (["上海", "浦东新区"], "浦东", 0, 2 * 2 / (4 + 2)),
        # Nothing predicted, nothing shared.
        (["上海"], "", 0, 0),
        (["上海"], "。", 0, 0),
        (["上海"], "北京", 0, 0),
    ],
)
def test_scores_of_answers(answers: list[str], prediction: str, exact: float, f1: float) -> None:
    assert exact_match(answers, prediction) == exact
    assert overlap_f1(answers, prediction) == pytest.approx(f1)


@given(st.text("甲乙丙", max_size=8), st.text("甲乙丙", max_size=8))
def test_what_is_shared_is_the_longest_common_run(one: str, other: str) -> None:
    runs = {one[i:j] for i in range(len(one)) for j in range(i + 1, len(one) + 1)}
    shared = max((len(run) for run in runs if run in other), default=0)
    wanted = 2 * shared / (len(one) + len(other)) if shared else 0
    assert overlap_f1([one], other) == pytest.approx(wanted)


def test_reading_scores_are_means_over_questions() -> None:
    def question(*answers: str) -> ReadingExample:
        return ReadingExample("", "", "", tuple(Answer(text, None) for text in answers))

    examples = Examples("", (question("北京大学"), question("上海", "沪"), question("广州"), question("深圳")))
    scores = load_task("cmrc2018").metrics(["在北京大学", "沪", "", "北海"], examples)
    f1 = (2 * 4 / 9 + 1 + 0 + 0) / 4
    assert scores == pytest.approx({"f1": f1, "exact_match": 1 / 4, "average": (f1 + 1 / 4) / 2})


# Classification and regression


def test_classification() -> None:
    names = ["accuracy", "f1_macro", "f1", "matthews"]
    task = Task(kind="classification", file_format="tsv", labels=["0", "1"], scores=names)
    # Of "1" 2 are right, 1 is wrongly predicted and 3 are missed; of "0" 2 are right.
    scores = task.metrics(list("11010000"), texts(*"11101100"))
    assert scores["accuracy"] == pytest.approx(4 / 8)
    assert scores["f1"] == pytest.approx(2 * 2 / (2 * 2 + 1 + 3))
    assert scores["f1_macro"] == pytest.approx((1 / 2 + 2 * 2 / (2 * 2 + 3 + 1)) / 2)
    assert scores["matthews"] == pytest.approx((2 * 2 - 1 * 3) / (3 * 5 * 3 * 5) ** 0.5)


def test_a_label_that_never_occurs_counts_in_the_macro_mean() -> None:
    task = Task(kind="classification", file_format="tsv", labels=["a", "b", "c"])
    scores = task.metrics(["a", "a"], texts("a", "b"))
    assert scores == pytest.approx({"accuracy": 1 / 2, "f1_macro": (2 / 3 + 0 + 0) / 3})


def test_regression() -> None:
    task = load_task("sts")
    # Ranks of the truth 1, 2.5, 2.5, 4; of the predictions 1, 2, 3, 4.
    scores = task.metrics([0.0, 1.0, 2.0, 9.0], texts(1.0, 2.0, 2.0, 4.0))
    assert scores["spearman"] == pytest.approx(4.5 / (4.5 * 5) ** 0.5)
    # Deviations -1.25, -.25, -.25, 1.75 and -3, -2, -1, 6.
    assert scores["pearson"] == pytest.approx((3.75 + 0.5 + 0.25 + 10.5) / (4.75 * 50) ** 0.5)
    assert task.metrics([1.0, 1.0], texts(1.0, 2.0)) == {"spearman": 0.0, "pearson": 0.0}
    assert task.metrics([1.0], texts(1.0)) == {"spearman": 0.0, "pearson": 0.0}


# Labelling


def test_entities_count_whole() -> None:
    task = Task(
        kind="labelling", file_format="conll", labels=["PER", "LOC"], scores=["f1", "precision", "recall", "accuracy"]
    )
    tags = (("B-PER", "I-PER", "O", "B-LOC"), ("B-LOC", "I-LOC", "I-LOC"), ("O", "O"))
    examples = Examples("", tuple(TaggedExample("", tuple("甲" * len(own)), own) for own in tags))
    # Right: the person. Wrong: a place of another type, half of a place, one that is none. Two places are missed.
    found = [("B-PER", "I-PER", "O", "B-PER"), ("B-LOC", "I-LOC", "O"), ("B-LOC", "O")]
    scores = task.metrics(found, examples)
    wanted = {"f1": 2 * (1 / 4) * (1 / 3) / (1 / 4 + 1 / 3), "precision": 1 / 4, "recall": 1 / 3, "accuracy": 6 / 9}
    assert scores == pytest.approx(wanted)
    assert task.metrics([("O",) * 4, ("O",) * 3, ("O",) * 2], examples)["f1"] == 0
    with pytest.raises(ConfigError, match="3 tags for 4 tokens"):
        task.metrics([("O",) * 3, *found[1:]], examples)


# What does not fit


def test_predictions_and_examples_must_fit() -> None:
    task = load_task("chnsenticorp")
    with pytest.raises(ConfigError, match=r"1 predictions for 2 examples.*a\.tsv"):
        task.metrics(["1"], texts("1", "0"))
    with pytest.raises(ConfigError, match="no label to score against"):
        task.metrics(["1"], texts(None))


def test_a_missing_extra_is_one_error(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == "sklearn"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "sklearn", None)
    task = load_task("chnsenticorp")
    with pytest.raises(MissingExtraError, match=r"scikit-learn.*pip install 'wwmcorpus\[tasks\]'"):
        task.metrics(["1"], texts("1"))
