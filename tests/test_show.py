"""Rows as people see them: words and pieces, the masked draw, and the documents that they come from."""

import io
import re
import sys
from itertools import pairwise

import numpy as np
import pytest
from conftest import SAMPLE_DATA
from rich.console import Console

from wwmcorpus import cli
from wwmcorpus.align import Vocabulary
from wwmcorpus.corpus import BuildConfig, build, open_corpus
from wwmcorpus.masking import WholeWordMasking, mask_rows
from wwmcorpus.records import Rows
from wwmcorpus.report.formats import visible
from wwmcorpus.show import LEGEND, masked_line, pieces_line, print_rows, provenance, row_lines, words_line

SOURCES = ("news.txt", "dialogue.txt", "verse.txt")


@pytest.fixture(scope="module")
def make(tmp_path_factory, vocabulary_file):
    """Build a corpus of three sample files, one document a line, in two shards or more."""

    def built(**changes):
        output = tmp_path_factory.mktemp("show") / "corpus"
        values = {
            "inputs": tuple(str(SAMPLE_DATA / "corpus" / name) for name in SOURCES),
            "output": str(output),
            "segmenter": "jieba",
            "tokenizer": str(vocabulary_file),
            "max_length": 48,
            "task_bytes": 8_000,
            "num_workers": 0,
        }
        build(BuildConfig(**values | changes))
        return open_corpus(output)

    return built


@pytest.fixture(scope="module")
def joined(make):
    """A corpus whose rows hold pieces of several documents."""
    corpus = make(pack="stream")
    assert len(corpus.manifest.content.shards) > 1
    return corpus


@pytest.fixture(scope="module")
def paired(make):
    return make(pairs="nsp", source={"document_break": "blank_line"})


def a_row(words, vocabulary):
    """A row of words, each a list of pieces."""
    pieces = [piece for word in words for piece in word]
    starts = [place == 0 for word in words for place in range(len(word))]
    ids = np.array([vocabulary.pieces.index(piece) for piece in pieces], dtype=np.int32)
    return Rows(ids, np.array(starts), np.array([0, len(ids)]), np.array([7]))


VOCABULARY = Vocabulary(
    ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "play", "##ing", "外", "衣", "\u2028", "汤", "##姆"), 0, 1, 2, 3, 4
)


class TestLines:
    def test_pieces_of_a_word_are_put_together(self):
        row = a_row([["[CLS]"], ["play", "##ing"], ["外", "衣"], ["[UNK]"], ["[SEP]"]], VOCABULARY)
        assert words_line(row, 0, VOCABULARY).plain == "[CLS] playing 外衣 [UNK] [SEP]"
        assert pieces_line(row, 0, VOCABULARY).plain == "[CLS] | play ##ing | 外 衣 | [UNK] | [SEP]"

    def test_a_word_may_begin_within_a_run_of_letters(self):
        row = a_row([["play"], ["##ing"]], VOCABULARY)
        assert words_line(row, 0, VOCABULARY).plain == "play ing"

    def test_what_does_not_show_is_an_escape(self):
        row = a_row([["\u2028"], ["外"]], VOCABULARY)
        assert words_line(row, 0, VOCABULARY).plain == "\\u2028 外"
        assert "\\u2028" in masked_line(row, 0, VOCABULARY, WholeWordMasking(probability=0.9)).plain

    def test_words_take_turns_in_colour(self):
        row = a_row([["外", "衣"], ["汤", "##姆"], ["play"]], VOCABULARY)
        console = Console(file=io.StringIO(), force_terminal=True, color_system="standard", width=200)
        console.print(pieces_line(row, 0, VOCABULARY))
        shown = console.file.getvalue()
        colours = [re.findall(r"\x1b\[([\d;]*)m", part)[:1] for part in re.split(r" \| ", shown)]
        assert re.sub(r"\x1b\[[\d;]*m", "", shown).strip() == "外 衣 | 汤 ##姆 | play"
        assert any(one != other for one, other in pairwise(colours))

    @pytest.mark.parametrize("budget", ["exact", "bernoulli"])
    def test_the_draw_is_that_of_the_stream(self, small_corpus, budget):
        masking = WholeWordMasking(probability=0.4, budget=budget)
        vocabulary = small_corpus.vocabulary
        rows = small_corpus.rows(range(0, 60, 7))
        masked = mask_rows(rows, vocabulary, masking, seed=5, epoch=0)
        kinds = set()
        for index in range(len(rows.row_ids)):
            cells = masked_line(rows, index, vocabulary, masking, seed=5).plain.replace(" | ", " ").split(" ")
            part = slice(rows.bounds[index], rows.bounds[index + 1])
            for cell, seen, true, asked in zip(
                cells, masked.input_ids[part], rows.input_ids[part], masked.masked[part], strict=True
            ):
                now, was = vocabulary.pieces[seen], vocabulary.pieces[true]
                assert cell == (f"{visible(now)}={visible(was)}" if asked else visible(was))
                kinds.add("no" if not asked else "mask" if now == "[MASK]" else "kept" if seen == true else "random")
        assert kinds == {"no", "mask", "kept", "random"}

    def test_mask_random_and_kept_look_different(self, small_corpus):
        masking = WholeWordMasking(probability=0.5)
        rows = small_corpus.rows(range(40))
        styles = {"mask": set(), "random": set(), "kept": set()}
        for index in range(40):
            line = masked_line(rows, index, small_corpus.vocabulary, masking)
            for span in line.spans:
                now, _, was = re.match(r"([^ ]*?)(=)([^ ]*)|(.*)", line.plain[span.start :]).groups()[:3]
                if now and span.end - span.start == len(now) and str(span.style).startswith("bold"):
                    kind = "mask" if now == "[MASK]" else "kept" if now == was else "random"
                    styles[kind].add(str(span.style))
        assert all(len(found) == 1 for found in styles.values())
        assert len(set.union(*styles.values())) == 3


def letters(line):
    """The letters of words, without special pieces."""
    return re.sub(r"\[(CLS|SEP|PAD)\]|\s", "", line)


class TestProvenance:
    def test_each_part_of_a_joined_row_lies_in_its_document(self, joined):
        several = 0
        for index in range(0, len(joined), 5):
            places = provenance(joined, index)
            several += len(places) > 1
            words = words_line(joined.rows([index]), 0, joined.vocabulary).plain
            parts = words.removeprefix("[CLS] ").removesuffix(" [SEP]").split(" [SEP] ")
            assert len(parts) == len(places)
            for part, (name, offset) in zip(parts, places, strict=True):
                data = (SAMPLE_DATA / "corpus" / name).read_bytes()
                line = data[offset:].split(b"\n", 1)[0].decode("utf-8").lower()
                if "[UNK]" not in part:
                    assert letters(part) in re.sub(r"\s", "", line)
        assert several > 10

    def test_documents_of_one_source_stand_together(self, joined):
        index = next(i for i in range(len(joined)) if len(provenance(joined, i)) > 2)
        places = provenance(joined, index)
        label, line = next(row_lines(joined, index))
        assert label == "from"
        assert re.findall(r"\d+", re.sub(r"\S+\.txt", "", line.plain)) == [str(offset) for _, offset in places]
        assert line.plain.count(".txt") == len({name for name, _ in places})


class TestPairs:
    def test_segments_and_label_are_shown(self, paired):
        labels = set()
        for index in range(20):
            lines = dict(row_lines(paired, index, WholeWordMasking()))
            assert list(lines) == [
                *("from", "pair", "words A", "words B", "pieces A", "pieces B", "masked A", "masked B")
            ]
            row = paired[index]
            assert lines["words A"].plain.startswith("[CLS] ")
            for name, kind in (("A", 0), ("B", 1)):
                assert lines[f"words {name}"].plain.endswith(" [SEP]")
                pieces = lines[f"pieces {name}"].plain.replace(" | ", " ").split(" ")
                expected = [paired.vocabulary.pieces[i] for i in row["input_ids"][row["token_type_ids"] == kind]]
                assert pieces == expected
                assert len(lines[f"masked {name}"].plain.replace(" | ", " ").split(" ")) == len(expected)
            label = int(row["pair_label"])
            labels.add(label)
            assert lines["pair"].plain.startswith(f"label {label}: the second segment")
        assert labels == {0, 1}

    def test_the_draw_of_a_pair_is_that_of_the_stream(self, paired):
        masking = WholeWordMasking(probability=0.3)
        lines = dict(row_lines(paired, 3, masking, seed=9))
        whole = masked_line(paired.rows([3]), 0, paired.vocabulary, masking, seed=9).plain
        assert f"{lines['masked A'].plain} | {lines['masked B'].plain}" == whole


def call(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["wwmcorpus", *arguments])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    return int(ended.value.code or 0)


class TestCommand:
    @pytest.mark.parametrize(
        ("options", "rows"),
        [
            ([], [0, 1, 2]),
            (["--rows", "1"], [0]),
            (["--row", "11"], [11]),
            (["--row", "11", "--rows", "2"], [11, 12]),
            (["--row", "0"], [0]),
        ],
    )
    def test_the_rows_that_were_asked_for(self, joined, options, rows, monkeypatch, capsys):
        assert call(monkeypatch, "show", str(joined.path), *options) == 0
        shown = capsys.readouterr().out
        assert [int(number) for number in re.findall(r"^row (\d+)$", shown, re.MULTILINE)] == rows
        for index in rows:
            line = pieces_line(joined.rows([index]), 0, joined.vocabulary).plain
            assert f"\npieces  {line}\n" in shown
        assert LEGEND in shown

    def test_rows_end_with_the_corpus(self, joined, monkeypatch, capsys):
        last = len(joined) - 1
        assert call(monkeypatch, "show", str(joined.path), "--row", str(last), "--rows", "9") == 0
        assert re.findall(r"^row \d+$", capsys.readouterr().out, re.MULTILINE) == [f"row {last}"]

    def test_no_such_row_says_how_many_there_are(self, joined, monkeypatch, capsys):
        assert call(monkeypatch, "show", str(joined.path), "--row", str(len(joined))) == 2
        assert f"The corpus has {len(joined)} rows, numbered from 0." in capsys.readouterr().err

    def test_seed_changes_the_draw_alone(self, joined, monkeypatch, capsys):
        shown = []
        for seed in ("0", "1", "0"):
            assert call(monkeypatch, "show", str(joined.path), "--seed", seed) == 0
            shown.append(capsys.readouterr().out.split("\n"))
        assert shown[0] == shown[2] != shown[1]
        rows = [lines[: lines.index(LEGEND)] for lines in shown]
        unlike = {one[:6] for one, other in zip(*rows[:2], strict=True) if one != other}
        assert unlike == {"masked"}

    @pytest.mark.parametrize("scheme", ["whole_word", "token", "ngram", "span", "permutation"])
    def test_any_scheme_and_what_it_masks(self, joined, scheme, monkeypatch, capsys):
        options = ["--scheme", scheme, "--set", "probability=0.3"]
        assert call(monkeypatch, "show", str(joined.path), "--mask", *options) == 0
        shown = capsys.readouterr().out
        assert "(30.00% of pieces)" in shown
        assert ("words a run" in shown) == (scheme in ("ngram", "span", "permutation"))
        assert bool(re.search(r"\S@\d+", shown)) == (scheme == "permutation")

    def test_the_masking_of_a_config_file(self, joined, tmp_path, monkeypatch, capsys):
        config = tmp_path / "run.toml"
        config.write_text('[masking]\nscheme = "ngram"\nprobability = 0.25\n[training]\nsteps = 3\n', "utf-8")
        assert call(monkeypatch, "show", str(joined.path), "--config", str(config), "--set", "budget=bernoulli") == 0
        assert "(25.00% of runs of words)" in capsys.readouterr().out

    def test_an_unknown_scheme_lists_the_known_ones(self, joined, monkeypatch, capsys):
        assert call(monkeypatch, "show", str(joined.path), "--scheme", "ngrams") == 2
        assert "Did you mean 'ngram'?" in capsys.readouterr().err

    def test_without_a_draw(self, joined, monkeypatch, capsys):
        assert call(monkeypatch, "show", str(joined.path), "--no-mask") == 0
        shown = capsys.readouterr().out
        assert "masked" not in shown
        assert "[MASK]" not in shown

    def test_a_terminal_shows_the_same_characters(self, joined):
        console = Console(file=io.StringIO(), force_terminal=True, color_system="truecolor", width=50)
        print_rows(joined, console, first=4, number=1, masking=WholeWordMasking())
        shown = re.sub(r"\x1b\[[\d;]*m", "", console.file.getvalue())
        for _, line in row_lines(joined, 4, WholeWordMasking()):
            assert re.sub(r"\s", "", line.plain) in re.sub(
                r"\s|^(from|words|pieces|masked)", "", shown, flags=re.MULTILINE
            )

    def test_describe_writes_a_page(self, joined, tmp_path, monkeypatch, capsys):
        assert call(monkeypatch, "describe", str(joined.path), "--html", str(tmp_path / "r.html")) == 0
        assert "r.html" in capsys.readouterr().out
        assert joined.signature in (tmp_path / "r.html").read_text("utf-8")
        assert call(monkeypatch, "describe", str(joined.path)) == 0
        assert f"signature {joined.signature}\n" in capsys.readouterr().out
