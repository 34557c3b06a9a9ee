"""Files of tasks: what is read, what is left out and where; rows of pieces against Hugging Face's own."""

import gzip
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wwmcorpus.align import load_tokenizer
from wwmcorpus.errors import ConfigError, SourceError
from wwmcorpus.tasks import Answer, Examples, ReadingExample, TaggedExample, Task, TextExample, load_task, task_names
from wwmcorpus.tasks.encode import MAX_QUESTION_PIECES, encode, truncated_lengths
from wwmcorpus.tasks.examples import joined_tokens
from wwmcorpus.tasks.predictions import MAX_ANSWER_PIECES
from wwmcorpus.tasks.write import write_examples

SAMPLE = Path(__file__).resolve().parent.parent / "sample_data" / "tasks"
REAL = Path(__file__).resolve().parents[2] / "shared" / "data" / "tasks"
SENTIMENT = Task(kind="classification", file_format="tsv", labels=["0", "1"])
PAIRS = SENTIMENT.model_copy(update={"text_b": "text_b"})
SCORES = Task(kind="regression", file_format="tsv", columns=["text_a", "text_b", "label"], text_b="text_b")
READING = Task(kind="reading", file_format="squad")
NAMES = Task(kind="labelling", file_format="conll", labels=["PER", "LOC"])


def written(tmp_path: Path, name: str, content: str | bytes) -> Path:
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def places(examples: Examples) -> list[tuple[str, str]]:
    return [(row.reason, row.place) for row in examples.rejections]


# Declarations


@pytest.mark.parametrize("name", task_names())
def test_known_tasks_load_by_name(name: str) -> None:
    task = load_task(name)
    assert task.name == name
    assert task.main_metric == task.metric_names[0]
    assert task.num_outputs >= 1


def test_a_task_is_a_file_of_ten_lines(tmp_path: Path) -> None:
    text = 'kind = "classification"\nfile_format = "csv"\nlabels = ["good", "bad"]\ntrain = "data/a.csv"\n'
    task = load_task(written(tmp_path, "mine.toml", text))
    assert (task.name, task.labels, task.num_outputs) == ("mine", ("good", "bad"), 2)
    assert task.train == str(tmp_path / "data" / "a.csv")
    assert task.validation is None


def test_an_unknown_task_names_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"unknown task: 'cmrc2081'.*Did you mean 'cmrc2018'.*\.toml"):
        load_task("cmrc2081")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"kind": "reading", "file_format": "tsv"}, "file_format"),
        ({"kind": "classification", "file_format": "tsv"}, "0 labels"),
        ({"kind": "regression", "file_format": "tsv", "labels": ["1"]}, "1 labels"),
        ({"kind": "labelling", "file_format": "conll", "labels": ["A", "A"]}, "twice"),
        ({"kind": "reading", "file_format": "squad", "scores": ["accuracy"]}, "scores"),
        ({"kind": "classification", "file_format": "tsv", "labels": ["a", "b", "c"], "scores": ["f1"]}, "f1_macro"),
        ({"kind": "regression", "file_format": "csv", "columns": ["x", "label"]}, "text_a"),
        ({"kind": "regression", "file_format": "csv", "columns": ["text_a", "x", "x"]}, "column stands twice"),
        ({"kind": "reading", "file_format": "squad", "name": "../up"}, "cannot be called so"),
        ({"kind": "reading", "file_format": "squad", "name": " "}, "cannot be called so"),
        ({"kind": "reading", "file_format": "squad", "lables": []}, "Did you mean 'labels'"),
    ],
)
def test_a_wrong_declaration_is_one_error(values: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Task(**values)


def test_tags_are_numbered_from_o() -> None:
    assert NAMES.tags == ("O", "B-PER", "I-PER", "B-LOC", "I-LOC")


# Tables


def test_tsv_counts_and_locates_what_is_wrong(tmp_path: Path) -> None:
    rows = [
        b"label\ttext_a",
        "1\t好\r".encode(),
        b"",
        "1\t一\t二".encode(),
        "7\t坏".encode(),
        "\t坏".encode(),
        b"0\t ",
        b"0\t\xff\xfe",
        '0\t他说"不\u2028行'.encode(),
    ]
    read = SENTIMENT.read(written(tmp_path, "a.tsv", b"\xef\xbb\xbf" + b"\n".join(rows)))
    assert read.items == (TextExample("2", "好", None, "1"), TextExample("9", '他说"不\u2028行', None, "0"))
    assert places(read) == [
        ("blank", "line 3"),
        ("wrong_number_of_columns", "line 4"),
        ("unknown_label", "line 5"),
        ("label_missing", "line 6"),
        ("empty_text", "line 7"),
        ("invalid_utf8", "line 8"),
    ]
    assert read.rejected == dict.fromkeys(sorted(reason for reason, _ in places(read)), 1)
    assert all(row.path.endswith("a.tsv") for row in read.rejections)


def test_columns_without_names_and_numbers_as_labels(tmp_path: Path) -> None:
    path = written(tmp_path, "a.tsv", "一\t二\t3.5\n一\t二\t三\n一\t二\tnan\n")
    read = SCORES.read(path)
    assert read.items == (TextExample("1", "一", "二", 3.5),)
    assert places(read) == [("label_not_a_number", "line 2"), ("label_not_a_number", "line 3")]
    bare = SCORES.read(written(tmp_path, "b.tsv", "一\t二\n一\n"), labelled=False)
    assert bare.items == (TextExample("1", "一", "二", None),)
    assert places(bare) == [("wrong_number_of_columns", "line 2")]


def test_csv_quotes_and_broken_rows(tmp_path: Path) -> None:
    task = SENTIMENT.model_copy(update={"file_format": "csv"})
    text = 'label,text_a\n1,"好,\n真""好"""\n0,"坏"了\n0,坏\n'
    read = task.read(written(tmp_path, "a.csv", text))
    assert [example.text_a for example in read] == ['好,\n真"好"', "坏"]
    assert places(read) == [("broken_csv", "line 4")]


def test_jsonl_as_of_clue(tmp_path: Path) -> None:
    lines = [
        {"sentence1": "一", "sentence2": "二", "label": "neutral", "id": 7},
        {"sentence1": "一", "sentence2": "二", "label": "-"},
        {"sentence1": "一", "label": "neutral"},
        {"sentence1": "一", "sentence2": "二"},
        ["neutral"],
    ]
    text = "\n".join(json.dumps(line, ensure_ascii=False) for line in lines) + "\n{broken\n"
    read = load_task("ocnli").read(written(tmp_path, "a.json", text))
    assert read.items == (TextExample("7", "一", "二", "neutral"),)
    assert places(read) == [
        ("no_label", "line 2"),
        ("text_missing", "line 3"),
        ("label_missing", "line 4"),
        ("broken_json", "line 5"),
        ("broken_json", "line 6"),
    ]
    number = '{"sentence": "一", "label": 101}'
    assert load_task("tnews").read(written(tmp_path, "b.json", number))[0].label == "101"


def test_a_quote_that_is_not_closed_counts_every_line_it_takes(tmp_path: Path) -> None:
    task = SENTIMENT.model_copy(update={"file_format": "csv"})
    broken = b'label,text_a\n0,a\n1,"b\n0,\xff\n1,c"d\n0,e\n1,"f\n0,g\n'
    read = task.read(written(tmp_path, "a.csv", broken))
    assert [(example.id, example.text_a) for example in read] == [("2", "a"), ("6", "e")]
    assert places(read) == [("broken_csv", f"line {line}") for line in (3, 4, 5, 7, 8)]


def test_a_first_line_that_names_no_columns(tmp_path: Path) -> None:
    """Not the line after it: that would be data."""
    for name in ("a.tsv", "a.csv"):
        task = SENTIMENT.model_copy(update={"file_format": name[2:]})
        path = written(tmp_path, name, "label\ttext_a\n1\t好\n".encode("utf-16"))
        with pytest.raises(SourceError, match=r"first line .* cannot be read: bytes that are not UTF-8.*line 1"):
            task.read(path)
        path = written(tmp_path, name, "label,text_a,text_a\n1,a,b\n".replace(",", "\t" if name == "a.tsv" else ","))
        with pytest.raises(SourceError, match=r"names a column twice.*text_a"):
            task.read(path)


def test_json_of_every_kind(tmp_path: Path) -> None:
    task = SENTIMENT.model_copy(update={"file_format": "jsonl", "labels": ("0", "1", "true")})
    lines = [
        '{"text_a": "一", "label": true, "id": null}',
        '{"text_a": "一", "label": false}',
        '{"text_a": "一", "label": ' + "1" * 5000 + "}",
        '{"text_a": "好\\ud83d", "label": 1}',
        '{"text_a": "\\ud83d\\ude00", "label": 1, "id": 0}',
    ]
    read = task.read(written(tmp_path, "a.json", "\n".join(lines)))
    assert read.items == (TextExample("1", "一", None, "true"), TextExample("0", "😀", None, "1"))
    assert places(read) == [("unknown_label", "line 2"), ("broken_json", "line 3"), ("lone_surrogate", "line 4")]
    scores = SCORES.model_copy(update={"file_format": "jsonl", "text_b": None})
    read = scores.read(written(tmp_path, "b.json", '{"text_a": "一", "label": 1}\n{"text_a": "一", "label": true}'))
    assert (read[0].label, places(read)) == (1.0, [("label_not_a_number", "line 2")])


def test_a_file_that_does_not_fit_is_one_error(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"names the columns a, b; .*needs text_a, label"):
        SENTIMENT.read(written(tmp_path, "a.tsv", "a\tb\n1\t2\n"))
    with pytest.raises(SourceError, match=r"holds no example; rows left out: \{'unknown_label': 1\}.*line 2"):
        SENTIMENT.read(written(tmp_path, "b.tsv", "label\ttext_a\n9\t好\n"))
    for content in ("", "label\ttext_a\n"):
        with pytest.raises(SourceError, match="holds no example"):
            SENTIMENT.read(written(tmp_path, "c.tsv", content))
    with pytest.raises(SourceError, match="no such file"):
        SENTIMENT.read(tmp_path / "absent.tsv")
    packed = gzip.compress("label\ttext_a\n1\t好\n".encode())
    assert len(SENTIMENT.read(written(tmp_path, "d.tsv.gz", packed))) == 1
    with pytest.raises(SourceError, match="breaks off"):
        SENTIMENT.read(written(tmp_path, "e.tsv.gz", packed[:-9]))


# Reading comprehension


def squad(context: str, *questions: dict) -> str:
    return json.dumps({"data": [{"paragraphs": [{"context": context, "qas": list(questions)}]}]}, ensure_ascii=False)


def test_answers_are_found_where_they_stand(tmp_path: Path) -> None:
    context = "甲村有桥，乙村有桥，丙村无桥。"

    def question(name: str, *answers: tuple[str, int]) -> dict:
        return {"id": name, "question": "？", "answers": [{"text": text, "answer_start": at} for text, at in answers]}

    text = squad(
        context,
        question("stated", ("乙村", 5)),
        question("moved", ("有桥", 8)),
        question("several", ("无此", 0), ("丙村", 10)),
        question("absent", ("丁村", 0)),
        question("none"),
        question("stated", ("甲村", 0)),
    )
    read = READING.read(written(tmp_path, "a.json", text))
    assert [(one.id, one.answers) for one in read] == [
        ("stated", (Answer("乙村", 5),)),
        ("moved", (Answer("有桥", 7),)),
        ("several", (Answer("无此", None), Answer("丙村", 10))),
        ("absent", (Answer("丁村", None),)),
    ]
    assert places(read) == [
        ("label_missing", "question none"),
        ("duplicate_id", "data[0].paragraphs[0].qas[5]"),
    ]
    assert read.notes == {"answers_not_in_passage": 2, "moved_answers": 1}
    # The official script of CMRC 2018 divides by all questions that have an answer: 4, of which 3 are right here.
    assert READING.metrics(["乙村", "有桥", "丙村", "甲村"], read)["exact_match"] == 0.75
    learned = READING.read(written(tmp_path, "a.json", text), to_learn=True)
    assert [one.id for one in learned] == ["stated", "moved", "several"]
    assert ("answer_not_in_passage", "question absent") in places(learned)
    assert len(READING.read(written(tmp_path, "a.json", text), labelled=False)) == 5


def test_questions_without_ids_and_answers_with_more_about_them(tmp_path: Path) -> None:
    answers = [("甲村", 99), (" 丙村\n", 6), ("甲村", -7), ("丁\ud83d", 0)]
    questions = [
        {"id": None, "question": "？", "answers": [{"text": text, "answer_start": at}]} for text, at in answers
    ]
    content = {"data": [{"paragraphs": [{"context": "甲村在东，丙村在甲村西。", "qas": questions}]}]}
    read = READING.read(written(tmp_path, "a.json", json.dumps(content)))
    assert [one.answers for one in read] == [(Answer("甲村", 8),), (Answer("丙村", 5),), (Answer("甲村", 0),)]
    assert places(read) == [("lone_surrogate", "data[0].paragraphs[0].qas[3]")]
    assert read.notes == {"moved_answers": 3}
    content["data"][0]["paragraphs"][0]["context"] += "\udc00"
    with pytest.raises(SourceError, match=r"holds no example; rows left out: \{'lone_surrogate': 4\}"):
        READING.read(written(tmp_path, "b.json", json.dumps(content)), labelled=False)


@pytest.mark.parametrize("text", ["[]", "{", '{"data": [{}]}', '{"data": 3}', '{"data": %s}' % ("1" * 5000)])
def test_other_json_is_no_reading_file(tmp_path: Path, text: str) -> None:
    with pytest.raises(SourceError, match="SQuAD"):
        READING.read(written(tmp_path, "a.json", text))


# Labelled sentences


def test_conll_takes_schemes_and_rejects_sentences(tmp_path: Path) -> None:
    text = "张\tB-PER\n三\tE-PER\n在\tO\n京\tS-LOC\n\n\n坏\tB-XXX\n好\tO\n\n没\n\n-DOCSTART- O\n\nI x O\nsaw y S-PER\n"
    read = NAMES.read(written(tmp_path, "a.txt", text))
    assert read.items == (
        TaggedExample("1", ("张", "三", "在", "京"), ("B-PER", "I-PER", "O", "B-LOC")),
        TaggedExample("14", ("I", "saw"), ("O", "B-PER")),
    )
    assert places(read) == [("unknown_label", "line 7"), ("label_missing", "line 10")]


@pytest.mark.parametrize("between", ["\t", " ", "  "])
def test_a_space_of_chinese_text_is_a_token(tmp_path: Path, between: str) -> None:
    text = "".join(f"{token}{between}{tag}\n" for token, tag in (("张", "B-PER"), ("\u3000", "O"), ("\u00a0", "O")))
    read = NAMES.read(written(tmp_path, "a.txt", text))
    assert read.items == (TaggedExample("1", ("张", "\u3000", "\u00a0"), ("B-PER", "O", "O")),)


def test_tokens_become_text() -> None:
    assert joined_tokens(("他", "用", "C", "+", "+")) == ("他用C++", [(0, 1), (1, 2), (2, 3), (3, 4), (4, 5)])
    assert joined_tokens(("use", "it", "吧")) == ("use it吧", [(0, 3), (4, 6), (6, 7)])


# Writing


_words = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufeff\u2028"), min_size=1).filter(
    lambda text: text == text.strip() != ""
)


@given(
    st.lists(st.tuples(_words, _words, st.sampled_from("01")), min_size=1, max_size=4), st.sampled_from(["tsv", "csv"])
)
def test_what_is_written_is_read_back(rows: list, file_format: str) -> None:
    import tempfile

    task = PAIRS.model_copy(update={"file_format": file_format})
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a"
        write_examples(task, path, [TextExample("", *row) for row in rows])
        assert [one[1:] for one in task.read(path)] == rows


def test_ends_of_lines_survive_inside_quotes(tmp_path: Path) -> None:
    task = PAIRS.model_copy(update={"file_format": "csv"})
    rows = [("a\rb", "c\nd", "1"), ("\re", 'f"g', "0"), ("h,", "i\r\rj", "1")]
    write_examples(task, tmp_path / "a.csv", [TextExample("", *row) for row in rows])
    read = task.read(tmp_path / "a.csv")
    assert [one[1:] for one in read] == rows
    assert not read.rejections


@pytest.mark.parametrize("name", ["sentiment", "pairs", "reading", "names"])
def test_the_samples_survive_writing(tmp_path: Path, name: str) -> None:
    task = load_task(SAMPLE / name / "task.toml")
    for path in (task.train, task.validation, task.test):
        read = task.read(path)
        assert not read.rejections
        assert not read.notes
        write_examples(task, tmp_path / "out", read)
        again = task.read(tmp_path / "out")
        assert [one[1:] for one in again] == [one[1:] for one in read]


# Rows of pieces


@given(st.integers(0, 30), st.integers(0, 30), st.integers(2, 30))
def test_the_longer_text_gives_way(first: int, second: int, room: int) -> None:
    a, b = first, second
    while a + b > room:
        a, b = (a - 1, b) if a > b or (a == b and first > second) else (a, b - 1)
    # Whoever is longer gives way; of texts that both give way, the longer keeps what cannot be halved.
    kept = truncated_lengths(first, second, room)
    assert sum(kept) == a + b
    assert abs(kept[0] - a) <= 1
    assert kept[0] <= first
    assert kept[1] <= second


@given(
    st.lists(st.tuples(st.text("一二三ab ，1", min_size=1), st.text("四五cd。", min_size=1)), min_size=1, max_size=5)
)
def test_rows_are_those_of_hugging_face(tokenizer, rows: list) -> None:
    examples = Examples("", tuple(TextExample(str(i), a, b, "1") for i, (a, b) in enumerate(rows)))
    features = encode(PAIRS, examples, tokenizer, max_length=12)
    theirs = tokenizer([a for a, _ in rows], [b for _, b in rows], truncation="longest_first", max_length=12)
    for row in range(len(rows)):
        begin, end = features.bounds[row : row + 2]
        assert features.input_ids[begin:end].tolist() == theirs["input_ids"][row]
        assert features.token_type_ids[begin:end].tolist() == theirs["token_type_ids"][row]
    batch = features.batch(np.arange(len(rows)))
    padded = tokenizer.pad(theirs, return_tensors="np")
    for name in ("input_ids", "attention_mask", "token_type_ids"):
        assert (batch[name] == padded[name]).all()
    assert batch["labels"].tolist() == [1] * len(rows)


def test_one_text_and_special_pieces_that_are_text(tokenizer) -> None:
    examples = Examples("", (TextExample("", "研究[SEP]生命", None, None),))
    features = encode(SENTIMENT, examples, tokenizer, max_length=8)
    batch = features.batch([0], length=10)
    assert tokenizer.convert_ids_to_tokens(batch["input_ids"][0])[:4] == ["[CLS]", "研", "究", "["]
    assert (batch["input_ids"] == tokenizer.sep_token_id).sum() == 1
    assert batch["input_ids"][0, 8:].tolist() == [tokenizer.pad_token_id] * 2
    assert "labels" not in batch
    assert features.counts["truncated_pieces"] == 3
    with pytest.raises(ValueError, match="8 pieces, more than 7"):
        features.batch([0], length=7)


def sample_reading() -> Examples:
    task = load_task(SAMPLE / "reading" / "task.toml")
    return task.read(task.train)


def test_windows_are_those_of_hugging_face(tokenizer) -> None:
    examples = sample_reading()
    features = encode(READING, examples, tokenizer, max_length=100, stride=30)
    row = 0
    for example in examples:
        question = len(tokenizer(example.question, add_special_tokens=False)["input_ids"])
        assert question <= MAX_QUESTION_PIECES
        theirs = tokenizer(
            example.question,
            example.passage,
            truncation="only_second",
            max_length=100,
            stride=100 - 3 - question - 30,
            return_overflowing_tokens=True,
        )
        for ids in theirs["input_ids"]:
            assert features.input_ids[features.bounds[row] : features.bounds[row + 1]].tolist() == ids
            row += 1
    assert row == len(features)
    assert features.counts["windows"] == row - len(examples)


def test_answer_positions_give_the_answer_back(tokenizer) -> None:
    examples = sample_reading()
    features = encode(READING, examples, tokenizer, max_length=100, stride=60)
    batch = features.batch(np.arange(len(features)))
    found = set()
    for row, (first, last) in enumerate(zip(batch["start_positions"], batch["end_positions"], strict=True)):
        if first:
            pieces = tokenizer.convert_ids_to_tokens(batch["input_ids"][row, first : last + 1])
            example = int(features.examples[row])
            answer = examples[example].answers[0].text
            assert "".join(piece.removeprefix("##") for piece in pieces) == answer.lower().replace(" ", "")
            found.add(example)
        else:
            assert last == 0
    assert len(found) + features.counts["answers_in_no_row"] == len(examples)
    assert len(found) > 0.9 * len(examples)


def test_numbers_for_the_answer_give_its_text(tokenizer) -> None:
    examples = sample_reading()
    features = encode(READING, examples, tokenizer, max_length=120, stride=40)
    logits = []
    for row, length in enumerate(features.lengths):
        numbers = np.zeros((length + 3, 2))  # three places of padding
        first, last = features.answers[row]
        if first:
            numbers[first, 0] = numbers[last, 1] = 5
        else:
            numbers[0] = 9  # [CLS] is no answer
        logits.append(numbers)
    predictions = READING.predictions(logits, features, examples)
    for example, prediction in zip(examples, predictions, strict=True):
        if len(example.answers[0].text) <= MAX_ANSWER_PIECES:
            assert prediction == example.answers[0].text
    assert set(READING.metrics(predictions, examples).values()) == {1.0}


def test_the_best_span_is_that_of_a_full_search(tokenizer) -> None:
    passage = "".join(chr(ord("一") + number) for number in range(90))
    examples = Examples("", (ReadingExample("", passage, "几", (Answer(passage[3:5], 3),)),))
    features = encode(READING, examples, tokenizer, max_length=96)
    generator = np.random.default_rng(0)
    for _ in range(5):
        numbers = generator.normal(size=(int(features.lengths[0]), 2))
        shift = 3  # [CLS] 几 [SEP]
        spans = [(i, j) for i in range(90) for j in range(i, min(i + MAX_ANSWER_PIECES, 90))]
        i, j = max(spans, key=lambda span: numbers[span[0] + shift, 0] + numbers[span[1] + shift, 1])
        assert READING.predictions([numbers], features, examples) == [passage[i : j + 1]]


def test_tags_stand_at_the_first_piece_of_their_token(tokenizer) -> None:
    task = load_task(SAMPLE / "names" / "task.toml")
    examples = task.read(task.train)
    features = encode(task, examples, tokenizer, max_length=64)
    batch = features.batch(np.arange(len(features)))
    for row, example in enumerate(examples):
        assert (batch["labels"][row][batch["attention_mask"][row] == 0] == -100).all()
        learned = batch["labels"][row][batch["labels"][row] != -100]
        assert [task.tags[number] for number in learned] == list(example.tags)
    logits = [np.eye(len(task.tags))[np.maximum(row, 0)] for row in batch["labels"]]
    predictions = task.predictions(logits, features, examples)
    assert predictions == [example.tags for example in examples]


def test_tokens_inside_a_piece_and_behind_the_end() -> None:
    tokenizer = load_tokenizer("embedded")
    assert tokenizer.tokenize("the") == ["the"]
    example = TaggedExample(
        "1", ("在", "t", "h", "e", "\x00", "京", "中"), ("O", "B-PER", "I-PER", "I-PER", "O", "B-LOC", "O")
    )
    examples = Examples("", (example,))
    features = encode(NAMES, examples, tokenizer, max_length=5)
    assert features.tags.tolist() == [-100, 0, 1, 3, -100]
    wanted = {"tokens_inside_pieces": 2, "entities_inside_pieces": 0, "tokens_without_pieces": 1, "truncated_tokens": 1}
    assert wanted.items() <= features.counts.items()
    predictions = NAMES.predictions([np.eye(5)[[0, 0, 1, 3, 0]]], features, examples)
    assert predictions == [example.tags]


def test_what_does_not_fit_is_one_error(tokenizer) -> None:
    texts, names = (
        Examples("", (TextExample("", "一", None, "1"),)),
        Examples("", (TaggedExample("", ("一",), ("O",)),)),
    )
    with pytest.raises(ConfigError, match="TaggedExample, the task has TextExamples"):
        encode(SENTIMENT, names, tokenizer)
    with pytest.raises(ConfigError, match="too short for reading"):
        encode(READING, texts, tokenizer, max_length=64)
    features = encode(SENTIMENT, texts, tokenizer)
    with pytest.raises(ConfigError, match="numbers for 2 rows, the features have 1"):
        SENTIMENT.predictions([[0, 1], [1, 0]], features, texts)


@pytest.mark.skipif(not REAL.is_dir(), reason="the real task sets are not here")
def test_real_sets_are_read_whole() -> None:
    cmrc = load_task("cmrc2018").read(REAL / "cmrc2018" / "cmrc2018_dev.json")
    assert (len(cmrc), cmrc.rejected) == (3219, {})
    ocnli = load_task("ocnli").read(REAL / "ocnli" / "dev.json")
    assert (len(ocnli), ocnli.rejected) == (2950, {"no_label": 50})
    assert len(load_task("chnsenticorp").read(REAL / "chnsenticorp" / "test.tsv")) == 1200
