"""Beside the version 4 collator that transformers 5 removed: a naive rewrite of what it computed, row by row.

Its chance is an argument: the order in which it considers words, and what replaces each piece. Given the words that
ours chose first, it must choose them and no other; given the same replacements, inputs and labels are equal.
"""

import numpy as np
import pytest

from wwmcorpus.masking import IGNORED_LABEL, WholeWordMaskCollator, WholeWordMasking

PROBABILITY = 0.15


def words_of(pieces, ref):
    """The published candidates: a reference writes ## before its piece; ## joins the candidate before."""
    written = ["##" + piece if place in ref else piece for place, piece in enumerate(pieces)]
    found = []
    for place, piece in enumerate(written):
        if piece in ("[CLS]", "[SEP]"):
            continue
        if found and piece.startswith("##"):
            found[-1].append(place)
        else:
            found.append([place])
    return found


def chosen_pieces(pieces, words):
    """The published choice: words in the given order while they fit round(length x probability), at least one piece."""
    budget = max(1, round(len(pieces) * PROBABILITY))
    taken = []
    for word in words:
        if len(taken) >= budget:
            break
        if len(taken) + len(word) > budget:
            continue
        taken += word
    return sorted(taken)


@pytest.fixture(scope="module")
def rows(small_corpus):
    """Rows with the references that their words give, in any order, as files have them."""
    pieces, found = small_corpus.vocabulary.pieces, []
    for index in range(0, 600, 2):
        row = small_corpus[index]
        ids = row["input_ids"].tolist()
        continuing = np.flatnonzero(~row["word_start"]).tolist()
        ref = [place for place in continuing if not pieces[ids[place]].startswith("##")]
        found.append({"input_ids": ids, "chinese_ref": ref[::-1]})
    return found


def collate(tokenizer, rows, **options):
    masking = WholeWordMasking(probability=PROBABILITY, budget="exact", **options)
    return WholeWordMaskCollator(tokenizer, masking=masking, seed=5, return_tensors="np")(rows)


def test_the_published_loop_chooses_the_same_pieces(tokenizer, rows, vocabulary):
    labels = collate(tokenizer, rows)["labels"]
    num_words = 0
    for number, row in enumerate(rows):
        ids = row["input_ids"]
        pieces = [vocabulary.pieces[i] for i in ids]
        asked = set(np.flatnonzero(labels[number] != IGNORED_LABEL).tolist())
        words = words_of(pieces, set(row["chinese_ref"]))
        ours = [word for word in words if asked & set(word)]
        others = [word for word in words if not asked & set(word)]
        num_words += len(ours)
        # Where no word fits the budget the published loop masks nothing; ours always has a word.
        fitting = min(map(len, words)) <= max(1, round(len(ids) * PROBABILITY))
        assert sorted(asked) == (chosen_pieces(pieces, ours + others) if fitting else sorted(ours[0]))
        assert labels[number][: len(ids)].tolist() == [
            piece if place in asked else IGNORED_LABEL for place, piece in enumerate(ids)
        ]
    assert num_words > len(rows)


@pytest.mark.parametrize(("mask_share", "random_share"), [(1.0, 0.0), (0.0, 0.0), (0.0, 1.0), (0.8, 0.1)])
def test_the_same_replacements_give_the_same_inputs(tokenizer, rows, vocabulary, mask_share, random_share):
    batch = collate(tokenizer, rows, mask_share=mask_share, random_share=random_share, random_from="vocabulary")
    replaced = []
    for number, row in enumerate(rows):
        ids = row["input_ids"]
        asked = batch["labels"][number][: len(ids)] != IGNORED_LABEL
        seen = batch["input_ids"][number]
        assert seen[len(ids) :].tolist() == [vocabulary.pad_id] * (len(seen) - len(ids))
        assert batch["attention_mask"][number].tolist() == [1] * len(ids) + [0] * (len(seen) - len(ids))
        expected = np.array(ids)
        if mask_share == 1.0:
            expected[asked] = vocabulary.mask_id
        elif random_share:
            expected[asked] = seen[: len(ids)][asked]
        assert seen[: len(ids)].tolist() == expected.tolist()
        replaced += [(piece, old) for piece, old in zip(seen[: len(ids)][asked], np.array(ids)[asked], strict=True)]
    if random_share == 1.0:
        assert len({int(piece) for piece, _ in replaced}) > vocabulary.num_pieces / 4
    if mask_share == 0.8:  # the published shares, within five standard deviations
        masked = np.mean([piece == vocabulary.mask_id for piece, _ in replaced])
        kept = np.mean([piece == old for piece, old in replaced])
        assert abs(masked - 0.8) < 5 * (0.8 * 0.2 / len(replaced)) ** 0.5
        assert abs(kept - 0.1) < 5 * (0.1 * 0.9 / len(replaced)) ** 0.5
