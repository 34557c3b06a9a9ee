"""Task distillation: the terms of both stages, several teachers and tasks, the cache, stops, and what does not fit."""

from __future__ import annotations

import json
import logging
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from task_fakes import KINDS, features, metrics, sample, similarity, stops_at, tokenizer, write_model
from transformers import (
    AutoModelForSequenceClassification,
    BertConfig,
    BertForMaskedLM,
    BertForSequenceClassification,
)

from wwmcorpus.align.tokenizers import save_tokenizer
from wwmcorpus.errors import ConfigError, TerminatedJobError, TrainingError
from wwmcorpus.tasks import DistillTaskConfig, load_task, runs
from wwmcorpus.tasks.batches import row_tensors
from wwmcorpus.tasks.forward import TaskRows, forward_task
from wwmcorpus.tasks.heads import check_labels, load_task_model, load_teacher
from wwmcorpus.tasks.objective import TaskObjective
from wwmcorpus.tasks.results import TaskStages
from wwmcorpus.tasks.settings import IntermediateLosses, PredictionLosses, TaughtTask
from wwmcorpus.tasks.student import TaskStudent
from wwmcorpus.tasks.teachers import Teachers, cached_logits

STAGE = {"epochs": 2.0, "batch_size": 16, "learning_rate": 5e-3, "device": "cpu", "log_every": 1}
#: Kinds of tasks that whole runs are made of.
RUN = ("pairs", "reading", "names")


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """A general student, and teachers with heads that nobody trained, by task."""
    folder = tmp_path_factory.mktemp("models")
    write_model(folder / "general", 1, layers=4, hidden=32, heads=4)
    found = {"student": write_model(folder / "student", 0)}
    for name in KINDS:
        model = load_task_model(load_task(sample(name)), str(folder / "general"), seed=3)
        model.save_pretrained(folder / name)
        save_tokenizer(tokenizer(), folder / name)
        found[name] = str(folder / name)
    declared = load_task(sample("reading"))
    passages = json.loads(Path(declared.train).read_text("utf-8"))
    few = folder / "few.json"
    few.write_text(json.dumps(passages | {"data": passages["data"][:2]}), "utf-8")
    return found | {"few_questions": str(few)}


def teacher_of(task, folder, seed=3):
    write_model(folder / "general", 1, layers=4, hidden=32, heads=4)
    return load_task_model(task, str(folder / "general"), seed).eval()


def softmax(numbers):
    raised = np.exp(numbers - numbers.max(-1, keepdims=True))
    return raised / raised.sum(-1, keepdims=True)


def cross_entropy(student, teacher, temperature):
    return float(-(softmax(teacher / temperature) * np.log(softmax(student / temperature))).sum(-1).sum())


def parts(task_path, models, tmp_path, losses, weights=((1.0,),), seeds=(3,)):
    """An objective with teachers, and some rows."""
    task = load_task(task_path)
    student = TaskStudent([load_task_model(task, models["student"])])
    teachers = Teachers([[teacher_of(task, tmp_path, seed) for seed in seeds]], weights)
    rows = TaskRows.of(row_tensors(features(task_path), np.arange(4)))
    return TaskObjective(student, [task], losses, teachers).eval(), teachers, rows


def plain_logits(model, rows):
    with torch.no_grad():
        outputs = model(rows.input_ids_BL, attention_mask=rows.attention_mask_BL, token_type_ids=rows.segments_BL)
    if "start_logits" in outputs:
        return torch.stack([outputs.start_logits, outputs.end_logits], -1).numpy()
    return outputs.logits.numpy()


# ---- the terms


@pytest.mark.parametrize("name", [*KINDS, "regression"])
def test_the_head_learns_the_weighted_mean_of_the_teachers(name, models, tmp_path):
    path = similarity(tmp_path) if name == "regression" else sample(name)
    losses = PredictionLosses(temperature=2.0, hard_weight=0.5)
    learns, teachers, rows = parts(path, models, tmp_path, losses, weights=[[0.25, 0.75]], seeds=(3, 4))
    with torch.no_grad():
        hard, soft = learns(rows, learns.teach(teachers, rows)).tolist()
    assert [term.name for term in learns.terms] == ["hard_labels", "soft_labels"]
    student = plain_logits(learns.student.models[0], rows)
    first, second = (plain_logits(model, rows) for model in teachers.models[0])
    teacher = 0.25 * first + 0.75 * second
    if name == "regression":
        expected = float((((student - teacher) / 2) ** 2).sum())
    elif name == "names":
        labelled = rows.labels.numpy() != -100
        expected = cross_entropy(student[labelled], teacher[labelled], 2.0)
    elif name == "reading":
        expected = 0.0
        for row, length in enumerate(rows.attention_mask_BL.sum(1).tolist()):
            for end in (0, 1):
                expected += cross_entropy(student[row, :length, end], teacher[row, :length, end], 2.0) / 2
    else:
        expected = cross_entropy(student, teacher, 2.0)
    assert soft == pytest.approx(expected * 4, rel=1e-4)  # by default times the temperature squared
    assert hard > 0


@pytest.mark.parametrize("changes", [{"soft_top_k": 5}, {"temperature_schedule": {"shape": "flsw"}}])
def test_regression_compares_values_whatever_is_said_of_logits(changes, models, tmp_path):
    losses = PredictionLosses(temperature=2.0, **changes)
    learns, teachers, rows = parts(similarity(tmp_path), models, tmp_path, losses)
    soft = learns(rows, learns.teach(teachers, rows))
    soft.sum().backward()
    student, teacher = (plain_logits(model, rows) for model in (learns.student.models[0], teachers.models[0][0]))
    assert soft.item() == pytest.approx(float(((student - teacher) ** 2).sum()), rel=1e-4)
    assert learns.student.models[0].classifier.weight.grad.abs().sum() > 0


def sharpen(learns):
    """Let the student's answers differ from place to place: those of new weights are all alike."""
    for parameter in learns.student.models[0].parameters():
        parameter.mul_(5)


def padded(rows, width):
    """The same rows with so many pieces of padding more; labels of pieces are none there."""
    more = {name: torch.nn.functional.pad(getattr(rows, name), (0, width)) for name in rows._fields[1:4]}
    if rows.labels.shape == rows.input_ids_BL.shape:
        more["labels"] = torch.nn.functional.pad(rows.labels, (0, width), value=-100)
    return rows._replace(**more)


@pytest.mark.parametrize(
    ("name", "losses"),
    [
        ("reading", {"soft_loss": "mse"}),
        ("reading", {}),
        ("reading", {"temperature_schedule": {"shape": "cwsm"}}),
        ("names", {"temperature_schedule": {"shape": "cwsm"}}),
        ("names", {"temperature_schedule": {"shape": "flsw"}}),
        ("names", {"soft_loss": "mse"}),
    ],
)
def test_padding_changes_no_loss(name, losses, models, tmp_path):
    learns, teachers, rows = parts(sample(name), models, tmp_path, PredictionLosses(**losses))
    with torch.no_grad():
        sharpen(learns)
        found = [learns(own, learns.teach(teachers, own)).item() for own in (rows, padded(rows, 10))]
    assert found[1] == pytest.approx(found[0], rel=1e-5)


@pytest.mark.parametrize(("positions", "keeps"), [("all", True), ("real", False)])
def test_rows_keep_their_width_where_the_flow_matrix_counts_padding(positions, keeps, models, tmp_path):
    match = {"layers": "uniform", "loss": "gram", "positions": positions, "projection": "linear"}
    learns, teachers, rows = parts(sample("pairs"), models, tmp_path, IntermediateLosses(matches=(match,)))
    assert learns.counts_padding is keeps
    with torch.no_grad():
        found = [learns(own, learns.teach(teachers, own)).tolist() for own in (rows, padded(rows, 10))]
    assert (found[1] == pytest.approx(found[0], rel=1e-5)) is not keeps


def test_squared_errors_of_reading_are_means_over_the_pieces_of_a_row(models, tmp_path):
    learns, teachers, rows = parts(sample("reading"), models, tmp_path, PredictionLosses(soft_loss="mse"))
    with torch.no_grad():
        soft = learns(rows, learns.teach(teachers, rows)).item()
    student, teacher = (plain_logits(model, rows) for model in (learns.student.models[0], teachers.models[0][0]))
    lengths = rows.attention_mask_BL.sum(1).tolist()
    rows_of = [(student[row, :length] - teacher[row, :length]) ** 2 for row, length in enumerate(lengths)]
    assert soft == pytest.approx(sum(float(error.mean(0).sum()) / 2 for error in rows_of), rel=1e-4)


def test_the_mean_of_temperatures_is_that_of_labelled_pieces(models, tmp_path):
    """Wen et al., arXiv:1911.07471: T + beta * (mean(w) - w), w = 1 / (max softmax + 0.001)."""
    losses = PredictionLosses(temperature=8.0, temperature_schedule={"shape": "cwsm"})
    learns, teachers, rows = parts(sample("names"), models, tmp_path, losses)
    with torch.no_grad():
        sharpen(learns)
        soft = learns(rows, learns.teach(teachers, rows)).item()
    labelled = rows.labels.numpy() != -100
    both = (plain_logits(model, rows)[labelled] for model in (learns.student.models[0], teachers.models[0][0]))
    student, teacher = both
    weight = 1 / (softmax(student).max(-1) + 1e-3)
    temperature = (8.0 + weight.mean() - weight)[:, None]
    assert soft == pytest.approx(cross_entropy(student, teacher, temperature) * 64, rel=1e-4)


def test_below_the_head_hidden_states_and_attention_are_compared(models, tmp_path):
    learns, teachers, rows = parts(sample("sentiment"), models, tmp_path, IntermediateLosses())
    theirs = learns.teach(teachers, rows)
    sums = learns(rows, theirs)
    sums.sum().backward()
    names = [term.name for term in learns.terms]
    # 4 heads against 2: the mean over heads. 2 layers of the student stand for layers 2 and 4 of the teacher.
    assert names == [
        *("hidden_mse_0_0", "hidden_mse_2_1", "hidden_mse_4_2"),
        *("attention_ce_mean_2_1", "attention_ce_mean_4_2"),
    ]
    student = learns.student.models[0]
    assert student.classifier.weight.grad is None
    assert student.bert.pooler.dense.weight.grad is None
    assert student.bert.embeddings.word_embeddings.weight.grad is not None
    with torch.no_grad():
        ours = student.bert(rows.input_ids_BL, attention_mask=rows.attention_mask_BL, output_hidden_states=True)
        taught = teachers.models[0][0].bert(
            rows.input_ids_BL, attention_mask=rows.attention_mask_BL, output_hidden_states=True
        )
        projected = learns.projections[0][1](ours.hidden_states[1])
        error = ((projected - taught.hidden_states[2]) ** 2).mean(-1)[rows.attention_mask_BL == 1].sum()
    assert sums[1].item() == pytest.approx(error.item(), rel=1e-5)


def test_as_many_heads_are_compared_one_by_one(models, tmp_path):
    losses = IntermediateLosses(layer_map="last", attention_weight=2.0)
    same = {"student": write_model(tmp_path / "wide", 0, hidden=32, heads=4)}
    learns, _, _ = parts(sample("sentiment"), same, tmp_path, losses)
    assert [(term.name, term.weight) for term in learns.terms] == [("hidden_mse_4_2", 1.0), ("attention_mse_4_2", 2.0)]
    assert not list(learns.projections.parameters())


# ---- the runs


def distil(models, output, name="pairs", **changes):
    values = {
        "task": sample(name),
        "teacher": models[name],
        "student": models["student"],
        "output": str(output),
        "intermediate": STAGE,
        "prediction": STAGE,
    }
    if name == "reading":
        values |= {"train": models["few_questions"], "validation": models["few_questions"]}
    return DistillTaskConfig(**values | changes)


@pytest.fixture(scope="module")
def both(models, tmp_path_factory):
    """Both stages of each kind of task in one go, not stopped."""
    folder = tmp_path_factory.mktemp("both")
    return {name: runs.run_distill_task(distil(models, folder / name, name)) for name in RUN}


@pytest.mark.parametrize("name", RUN)
def test_both_stages_are_one_after_the_other(name, both, models, tmp_path):
    assert isinstance(both[name], TaskStages)
    one = runs.run_distill_task(distil(models, tmp_path / "one", name, stage="intermediate"))
    again = {"stage": "prediction", "student": str(one.output)}
    two = runs.run_distill_task(distil(models, tmp_path / "two", name, **again))
    assert one.scores is None
    assert two.scores == both[name].prediction.scores
    assert set(two.scores) == set(load_task(sample(name)).metric_names)
    for made, known in ((one, both[name].intermediate), (two, both[name].prediction)):
        weights = [(folder / "model.safetensors").read_bytes() for folder in (made.output, known.output)]
        assert weights[0] == weights[1]


def test_the_student_comes_near_its_teacher(both):
    for stage in (both["pairs"].intermediate, both["pairs"].prediction):
        losses = [line["loss"] for line in metrics(stage.output) if line["kind"] == "train"]
        assert sum(losses[-3:]) < sum(losses[:3])


@pytest.mark.parametrize(("name", "stage", "step"), [("pairs", 1, 1), ("pairs", 2, 5), ("names", 2, 1)])
def test_stopped_and_begun_again(name, stage, step, both, models, tmp_path, monkeypatch):
    settings = distil(models, tmp_path / "out", name)
    if stage == 2:
        runs.run_distill_task(distil(models, tmp_path / "out" / "intermediate", name, stage="intermediate"))
    with monkeypatch.context() as patch:
        patch.setattr(runs, "TaskBatches", stops_at(step))
        with pytest.raises(TerminatedJobError, match=f"step {step} of"):
            runs.run_distill_task(settings)
    made = runs.run_distill_task(settings)
    assert made.prediction.scores == both[name].prediction.scores
    for ours, known in ((made.intermediate, both[name].intermediate), (made.prediction, both[name].prediction)):
        assert metrics(ours.output) == metrics(known.output)
        weights = [(folder / "model.safetensors").read_bytes() for folder in (ours.output, known.output)]
        assert weights[0] == weights[1]


@pytest.mark.parametrize("name", ["pairs", "reading"])
def test_a_cache_changes_nothing_but_the_time(name, models, tmp_path, monkeypatch):
    def run(output, **changes):
        return runs.run_distill_task(distil(models, tmp_path / output, name, stage="prediction", **changes)).output

    plain, first = run("plain"), run("first", cache=str(tmp_path / "cache"))
    monkeypatch.setattr(Teachers, "run", None)  # from here on no teacher can be asked
    second = run("second", cache=str(tmp_path / "cache"))
    assert (first / "model.safetensors").read_bytes() == (second / "model.safetensors").read_bytes()
    losses = [[line["loss"] for line in metrics(folder) if line["kind"] == "train"] for folder in (plain, first)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)


def test_a_cache_knows_the_teacher_by_more_than_its_weights(models, tmp_path):
    """The same weights with other heads give other logits."""
    other = tmp_path / "other"
    shutil.copytree(models["pairs"], other)
    values = json.loads((other / "config.json").read_text("utf-8"))
    (other / "config.json").write_text(json.dumps(values | {"num_attention_heads": 2}), "utf-8")
    task, rows = load_task(sample("pairs")), features(sample("pairs"))
    cached = []
    for folder in (models["pairs"], str(other), models["pairs"]):
        teachers = Teachers([[load_teacher(task, folder)]], [[1.0]])
        cached.append(cached_logits(tmp_path / "cache", teachers, 0, rows, "fp32"))
    assert not np.array_equal(cached[0], cached[1])
    assert np.array_equal(cached[0], cached[2])
    assert len(list((tmp_path / "cache").iterdir())) == 2
    for path in (tmp_path / "cache").iterdir():
        path.write_bytes(b"")
    with pytest.raises(TrainingError, match="the cache of the teacher cannot be used"):
        cached_logits(tmp_path / "cache", teachers, 0, rows, "fp32")


def test_several_tasks_become_one_student_with_a_head_each(models, tmp_path):
    shared = {"teacher_weights": [1.0, 3.0], "max_length": 100}
    tasks = [{"task": sample(name), "teacher": [models[name]] * 2, **shared} for name in KINDS]
    settings = DistillTaskConfig(
        tasks=tuple(TaughtTask(**task) for task in tasks),
        student=models["student"],
        output=str(tmp_path / "out"),
        tau=0.5,
        intermediate=STAGE | {"epochs": 0.3},
        prediction=STAGE | {"epochs": 0.5},
    )
    made = runs.run_distill_task(settings).prediction
    names = [load_task(sample(name)).name for name in KINDS]
    assert set(made.scores) == {
        f"{load_task(sample(name)).name}/{metric}" for name in KINDS for metric in load_task(sample(name)).metric_names
    }
    mains = [made.scores[f"{load_task(sample(name)).name}/{load_task(sample(name)).main_metric}"] for name in KINDS]
    assert made.main == pytest.approx(sum(mains) / len(mains))
    heads = [AutoModelForSequenceClassification.from_pretrained(made.output / name) for name in names[:2]]
    layers = [model.bert.encoder.state_dict() for model in heads]
    assert all(torch.equal(weight, layers[1][key]) for key, weight in layers[0].items())
    assert [model.num_labels for model in heads] == [2, 3]


def test_tasks_that_share_layers_give_each_state_once(models):
    """Whichever task comes first: the states of a model alone are what is to be found."""
    alone, together = (
        [load_task_model(load_task(sample(name)), models["student"]).eval() for name in KINDS] for _ in range(2)
    )
    student = TaskStudent(together)
    rows = TaskRows.of(row_tensors(features(sample("pairs")), np.arange(3)))
    for number in (2, 0, 3, 1, 2, 0):
        with torch.no_grad():
            found = forward_task(student.models[number], rows, hidden=True).hidden_BLD
            base = alone[number].base_model
            ids, mask, segments = rows[1:4]
            wanted = base(ids, attention_mask=mask, token_type_ids=segments, output_hidden_states=True).hidden_states
        assert len(found) == 3
        assert all(torch.equal(ours, theirs) for ours, theirs in zip(found, wanted, strict=True))


def test_several_tasks_stopped_below_the_head(models, tmp_path, monkeypatch):
    names = ("sentiment", "names", "pairs")
    tasks = tuple(TaughtTask(task=sample(name), teacher=models[name], max_length=100) for name in names)
    values = {"tasks": tasks, "student": models["student"], "stage": "intermediate"}
    settings = [
        DistillTaskConfig(**values, output=str(tmp_path / output), intermediate=STAGE | {"epochs": 0.5})
        for output in ("whole", "stopped")
    ]
    runs.run_distill_task(settings[0])
    with monkeypatch.context() as patch:
        patch.setattr(runs, "TaskBatches", stops_at(1))
        with pytest.raises(TerminatedJobError, match="step 1 of 5"):
            runs.run_distill_task(settings[1])
    runs.run_distill_task(settings[1])
    assert metrics(tmp_path / "whole") == metrics(tmp_path / "stopped")
    for name in names:
        files = [tmp_path / run / load_task(sample(name)).name / "model.safetensors" for run in ("whole", "stopped")]
        assert files[0].read_bytes() == files[1].read_bytes()


def test_a_task_that_no_step_took_is_told(models, tmp_path, caplog):
    (tmp_path / "few.tsv").write_text("label\ttext_a\n1\t好\n3\t坏\n", "utf-8")
    text = (
        'kind = "classification"\nfile_format = "tsv"\nlabels = ["0", "1"]\nvalidation = "few.tsv"\ntrain = "few.tsv"\n'
    )
    (tmp_path / "few.toml").write_text(text, "utf-8")
    tasks = (
        TaughtTask(task=str(tmp_path / "few.toml"), teacher=models["sentiment"]),
        TaughtTask(task=sample("sentiment"), teacher=models["sentiment"]),
    )
    values = {"tasks": tasks, "student": models["student"], "stage": "prediction", "output": str(tmp_path / "out")}
    runs.run_distill_task(DistillTaskConfig(**values, prediction=STAGE | {"epochs": 0.5}))
    assert "no step had rows of few: its head has learned nothing" in caplog.text
    data = json.loads((tmp_path / "out" / "run.json").read_text("utf-8"))["data"]
    assert [data[name]["steps"] for name in ("few", "sample-sentiment")] == [0, 3]
    assert (data["few"]["rejected"], data["few"]["validation_rejected"]) == ({"unknown_label": 1},) * 2


def test_the_order_of_tasks_does_not_decide_the_learning_rate(models, tmp_path):
    """MiniRBT's table: 5e-5 on OCNLI, 1e-4 on others, for students narrower than 512."""
    folder = Path(sample("pairs")).parent
    declared = "".join(line for line in (folder / "task.toml").open(encoding="utf-8") if not line.startswith("name"))
    for split in load_task(sample("pairs")).train, load_task(sample("pairs")).validation:
        (tmp_path / Path(split).name).write_bytes(Path(split).read_bytes())
    (tmp_path / "ocnli.toml").write_text('name = "ocnli"\n' + declared, "utf-8")
    tasks = [
        TaughtTask(task=sample("sentiment"), teacher=models["sentiment"]),
        TaughtTask(task=str(tmp_path / "ocnli.toml"), teacher=models["pairs"]),
    ]
    stage = {"epochs": 0.1, "batch_size": 8, "device": "cpu", "schedule": "constant", "warmup_fraction": 0.0}
    for order in (tasks, tasks[::-1]):
        output = tmp_path / order[0].task.replace("/", "_")
        settings = DistillTaskConfig(
            tasks=tuple(order),
            student=models["student"],
            output=str(output),
            stage="prediction",
            prediction=stage | {"log_every": 1},
        )
        runs.run_distill_task(settings)
        rates = {line["learning_rate"] for line in metrics(output) if line["kind"] == "train"}
        assert rates == {5e-5}


# ---- what does not fit


def test_a_teacher_with_other_labels(models, tmp_path):
    swapped = load_task(sample("pairs")).model_copy(update={"labels": ("neutral", "entailment", "contradiction")})
    model = load_task_model(swapped, models["student"])
    model.save_pretrained(tmp_path / "teacher")
    save_tokenizer(tokenizer(), tmp_path / "teacher")
    with pytest.raises(ConfigError) as found:
        runs.run_distill_task(distil(models, tmp_path / "out", teacher=str(tmp_path / "teacher")))
    assert "the teacher's labels are neutral, entailment, contradiction" in str(found.value)
    assert "entailment, neutral, contradiction" in str(found.value)
    assert not (tmp_path / "out" / "intermediate").exists()


def test_a_teacher_of_fewer_positions(models, tmp_path):
    shape = {"num_hidden_layers": 1, "hidden_size": 16, "num_attention_heads": 2, "intermediate_size": 32}
    few = BertConfig(vocab_size=len(tokenizer()), max_position_embeddings=16, **shape)
    BertForMaskedLM(few).save_pretrained(tmp_path / "few")
    load_task_model(load_task(sample("pairs")), str(tmp_path / "few")).save_pretrained(tmp_path / "teacher")
    save_tokenizer(tokenizer(), tmp_path / "teacher")
    teacher = {"teacher": [models["pairs"], str(tmp_path / "teacher")], "stage": "prediction"}
    with pytest.raises(ConfigError, match=r"rows of 100 pieces do not fit a model of 16 positions.*teacher"):
        runs.run_distill_task(distil(models, tmp_path / "out", **teacher, max_length=100))
    made = runs.run_distill_task(distil(models, tmp_path / "out", **teacher))
    assert json.loads((made.output / "task.json").read_text("utf-8"))["max_length"] == 16


def test_a_task_called_as_what_lies_beside_it(models, tmp_path):
    declared = Path(sample("sentiment"))
    for split in ("train", "validation"):
        (tmp_path / f"{split}.tsv").write_bytes((declared.parent / f"{split}.tsv").read_bytes())
    text = "".join(line for line in declared.open(encoding="utf-8") if not line.startswith("name"))
    (tmp_path / "checkpoints.toml").write_text(text, "utf-8")
    tasks = (
        TaughtTask(task=str(tmp_path / "checkpoints.toml"), teacher=models["sentiment"]),
        TaughtTask(task=sample("pairs"), teacher=models["pairs"]),
    )
    settings = DistillTaskConfig(tasks=tasks, student=models["student"], output=str(tmp_path / "out"))
    with pytest.raises(ConfigError, match=r"the name of something else.*checkpoints"):
        runs.run_distill_task(settings)


def test_a_teacher_of_another_kind(models, tmp_path):
    for teacher, told in (("names", "BertForTokenClassification"), ("student", "BertForMaskedLM")):
        with pytest.raises(ConfigError, match=f"no head for classification: it is a {told}"):
            runs.run_distill_task(distil(models, tmp_path / "out", teacher=models[teacher]))


def test_labels_without_names_are_taken_as_they_come(caplog):
    config = BertForSequenceClassification(BertConfig(vocab_size=9, hidden_size=4, num_attention_heads=1, num_labels=3))
    config = config.config
    config.architectures = ["BertForSequenceClassification"]
    with caplog.at_level(logging.WARNING):
        check_labels(load_task(sample("pairs")), config, "somewhere")
    assert "does not name its labels" in caplog.text
    with pytest.raises(ConfigError, match="LABEL_0, LABEL_1, LABEL_2; those of the task sample-sentiment are 0, 1"):
        check_labels(load_task(sample("sentiment")), config, "somewhere")


def test_a_teacher_with_other_pieces(models, tmp_path):
    pieces = list(tokenizer().get_vocab().items())
    ordered = [piece for piece, _ in sorted(pieces, key=lambda item: item[1])]
    ordered[10], ordered[11] = ordered[11], ordered[10]
    (tmp_path / "vocab.txt").write_text("\n".join(ordered) + "\n", "utf-8")
    with pytest.raises(ConfigError, match=r"different vocabularies: id 10 is '.+' there, '.+' in the student"):
        runs.run_distill_task(distil(models, tmp_path / "out", teacher=str(tmp_path)))


def test_settings_that_do_not_fit(models, tmp_path):
    with pytest.raises(ConfigError, match="2 weights for 1 teachers"):
        distil(models, tmp_path, teacher_weights=(1.0, 2.0))
    with pytest.raises(ConfigError, match="one task stands beside a list"):
        distil(models, tmp_path, tasks=())
    with pytest.raises(ConfigError, match="more of the teacher than a cache"):
        distil(models, tmp_path, cache="somewhere", prediction={"losses": {"layer_map": "last"}})
    for stage in ("intermediate", "both"):
        patient = distil(models, tmp_path / "out", stage=stage, intermediate=STAGE | {"patience": 1})
        with pytest.raises(ConfigError, match=r"nothing is scored here.*intermediate\.patience"):
            runs.run_distill_task(patient)
    task = TaughtTask(task=sample("pairs"), teacher=models["pairs"])
    twice = DistillTaskConfig(tasks=(task, task), student=models["student"], output=str(tmp_path / "out"))
    with pytest.raises(ConfigError, match="two tasks have one name"):
        runs.run_distill_task(twice)
