"""Sentences: exact, linear in any text, and the same one by one and many at once."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import any_strings

from wwmcorpus.text.sentences import sentence_spans, split_sentences

MARKS = "。！？!?…⋯｡‼⁇⁈⁉"
CLOSERS = "”’」』）)]】》〉〕｝}＂＇﹂﹄\"'"

#: Texts in which everything happens that a splitter looks at.
busy = st.lists(
    st.sampled_from(
        [*MARKS, *CLOSERS, *"，、；：,;:.\n\r \t\u3000\u2028“‘「《（(AaZé好人3_", "Mr", "ok.", "\r\n", "……"]
    ),
    max_size=30,
).map("".join)


def while_in(text, at, wanted):
    """The place behind the characters from ``at`` on for which ``wanted`` holds."""
    while at < len(text) and wanted(text[at]):
        at += 1
    return at


def is_space(character):
    return character.isspace() and character != "\n"


def is_small(character):
    return character.isalnum() and not character.isdecimal() and not "A" <= character <= "Z"


def behind_marks(text, at):
    """The end of the sentence whose first mark is before ``at``, or None, and the place to go on reading from."""
    at = while_in(text, at, lambda character: character in MARKS + CLOSERS)
    if text[at : at + 1] and text[at] in "，、；：,;:":
        return None, at + 1
    at = while_in(text, at, is_space)
    at += text[at : at + 1] == "\n"
    return at, at


def behind_full_stop(text, at):
    closed = while_in(text, at, lambda character: character in CLOSERS)
    behind = while_in(text, closed, is_space)
    is_end = at > 2 and is_small(text[at - 2]) and is_small(text[at - 3]) and behind > closed
    if is_end and re.match("[A-Z\u3400-\u9fff“‘「『《（(\"']", text[behind:]):
        return behind, behind
    return None, at


def naive(text):
    """The rules read off one character after the other."""
    sentences, begin, at = [], 0, 0
    while at < len(text):
        character, at = text[at], at + 1
        end = at if character == "\n" else None
        if character in MARKS:
            end, at = behind_marks(text, at)
        elif character == ".":
            end, at = behind_full_stop(text, at)
        if end is not None:
            sentences.append(text[begin:end])
            begin = end
    return sentences + ([text[begin:]] if begin < len(text) else [])


def cut(text):
    return [text[start:end] for start, end in sentence_spans(text)]


@given(text=busy | any_strings)
def test_sentences_are_those_of_the_plain_way(text):
    assert cut(text) == naive(text)


@given(text=busy | any_strings)
def test_spans_cover_the_text_and_stop_at_line_ends(text):
    spans = sentence_spans(text)
    assert [start for start, _ in spans] == [0, *(end for _, end in spans)][: len(spans)]
    assert (spans[-1][1] if spans else 0) == len(text)
    assert all(start < end and "\n" not in text[start : end - 1] for start, end in spans)


@given(texts=st.lists(busy | any_strings, max_size=6))
def test_many_at_once_are_as_each_alone(texts):
    sentences, home = split_sentences(texts)
    assert list(zip(sentences, home.tolist(), strict=True)) == [
        (sentence, number) for number, text in enumerate(texts) for sentence in cut(text)
    ]


@pytest.mark.parametrize(
    "text",
    [
        "他来了。|“好！”|她说",
        "他说：“好。”|然后走了。",
        "“走吧！”，他说。|“不！”；“是？”：再见",
        "真的吗？！……|是。|好。。。|嗯…|走",
        "（他走了。）|我也走。|【完。】|『好？』|",
        "第一行\n|第二行。\n|\n|第三行",
        "他走了。\r\n|\r\n|她来了。 \r\n|好",
        "他走了。　　|她来了。\t|好",
        "圆周率是3.14。|版本2.0. 发布",
        "It ended. |Then it began. |“Good.” he said.",
        "Mr. Liu of the U.S. Army left. |然后 e.g. 这样",
        "今天很好. |明天更好.后天",
        "1. 引言\n|a. 目的\n",
        "走吧!|去哪儿?|不知道",
        "没有标点的一行",
        "",
    ],
)
def test_examples(text):
    assert cut(text.replace("|", "")) == [sentence for sentence in text.split("|") if sentence]


@pytest.mark.parametrize(
    "unit", ["。", "！”，", "。，", "好好.", ".)", ". ", " \n", "\r\n", "。 ", "“", "”", "。)\n", "人", "a. A", "…"]
)
def test_a_million_characters_of_anything_are_split(unit):
    times = 1_000_000 // len(unit)
    spans = sentence_spans(unit * times)
    assert (spans[0][0], spans[-1][1]) == (0, times * len(unit))
    few, more = len(naive(unit * 20)), len(naive(unit * 21))
    assert len(spans) == few + (more - few) * (times - 20)


@pytest.mark.parametrize("text", ["！{}，", "好好.{}", "。{}好", "。\n{}", "{}。"])
@pytest.mark.parametrize("run", [" ", ")", "。", "！", "."])
def test_a_long_run_is_read_once(text, run):
    """Time that grows with the square of a run would not let this end."""
    text = text.format(run * 1_000_000)
    assert "".join(cut(text)) == text
