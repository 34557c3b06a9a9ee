"""Variants of examples: whole words, labels and spans that stay right, candidates against a full search."""

import json
import re
from collections import Counter
from itertools import pairwise, product
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import BertConfig, BertForMaskedLM

from wwmcorpus.align import load_tokenizer, save_tokenizer
from wwmcorpus.cli import app
from wwmcorpus.errors import ConfigError, CorpusError, SourceError
from wwmcorpus.segment import load_segmenter
from wwmcorpus.tasks import Answer, ReadingExample, TaggedExample, TextExample, load_task
from wwmcorpus.tasks.augment import AugmentConfig
from wwmcorpus.tasks.augment.fill import Blank, WordFiller
from wwmcorpus.tasks.augment.job import augment
from wwmcorpus.tasks.augment.texts import ChangeableText, Edit, texts_of, with_edits
from wwmcorpus.tasks.augment.variants import draw_variants
from wwmcorpus.tasks.augment.vectors import WordVectors
from wwmcorpus.tasks.augment.words import eligible_words, load_stop_words, real_words
from wwmcorpus.tasks.train_vectors import VectorTraining, train_vectors

SAMPLE = Path(__file__).resolve().parent.parent / "sample_data" / "tasks"
FILES = {"sentiment": "train.tsv", "pairs": "train.jsonl", "reading": "train.json", "names": "train.conll"}
SPECIALS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]


@pytest.fixture(scope="module")
def vectors_file(tmp_path_factory) -> Path:
    """Vectors of numbers drawn by chance for every word of the sample tasks."""
    segmenter = load_segmenter("jieba")
    words: dict[str, None] = {}
    for name, file in FILES.items():
        task = load_task(SAMPLE / name / "task.toml")
        for example in task.read(SAMPLE / name / file):
            for one in texts_of(example, ()):
                words |= dict.fromkeys(one.text[a:b].lower() for a, b in segmenter.segment([one.text])[0].tolist())
    generator = np.random.default_rng(0)
    path = tmp_path_factory.mktemp("vectors") / "words.txt"
    lines = [f"{word} {' '.join(f'{x:.4f}' for x in generator.normal(size=8))}\n" for word in words if word.strip()]
    path.write_text(f"{len(lines)} 8\n" + "".join(lines), "utf-8")
    return path


def config(name: str, output: Path, **options) -> AugmentConfig:
    folder = SAMPLE / name
    values = {"task": str(folder / "task.toml"), "input": str(folder / FILES[name]), "output": str(output)}
    return AugmentConfig(**values | {"segmenter": "jieba", "num_variants": 4} | options)


# Examples with words replaced


def test_answers_move_with_their_passage() -> None:
    example = ReadingExample("q", "他在北京大学读书。", "在哪？", (Answer("北京大学", 2), Answer("清华", None)))
    changed = with_edits(example, {1: [Edit(0, 1, "王小明"), Edit(6, 8, "上课")], 0: [Edit(1, 2, "哪里")]}, "q-v1")
    assert changed == ReadingExample(
        "q-v1", "王小明在北京大学上课。", "在哪里？", (Answer("北京大学", 4), Answer("清华", None))
    )
    question, passage = texts_of(example, ["passage"])
    assert not question.allows(0, 1)
    assert passage.allows(0, 1)
    assert [passage.allows(start, start + 2) for start in (0, 1, 3, 5, 6)] == [True, False, False, False, True]


def test_tags_follow_their_tokens() -> None:
    example = TaggedExample("1", tuple("张三买苹果"), ("B-PER", "I-PER", "O", "O", "O"))
    changed = with_edits(example, {0: [Edit(3, 5, "西红柿")]}, "1-v1")
    assert changed == TaggedExample("1-v1", tuple("张三买西红柿"), ("B-PER", "I-PER", "O", "O", "O", "O"))
    (text,) = texts_of(example, ["tokens"])
    assert [text.allows(*span) for span in ((0, 2), (1, 3), (2, 3), (3, 5))] == [False, False, True, True]
    by_words = TaggedExample("1", ("张三", "爱", "吃苹果"), ("B-PER", "O", "O"))
    (text,) = texts_of(by_words, ["tokens"])
    assert [text.allows(*span) for span in ((2, 3), (3, 4), (3, 6), (2, 6))] == [True, False, True, False]
    changed = with_edits(by_words, {0: [Edit(2, 3, "讨厌")]}, "")
    assert changed == TaggedExample("", ("张三", "讨厌", "吃苹果"), ("B-PER", "O", "O"))


@given(
    st.lists(st.tuples(st.text("甲乙丙", min_size=1), st.none() | st.text("丁戊", min_size=1)), min_size=1), st.data()
)
def test_an_answer_stands_where_it_is_said(words: list, data) -> None:
    kept = data.draw(st.integers(0, len(words) - 1))
    begins = np.cumsum([0, *(len(word) for word, _ in words)]).tolist()
    passage = "".join(word for word, _ in words)
    answer = Answer(words[kept][0], begins[kept])
    edits = [
        Edit(start, end, new)
        for number, ((start, end), (_, new)) in enumerate(zip(pairwise(begins), words, strict=True))
        if new is not None and number != kept
    ]
    changed = with_edits(ReadingExample("", passage, "？", (answer,)), {1: edits}, "")
    assert changed.passage == "".join(w if new is None or i == kept else new for i, (w, new) in enumerate(words))
    assert changed.passage.startswith(answer.text, changed.answers[0].start)


# Words


def test_which_words_may_change(tmp_path: Path) -> None:
    stop_words = load_stop_words(None)
    assert {"的", "不", "我们"} <= stop_words
    given = load_segmenter("given")
    text = ChangeableText("我们 爱 吃 3个 Apple 和 10万 ， 苹果 的 iPhone6", kept=((20, 22),))
    (spans,) = eligible_words([text], given, stop_words)
    assert [text.text[start:end] for start, end in spans] == ["爱", "吃", "Apple", "苹果"]
    assert text.text[20:22] == "万 "
    kept = text._replace(kept=((8, 9),))
    assert [kept.text[a:b] for a, b in eligible_words([kept], given, stop_words)[0]] == ["爱", "吃", "Apple", "苹果"]
    kept = text._replace(kept=((12, 13),))
    assert "Apple" not in [kept.text[a:b] for a, b in eligible_words([kept], given, stop_words)[0]]
    (tmp_path / "mine.txt").write_text("爱\n\napple\n", "utf-8")
    mine = load_stop_words(str(tmp_path / "mine.txt"))
    assert mine == {"爱", "apple"}
    (tmp_path / "mine.txt").write_text("\n", "utf-8")
    with pytest.raises(SourceError, match="stop words is empty"):
        load_stop_words(str(tmp_path / "mine.txt"))


NEGATIONS = "不是 不能 不会 不要 不好 无法 无人 从未 并非 毫无 未必 不曾 决不 绝不 没什么 否则 没法 無法 沒什麼 並非"
NUMBERS = "三十 三十本 五百元 两次 兩次 半年 第二 万亿 〇"
FUNCTION_WORDS = "沒有 這 這些 與 他們 們 裡 裏 為 爲 說 還 讓 著 別"


def test_negations_and_numbers_stay() -> None:
    text = ChangeableText(f"{NEGATIONS} {NUMBERS} {FUNCTION_WORDS} 苹果 蘋果 喜欢 书")
    given, stop_words = load_segmenter("given"), load_stop_words(None)
    (spans,) = eligible_words([text], given, stop_words)
    assert [text.text[start:end] for start, end in spans] == ["苹果", "蘋果", "喜欢", "书"]
    # Whatever words one's own list has, negations and numbers stay.
    (spans,) = eligible_words([text], given, frozenset(["书"]))
    assert {text.text[start:end] for start, end in spans} == {*FUNCTION_WORDS.split(), "苹果", "蘋果", "喜欢"} - {
        "沒有"
    }


def test_no_negation_and_no_number_is_put_in() -> None:
    lists = [["高兴", *NEGATIONS.split(), *NUMBERS.split()], NEGATIONS.split()]
    assert real_words(lists, load_segmenter("given"), frozenset()) == [["高兴"], []]


def test_candidates_that_are_no_words_are_left_out() -> None:
    segmenter = load_segmenter("jieba")
    lists = [["学校", "的了", "我们", "医院"], ["的了"], ["我们"]]
    assert real_words(lists, segmenter, frozenset(["我们"])) == [["学校", "医院"], ["的了"], []]


# Draws


def test_draws_are_as_asked_for() -> None:
    words = [["a1", "a2"], [], ["b1", "b2", "b3"]]
    all_of_them = draw_variants(words, 0, 0, 200, 1.0)
    assert sorted(map(tuple, all_of_them)) == sorted(product(["a1", "a2"], [None], ["b1", "b2", "b3"]))
    assert draw_variants(words, 0, 5, 30, 0.4) == draw_variants(words, 0, 5, 30, 0.4)
    assert draw_variants(words, 0, 5, 30, 0.4) != draw_variants(words, 0, 6, 30, 0.4)
    assert draw_variants(words, 1, 5, 30, 0.4) != draw_variants(words, 0, 5, 30, 0.4)
    assert draw_variants([[], []], 0, 0, 30, 0.4) == []
    # Fewer draws are the first of more draws.
    more = draw_variants(words, 3, 3, 20, 0.4)
    assert more[: len(draw_variants(words, 3, 3, 4, 0.4))] == draw_variants(words, 3, 3, 4, 0.4)


def test_an_example_with_a_candidate_always_has_a_variant() -> None:
    for number in range(200):
        variants = draw_variants([["x"], [], ["y"]], 0, number, 1, 1e-9)
        assert variants in ([["x", None, None]], [[None, None, "y"]])
    firsts = Counter(str(draw_variants([["x"], ["y"]], 0, number, 1, 1e-9)) for number in range(400))
    assert min(firsts.values()) > 140


def test_each_word_changes_with_its_probability() -> None:
    words = [[f"{word}-{number}" for number in range(10_000)] for word in range(20)]
    drawn = draw_variants(words, 0, 0, 2000, 0.4)
    share = np.mean([[word is not None for word in variant] for variant in drawn], axis=0)
    assert len(drawn) == 2000
    assert np.abs(share - 0.4).max() < 5 * (0.4 * 0.6 / 2000) ** 0.5


# Vectors


def test_nearest_words_are_those_of_a_full_search(tmp_path: Path, monkeypatch) -> None:
    from wwmcorpus.tasks.augment import vectors as module

    monkeypatch.setattr(module, "_BLOCK_ROWS", 7)
    monkeypatch.setattr(module, "_QUERY_ROWS", 3)
    numbers = np.random.default_rng(1).normal(size=(50, 5)).astype(np.float32)
    words = [f"词{i}" for i in range(50)]
    lines = [f"{word} {' '.join(map(str, row))}" for word, row in zip(words, numbers.tolist(), strict=True)]
    (tmp_path / "v.txt").write_text("\n".join(lines), "utf-8")
    opened = WordVectors.open(tmp_path / "v.txt", tmp_path, 1000)
    assert isinstance(opened.vectors, np.memmap)
    found = opened.nearest(["词3", "没有", "词7", "词3", "词48", "词20"], 6)
    unit = numbers.astype(np.float64) / np.linalg.norm(numbers, axis=1, keepdims=True).astype(np.float64)
    for word in ("词3", "词7", "词48", "词20"):
        own = int(word[1:])
        order = [i for i in np.argsort(-(unit @ unit[own]), kind="stable") if i != own]
        assert found[word] == [words[i] for i in order[:6]]
    assert set(found) == {"词3", "词7", "词48", "词20"}
    assert len(WordVectors.open(tmp_path / "v.txt", tmp_path, 10).words) == 10


@pytest.mark.filterwarnings("error")
def test_numbers_beyond_the_type_are_no_vector(tmp_path: Path) -> None:
    (tmp_path / "v.txt").write_text("一 1e39 0\n二 1e30 1\n三 nan 1\n四 1 0\n", "utf-8")
    opened = WordVectors.open(tmp_path / "v.txt", tmp_path, 10)
    assert (opened.words, opened.rejected) == (("四",), {"broken_vector": 3})


def test_lines_without_a_vector_are_counted(tmp_path: Path) -> None:
    content = "5 2\n一 1 0\n二 1\n三 a b\n一 0 1\n四 0 0\n五 3 4\n".encode() + b"\xff 1 2\n"
    (tmp_path / "v.txt").write_bytes(content)
    opened = WordVectors.open(tmp_path / "v.txt", tmp_path, 10)
    assert opened.words == ("一", "五")
    assert opened.vectors.tolist() == [[1, 0], [np.float32(0.6), np.float32(0.8)]]
    assert opened.rejected == {"broken_vector": 3, "invalid_utf8": 1, "word_twice": 1}
    (tmp_path / "v.txt").write_text("3 4\n一 1 0\n", "utf-8")  # as many numbers as it does not have
    with pytest.raises(SourceError, match=r"no word vector .* left out: {'broken_vector': 1}"):
        WordVectors.open(tmp_path / "v.txt", tmp_path, 10)


# A masked language model


HAN, LATIN = "甲乙丙丁戊己庚辛壬癸", ["ab", "cd", "##ef", "##gh"]


@pytest.fixture(scope="module")
def model_folder(tmp_path_factory) -> Path:
    """A tiny model with weights drawn by chance, and its tokenizer."""
    folder = tmp_path_factory.mktemp("model")
    pieces = [*SPECIALS, *HAN, *LATIN, "，", "1", "##乙"]
    (folder / "vocab.txt").write_text("".join(f"{piece}\n" for piece in pieces), "utf-8")
    save_tokenizer(load_tokenizer(str(folder)), folder)
    torch.manual_seed(0)
    shape = BertConfig(
        vocab_size=len(pieces),
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        initializer_range=0.5,
    )
    BertForMaskedLM(shape).save_pretrained(folder)
    return folder


def searched(folder: Path, before: str, kinds: list[list[str]], behind: str, second: str | None) -> list[str]:
    """Score every way to fill a blank: log p of each piece given those before it, the rest still masked."""
    model, tokenizer = BertForMaskedLM.from_pretrained(folder).eval(), load_tokenizer(str(folder))
    left, right = (tokenizer.tokenize(text) for text in (before, behind))
    scores = {}
    for word in product(*kinds):
        score = 0.0
        for place, piece in enumerate(word):
            masked = ["[MASK]"] * (len(word) - place)
            row = ["[CLS]", *left, *word[:place], *masked, *right, "[SEP]"]
            behind_it = [] if second is None else [*tokenizer.tokenize(second), "[SEP]"]
            ids = torch.tensor([tokenizer.convert_tokens_to_ids(row + behind_it)])
            segments = torch.tensor([[0] * len(row) + [1] * len(behind_it)])
            with torch.no_grad():
                logs = model(input_ids=ids, token_type_ids=segments).logits[0, 1 + len(left) + place].log_softmax(-1)
            score += float(logs[tokenizer.convert_tokens_to_ids(piece)])
        scores["".join(piece.removeprefix("##") for piece in word)] = score
    return sorted(scores, key=lambda word: -scores[word])


@pytest.mark.parametrize(
    ("before", "word", "behind", "second", "kinds"),
    [
        ("甲，", "乙", "丙丁", None, [list(HAN)]),
        ("甲，", "乙丙", "丁", None, [list(HAN), list(HAN)]),
        ("甲，", "戊己", "丁", "乙丙", [list(HAN), list(HAN)]),
        ("甲", "abef", "乙", None, [["ab", "cd"], ["##ef", "##gh"]]),
    ],
)
def test_the_beam_finds_what_a_full_search_finds(model_folder, before, word, behind, second, kinds) -> None:
    options = config("sentiment", Path("x"), model=str(model_folder), beam_width=10, num_candidates=3)
    text = before + word + behind
    texts = (text,) if second is None else (text, second)
    blank = Blank(texts, 0, len(before), len(before) + len(word))
    others = [Blank(("庚" * 9,), 0, 2, 2 + len(word)), Blank(("辛壬癸",), 0, 0, 1)]
    found = WordFiller(options).candidates([others[0], blank, others[1]])[1]
    wanted = [other for other in searched(model_folder, before, kinds, behind, second) if other != word]
    assert found == wanted[: len(found)]
    assert len(found) == min(len(wanted), len(found)) >= min(12, len(wanted))


def test_words_that_cannot_be_filled_in(model_folder) -> None:
    filler = WordFiller(config("sentiment", Path("x"), model=str(model_folder), num_candidates=3, max_length=16))
    text = "鱼1甲ABEF" + "乙" * 40 + "丙"
    blanks = [Blank((text,), 0, *span) for span in ((0, 1), (1, 2), (2, 3), (4, 7), (3, 7), (47, 48), (7, 30))]
    found = filler.candidates(blanks)
    # Unknown, a number, a word, half of a run, a word in capitals, a word far behind, one that is too long.
    assert [bool(own) for own in found] == [False, False, True, False, True, True, False]
    assert set(found[4]) == {"ABGH", "CDEF", "CDGH"}
    assert "丙" not in found[5]


# The job


@pytest.mark.parametrize("name", list(FILES))
def test_labels_and_spans_stay_right(tmp_path: Path, vectors_file: Path, name: str) -> None:
    made = augment(config(name, tmp_path / "out", vectors=str(vectors_file)))
    task = load_task(SAMPLE / name / "task.toml")
    before, after = task.read(SAMPLE / name / FILES[name]), task.read(tmp_path / "out")
    assert (after.rejected, after.notes) == ({}, {})
    assert len(after) == made.num_examples + made.num_variants
    assert made.num_examples == len(before)
    originals = {example[1:]: example for example in before}
    current, num_own = None, 0
    for example in after:
        if example[1:] in originals:
            assert current is None or num_own > 0 or name == "names"
            current, num_own = originals.pop(example[1:]), 0
            continue
        num_own += 1
        if isinstance(example, TextExample):
            assert example.label == current.label
        elif isinstance(example, ReadingExample):
            assert [one.text for one in example.answers] == [one.text for one in current.answers]
            assert example.passage.startswith(example.answers[0].text, example.answers[0].start)
        else:
            assert entities(example) == entities(current)
    assert not originals
    assert len({example[1:] for example in after}) == len(after)


def test_a_variant_that_contradicts_an_example_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "t.toml").write_text(
        'kind = "classification"\nfile_format = "tsv"\nlabels = ["bad", "good"]\ncolumns = ["text_a", "label"]\n',
        "utf-8",
    )
    (tmp_path / "train.tsv").write_text("苹果 甜\tgood\n苹果 酸\tbad\n", "utf-8")
    (tmp_path / "v.txt").write_text("甜 1 0\n酸 0.9 0.1\n辣 0.8 0.3\n", "utf-8")
    options = {"task": str(tmp_path / "t.toml"), "input": str(tmp_path / "train.tsv"), "num_candidates": 2}
    options["segmenter"] = "given"
    made = augment(config("sentiment", tmp_path / "out", vectors=str(tmp_path / "v.txt"), num_variants=30, **options))
    rows = [line.split("\t") for line in (tmp_path / "out").read_text("utf-8").splitlines()]
    # 甜 may become 酸 or 辣, 酸 may become 甜 or 辣; only one 苹果 辣, the first, contradicts no other.
    assert sorted(row[:2] for row in rows) == [["苹果 甜", "good"], ["苹果 辣", "good"], ["苹果 酸", "bad"]]
    assert (made.num_variants, made.counts["duplicates"]) == (1, 3)


def test_an_example_whose_variants_are_all_taken_gets_another(tmp_path: Path) -> None:
    """Ten like examples of a word that five words may replace: each of the five must be used once."""
    (tmp_path / "t.toml").write_text(
        'kind = "classification"\nfile_format = "tsv"\nlabels = ["bad", "good"]\ncolumns = ["text_a", "label"]\n',
        "utf-8",
    )
    (tmp_path / "train.tsv").write_text("甜\tgood\n" * 10, "utf-8")
    others = "酸辣香鲜苦"
    (tmp_path / "v.txt").write_text("甜 1 0\n" + "".join(f"{word} 1 0.{n}\n" for n, word in enumerate(others)), "utf-8")
    options = {"task": str(tmp_path / "t.toml"), "input": str(tmp_path / "train.tsv"), "segmenter": "given"}
    options |= {"vectors": str(tmp_path / "v.txt"), "num_candidates": 5, "num_variants": 1}
    made = augment(config("sentiment", tmp_path / "out", **options))
    lines = (tmp_path / "out").read_text("utf-8").splitlines()
    assert {line[0] for line in lines} == set("甜" + others)
    assert (made.num_examples, made.num_variants, len(lines)) == (10, 5, 15)
    assert made.counts["examples_without_new_variants"] == 5
    assert made.counts["duplicates"] >= 5


@pytest.mark.parametrize("changed", ["stop_words", "model"])
def test_what_was_done_with_other_words_or_models_is_done_anew(tmp_path: Path, changed, monkeypatch) -> None:
    """The key of a chunk follows the content of the list of stop words, and the commit of a model on the hub."""
    from wwmcorpus.tasks.augment import job

    keys = []
    monkeypatch.setattr(job, "_run", lambda config, chunks, *rest: keys.append(chunks[0].key) or 1 / 0)
    (tmp_path / "stop.txt").write_text("某词\n", "utf-8")
    options = {"stop_words": str(tmp_path / "stop.txt"), "model": "someone/model"}
    commits = iter("ab")
    monkeypatch.setattr(
        "wwmcorpus.training.results._hub_commit", lambda name: next(commits) if changed == "model" else "a"
    )
    for word in ("某词", "他词"):
        if changed == "stop_words":
            (tmp_path / "stop.txt").write_text(f"{word}\n", "utf-8")
        with pytest.raises(ZeroDivisionError):
            augment(config("sentiment", tmp_path / "out", **options))
    assert keys[0] != keys[1]


def entities(example: TaggedExample) -> list[str]:
    text = "".join(f"{tag[0]}{token}" for token, tag in zip(example.tokens, example.tags, strict=True))
    return re.findall(r"B.(?:I.)*", text)


def test_words_are_replaced_whole(tmp_path: Path, vectors_file: Path) -> None:
    augment(config("pairs", tmp_path / "out", vectors=str(vectors_file), num_candidates=3))
    task = load_task(SAMPLE / "pairs" / "task.toml")
    segmenter, stop_words = load_segmenter("jieba"), load_stop_words(None)
    texts = [text for example in task.read(task.train) for text in example[1:3]]
    words_of = {
        text: [text[a:b] for a, b in own.tolist()] for text, own in zip(texts, segmenter.segment(texts), strict=True)
    }
    opened = WordVectors.open(vectors_file, tmp_path, 10**6)
    near = opened.nearest([word for words in words_of.values() for word in words], 6)

    def allowed(word: str) -> str:
        may_change = word.isalpha() and word not in stop_words
        return f"(?:{'|'.join(map(re.escape, [word, *(near[word] if may_change else [])]))})"

    patterns = {text: re.compile("".join(map(allowed, words))) for text, words in words_of.items()}
    original: tuple[str, str] = ("", "")
    changed = Counter()
    for example in task.read(tmp_path / "out"):
        pair = (example.text_a, example.text_b)
        if "-v" not in example.id:
            original = pair
            continue
        for number, (text, source) in enumerate(zip(pair, original, strict=True)):
            assert patterns[source].fullmatch(text)
            changed[number] += text != source
        assert pair != original
    # Both texts of a pair change, each by its own draws.
    assert min(changed.values()) > 100


def test_the_number_of_workers_changes_no_byte(tmp_path: Path, vectors_file: Path) -> None:
    outputs = []
    for workers in (0, 1, 2):
        path = tmp_path / f"out{workers}"
        augment(config("sentiment", path, num_workers=workers, vectors=str(vectors_file), chunk_size=9))
        outputs.append(path.read_bytes())
    assert outputs[0] == outputs[1] == outputs[2]
    assert outputs[0].count(b"\n") > 300


def test_a_job_that_was_stopped_goes_on(tmp_path: Path, vectors_file: Path, model_folder: Path, monkeypatch) -> None:
    from wwmcorpus.tasks.augment import job

    options = {"vectors": str(vectors_file), "model": str(model_folder), "chunk_size": 7, "num_variants": 2}
    augment(config("names", tmp_path / "whole", num_workers=2, **options))
    stopped = tmp_path / "stopped"
    real, calls = job.augment_chunk, []

    def stopping(chunk, **rest) -> int:
        calls.append(chunk.index)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return real(chunk, **rest)

    monkeypatch.setattr(job, "augment_chunk", stopping)
    with pytest.raises(KeyboardInterrupt):
        augment(config("names", stopped, **options))
    assert not stopped.exists()
    kept = sorted(path.name for path in (tmp_path / ".stopped.work").glob("chunk-*"))
    assert kept == ["chunk-000000.json", "chunk-000001.json"]
    times = {name: (tmp_path / ".stopped.work" / name).stat().st_mtime_ns for name in kept}
    monkeypatch.setattr(job, "augment_chunk", lambda chunk, folder, **rest: watched(real, chunk, folder, times, rest))
    augment(config("names", stopped, **options))
    assert stopped.read_bytes() == (tmp_path / "whole").read_bytes()
    assert not (tmp_path / ".stopped.work").exists()
    assert len(load_task(SAMPLE / "names" / "task.toml").read(stopped)) > 40


def watched(real, chunk, folder: Path, times: dict[str, int], rest: dict) -> int:
    """Do a chunk, and see that what was done before is not done again."""
    index = real(chunk, folder=folder, **rest)
    name = f"chunk-{index:06d}.json"
    assert (folder / name).stat().st_mtime_ns == times.get(name, (folder / name).stat().st_mtime_ns)
    return index


def reading_file(path: Path, passage: str, questions: dict[str, str]) -> AugmentConfig:
    """Write a passage with the answer to each question, by id, and give what augments it with a few vectors."""
    asked = [
        {"id": name, "question": "？", "answers": [{"text": answer, "answer_start": passage.index(answer)}]}
        for name, answer in questions.items()
    ]
    data = [{"paragraphs": [{"id": "p", "context": passage, "qas": asked}]}]
    path.write_text(json.dumps({"data": data}), "utf-8")
    near = path.with_name("near.txt")
    near.write_text("微信 1 0\nqq 0.9 0.1\n支付 0.8 0.2\nalipay 0.7 0.3\n登录 0.5 0.5\napp 0.3 0.6\n", "utf-8")
    task = str(SAMPLE / "reading" / "task.toml")
    return AugmentConfig(
        task=task, input=str(path), output=f"{path}.more", vectors=str(near), segmenter="jieba", num_variants=30
    )


def test_letters_never_run_into_other_letters(tmp_path: Path) -> None:
    asked = reading_file(tmp_path / "in.json", "请用微信WeChat结账，登录app后用微信支付", {"Q": "WeChat"})
    augment(asked)
    examples = load_task(asked.task).read(asked.output)
    assert len(examples) > 5
    for example in examples:
        runs = re.findall("[A-Za-z]+", example.passage)
        assert runs[0] == "WeChat"
        assert set(runs[1:]) <= {"app", "qq", "alipay"}


def test_no_variant_takes_the_id_of_another_example(tmp_path: Path) -> None:
    asked = reading_file(tmp_path / "in.json", "请用微信支付结账", {"Q": "结账", "Q-v1": "请", "Q-v1+": "用"})
    made = augment(asked)
    read = load_task(asked.task).read(asked.output)
    assert read.rejected == {}
    assert len({example.id for example in read}) == made.num_examples + made.num_variants
    assert {"Q", "Q-v1", "Q-v1+", "Q-v1++"} <= {example.id for example in read}


def test_no_file_that_is_read_is_written_over(tmp_path: Path, vectors_file: Path) -> None:
    inside = tmp_path / "train.tsv"
    inside.write_bytes((SAMPLE / "sentiment" / "train.tsv").read_bytes())
    before = inside.read_bytes()
    asked = config("sentiment", tmp_path / "." / "train.tsv", input=str(inside), vectors=str(vectors_file))
    with pytest.raises(ConfigError, match=r"the output is a file that is read: .*train\.tsv.*\(input\)"):
        augment(asked.model_copy(update={"overwrite": True}))
    assert inside.read_bytes() == before
    for folder in (".", str(tmp_path)):
        with pytest.raises(CorpusError, match="the output is a folder"):
            augment(asked.model_copy(update={"output": folder, "overwrite": True}))
    assert [path.name for path in tmp_path.iterdir()] == ["train.tsv"]


def test_a_job_that_did_nothing_leaves_nothing(tmp_path: Path) -> None:
    for gives in ({"vectors": str(tmp_path / "none.txt")}, {"model": str(tmp_path)}):
        with pytest.raises((SourceError, ConfigError)):
            augment(config("sentiment", tmp_path / "out.tsv", **gives))
        assert list(tmp_path.iterdir()) == []


def test_the_report_and_what_goes_wrong(tmp_path: Path, vectors_file: Path, capsys) -> None:
    output = tmp_path / "out.tsv"
    again = config("sentiment", output, vectors=str(vectors_file))
    arguments = [again.task, again.input, "--output", str(output), "--vectors", str(vectors_file)]
    arguments += ["--segmenter", "jieba", "--variants", "2"]
    with pytest.raises(SystemExit) as end:
        app(["augment", *arguments])
    assert end.value.code == 0
    assert "80 examples and" in capsys.readouterr().out
    report = json.loads((tmp_path / "out.tsv.json").read_text("utf-8"))
    assert report["num_examples"] == 80
    assert report["counts"]["eligible_words"] > 500
    with pytest.raises(CorpusError, match="is there already"):
        augment(again)
    with pytest.raises(ConfigError, match="nothing gives candidates"):
        config("sentiment", output)
    with pytest.raises(ConfigError, match="no such text: 'passage'"):
        augment(again.model_copy(update={"fields": ("passage",), "overwrite": True}))


# Vectors of one's own


def test_vectors_are_learned_from_a_corpus(tmp_path: Path, small_corpus) -> None:
    from gensim.models import KeyedVectors

    options = {"corpus": str(small_corpus.path), "dimensions": 6, "min_count": 3, "epochs": 1}
    made = train_vectors(VectorTraining(output=str(tmp_path / "a.txt"), **options))
    train_vectors(VectorTraining(output=str(tmp_path / "b.txt"), **options))
    assert (tmp_path / "a.txt").read_bytes() == (tmp_path / "b.txt").read_bytes()
    opened = KeyedVectors.load_word2vec_format(str(tmp_path / "a.txt"))
    counts, pieces = Counter(), small_corpus.vocabulary.pieces
    for row in small_corpus:
        word = []
        for piece_id, begins in [
            *zip(row["input_ids"].tolist(), row["word_start"].tolist(), strict=True),
            (None, True),
        ]:
            if begins and word:
                counts["".join(word)] += 1
                word = []
            if piece_id is not None:
                word.append(pieces[piece_id].removeprefix("##"))
    frequent = {word for word, count in counts.items() if count >= 3 and word.isalpha()}
    assert set(opened.index_to_key) == frequent
    assert (made.num_words, made.dimensions) == (len(frequent), 6)
    assert made.counts["words"] == sum(count for word, count in counts.items() if word not in SPECIALS[2:4])
    with pytest.raises(CorpusError, match="is there already"):
        train_vectors(VectorTraining(output=str(tmp_path / "a.txt"), **options))
    with pytest.raises(CorpusError, match="no word occurs 1000000 times"):
        train_vectors(VectorTraining(output=str(tmp_path / "c.txt"), **options | {"min_count": 1_000_000}))
