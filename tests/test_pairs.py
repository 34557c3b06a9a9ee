"""Sentence pairs: BERT's and ALBERT's ways written out once more in lists, and what must hold of any pair."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packing import CLS, SEP, VOCABULARY, PlainRow, batch_of, check_types, documents, documents_of, plain_rows, splitmix

from wwmcorpus.corpus.pack import PackOptions, make_packer

KINDS = ("nsp", "sop")
NUM_GUEST_SENTENCES = 256


class Reference:
    """Makes the same pairs sentence by sentence and word by word, with draws in plain integers."""

    def __init__(self, options):
        self.options, self.room = options, options.max_length - 3
        self.guest = None
        self.lost = Counter()

    def pack(self, some):
        own = [(document, self.sentences(document)) for document in some]
        pool = [entry for entry in [self.guest, *own] if entry and entry[1]]
        make = self.next_pairs if self.options.pairs == "nsp" else self.order_pairs
        rows = [self.row(*pair) for entry in own if entry[1] for pair in make(entry, pool)]
        if pool:
            self.guest = (pool[-1][0], pool[-1][1][:NUM_GUEST_SENTENCES])
        return rows

    def sentences(self, document):
        """Sentences without the words longer than half a row; a sentence a little longer than that is cut."""
        found = []
        for sentence in document.sentences:
            part = []
            for word in sentence.words:
                if len(word) > self.room // 2:
                    continue
                if part and sum(map(len, part)) + len(word) > self.room // 2 + 8:
                    found.append(part)
                    part = []
                part.append(word)
            if part:
                found.append(part)
        return found

    def draw(self, document, sentence, purpose):
        key = 0
        for part in (0x9AC4, self.options.seed, document.source, document.offset, sentence, purpose):
            key = splitmix(key, part)
        return key

    def target(self, document, sentence):
        if self.draw(document, sentence, 0) < self.options.short_sequence_probability * 2**64:
            return self.draw(document, sentence, 1) % (self.room - 1) + 2
        return self.room

    def chunk(self, entry, begin):
        document, sentences = entry
        chunk = []
        for sentence in sentences[begin:]:
            chunk.append(sentence)
            if num_pieces(chunk) >= self.target(document, begin):
                break
        return chunk

    def next_pairs(self, entry, pool):
        document, sentences = entry
        begin = 0
        while begin < len(sentences):
            chunk = self.chunk(entry, begin)
            split = 1 + self.draw(document, begin, 2) % (len(chunk) - 1) if len(chunk) > 1 else 1
            wants_other = len(chunk) == 1 or self.draw(document, begin, 3) % 2
            place = next(at for at, other in enumerate(pool) if other is entry)
            others = pool[place + 1 :] + pool[:place]
            if wants_other and others:
                other, lines = others[self.draw(document, begin, 4) % len(others)]
                run = []
                for line in lines[self.draw(document, begin, 5) % len(lines) :]:
                    run.append(line)
                    if num_pieces(run) >= self.target(document, begin) - num_pieces(chunk[:split]):
                        break
                yield document, begin, chunk[:split], run, 1, other
                begin += split
            elif len(chunk) > 1:
                yield document, begin, chunk[:split], chunk[split:], 0, document
                begin += len(chunk)
            else:
                self.lost["unpaired_pieces"] += num_pieces(chunk)
                self.lost["unpaired_words"] += len(chunk[0])
                begin += 1

    def order_pairs(self, entry, pool):
        document, sentences = entry
        begin = 0
        while begin < len(sentences):
            chunk = self.chunk(entry, begin)
            if len(chunk) == 1:
                chunk = sentences[begin : begin + 2]
            if len(sentences) - begin - len(chunk) == 1:
                chunk = sentences[begin:]
            if len(chunk) == 1:
                self.lost["unpaired_pieces"] += num_pieces(chunk)
                self.lost["unpaired_words"] += len(chunk[0])
                return
            split = 1 + self.draw(document, begin, 2) % (len(chunk) - 1)
            one, two = chunk[:split], chunk[split:]
            swapped = self.draw(document, begin, 3) % 2
            yield document, begin, *((two, one) if swapped else (one, two)), swapped, document
            begin += len(chunk)

    def row(self, document, begin, one, two, label, other):
        one, two = ([word for sentence in part for word in sentence] for part in (one, two))
        sides, step = self.draw(document, begin, 6), 0
        while num_pieces([one]) + num_pieces([two]) > self.room:
            longer = one if num_pieces([one]) > num_pieces([two]) else two
            if step and step % 64 == 0:
                sides = splitmix(sides, step)
            word = longer.pop(0 if sides >> step % 64 & 1 else -1)
            step += 1
            if longer is one or other is document:
                self.lost["truncated_words"] += 1
                self.lost["truncated_pieces"] += len(word)
        if other is not document:
            self.lost["borrowed_pieces"] += num_pieces([two])
        groups = [[CLS], *one, [SEP], *two, [SEP]]
        places = [(some.source, some.offset) for some in ([document] if other is document else [document, other])]
        return PlainRow(
            [piece for group in groups for piece in group],
            [at == 0 for group in groups for at in range(len(group))],
            places,
            [0] * (num_pieces([one]) + 2) + [1] * (num_pieces([two]) + 1),
            label,
        )


def num_pieces(sentences):
    return sum(len(word) for sentence in sentences for word in sentence)


def pack(batches, options):
    packer = make_packer(VOCABULARY, options)
    packed = [packer.pack(batch_of(some))[0] for some in batches]
    packed.append(packer.finish())
    for rows in packed[:-1]:
        check_types(rows)
    return plain_rows(*packed), packer.counts


def words_at(documents_):
    """Where each word is, by its first piece: document and place among its words."""
    return {word[0]: (at, i) for at, document in enumerate(documents_) for i, word in enumerate(document.words)}


@given(
    batches=st.lists(documents(longest_word=6), max_size=3),
    kind=st.sampled_from(KINDS),
    max_length=st.integers(8, 60),
    short=st.sampled_from([0.0, 0.4, 1.0]),
    seed=st.integers(0, 2**63 - 1),
)
def test_pairs_are_those_of_the_plain_way(batches, kind, max_length, short, seed):
    options = PackOptions(max_length=max_length, pairs=kind, short_sequence_probability=short, seed=seed)
    reference = Reference(options)
    rows, counts = pack(batches, options)
    assert rows == [row for some in batches for row in reference.pack(some)]
    for name in ("unpaired_words", "unpaired_pieces", "truncated_words", "truncated_pieces", "borrowed_pieces"):
        assert counts[name] == reference.lost[name], name
    num_in = sum(len(word) for some in batches for document in some for word in document.words)
    num_lost = counts["dropped_pieces"] + counts["unpaired_pieces"] + counts["truncated_pieces"]
    assert num_in == counts["row_pieces"] - counts["special_pieces"] - counts["borrowed_pieces"] + num_lost
    assert counts["special_pieces"] == 3 * counts["rows"] == 3 * len(rows)


@given(
    some=documents(longest_word=6), kind=st.sampled_from(KINDS), max_length=st.integers(8, 40), seed=st.integers(0, 9)
)
def test_what_must_hold_of_any_pair(some, kind, max_length, seed):
    rows, _ = pack([some], PackOptions(max_length=max_length, pairs=kind, seed=seed))
    home = words_at(some)
    own = []
    for row in rows:
        groups = row.words
        middle = groups.index([SEP])
        one, two = groups[1:middle], groups[middle + 1 : -1]
        assert len(row.ids) <= max_length
        assert one
        assert two
        assert all(row.types[at] == (at > row.ids.index(SEP)) for at in range(len(row.ids)))
        for segment in (one, two):
            assert all(word == some[home[word[0]][0]].words[home[word[0]][1]] for word in segment), "a word was cut"
            assert len({home[word[0]][0] for word in segment}) == 1
            places = [home[word[0]][1] for word in segment]
            assert places == sorted(places)
        (a, a_place), (b, b_place) = home[one[0][0]], home[two[0][0]]
        assert row.places == [(some[at].source, some[at].offset) for at in dict.fromkeys([a, b])]
        if kind == "nsp":
            assert row.label == (a != b)
        else:
            assert a == b
        if a == b:
            assert (a_place > b_place) == row.label
        own += one + (two if a == b else [])
    assert len(own) == len({word[0] for word in own}), "a word came twice in its own document's turn"


@pytest.fixture(scope="module")
def many():
    """Two hundred documents of thirty sentences of five words."""
    return documents_of([[([1, 2, 1, 1, 3], True)] * 30] * 200)


@pytest.mark.parametrize("kind", KINDS)
def test_labels_are_even_and_segments_split_anywhere(many, kind):
    rows, counts = pack([many], PackOptions(max_length=83, pairs=kind))
    labels = Counter(row.label for row in rows)
    assert abs(labels[1] / len(rows) - 0.5) < 4 * 0.5 / len(rows) ** 0.5
    firsts = Counter(row.types.index(1) for row in rows if row.label == 0)
    assert set(firsts) == {8 * sentences + 2 for sentences in range(1, 10)}
    assert counts["truncated_pieces"] < 0.15 * counts["row_pieces"]
    if kind == "nsp":
        others = Counter(row.places[1] for row in rows if row.label == 1)
        assert len(others) > 160, "partners come from all documents"
    again, _ = pack([many], PackOptions(max_length=83, pairs=kind, seed=1))
    assert [row.ids for row in again] != [row.ids for row in rows]


@pytest.mark.parametrize("front", [True, False])
def test_words_are_left_out_at_both_ends(front):
    some = documents_of([[([1] * 20, True), ([1] * 20, True)]] * 40)
    rows, _ = pack([some], PackOptions(max_length=33, pairs="sop"))
    end = slice(0, 1) if front else slice(-1, None)
    whole = {document.sentences[i].words[end][0][0] for document in some for i in (0, 1)}
    kept = {word[0] for row in rows for word in row.words} & whole
    assert 0 < len(kept) < len(whole)


def test_a_batch_with_one_document_borrows_of_the_one_before():
    some = documents_of([[([1] * 6, True)]] * 3)
    rows, counts = pack([[document] for document in some], PackOptions(max_length=20, pairs="nsp"))
    assert counts["unpaired_pieces"] == 6, "the first has no other"
    assert [[offset - 1000 for _, offset in row.places] for row in rows] == [[1, 0], [2, 1]]
    assert [row.label for row in rows] == [1, 1]


def test_text_without_punctuation_is_not_lost():
    rows, counts = pack([documents_of([[([1] * 10_000, True)]])], PackOptions(max_length=128, pairs="sop"))
    assert counts["truncated_pieces"] + counts["unpaired_pieces"] < 0.15 * 10_000
    assert all(len(row.ids) == 128 for row in rows[:-1])
