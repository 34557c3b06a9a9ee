"""What the collator reads: columns, Arrow tables, rows of datasets, padded rows; and one error for each bad batch."""

import shutil

import datasets
import numpy as np
import pyarrow as pa
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from wwmcorpus.align import Vocabulary
from wwmcorpus.align.refs import word_start_of_ref
from wwmcorpus.errors import ConfigError, CorpusError
from wwmcorpus.masking import IGNORED_LABEL, RatioSchedule, WholeWordMaskCollator, WholeWordMasking
from wwmcorpus.masking.flatten import flatten

IDS = [3, 10, 11, 12, 13, 4]
STARTS = [True, True, False, True, True, True]


@pytest.fixture
def collator(tokenizer):
    return WholeWordMaskCollator(tokenizer, seed=2, return_tensors="np")


@pytest.fixture
def rows(small_corpus):
    return [small_corpus[index] for index in range(0, 200, 3)]


@pytest.fixture
def dataset(small_corpus):
    return datasets.load_from_disk(str(small_corpus.path))


def row(**values):
    return {"input_ids": IDS, "word_start": STARTS} | values


def same(batch, other):
    return batch.keys() == other.keys() and all(np.array_equal(batch[name], other[name]) for name in batch)


def as_lists(rows):
    return [{name: np.asarray(value).tolist() for name, value in each.items()} for each in rows]


def arrow_table(rows, ids=None):
    columns = as_lists(rows)
    types = {"input_ids": ids or pa.list_(pa.uint16()), "word_start": pa.list_(pa.bool_())}
    return pa.table({name: pa.array([each[name] for each in columns], types[name]) for name in types})


class TestKindsOfBatches:
    @pytest.mark.parametrize("ids", [pa.list_(pa.uint16()), pa.large_list(pa.int64())])
    def test_arrow_tables_record_batches_and_lists_of_them(self, collator, rows, ids):
        table, expected = arrow_table(rows, ids), collator(rows)
        assert same(collator(table), expected)
        assert same(collator(table.combine_chunks().to_batches()[0]), expected)
        assert same(collator([table.slice(i, 1) for i in range(len(rows))]), expected)
        assert same(collator(pa.concat_tables([table.slice(0, 5), table.slice(5)])), expected)

    @pytest.mark.parametrize("begin", [1, 7, 8, 13])
    def test_slices_of_arrow_that_begin_inside_a_byte_of_bits(self, collator, rows, begin):
        assert same(collator(arrow_table(rows).slice(begin, 9)), collator(rows[begin : begin + 9]))

    def test_columns_that_are_rectangles(self, collator):
        ids, starts = np.tile(np.array(IDS), (5, 1)), np.tile(np.array(STARTS), (5, 1))
        columns = {"input_ids": ids, "word_start": starts, "row_ids": np.arange(5)}
        rows = [{name: values[number] for name, values in columns.items()} for number in range(5)]
        assert same(collator(columns), collator(rows))

    def test_a_reference_that_names_no_piece_may_be_an_empty_array(self, collator):
        lists = [{"input_ids": IDS, "chinese_ref": ref, "row_ids": i} for i, ref in enumerate(([2], [], [3]))]
        arrays = [each | {"chinese_ref": np.array(each["chinese_ref"])} for each in lists]
        assert arrays[1]["chinese_ref"].dtype == np.float64
        assert same(collator(arrays), collator(lists))
        assert same(collator(arrays[1:2]), collator(lists[1:2]))

    def test_columns(self, collator, rows):
        names = ("input_ids", "word_start")
        expected = collator(rows)
        assert same(collator({name: [each[name] for each in rows] for name in names}), expected)
        assert same(collator({name: [each[name] for each in as_lists(rows)] for name in names}), expected)
        square = [each for each in rows if len(each["input_ids"]) == 24]
        assert len(square) > 5
        stacked = {name: np.stack([each[name] for each in square]) for name in names}
        assert same(collator(stacked), collator(square))
        assert same(collator({name: torch.from_numpy(values) for name, values in stacked.items()}), collator(square))

    @pytest.mark.parametrize("kind", [None, "numpy", "torch"])
    def test_rows_and_slices_of_datasets(self, collator, dataset, small_corpus, kind):
        formatted = dataset.with_format(kind)
        expected = collator([small_corpus[index] for index in range(30)])
        assert same(collator([formatted[index] for index in range(30)]), expected)
        assert same(collator(formatted[:30]), expected)
        assert same(collator(formatted.__getitems__(list(range(30)))), expected)

    def test_arrow_of_datasets_goes_through_a_loader(self, tokenizer, dataset):
        collator = WholeWordMaskCollator(tokenizer, seed=2)
        arrow = dataset.with_format("arrow")
        sampler = torch.utils.data.BatchSampler(torch.utils.data.SequentialSampler(arrow), 16, drop_last=False)
        loader = torch.utils.data.DataLoader(arrow, sampler=sampler, batch_size=None, collate_fn=collator)
        for number, batch in enumerate(loader):
            if number < 5:
                expected = collator([dataset[index] for index in range(number * 16, number * 16 + 16)])
                assert all(torch.equal(batch[name], expected[name]) for name in expected)
        assert number == -(-len(dataset) // 16) - 1

    @pytest.mark.parametrize("kind", [None, "numpy"])
    def test_iterable_datasets(self, tokenizer, dataset, kind):
        collator = WholeWordMaskCollator(tokenizer, seed=2)
        iterable = dataset.select(range(40)).to_iterable_dataset(num_shards=2).with_format(kind)
        batches = list(torch.utils.data.DataLoader(iterable, batch_size=8, collate_fn=collator))
        expected = [collator([dataset[index] for index in range(at, at + 8)]) for at in range(0, 40, 8)]
        assert all(torch.equal(b["labels"], e["labels"]) for b, e in zip(batches, expected, strict=True))

    def test_pairs(self, collator):
        pair = {"token_type_ids": [0, 0, 0, 1, 1, 1], "pair_label": 1}
        for batch in ([row(**pair)], pa.Table.from_pylist([row(**pair)]), {k: [v] for k, v in row(**pair).items()}):
            made = collator(batch)
            assert made["token_type_ids"].tolist() == [pair["token_type_ids"]]
            assert made["pair_label"].tolist() == [1]

    def test_torch_or_numpy(self, tokenizer, rows):
        collator = WholeWordMaskCollator(tokenizer)
        tensors, arrays = collator(rows), collator(rows, return_tensors="np")
        assert {tensor.dtype for tensor in tensors.values()} == {torch.int64}
        assert {type(array) for array in arrays.values()} == {np.ndarray}
        assert same({name: tensor.numpy() for name, tensor in tensors.items()}, arrays)


class TestPaddedRows:
    def test_padding_is_made_anew(self, collator, rows):
        """What a tokenizer padded has the masks of what it did not, on whichever side it did."""
        expected = collator(rows)
        for side in ("left", "right"):
            padded = []
            for each in rows:
                extra = 40 - len(each["input_ids"])
                width = (0, extra) if side == "right" else (extra, 0)
                padded.append({name: np.pad(value, width) for name, value in each.items()})
            assert same(collator(padded), expected)

    def test_width_comes_from_the_multiple(self, tokenizer, rows):
        batch = WholeWordMaskCollator(tokenizer, pad_to_multiple_of=40, return_tensors="np")(rows)
        assert batch["input_ids"].shape == (len(rows), 40)
        lengths = [len(each["input_ids"]) for each in rows]
        assert batch["attention_mask"].sum(axis=1).tolist() == lengths
        hidden = batch["attention_mask"] == 0
        assert set(batch["input_ids"][hidden].tolist()) == {tokenizer.pad_token_id}
        assert set(batch["labels"][hidden].tolist()) == {IGNORED_LABEL}


class TestReferences:
    @given(st.data())
    def test_batches_of_refs_are_read_as_rows_are(self, vocabulary, data):
        """Beside ``word_start_of_ref``, which reads one row, on rows that a special piece frames."""
        word = st.integers(7, vocabulary.num_pieces - 1)
        rows = []
        for _ in range(data.draw(st.integers(1, 4))):
            body = data.draw(st.lists(word, min_size=1, max_size=8))
            if vocabulary.continues[body[0]]:
                body = [vocabulary.unk_id, *body]
            ref = data.draw(st.lists(st.integers(2, len(body)), unique=True)) if len(body) > 1 else []
            rows.append({"input_ids": [vocabulary.cls_id, *body, vocabulary.sep_id], "chinese_ref": ref})
        flat = flatten(rows, vocabulary)
        for number, each in enumerate(rows):
            expected = word_start_of_ref(np.array(each["input_ids"]), each["chinese_ref"], vocabulary)
            assert flat.word_start[flat.bounds[number] : flat.bounds[number + 1]].tolist() == expected.tolist()

    def test_what_is_left_of_a_word_after_a_special_piece_is_a_word(self, vocabulary):
        tail = vocabulary.pieces.index("##a")
        ids = [vocabulary.cls_id, tail, 10, vocabulary.sep_id, tail, tail, vocabulary.sep_id]
        flat = flatten([{"input_ids": ids, "chinese_ref": [1, 2]}], vocabulary)
        assert flat.word_start.tolist() == [True, True, False, True, True, False, True]


class TestRowIds:
    def test_ids_of_content_are_those_of_the_definition(self, vocabulary, rows):
        """The length above, below each piece times a number of its position, summed: here with Python's integers."""

        def mix(key, counter):
            mixed = (key + (counter + 1) * 0x9E3779B97F4A7C15) % 2**64
            mixed = (mixed ^ mixed >> 30) * 0xBF58476D1CE4E5B9 % 2**64
            mixed = (mixed ^ mixed >> 27) * 0x94D049BB133111EB % 2**64
            return mixed ^ mixed >> 31

        for found, each in zip(flatten(rows, vocabulary).row_ids.tolist(), rows, strict=True):
            ids = each["input_ids"].tolist()
            total = sum(piece * (mix(0x726F7773, place) >> 32) for place, piece in enumerate(ids))
            assert found == len(ids) * 2**32 + total % 2**32

    @given(st.lists(st.lists(st.integers(7, 60), min_size=1, max_size=5), min_size=2, max_size=30, unique_by=tuple))
    def test_other_rows_have_other_ids(self, vocabulary, bodies):
        found = flatten([{"input_ids": body, "word_start": [True] * len(body)} for body in bodies], vocabulary)
        assert len(set(found.row_ids.tolist())) == len(bodies)


class TestBadBatches:
    @pytest.mark.parametrize(
        ("batch", "message"),
        [
            ([], "a batch without rows"),
            ({"input_ids": [], "word_start": []}, "a batch without rows"),
            (pa.table({"input_ids": pa.array([], pa.list_(pa.int32()))}), "a batch without rows"),
            (7, "a batch that holds no rows: 'int'"),
            ([IDS], "a row that is no mapping: 'list'"),
            ([row(), IDS], "a row that is no mapping: 'list'"),
            ([row(), None], "a row that is no mapping: 'NoneType'"),
            ([row(input_ids=np.array(IDS)), row(input_ids=np.array(IDS) + 0.5)], "integers per row: 'float64'"),
            ([{"text": "x"}], r"rows without pieces: \['text'\].*need input_ids"),
            (row(), "input_ids is not one list of integers per row"),
            ([row(input_ids=[1.5] * 6)], "input_ids is not one list of integers per row"),
            ([row(input_ids=[IDS])], "input_ids is not one list of integers per row"),
            ([row(input_ids=np.array([IDS]))], "input_ids is not one list of integers per row: '2 dimensions per row'"),
            ([row(input_ids=np.array(IDS, dtype=float))], "input_ids is not one list of integers per row: 'float64'"),
            ([row(input_ids=[2**32 + 3, *IDS[1:]])], f"outside the vocabulary: {2**32 + 3}"),
            ([row(), row(input_ids=[], word_start=[])], "a row without pieces .row 1 of the batch"),
            ([row(), row(input_ids=[0, 0], word_start=[1, 1])], "a row without pieces .row 1 of the batch"),
            ([row(), {"input_ids": IDS}], r"only some rows have word_start .row 1 of the batch has \['input_ids'\]"),
            ([row(), row(row_ids=3)], "only some rows have row_ids"),
            ([row(row_ids=0.5)], "row_ids is not one integer per row"),
            ([row(), row(word_start=STARTS[1:])], "word_start has 5 entries, input_ids 6 .row 1"),
            ([row(token_type_ids=[0])], "token_type_ids has 1 entries, input_ids 6"),
            ([row(), row(word_start=[*STARTS[:5], False])], r"a special piece and another into one word: 5 .row 1"),
            ([row(word_start=[True, False, *STARTS[2:]])], r"a special piece and another into one word: 1 .row 0"),
            (
                [row(input_ids=[3, 10, 4, 12, 13, 4], word_start=STARTS)],
                r"a special piece and another into one word: 2 .row 0",
            ),
            ([row(token_type_ids=[0, 0, 0, 1, 1, 300])], "token_type_ids holds what is no such number: 300"),
            ([row(pair_label=1000)], "pair_label holds what is no such number: 1000"),
            ({"input_ids": [IDS, IDS], "word_start": [STARTS]}, "columns of different lengths"),
            (
                pa.table({"input_ids": pa.array([3], pa.int32())}),
                "input_ids is not one list of integers per row: 'int32'",
            ),
            (
                pa.table({"input_ids": [IDS, None]}),
                "input_ids is not one list of integers per row: 'a row that is null'",
            ),
            (pa.table({"input_ids": [[3, None]]}), "input_ids is not one list of integers per row: 'float64'"),
        ],
    )
    def test_one_clear_error(self, collator, batch, message):
        with pytest.raises(CorpusError, match=message):
            collator(batch)

    @pytest.mark.parametrize(
        ("position", "what"), [(0, "a special piece: 0"), (5, "a special piece: 5"), (6, "outside")]
    )
    def test_references_out_of_step(self, collator, position, what):
        good = {"input_ids": IDS, "chinese_ref": [2]}
        with pytest.raises(CorpusError, match=rf"chinese_ref points (at )?{what}.*row 1 of the batch, 6 pieces"):
            collator([good, {"input_ids": IDS, "chinese_ref": [3, position]}])

    def test_arguments(self, tokenizer, collator):
        with pytest.raises(ConfigError, match="not a multiple: 0"):
            WholeWordMaskCollator(tokenizer, pad_to_multiple_of=0)
        with pytest.raises(ConfigError, match=r"unknown kind of tensors: 'tf'.*Choose one of: np, pt"):
            collator([row()], return_tensors="tf")
        schedule = RatioSchedule(final_probability=0.3, num_rows=10)
        with pytest.raises(ConfigError, match=r"how many rows were given before.*Use Stream"):
            WholeWordMaskCollator(tokenizer, masking=WholeWordMasking(schedule=schedule))


class TestVocabularies:
    @pytest.fixture
    def stranger(self, vocabulary):
        return Vocabulary((*vocabulary.pieces, "另"), **{f"{k}_id": v for k, v in vocabulary.special.items()})

    def test_for_corpus(self, collator, small_corpus, rows):
        for corpus in (small_corpus, small_corpus.path, str(small_corpus.path)):
            made = WholeWordMaskCollator.for_corpus(corpus, seed=2, return_tensors="np")
            assert same(made(rows), collator(rows))

    def test_another_vocabulary_is_found_out(self, stranger, small_corpus, dataset):
        made = WholeWordMaskCollator(stranger)
        hashes = f"{small_corpus.vocabulary.sha256[:8]}.*{stranger.sha256[:8]}.*for_corpus"
        for rows in (small_corpus, dataset, dataset.shuffle(seed=1).select(range(9)), dataset.with_format("arrow")):
            with pytest.raises(CorpusError, match=hashes):
                made.check(rows)

    def test_what_can_be_seen_and_what_cannot(self, stranger, collator, small_corpus, dataset, tmp_path):
        assert collator.check(small_corpus)
        assert collator.check(dataset)
        elsewhere = datasets.Dataset.from_list([row()])
        elsewhere.save_to_disk(tmp_path / "rows")
        for rows in (elsewhere, datasets.load_from_disk(tmp_path / "rows"), [row()], None):
            assert not WholeWordMaskCollator(stranger).check(rows)

    def test_what_map_leaves_beside_a_corpus_is_not_the_corpus(self, stranger, small_corpus, tmp_path):
        folder = shutil.copytree(small_corpus.path, tmp_path / "corpus")
        dataset = datasets.load_from_disk(str(folder))
        mapped = dataset.map(lambda each: {"n": len(each["input_ids"])}, cache_file_name=str(folder / "cache.arrow"))
        assert not WholeWordMaskCollator(stranger).check(mapped)
