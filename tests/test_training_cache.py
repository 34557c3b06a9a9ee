"""A cache of a teacher's logits changes nothing but who computes them, and is refused where it is another's."""

from __future__ import annotations

import pytest
import torch
from training_fakes import TEACHER, VOCAB, batch, tiny

from wwmcorpus.errors import ConfigError, TrainingError
from wwmcorpus.training.heads import micro_batches
from wwmcorpus.training.objective import Objective
from wwmcorpus.training.settings import DistillLosses, Optimiser, Training
from wwmcorpus.training.teacher_cache import TeacherCache, model_sha256, rows_of
from wwmcorpus.training.trainer import Trainer
from wwmcorpus.training.unpadded import joined_rows

LOSSES = DistillLosses(layer_map="none", hard_weight=0.5)


def train(cache, teacher, losses=LOSSES, **changes):
    objective = Objective(tiny(), losses, teacher)
    rows = [batch(6, seed=seed) for seed in range(3)]
    training = Training(steps=3, **changes)
    run = Trainer(objective, rows, training, Optimiser(learning_rate=5e-3), teacher=teacher, cache=cache)
    run.run()
    return {name: tensor.clone() for name, tensor in run.objective.state_dict().items()}


class Absent(torch.nn.Module):
    """A teacher that must not be asked."""

    def __init__(self, config):
        super().__init__()
        self.config = config


def test_all_logits_kept_train_as_the_teacher_does(tmp_path):
    teacher = tiny(TEACHER, 1)
    cached = train(TeacherCache(tmp_path, {}, VOCAB), teacher)
    for name, tensor in train(None, teacher).items():
        torch.testing.assert_close(cached[name], tensor, rtol=1e-3, atol=1e-4)


def test_full_and_empty_cache_are_the_same_run_and_a_full_one_asks_no_teacher(tmp_path):
    teacher = tiny(TEACHER, 1)
    first = train(TeacherCache(tmp_path, {"teacher": "a"}, 7), teacher)
    again = train(TeacherCache(tmp_path, {"teacher": "a"}, 7), Absent(teacher.config))
    other_cuts = train(TeacherCache(tmp_path, {"teacher": "a"}, 7), Absent(teacher.config), micro_batch_size=4)
    for name, tensor in first.items():
        assert torch.equal(tensor, again[name]), name
        torch.testing.assert_close(tensor, other_cuts[name], rtol=1e-3, atol=1e-4)


def test_what_is_kept_are_the_largest_logits_of_each_position(tmp_path):
    cache, (cut,) = TeacherCache(tmp_path, {}, 3), micro_batches(batch(4))
    logits = torch.randn(len(cut.positions_M), VOCAB, generator=torch.Generator().manual_seed(0))
    for compute in (lambda: logits, None):  # computed, then read
        kept, pieces = cache.look_up(rows_of(cut), compute)
        order = logits.argsort(dim=1, descending=True)[:, :3]
        assert torch.equal(pieces, order)
        assert torch.equal(kept, logits.gather(1, order).half().float())


def test_a_row_is_known_by_what_the_teacher_sees_of_it():
    whole = batch(5, seed=1)
    (cut,) = micro_batches(whole)
    found = rows_of(cut)
    assert len(set(found.keys)) == 5
    assert found.num_masked == (whole["labels"] != -100).sum(dim=1).tolist()
    (joined,) = joined_rows(whole)
    assert rows_of(joined) == found
    widened = {"input_ids": 0, "attention_mask": 0, "labels": -100}
    wider = {name: torch.nn.functional.pad(whole[name], (0, 3), value=fill) for name, fill in widened.items()}
    assert rows_of(micro_batches(wider)[0]) == found
    other = whole["labels"].clone()
    other[2, 1] = 7 if int(other[2, 1]) == -100 else -100
    changed = rows_of(micro_batches(whole | {"labels": other})[0])
    assert [one == two for one, two in zip(found.keys, changed.keys, strict=True)] == [True, True, False, True, True]


def test_the_cache_of_another_run_is_refused_with_both_sides(tmp_path):
    TeacherCache(tmp_path, {"teacher": "aa", "masking": {"probability": 0.15}}, 4)
    with pytest.raises(ConfigError, match=r'masking\.probability was 0\.15, now 0\.3; teacher was "aa"'):
        TeacherCache(tmp_path, {"teacher": "bb", "masking": {"probability": 0.3}}, 4)
    with pytest.raises(ConfigError, match="top_k was 4, now 5"):
        TeacherCache(tmp_path, {"teacher": "aa", "masking": {"probability": 0.15}}, 5)


def test_a_teacher_is_known_by_its_weights_and_its_shape():
    """The same weights with other heads or another activation give other logits; their place changes nothing."""
    known = {model_sha256(tiny(TEACHER))}
    for name, value in {"num_attention_heads": 8, "hidden_act": "relu", "layer_norm_eps": 1e-3}.items():
        model = tiny(TEACHER)
        assert getattr(model.config, name) != value
        setattr(model.config, name, value)
        known.add(model_sha256(model))
    assert len(known) == 4
    moved = tiny(TEACHER)
    moved.config.name_or_path = "elsewhere"
    assert model_sha256(moved) in known
    with torch.no_grad():
        moved.bert.embeddings.word_embeddings.weight[0, 0] += 1
    assert model_sha256(moved) not in known


def test_a_file_that_is_no_cache(tmp_path):
    (tmp_path / "teacher_logits.sqlite").write_text("not a database, and long enough to be looked at " * 40)
    with pytest.raises(TrainingError, match="the cache of the teacher cannot be used"):
        TeacherCache(tmp_path, {}, 4)


@pytest.mark.parametrize("losses", [DistillLosses(), DistillLosses(layer_map="none", soft_positions="real")])
def test_losses_that_need_more_than_logits(tmp_path, losses):
    with pytest.raises(ConfigError, match="need more of the teacher than a cache of logits holds"):
        train(TeacherCache(tmp_path, {}, 4), tiny(TEACHER, 1), losses)


def test_the_losses_take_as_many_of_the_kept_logits_as_they_ask_for(tmp_path):
    """A cache that keeps seven gives a run with the three largest what one that keeps three gives."""
    teacher, three = tiny(TEACHER, 1), LOSSES.model_copy(update={"soft_top_k": 3})
    narrow = train(TeacherCache(tmp_path / "narrow", {}, 3), teacher)
    wide = train(TeacherCache(tmp_path / "wide", {}, 7), teacher, three)
    for name, tensor in train(TeacherCache(tmp_path / "wide", {}, 7), teacher).items():
        assert torch.equal(wide[name], narrow[name]), name
        if name == "student.cls.predictions.bias":
            assert not torch.equal(wide[name], tensor)


def test_losses_that_need_more_logits_than_are_kept(tmp_path):
    five, all_of_them = (LOSSES.model_copy(update={"soft_top_k": number}) for number in (5, VOCAB + 1))
    with pytest.raises(ConfigError, match=r"take 5 logits .* keeps 4: 5 \(losses.soft_top_k\).*teacher_cache_top_k"):
        train(TeacherCache(tmp_path, {}, 4), tiny(TEACHER, 1), five)
    train(TeacherCache(tmp_path / "all", {}, VOCAB), tiny(TEACHER, 1), all_of_them)
