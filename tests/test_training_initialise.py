"""First weights from another model, against what numpy and a plain look at the tensors say."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from training_fakes import TEACHER, VOCAB, tiny
from transformers import BertConfig

from wwmcorpus.errors import ConfigError
from wwmcorpus.training.initialise import initialise, layers_to_copy, main_directions
from wwmcorpus.training.settings.shapes import Initialisation, StudentShape

WORDS = "bert.embeddings.word_embeddings.weight"


def init(**changes):
    return Initialisation(**{"weights": "teacher"} | changes)


def shape(**changes):
    return StudentShape(**TEACHER.values() | changes)


@pytest.mark.parametrize(
    ("num_theirs", "num_mine", "layers", "expected"),
    [
        # MiniRBT's script takes 0, 2, 4, 7, 9 and 11 of twelve, counted from 0.
        (12, 6, "uniform", (1, 3, 5, 8, 10, 12)),
        (12, 3, "uniform", (1, 7, 12)),
        (12, 12, "uniform", tuple(range(1, 13))),
        (12, 1, "uniform", (1,)),
        (12, 6, "first", (1, 2, 3, 4, 5, 6)),
        (12, 3, "none", ()),
        (12, 3, [12, 12, 1], (12, 12, 1)),
    ],
)
def test_which_layers_are_copied(num_theirs, num_mine, layers, expected):
    student, source = (BertConfig(num_hidden_layers=number) for number in (num_mine, num_theirs))
    assert layers_to_copy(init(layers=layers), student, source) == expected


def test_layers_embeddings_and_head_are_the_sources():
    source, student = tiny(TEACHER, seed=1), tiny(shape(layers=2), seed=2)
    copied = initialise(student, source, init(layers=[4, 2]))
    theirs, ours = source.state_dict(), student.state_dict()
    for name, value in ours.items():
        origin = name.replace("layer.0.", "layer.3.") if "layer.0." in name else name.replace("layer.1.", "layer.1.")
        assert torch.equal(value, theirs[origin]), name
    assert (copied.layers, copied.has_head, len(copied.names)) == ((4, 2), True, copied.num_weights)


def test_the_same_shape_gives_the_same_model():
    source, student = tiny(TEACHER, seed=1), tiny(TEACHER, seed=2)
    initialise(student, source, init())
    ids = torch.arange(8).unsqueeze(0)
    assert torch.equal(student.eval()(ids).logits, source.eval()(ids).logits)


def test_without_its_head():
    source, student = tiny(TEACHER, seed=1), tiny(TEACHER, seed=2)
    torch.nn.init.normal_(source.cls.predictions.bias)
    copied = initialise(student, source, init(head=False))
    assert not copied.has_head
    assert not student.cls.predictions.bias.any()
    assert torch.equal(student.cls.predictions.decoder.weight, source.state_dict()[WORDS])


def test_svd_keeps_what_it_can_of_the_inner_products():
    source, student = tiny(TEACHER, seed=1), tiny(shape(hidden=32), seed=2)
    copied = initialise(student, source, init(embeddings="svd"))
    table = source.state_dict()[WORDS].double().numpy()
    u, s, _ = np.linalg.svd(table, full_matrices=False)
    best = (u[:, :32] * s[:32]) @ (u[:, :32] * s[:32]).T
    found = student.state_dict()[WORDS].double().numpy()
    np.testing.assert_allclose(found @ found.T, best, atol=1e-6)
    position = "bert.embeddings.position_embeddings.weight"
    ours, theirs = student.state_dict()[position], source.state_dict()[position]
    np.testing.assert_allclose(
        ours.numpy() @ found.T, theirs.numpy() @ (table - (table - _kept(table, 32))).T, atol=1e-5
    )
    assert copied.layers == ()
    assert torch.equal(student.cls.predictions.bias, source.cls.predictions.bias)


def _kept(table, width):
    u, s, v = np.linalg.svd(table, full_matrices=False)
    return (u[:, :width] * s[:width]) @ v[:width]


def test_directions_are_orthonormal_and_have_one_sign():
    found = main_directions(torch.randn(50, 12, generator=torch.Generator().manual_seed(0)), 5)
    np.testing.assert_allclose((found.T @ found).numpy(), np.eye(5), atol=1e-12)
    assert all(found[found[:, i].abs().argmax(), i] > 0 for i in range(5))


def test_selection_keeps_the_columns_that_vary_most():
    source, student = tiny(TEACHER, seed=1), tiny(shape(hidden=32), seed=2)
    with torch.no_grad():
        source.bert.embeddings.word_embeddings.weight[:, ::3] *= 0.01
        source.bert.embeddings.LayerNorm.weight.copy_(torch.arange(48.0))
    initialise(student, source, init(embeddings="select"))
    kept = [column for column in range(48) if column % 3]
    assert torch.equal(student.state_dict()[WORDS], source.state_dict()[WORDS][:, kept])
    assert student.bert.embeddings.LayerNorm.weight.tolist() == kept


def test_fewer_positions():
    source, student = tiny(TEACHER, seed=1), tiny(shape(max_positions=16), seed=2)
    initialise(student, source, init())
    name = "bert.embeddings.position_embeddings.weight"
    assert torch.equal(student.state_dict()[name], source.state_dict()[name][:16])


@pytest.mark.parametrize(
    ("student", "options", "match"),
    [
        ({"layers": 2}, {"layers": [13, 1]}, r"no such layer: 13 \(init.layers\). It has 1 to 4"),
        ({"layers": 2}, {"layers": [1]}, "1 layers are listed for a student of 2"),
        ({"layers": 5}, {}, "the student has 5 layers, the source only 4"),
        ({"hidden": 32}, {}, "hidden_size is 32 in the student, 48 in the source"),
        ({"hidden": 32}, {"layers": "first", "embeddings": "svd"}, "hidden_size is 32"),
        ({"hidden": 32}, {"layers": "none"}, r"embeddings cannot be copied.*svd.*select"),
        ({"hidden": 64}, {"layers": "none"}, "as wide at least"),
        ({"intermediate": 32}, {}, 'intermediate_size is 32 .*Set init.layers = "none"'),
    ],
)
def test_what_does_not_fit(student, options, match):
    with pytest.raises(ConfigError, match=match):
        initialise(tiny(shape(**student), vocab_size=VOCAB), tiny(TEACHER), init(**options))


def test_layers_are_numbered_from_one():
    with pytest.raises(ConfigError):
        init(layers=[0, 1])
