"""LTP's neural models: its own words up to 510 pieces, law 1 at any length, and nothing executed from a config."""

import json
from itertools import pairwise

import numpy as np
import pytest
import torch
from conftest import SAMPLE_DATA
from hypothesis import given, settings
from hypothesis import strategies as st
from ltp_models import ltp_config, published_ltp, published_words, write_model
from strategies import texts
from test_segment_spans import UGLY, assert_exact_words

from wwmcorpus.errors import ConfigError, SegmenterError
from wwmcorpus.segment import Segmenter, SegmenterOptions, load_segmenter
from wwmcorpus.segment.ltp_neural import LtpNeuralSegmenter
from wwmcorpus.segment.ltp_windows import cut_into_runs, cut_into_windows, plan_batches, stitch
from wwmcorpus.segment.ltp_words import LtpWords
from wwmcorpus.text import sentence_spans

#: Tags and whether a CRF decodes them.
KINDS = {"two tags": (["I-W", "B-W"], False), "four tags": (["B", "M", "E", "S"], False), "crf": (["I-W", "B-W"], True)}
USERS_WORDS = ["组成", "的研", "helloworld", "生命的", "hell", "万哆啦", "국말他"]


@pytest.fixture(scope="module")
def vocabulary(tmp_path_factory, vocabulary_file):
    """The shared vocabulary, the parts of two Hangul syllables (several pieces of one character)."""
    path = tmp_path_factory.mktemp("vocabulary") / "vocab.txt"
    parts = ["\u1112", "##\u1161", "##\u11ab", "\u1103"]
    path.write_text(vocabulary_file.read_text("utf-8") + "".join(f"{piece}\n" for piece in parts), "utf-8")
    return path


@pytest.fixture(scope="module")
def vocab_size(vocabulary):
    return len(vocabulary.read_text("utf-8").split("\n")) - 1


@pytest.fixture(scope="module")
def folders(tmp_path_factory, vocabulary, vocab_size):
    root = tmp_path_factory.mktemp("neural")
    return {
        name: write_model(root / name.replace(" ", "-"), vocabulary, ltp_config(vocab_size, *kind))
        for name, kind in KINDS.items()
    }


@pytest.fixture(scope="module")
def segmenter(folders):
    return LtpNeuralSegmenter(folders["four tags"], "small", device="cpu")


@pytest.fixture(scope="module", params=KINDS)
def pair(request, folders):
    """A segmenter, and LTP's own class around the same weights."""
    folder = folders[request.param]
    return LtpNeuralSegmenter(folder, "small", device="cpu"), published_ltp(folder)


def users(words):
    return LtpWords((word, None) for word in words)


def words_of(segmenter, text):
    return [text[start:end] for start, end in segmenter.segment([text])[0].tolist()]


def sample_text():
    return "".join(path.read_text("utf-8") for path in sorted((SAMPLE_DATA / "corpus").glob("*.txt")))


def sample_lines():
    return [line for line in sample_text().split("\n") if line.strip()]


class TestParity:
    """Words equal those of LTP's own pipeline, except for characters before the first piece, which LTP drops."""

    @settings(max_examples=60)
    @given(text=texts)
    def test_any_text(self, pair, text):
        segmenter, ltp = pair
        starts = segmenter._pieces([text])[0].starts
        if len(starts):
            spans = segmenter.segment([text])[0].tolist()
            found = [text[start:end] for start, end in spans if end > starts[0]]
            assert found == published_words(ltp, text)

    @pytest.mark.parametrize(
        "text", [text for text in UGLY if text[:1] not in ("", " ", "\u3000", "\x00", "\ufeff")], ids=ascii
    )
    def test_ugly_text(self, pair, text):
        segmenter, ltp = pair
        assert words_of(segmenter, text) == published_words(ltp, text)

    def test_sentences_of_the_sample(self, pair):
        segmenter, ltp = pair
        lines = [line[:500] for line in sample_lines()[:60]]
        found = [words_of(segmenter, line) for line in lines]
        assert found == [published_words(ltp, line) for line in lines]
        lengths = {len(word) for words in found for word in words}
        assert {1, 2, 3} <= lengths, "a model that cuts everywhere, or nowhere, proves nothing"

    def test_a_text_that_fills_the_window(self, pair):
        segmenter, ltp = pair
        text = "".join(sample_lines())[:2000]
        end = int(segmenter._pieces([text])[0].starts[510])
        assert words_of(segmenter, text[:end]) == published_words(ltp, text[:end])

    @pytest.mark.parametrize("kind", KINDS)
    def test_with_the_users_words(self, folders, kind):
        words = ["组成", "的研", "helloworld", "的人", "一个", "哆啦"]
        segmenter = LtpNeuralSegmenter(folders[kind], "small", words=users(words), device="cpu")
        ltp = published_ltp(folders[kind])
        without = published_ltp(folders[kind])
        ltp.add_words(words)
        lines = ["哆啦A梦helloworld的研究生命组成", *(line[:500] for line in sample_lines()[:40])]
        expected = [published_words(ltp, line) for line in lines]
        assert [words_of(segmenter, line) for line in lines] == expected
        assert expected != [published_words(without, line) for line in lines]


class TestExactWords:
    """Law 1 on any string and on ugly ones: test_segment_spans, with all other segmenters."""

    def test_ten_thousand_characters_without_punctuation(self, segmenter):
        text = "".join(character for character in sample_text() if "\u4e00" <= character <= "\u9fff")
        text = (text * 2)[:10_000]
        assert len(text) == 10_000
        spans = segmenter.segment([text])[0]
        assert_exact_words(text, spans)
        assert np.diff(spans).max() < 200

    def test_no_word_begins_inside_a_piece(self, folders):
        segmenter = LtpNeuralSegmenter(folders["two tags"], "small", words=users(["국말他"]), device="cpu")
        segmenter._begins_word[:] = True
        assert segmenter._words.cut(["한국말", "他"]) == ["한", "국말他"]
        assert words_of(segmenter, "한국말他的") == ["한국말他", "的"]

    def test_characters_without_a_piece_belong_to_the_word_before(self, segmenter):
        plain, marked = "他们的研究", "\ufeff他\x00们\x00的\u200b研究\x00"
        kept = [word.translate(dict.fromkeys(map(ord, "\ufeff\x00\u200b"))) for word in words_of(segmenter, marked)]
        assert kept == ["", *words_of(segmenter, plain)]

    def test_halves_of_surrogate_pairs_are_counted(self, folders):
        segmenter = LtpNeuralSegmenter(folders["crf"], "small", device="cpu")
        text = "他\ud800们\udfff的"
        assert_exact_words(text, segmenter.segment([text])[0])
        assert segmenter.counts["lone_surrogates"] == 2


class TestIndependence:
    @pytest.mark.parametrize("kind", KINDS)
    def test_neighbours_order_and_batch_size_change_nothing(self, folders, kind):
        segmenter = LtpNeuralSegmenter(folders[kind], "small", device="cpu")
        batch = [*UGLY, *sample_lines()[:40], sample_text()[:3000]]
        alone = [segmenter.segment([text])[0].tolist() for text in batch]
        assert [spans.tolist() for spans in segmenter.segment(batch)] == alone
        assert [spans.tolist() for spans in segmenter.segment(batch[::-1])] == alone[::-1]
        tight = LtpNeuralSegmenter(folders[kind], "small", device="cpu", batch_pieces=64)
        assert [spans.tolist() for spans in tight.segment(batch)] == alone
        wide = LtpNeuralSegmenter(folders[kind], "small", device="cpu", batch_pieces=32768)
        wide._padding_pieces = 32768
        assert [spans.tolist() for spans in wide.segment(batch)] == alone

    def test_the_tokenizers_own_threads_change_nothing(self, folders, segmenter):
        texts = [*UGLY, *sample_lines()[:20], "他\ud800们"]
        several = LtpNeuralSegmenter(folders["four tags"], "small", num_threads=2, device="cpu")
        for one, other in zip(segmenter._pieces(texts), several._pieces(texts), strict=True):
            assert one.text == other.text
            assert all(
                np.array_equal(getattr(one, name), getattr(other, name)) for name in ("ids", "starts", "visible")
            )
        assert several.counts["lone_surrogates"] == 1

    def test_a_batch_that_is_too_large_is_halved(self, folders, monkeypatch):
        segmenter = LtpNeuralSegmenter(folders["four tags"], "small", device="cpu")
        batch = ["他们的研究生命", "我们的研究起源", "这里的研究生命", "那里的研究起源", "我来了"]
        expected = [spans.tolist() for spans in segmenter.segment(batch)]
        forward = segmenter._forward

        def small_memory(ids):
            if len(ids) > 2:
                raise torch.OutOfMemoryError("no room")
            return forward(ids)

        monkeypatch.setattr(segmenter, "_forward", small_memory)
        assert [spans.tolist() for spans in segmenter.segment(batch)] == expected
        assert segmenter.counts["memory_halvings"] == 2

    @pytest.mark.parametrize("mixed", [False, True], ids=["full", "padded"])
    def test_the_backbone_gets_a_mask_only_where_it_hides_something(self, folders, monkeypatch, mixed):
        segmenter = LtpNeuralSegmenter(folders["crf"], "small", device="cpu", batch_pieces=4096)
        masks, backbone = [], segmenter._model.backbone.forward

        def spy(input_ids, attention_mask):
            masks.append(attention_mask)
            return backbone(input_ids=input_ids, attention_mask=attention_mask)

        monkeypatch.setattr(segmenter._model.backbone, "forward", spy)
        segmenter.segment(["他们的研究", "我们的研", "那里的研究"] if mixed else ["他们的研究", "我们的研究"])
        assert [mask is None for mask in masks] == [not mixed]

    def test_other_errors_are_not_mistaken_for_a_full_memory(self, folders, monkeypatch):
        segmenter = LtpNeuralSegmenter(folders["four tags"], "small", device="cpu")

        def fails(ids):
            raise RuntimeError("shapes differ")

        monkeypatch.setattr(segmenter, "_forward", fails)
        with pytest.raises(RuntimeError, match="shapes differ"):
            segmenter.segment(["他们", "我们"])

    def test_threads_are_bounded_and_given_back(self, folders, monkeypatch):
        segmenter = LtpNeuralSegmenter(folders["four tags"], "small", num_threads=2, device="cpu")
        before, seen, forward = torch.get_num_threads(), [], segmenter._forward
        monkeypatch.setattr(segmenter, "_forward", lambda ids: seen.append(torch.get_num_threads()) or forward(ids))
        segmenter.segment(["他们的研究"])
        assert seen == [2]
        assert torch.get_num_threads() == before


class TestLongTexts:
    def test_the_words_of_a_line_depend_on_that_line_alone(self, segmenter):
        lines = [line[:400] for line in sample_lines()[:30]]
        document = "\n".join(lines)
        expected = [word for line in lines for word in words_of(segmenter, line)]
        assert len(segmenter._pieces([document])[0].starts) > 510
        assert words_of(segmenter, document) == expected

    def test_what_follows_a_run_of_sentences_changes_nothing_in_it(self, segmenter):
        line = "".join(sample_lines())[:3000]
        pieces = segmenter._pieces([line])[0]
        runs = cut_into_runs(line, pieces.starts, 510)
        end = int(pieces.starts[runs[1][1]])
        assert len(runs) > 3
        before = [span for span in segmenter.segment([line])[0].tolist() if span[1] <= end]
        changed = line[:end] + "别的，" * 400
        assert [span for span in segmenter.segment([changed])[0].tolist() if span[1] <= end] == before

    def test_a_sentence_of_many_windows_depends_on_what_is_near(self, segmenter):
        text = "".join(character for character in sample_text() if "\u4e00" <= character <= "\u9fff")[:3000]
        assert len(cut_into_runs(text, segmenter._pieces([text])[0].starts, 510)) == 1
        changed = text[:2000] + text[:1000]
        before, after = (segmenter.segment([one])[0].tolist() for one in (text, changed))
        near = 2000 - 510
        assert [span for span in before if span[1] <= near] == [span for span in after if span[1] <= near]
        # The first window by itself: up to where the second takes over, its words are those of the whole sentence.
        alone = segmenter.segment([text[:510]])[0].tolist()
        assert [span for span in before if span[1] <= 383] == [span for span in alone if span[1] <= 383]

    def test_disagreement_is_counted(self, folders):
        class NoWords(LtpNeuralSegmenter):
            def _tags(self, ids):
                return [np.ones(len(window), dtype=np.int64) for window in ids]

        segmenter = NoWords(folders["four tags"], "small", device="cpu")
        spans = segmenter.segment(["的" * 1000])[0].tolist()
        assert segmenter.counts["window_conflicts"] == 2
        assert spans[0][0] == 0
        assert spans[-1][1] == 1000


class TestWindows:
    @given(text=texts, repeats=st.integers(1, 6), window=st.integers(14, 40))
    def test_runs_hold_every_piece_and_fit_unless_they_are_one_sentence(self, text, repeats, window):
        text = text * repeats
        starts = np.flatnonzero([not character.isspace() for character in text]).astype(np.int64)
        runs = cut_into_runs(text, starts, window)
        assert [piece for first, end in runs for piece in range(first, end)] == list(range(len(starts)))
        if len(starts) <= window:
            assert len(runs) <= 1
            return
        for first, end in runs:
            inside = text[starts[first] : starts[end - 1] + 1]
            assert "\n" not in inside
            assert end - first <= window or len(sentence_spans(inside)) == 1

    def test_the_example_of_the_docstring(self):
        assert cut_into_windows(0, 1000, 510) == [(0, 510), (383, 893), (766, 1000)]

    @given(first=st.integers(0, 50), length=st.integers(1, 400), window=st.integers(14, 60))
    def test_windows_overlap_and_cover(self, first, length, window):
        windows = cut_into_windows(first, first + length, window)
        assert windows[0][0] == first
        assert windows[-1][1] == first + length
        assert all(end - begin == window for begin, end in windows[:-1])
        assert all(end - begin == window // 4 for (_, end), (begin, _) in pairwise(windows))

    @given(data=st.data(), length=st.integers(30, 200))
    def test_windows_that_agree_give_the_words_back(self, data, length):
        whole = np.array(data.draw(st.lists(st.booleans(), min_size=length, max_size=length)))
        windows = cut_into_windows(0, length, 24)
        joined, conflicts = stitch(windows, [whole[first:end] for first, end in windows])
        assert joined.tolist() == whole.tolist()
        assert conflicts == sum(not whole[first + 1 : end].any() for (_, end), (first, _) in pairwise(windows))

    @pytest.mark.parametrize(
        ("left", "right", "num_shared", "expected", "conflicts"),
        [
            ("10001001", "10011010", 4, "100010011010", 0),
            ("10001110", "11110000", 4, "100011110000", 0),
            ("10110110", "11101011", 6, "1011011011", 0),
            ("10011110", "11001011", 6, "1001111011", 0),
            ("10000100", "10011111", 4, "100001011111", 1),
            ("10001000", "10000001", 4, "100010000001", 1),
        ],
    )
    def test_windows_meet_where_both_begin_a_word(self, left, right, num_shared, expected, conflicts):
        found = [np.array([digit == "1" for digit in digits]) for digits in (left, right)]
        joined, num_conflicts = stitch([(0, 8), (8 - num_shared, 16 - num_shared)], found)
        assert "".join(str(int(begins)) for begins in joined) == expected
        assert num_conflicts == conflicts

    @given(
        lengths=st.lists(st.integers(2, 512), max_size=60),
        batch_pieces=st.integers(64, 4096),
        padding_pieces=st.integers(0, 2048),
    )
    def test_batches_hold_each_window_once_and_keep_to_the_budget(self, lengths, batch_pieces, padding_pieces):
        batches = plan_batches(lengths, batch_pieces, padding_pieces)
        assert sorted(index for batch in batches for index in batch) == list(range(len(lengths)))
        for batch in batches:
            widths = [lengths[index] for index in batch]
            area = max(widths) * len(widths)
            assert area <= batch_pieces or len(batch) == 1
            assert area - sum(widths) <= max(padding_pieces, 0.02 * area)


class TestOptions:
    def test_the_signature_tells_everything_apart(self, folders):
        folder = folders["two tags"]
        plain = LtpNeuralSegmenter(folder, "small", device="cpu").signature
        assert plain.startswith("ltp-neural:small@")
        assert plain.endswith(":cpu:fp32:threads1")
        others = [
            LtpNeuralSegmenter(folders["crf"], "small", device="cpu").signature,
            LtpNeuralSegmenter(folder, "small", 2, device="cpu").signature,
            LtpNeuralSegmenter(folder, "small", device="cpu", precision="bf16").signature,
            LtpNeuralSegmenter(folder, "small", device="cpu", words=users(["组成"])).signature,
            LtpNeuralSegmenter(folder, "small", device="cpu", words=users(["组", "成"])).signature,
        ]
        assert len({plain, *others}) == 6
        assert "+words:" in others[-1]

    def test_the_order_of_the_users_words_is_of_no_matter(self, folders):
        one, other = (
            LtpNeuralSegmenter(folders["two tags"], "small", words=users(words), device="cpu")
            for words in (USERS_WORDS, [*USERS_WORDS[::-1], USERS_WORDS[0]])
        )
        assert one.signature == other.signature
        lines = sample_lines()[:5]
        assert [words_of(one, line) for line in lines] == [words_of(other, line) for line in lines]

    @pytest.mark.filterwarnings("ignore")
    @pytest.mark.parametrize("precision", ["bf16", "int8"])
    def test_lower_precision_keeps_law_1_and_most_words(self, folders, segmenter, precision):
        rough = LtpNeuralSegmenter(folders["four tags"], "small", device="cpu", precision=precision)
        lines = sample_lines()[:20]
        same = total = 0
        for line, exact, spans in zip(lines, segmenter.segment(lines), rough.segment(lines), strict=True):
            assert_exact_words(line, spans)
            total += len(exact)
            same += len({*map(tuple, exact.tolist())} & {*map(tuple, spans.tolist())})
        assert same > 0.5 * total

    def test_options_reach_the_model(self, folders, tmp_path):
        (tmp_path / "words.txt").write_text("".join(f"{word} 2\n" for word in USERS_WORDS), "utf-8")
        options = SegmenterOptions(words=str(tmp_path / "words.txt"), device="cpu", precision="bf16")
        told = load_segmenter(f"ltp:{folders['two tags']}", 2, options)
        direct = LtpNeuralSegmenter(
            folders["two tags"], "two-tags", 2, words=users(USERS_WORDS), device="cpu", precision="bf16"
        )
        assert told.signature == direct.signature
        assert told.signature.endswith(":cpu:bf16:threads2")
        lines = sample_lines()[:5]
        assert [words_of(told, line) for line in lines] == [words_of(direct, line) for line in lines]

    @pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
    def test_a_gpu_that_is_not_there(self, folders):
        with pytest.raises(ConfigError, match="no GPU"):
            load_segmenter(f"ltp:{folders['crf']}", options=SegmenterOptions(device="cuda"))

    def test_compiled_is_for_gpus(self, folders):
        options = SegmenterOptions(device="cpu", compiled=True)
        with pytest.raises(ConfigError, match="on a GPU only"):
            load_segmenter(f"ltp:{folders['crf']}", options=options)

    @pytest.mark.parametrize(
        ("options", "problem"),
        [
            ({"device": "tpu"}, "unknown device"),
            ({"precision": "fp8"}, "no such precision on cpu"),
            ({"precision": "fp16"}, "no such precision on cpu"),
            ({"compiled": True}, "on a GPU only"),
            ({"num_threads": 0}, "too few threads"),
        ],
    )
    def test_options_that_do_not_exist(self, folders, options, problem):
        with pytest.raises(ConfigError, match=problem):
            LtpNeuralSegmenter(folders["crf"], "small", **{"device": "cpu", **options})


class TestLoading:
    @pytest.fixture
    def damaged(self, tmp_path, vocabulary, vocab_size):
        """Write a model and then change its config."""

        def damage(change):
            config = ltp_config(vocab_size, ["I-W", "B-W"])
            folder = write_model(tmp_path / "model", vocabulary, config)
            change(config)
            (folder / "config.json").write_text(json.dumps(config))
            return folder

        return damage

    def test_by_name(self, folders, segmenter):
        by_name = load_segmenter(f"ltp:{folders['four tags']}")
        assert isinstance(by_name, Segmenter)
        assert by_name.signature.startswith("ltp-neural:four-tags@")
        assert words_of(by_name, "他叫汤姆去拿外衣。") == words_of(segmenter, "他叫汤姆去拿外衣。")

    def test_safetensors_give_the_same_words(self, tmp_path, folders, segmenter):
        from safetensors.torch import save_file

        source = folders["four tags"]
        for name in ("config.json", "vocab.txt"):
            (tmp_path / name).write_bytes((source / name).read_bytes())
        save_file(torch.load(source / "pytorch_model.bin", weights_only=True), tmp_path / "model.safetensors")
        other = LtpNeuralSegmenter(tmp_path, "small", device="cpu")
        assert [words_of(other, line) for line in sample_lines()[:5]] == [
            words_of(segmenter, line) for line in sample_lines()[:5]
        ]

    @pytest.mark.parametrize(
        ("part", "target"),
        [
            ("backbone", "os.system"),
            ("backbone", "transformers.AutoModel.from_pretrained"),
            ("heads", "ltp_core.models.utils.instantiate.instantiate"),
            ("heads", "ltp_core.models.ltp_model.torch.hub.load"),
            ("processor", "builtins.print"),
            ("extra", "subprocess.run"),
        ],
    )
    def test_foreign_callables_are_refused_and_never_called(self, damaged, part, target):
        def change(config):
            model = config["model"]
            model["extra"] = [{}]
            nodes = {"backbone": model["backbone"], "extra": model["extra"][0]}
            nodes |= {name: model[name]["cws"] for name in ("heads", "processor")}
            nodes[part]["_ltp_target_"] = target

        with pytest.raises(SegmenterError, match="no part of an LTP model") as caught:
            load_segmenter(f"ltp:{damaged(change)}")
        assert repr(target) in str(caught.value)

    def test_a_callable_as_an_argument_is_refused(self, damaged):
        def change(config):
            config["model"]["heads"]["cws"]["dropout"] = {"_ltp_target_": "ltp_core.models.processor.TokenOnly"}

        with pytest.raises(SegmenterError, match="callables for arguments"):
            load_segmenter(f"ltp:{damaged(change)}")

    def test_a_backbone_brings_no_code_along(self, damaged):
        def change(config):
            foreign = {"attn_implementation": "someone/kernels", "_attn_implementation": "someone/kernels"}
            config["model"]["backbone"]["config"] |= {"auto_map": {"AutoModel": "someone/code--x.Y"}, **foreign}

        segmenter = load_segmenter(f"ltp:{damaged(change)}")
        assert_exact_words("他们的研究", segmenter.segment(["他们的研究"])[0])

    @pytest.mark.parametrize(
        ("change", "problem"),
        [
            (lambda config: config.pop("model"), "describes no model"),
            (lambda config: config["model"].pop("heads"), "heads"),
            (lambda config: config["model"]["heads"]["cws"].pop("_ltp_target_"), "_ltp_target_"),
            (lambda config: config["model"]["heads"]["cws"].update(num_labels=3), "names 2 tags|does not load"),
            (lambda config: config["vocabs"].update(cws=["B-W"]), "names 1 tags"),
            (lambda config: config["vocabs"].update(cws="BI"), "no list of tags"),
            (lambda config: config["model"]["backbone"]["config"].update(num_hidden_layers=3), "lacks backbone"),
            (lambda config: config["model"]["backbone"]["config"].update(model_type="nothing"), "ValueError"),
        ],
    )
    def test_a_config_of_another_model(self, damaged, change, problem):
        with pytest.raises(SegmenterError, match=problem) as caught:
            load_segmenter(f"ltp:{damaged(change)}")
        assert "\n" not in str(caught.value)

    @pytest.mark.parametrize(
        ("name", "content", "problem"),
        [
            ("pytorch_model.bin", None, "neither model.safetensors nor pytorch_model.bin"),
            ("pytorch_model.bin", b"", "does not load"),
            ("pytorch_model.bin", b"\x80\x04cos\nsystem\n(S'exit'\ntR.", "does not load"),
            ("model.safetensors", b"no tensors", "does not load"),
            ("vocab.txt", None, "neither tokenizer.json nor vocab.txt"),
            (
                "vocab.txt",
                "\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *map(str, range(9999))]).encode(),
                "pieces",
            ),
        ],
    )
    def test_files_that_are_missing_or_damaged(self, damaged, name, content, problem):
        folder = damaged(lambda config: None)
        if content is None:
            (folder / name).unlink()
        else:
            (folder / name).write_bytes(content)
        with pytest.raises(SegmenterError, match=problem):
            load_segmenter(f"ltp:{folder}")

    def test_weights_never_run_code(self, damaged, tmp_path):
        class Trap:
            def __reduce__(self):
                return (exec, (f"open({str(tmp_path / 'ran')!r}, 'w')",))

        folder = damaged(lambda config: None)
        torch.save({"weights": Trap()}, folder / "pytorch_model.bin")
        with pytest.raises(SegmenterError, match="does not load"):
            load_segmenter(f"ltp:{folder}")
        assert not (tmp_path / "ran").exists()
