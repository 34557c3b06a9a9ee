"""Rows and a small vocabulary for the tests of masking."""

import numpy as np

from wwmcorpus.align import Vocabulary
from wwmcorpus.records import Rows

PIECES = ("[PAD]", "[unused1]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "", *(chr(0x4E00 + i) for i in range(200)))
VOCABULARY = Vocabulary(PIECES, pad_id=0, unk_id=2, cls_id=3, sep_id=4, mask_id=5)
REAL = list(range(7, len(PIECES)))


def make_rows(rows, row_ids=None):
    """Rows of word lengths as flat arrays, each framed by [CLS] and [SEP]; a word's pieces count up from its row's."""
    ids, starts, bounds = [], [], [0]
    for number, lengths in enumerate(rows):
        size = sum(lengths)
        ids += [3, *(REAL[(number * 7 + at) % len(REAL)] for at in range(size)), 4]
        starts += [True, *(at == 0 for length in lengths for at in range(length)), True]
        bounds.append(len(ids))
    row_ids = np.arange(len(rows)) if row_ids is None else row_ids
    return Rows(
        np.array(ids, np.int32), np.array(starts, bool), np.array(bounds, np.int64), np.array(row_ids, np.int64)
    )


def row_slices(rows):
    return [slice(int(a), int(b)) for a, b in zip(rows.bounds[:-1], rows.bounds[1:], strict=True)]
