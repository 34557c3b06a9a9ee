from __future__ import annotations

import json

import pytest
import torch
from training_fakes import STUDENT, TEACHER, batch, tiny, with_fillers

from wwmcorpus.errors import ConfigError, TrainingError
from wwmcorpus.training.objective import Objective
from wwmcorpus.training.optimisers import parameter_groups
from wwmcorpus.training.reporting import Reporter
from wwmcorpus.training.settings import DistillLosses, LayerMatch, Optimiser, Training
from wwmcorpus.training.trainer import Trainer

OPTIMISER = Optimiser(learning_rate=5e-3)


def trainer(
    batches, losses=None, teacher=None, reporter=None, evaluate=None, student=None, optimiser=OPTIMISER, **training
):
    objective = Objective(student or tiny(), losses, teacher)
    return Trainer(
        objective, batches, Training(**training), optimiser, teacher=teacher, reporter=reporter, evaluate=evaluate
    )


def records(path, kind):
    return [record for record in map(json.loads, path.read_text().splitlines()) if record["kind"] == kind]


def weights(run):
    return {name: tensor.clone() for name, tensor in run.objective.state_dict().items()}


@pytest.mark.parametrize("positions", ["real", "all"])
def test_four_micro_batches_equal_one_batch(positions):
    losses = DistillLosses(temperature=2.0, hard_weight=0.5, hidden_positions=positions)
    found = []
    for size in (None, 2, 3):
        run = trainer([batch(seed=seed) for seed in range(3)], losses, tiny(TEACHER, 1), steps=3, micro_batch_size=size)
        run.run()
        found.append(weights(run))
    assert any(name.startswith("projections.maps.0") for name in found[0])
    for other in found[1:]:
        for name, tensor in found[0].items():
            torch.testing.assert_close(other[name], tensor, atol=2e-5, rtol=1e-4)


@pytest.mark.parametrize("micro_batch_size", [None, 2])
def test_rows_that_only_fill_a_batch_count_in_no_term(tmp_path, micro_batch_size):
    """Terms of every unit, over 5 rows alone and over the same with 3 fillers."""
    matches = [
        {"loss": loss, "layers": "last", "projection": "linear" if hidden else None, "positions": positions}
        for loss, hidden, positions in (
            ("hidden_mse", True, "real"),
            ("cosine", True, "all"),
            ("pkd", True, None),
            ("attention_mse", False, None),
            ("value_relation", False, None),
        )
    ]
    losses = DistillLosses(hard_weight=0.5, matches=[LayerMatch(**match) for match in matches])
    whole = batch()
    alone = {name: tensor[:5] for name, tensor in whole.items()}
    found = []
    for rows in (alone, with_fillers(whole, 5)):
        path = tmp_path / f"{len(found)}.jsonl"
        run = trainer(
            [rows],
            losses,
            tiny(TEACHER, 1),
            Reporter("t", 1, path),
            student=tiny(STUDENT.model_copy(update={"heads": 4})),
            steps=1,
            micro_batch_size=micro_batch_size,
        )
        run.run()
        (record,) = records(path, "train")
        found.append((record["terms"], record["num_pieces"], weights(run)))
    assert len(found[0][0]) == 7
    assert found[1][0] == pytest.approx(found[0][0], rel=1e-5)
    assert found[1][1] == found[0][1]
    for name, tensor in found[0][2].items():
        torch.testing.assert_close(found[1][2][name], tensor, atol=1e-6, rtol=1e-5)


def test_gradients_of_micro_batches_equal_exactly_enough():
    """Gradients of one batch and of four micro-batches, before AdamW hides their scale; projections included."""
    found = []
    for size in (None, 2):
        optimiser = Optimiser(max_grad_norm=None)
        run = trainer([batch()], DistillLosses(), tiny(TEACHER, 1), optimiser=optimiser, steps=1, micro_batch_size=size)
        run.state.optimizer.zero_grad = lambda: None
        run.state.optimizer.step = lambda: None
        run.step(batch())
        found.append([parameter.grad.clone() for parameter in run.objective.parameters()])
    for one, four in zip(*found, strict=True):
        torch.testing.assert_close(one, four, atol=1e-5, rtol=1e-4)


def test_metrics_are_the_loss_of_the_formula(tmp_path):
    """The first recorded terms equal the naive formulas on full logits."""
    student, teacher, rows = tiny(), tiny(TEACHER, 1), batch()
    losses = DistillLosses(temperature=3.0, hard_weight=0.5, hidden_weight=2.0, layer_map="last")
    inputs = {"input_ids": rows["input_ids"], "attention_mask": rows["attention_mask"], "output_hidden_states": True}
    with torch.no_grad():
        ours, theirs = student.eval()(**inputs), teacher(**inputs)
    path = tmp_path / "metrics.jsonl"
    run = trainer([rows], losses, teacher, Reporter("t", 1, path), student=student, steps=1, micro_batch_size=3)
    projection = run.objective.projections[0]
    with torch.no_grad():
        projected = projection(ours.hidden_states[-1])
    run.run()
    masked, real = rows["labels"] != -100, rows["attention_mask"].bool()
    soft = torch.softmax(theirs.logits[masked] / 3, -1) * torch.log_softmax(ours.logits[masked] / 3, -1)
    expected = {
        "hard_labels": torch.nn.functional.cross_entropy(ours.logits[masked], rows["labels"][masked]),
        "soft_labels": -9 * soft.sum(-1).mean(),
        "hidden_mse_4_2": torch.nn.functional.mse_loss(projected[real], theirs.hidden_states[-1][real]),
    }
    (record,) = records(path, "train")
    assert record["terms"] == pytest.approx({name: float(value) for name, value in expected.items()}, rel=1e-4)
    assert record["loss"] == pytest.approx(
        float(0.5 * expected["hard_labels"] + expected["soft_labels"] + 2 * expected["hidden_mse_4_2"]), rel=1e-4
    )


def test_distillation_lowers_the_loss_and_moves_student_and_projections(tmp_path):
    path, teacher = tmp_path / "metrics.jsonl", tiny(TEACHER, 1)
    kept = {name: tensor.clone() for name, tensor in teacher.state_dict().items()}
    run = trainer(
        [batch(seed=seed) for seed in range(4)],
        DistillLosses(),
        teacher,
        Reporter("t", 40, path),
        steps=40,
        log_every=4,
    )
    before = weights(run)
    run.run()
    lines = records(path, "train")
    hidden = [sum(value for name, value in line["terms"].items() if name.startswith("hidden")) for line in lines]
    assert lines[-1]["loss"] < lines[0]["loss"]
    assert hidden[-1] < 0.9 * hidden[0]
    after = weights(run)
    assert all(
        not torch.equal(before[name], after[name])
        for name in ("student.bert.embeddings.word_embeddings.weight", "projections.maps.0.weight")
    )
    assert all(torch.equal(kept[name], tensor) for name, tensor in teacher.state_dict().items())
    assert all(parameter.grad is None for parameter in teacher.parameters())


def test_same_seed_same_weights_with_dropout_and_the_generator_is_left_alone():
    state = torch.random.get_rng_state()
    rows = [batch(seed=seed) for seed in range(3)]
    runs = [trainer(rows, steps=3, dropout=0.2, seed=seed) for seed in (7, 7, 8)]
    for run in runs:
        torch.rand(3)  # what others draw between two runs must not matter
        run.run()
    first, again, other = (weights(run)["student.bert.encoder.layer.0.output.dense.weight"] for run in runs)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    torch.random.set_rng_state(state)


def test_nothing_masked_gives_zero_and_goes_on(tmp_path):
    path = tmp_path / "metrics.jsonl"
    trainer([batch(mask_share=0.0)], reporter=Reporter("t", 2, path), steps=2, log_every=1).run()
    assert [line["loss"] for line in records(path, "train")] == [0.0, 0.0]


def test_not_a_number_stops_with_step_and_rows():
    good, bad = batch(seed=0), batch(seed=1)
    bad["row_ids"] = torch.arange(100, 108)
    student = tiny()
    run = trainer([good, good, bad], student=student, steps=9)
    run.step(good)
    run.step(good)
    with torch.no_grad():
        student.bert.embeddings.word_embeddings.weight[int(bad["input_ids"][0, 0])] = float("nan")
    kept = student.cls.predictions.transform.dense.weight.clone()
    with pytest.raises(TrainingError, match=r"the loss is nan.*step 3, rows 100, 101, 102"):
        run.step(bad)
    assert torch.equal(student.cls.predictions.transform.dense.weight, kept)


def test_empty_stream_is_an_error_and_not_a_hang():
    with pytest.raises(TrainingError, match="there are no batches"):
        trainer([], steps=2).run()


def test_generator_that_cannot_start_again_is_an_error():
    with pytest.raises(TrainingError, match="there are no batches"):
        trainer((batch(seed=seed) for seed in range(2)), steps=5).run()


def test_evaluation_comes_before_between_and_after():
    steps = []
    trainer([batch()], evaluate=steps.append, steps=5, evaluate_every=2).run()
    assert steps == [0, 2, 4, 5]


def test_student_and_projections_are_clipped_together():
    run = trainer(
        [batch()],
        DistillLosses(hidden_weight=1000.0),
        tiny(TEACHER, 1),
        optimiser=Optimiser(max_grad_norm=0.5),
        steps=1,
    )
    run.state.optimizer.zero_grad = lambda: None
    run.step(batch())
    norm = torch.nn.utils.get_total_norm([parameter.grad for parameter in run.objective.parameters()])
    assert float(norm) == pytest.approx(0.5, rel=1e-3)


def test_biases_and_layer_norms_do_not_decay():
    objective = Objective(tiny(), DistillLosses(), tiny(TEACHER, 1))
    decaying, others = parameter_groups(objective, 0.01)
    names = {parameter: name for name, parameter in objective.named_parameters()}
    assert all(
        names[parameter].endswith("weight") and "LayerNorm" not in names[parameter] for parameter in decaying["params"]
    )
    assert all(names[parameter].endswith("bias") or "LayerNorm" in names[parameter] for parameter in others["params"])
    assert len(decaying["params"]) + len(others["params"]) == len(names)


def test_bf16_trains(tmp_path):
    path = tmp_path / "metrics.jsonl"
    run = trainer(
        [batch()], DistillLosses(), tiny(TEACHER, 1), Reporter("t", 20, path), steps=20, precision="bf16", log_every=5
    )
    run.run()
    losses = [line["loss"] for line in records(path, "train")]
    assert losses[-1] < losses[0]
    assert next(run.objective.parameters()).dtype == torch.float32


@pytest.fixture
def fresh_accelerate():
    """Let accelerate look at the environment again: it does so once in a process."""
    from accelerate.state import AcceleratorState, GradientState

    def forget():
        AcceleratorState._reset_state(reset_partial_state=True)
        GradientState._reset_state()

    forget()
    yield forget
    forget()


def test_what_accelerate_launch_sets_changes_nothing(monkeypatch, fresh_accelerate):
    def trained():
        run = trainer([batch()], steps=3, device="cpu")
        run.run()
        return weights(run)

    plain = trained()
    fresh_accelerate()
    monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", "bf16")
    monkeypatch.setenv("ACCELERATE_GRADIENT_ACCUMULATION_STEPS", "4")
    for name, tensor in trained().items():
        assert torch.equal(tensor, plain[name]), name


def test_another_accelerator_of_the_process_is_one_message(fresh_accelerate):
    from accelerate import Accelerator

    Accelerator(cpu=True, mixed_precision="bf16")
    with pytest.raises(TrainingError, match="made no Accelerator of its own"):
        trainer([batch()], steps=1, device="cpu")


def test_gradients_that_never_fit_fp16_stop_the_run(tmp_path):
    """The scale begins at 2^16 and is halved at each step: the 27th brings it below 2^-10, the next line is at 30."""
    with Reporter("t", 100, tmp_path / "metrics.jsonl") as reporter:
        run = trainer([batch()], steps=100, precision="fp16", device="cpu", log_every=5, reporter=reporter)
        run.objective.student.cls.predictions.bias.register_hook(lambda grad: grad * float("inf"))
        with pytest.raises(TrainingError, match=r"overflow fp16 .*step 30"):
            run.run()
    assert [line["num_skipped"] for line in records(tmp_path / "metrics.jsonl", "train")] == [5] * 6


def test_vocabularies_that_differ():
    with pytest.raises(ConfigError, match="the student has 50 pieces where 60 are expected"):
        Objective(tiny(vocab_size=50), DistillLosses(), tiny(TEACHER))


def test_teacher_missing():
    with pytest.raises(TrainingError, match="there is none"):
        Trainer(Objective(tiny(), DistillLosses(), tiny(TEACHER, 1)), [batch()], Training(), OPTIMISER)


def test_gradient_checkpointing_gives_the_same_weights():
    """With dropout, which is drawn again in the second pass, and with hidden states and relations compared."""
    matches = ({"layers": "uniform", "projection": "linear"}, {"layers": "last", "loss": "value_relation"})
    found = []
    for repeats in (False, True):
        options = {"steps": 3, "dropout": 0.2, "gradient_checkpointing": repeats, "device": "cpu"}
        losses = DistillLosses(hard_weight=0.5, matches=matches)
        run = trainer([batch(seed=seed) for seed in range(3)], losses, tiny(TEACHER, 1), **options)
        assert run.objective.student.bert.encoder.layer[0].gradient_checkpointing == repeats
        run.run()
        found.append(weights(run))
    assert all(torch.equal(tensor, found[1][name]) for name, tensor in found[0].items())


def test_compiling_changes_no_name_and_no_weight(monkeypatch):
    """What torch.compile is given is run as it is, for a compiler takes minutes; on a GPU the real one is tried."""
    compiled = []
    monkeypatch.setattr(torch, "compile", lambda function, **options: compiled.append(options) or function)
    found = []
    for compiles in (False, True):
        options = {"steps": 3, "compile": compiles, "device": "cpu"}
        run = trainer([batch(seed=seed) for seed in range(3)], DistillLosses(), tiny(TEACHER, 1), **options)
        assert run.objective.student.base_model._compiled_call_impl is not None or not compiles
        run.run()
        found.append(weights(run))
    assert compiled == [{"dynamic": True}] * 2
    assert all(torch.equal(tensor, found[1][name]) for name, tensor in found[0].items())


def test_tensorboard_has_what_the_metrics_have(tmp_path):
    """After a resume at step 1 the steps after it are there once."""
    accumulators = pytest.importorskip(
        "tensorboard.backend.event_processing.event_accumulator", reason="pip install 'wwmcorpus[viz]' brings it"
    )
    path, rows = tmp_path / "metrics.jsonl", [batch(seed=seed) for seed in range(3)]
    with Reporter("t", 3, path, board=True) as reporter:
        trainer(rows, DistillLosses(), tiny(TEACHER, 1), reporter, steps=3, log_every=1).run()
        reporter.rewind(0, 1)
        reporter.record("train", 2, loss=7.0, terms={"soft_labels": 3.0})
    events = accumulators.EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    assert {"train/loss", "train/terms/soft_labels", "train/learning_rate"} <= set(events.Tags()["scalars"])
    assert [(event.step, event.value) for event in events.Scalars("train/terms/soft_labels")][-1] == (2, 3.0)
    assert [event.step for event in events.Scalars("train/loss")] == [1, 2]
