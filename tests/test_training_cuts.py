"""Batches cut and laid end to end: every row is there once, and a model gives the same numbers."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from training_fakes import TEACHER, batch, tiny

from wwmcorpus.training import unpadded
from wwmcorpus.training.cuts import cut_rows, row_lengths
from wwmcorpus.training.flops import forward_flops, peak_flops, step_flops
from wwmcorpus.training.heads import micro_batches
from wwmcorpus.training.objective import Objective
from wwmcorpus.training.settings import DistillLosses, LayerMatch, StudentShape

SIZES = st.none() | st.integers(1, 40)


def naive_rows(rows):
    """Each row as (id, pieces, labels), padding dropped."""
    found = []
    for index in range(len(rows["row_ids"])):
        length = int(rows["attention_mask"][index].sum())
        ids, labels = (rows[name][index, :length].tolist() for name in ("input_ids", "labels"))
        found.append((int(rows["row_ids"][index]), ids, labels))
    return found


@given(st.integers(1, 9), st.integers(0, 99), SIZES, SIZES, st.sampled_from([1, 8]), st.booleans())
@settings(max_examples=60, deadline=None)
def test_every_row_is_in_one_cut(num_rows, seed, max_rows, max_pieces, multiple, keep_width):
    whole = batch(num_rows, seed=seed)
    cuts = cut_rows(whole, max_rows, max_pieces, multiple, keep_width)
    rows = [row for cut in cuts for row in naive_rows(cut)]
    assert sorted(rows) == naive_rows(whole)
    widths = [cut["input_ids"].shape[1] for cut in cuts]
    assert widths == sorted(widths, reverse=True)
    for cut in cuts:
        size, width = cut["input_ids"].shape
        longest = int(cut["attention_mask"].sum(dim=1).max())
        assert width == (12 if keep_width else min(12, -(-longest // multiple) * multiple))
        assert max_rows is None or size <= max_rows
        assert max_pieces is None or size == 1 or size * width <= max_pieces
        assert cut["word_start"].shape == (size, width)


def test_cuts_are_as_few_as_the_sizes_allow():
    lengths = [2, 9, 3]
    mask = torch.arange(10) < torch.tensor(lengths).unsqueeze(1)
    rows = {"input_ids": mask.long(), "attention_mask": mask.long(), "row_ids": torch.arange(3)}
    cuts = cut_rows(rows, max_pieces=10)
    assert [tuple(cut["input_ids"].shape) for cut in cuts] == [(1, 9), (2, 3)]
    assert [cut["row_ids"].tolist() for cut in cuts] == [[1], [2, 0]]
    assert row_lengths(mask.long()).tolist() == lengths


def naive_varlen(query, key, value, ends, _, longest, __):
    """Attention of each row by itself, as the kernel of torch promises it."""
    found = []
    for begin, end in zip(ends[:-1].tolist(), ends[1:].tolist(), strict=True):
        assert end - begin <= longest
        q, k, v = (part[begin:end].transpose(0, 1) for part in (query, key, value))
        scores = torch.softmax(q @ k.transpose(1, 2) / query.shape[-1] ** 0.5, dim=-1)
        found.append((scores @ v).transpose(0, 1))
    return torch.cat(found)


@pytest.mark.parametrize("heads", [2, 4])  # heads of 16, and of 9 of which the kernel takes no multiple
@pytest.mark.parametrize("max_pieces", [None, 20])
def test_rows_end_to_end_give_what_padded_rows_give(monkeypatch, heads, max_pieces):
    monkeypatch.setattr(unpadded, "kernel", lambda: naive_varlen)
    shape = StudentShape(layers=2, hidden=32 if heads == 2 else 36, heads=heads, intermediate=48, dropout=0.0)
    losses = DistillLosses(hard_weight=0.5)
    rows, sums, gradients = batch(seed=3), [], []
    for joins in (False, True):
        student, teacher = tiny(shape), tiny(TEACHER, 1)
        objective = Objective(student, losses, teacher)
        if joins:
            for model in (student, teacher):
                unpadded.use_unpadded_attention(model)
        cuts = unpadded.joined_rows(rows, max_pieces=max_pieces) if joins else micro_batches(rows)
        assert not joins or all(cut.input_ids_BL.shape[0] == 1 for cut in cuts)
        assert not joins or sum(cut.input_ids_BL.shape[1] for cut in cuts) == int(rows["attention_mask"].sum())
        total = sum(objective(cut, objective.teach(teacher, cut)) for cut in cuts)
        total.sum().backward()
        sums.append(total.detach())
        gradients.append([parameter.grad for parameter in objective.parameters()])
    torch.testing.assert_close(sums[1], sums[0], rtol=1e-5, atol=1e-5)
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


def test_padded_batches_still_see_their_mask():
    """The same model, evaluated on padded rows, must not attend to padding."""
    model, rows = tiny(), batch(seed=1)
    with torch.no_grad():
        expected = model(input_ids=rows["input_ids"], attention_mask=rows["attention_mask"]).logits
        unpadded.use_unpadded_attention(model)
        found = model(input_ids=rows["input_ids"], attention_mask=rows["attention_mask"]).logits
    real = rows["attention_mask"].bool()
    torch.testing.assert_close(found[real], expected[real])


@pytest.mark.parametrize(
    ("losses", "dropout", "expected"),
    [
        (DistillLosses(), 0.0, True),
        (DistillLosses(), 0.1, False),
        (DistillLosses(hidden_positions="all"), 0.0, False),
        (DistillLosses(matches=[LayerMatch(layers="last", loss="pkd", projection="linear")]), 0.0, False),
        (DistillLosses(matches=[LayerMatch(teacher_layer=4, student_layer=2, loss="value_relation")]), 0.0, False),
    ],
)
def test_which_losses_allow_it(losses, dropout, expected):
    shape = StudentShape(layers=2, hidden=32, heads=2, intermediate=48, dropout=dropout)
    assert unpadded.losses_allow(Objective(tiny(shape), losses, tiny(TEACHER, 1))) is expected


def test_operations_equal_those_that_torch_counts():
    from torch.utils.flop_counter import FlopCounterMode

    model, rows = tiny(TEACHER), batch(5, 12)
    rows["attention_mask"][:] = 1
    (cut,) = micro_batches(rows)
    model.set_attn_implementation("eager")
    objective = Objective(model)
    with FlopCounterMode(display=False) as counter:
        sums = objective(cut)
    forward = counter.get_total_flops()
    assert forward_flops(model.config, 60, 5 * 12**2, len(cut.positions_M)) == forward
    with counter:
        sums.sum().backward()
    # Torch counts the backward pass as twice the forward pass.
    expected = forward + counter.get_total_flops()
    assert step_flops(model.config, 60, 720, len(cut.positions_M)) == pytest.approx(expected, rel=0.01)


@pytest.mark.parametrize(
    ("name", "precision", "expected"),
    [
        ("NVIDIA H200", "bf16", 989e12),
        ("NVIDIA H100 80GB HBM3", "fp32", 67e12),
        ("NVIDIA H100 PCIe", "fp16", 756e12),
        ("abacus", "bf16", None),
    ],
)
def test_peaks(name, precision, expected):
    assert peak_flops(name, precision) == expected
