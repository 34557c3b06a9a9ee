"""Fine-tuning: what is learned, in which order, from which head, which weights are kept, and stops in between."""

from __future__ import annotations

import json
import math
from collections import Counter
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from task_fakes import KINDS, features, metrics, sample, similarity, stops_at, write_model
from transformers import (
    AutoModelForQuestionAnswering,
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
    AutoTokenizer,
    BertConfig,
)

from wwmcorpus.errors import ConfigError, TerminatedJobError, TrainingError
from wwmcorpus.tasks import FinetuneConfig, load_task, runs
from wwmcorpus.tasks.batches import TaskBatches, row_tensors
from wwmcorpus.tasks.encode import encode
from wwmcorpus.tasks.forward import TaskRows
from wwmcorpus.tasks.heads import default_learning_rate, load_task_model
from wwmcorpus.tasks.objective import TaskObjective
from wwmcorpus.tasks.predict import score_model
from wwmcorpus.tasks.student import TaskStudent

AUTO = {
    "sentiment": AutoModelForSequenceClassification,
    "pairs": AutoModelForSequenceClassification,
    "reading": AutoModelForQuestionAnswering,
    "names": AutoModelForTokenClassification,
}
TRAINING = {"epochs": 2.0, "batch_size": 16, "learning_rate": 5e-3, "device": "cpu", "log_every": 2}


@pytest.fixture(scope="module")
def general(tmp_path_factory):
    return write_model(tmp_path_factory.mktemp("general") / "model")


def task_of(name, folder):
    return similarity(folder) if name == "regression" else sample(name)


def config(general, output, name="sentiment", **training):
    return FinetuneConfig(
        task=sample(name), model=general, output=str(output), max_length=128, training=TRAINING | training
    )


def objective(task, model, seed=0):
    return TaskObjective(TaskStudent([load_task_model(task, model, seed)]), [task]).eval()


# ---- what is learned


@pytest.mark.parametrize("name", [*KINDS, "regression"])
def test_the_loss_is_that_of_transformers(name, general, tmp_path):
    path = task_of(name, tmp_path)
    task, rows = load_task(path), features(path)
    lengths = rows.lengths
    chosen = np.flatnonzero(lengths == np.bincount(lengths).argmax())[:4]  # of one length: theirs reads padding
    batch = row_tensors(rows, chosen)
    learns = objective(task, general)
    with torch.no_grad():
        total = learns(TaskRows.of(batch))
        labels = batch.pop("labels")
        targets = {"labels": labels}
        if task.kind == "reading":
            targets = {"start_positions": labels[:, 0], "end_positions": labels[:, 1]}
        theirs = learns.student.models[0](**batch, **targets).loss
    counted = learns.num_labels({"labels": labels, "task": torch.zeros(1)})
    assert [term.name for term in learns.terms] == ["hard_labels"]
    assert total.item() / counted == pytest.approx(theirs.item(), rel=1e-5)


@pytest.mark.parametrize("name", [*KINDS, "regression"])
def test_rows_can_be_cut_and_padded_at_will(name, general, tmp_path):
    path = task_of(name, tmp_path)
    task, rows = load_task(path), features(path)
    learns = objective(task, general)
    with torch.no_grad():
        together = learns(TaskRows.of(row_tensors(rows, np.arange(6))))
        alone = sum(learns(TaskRows.of(row_tensors(rows, np.array([row])))) for row in range(6))
    assert together.item() == pytest.approx(alone.item(), rel=1e-4)


# ---- in which order


def test_each_epoch_has_every_row_once_and_no_batch_is_short():
    rows = features(sample("pairs"))
    drawn = [row for batch in islice(TaskBatches([rows], 8, seed=3), 15) for row in batch["row_ids"].tolist()]
    first, second = drawn[:60], drawn[60:120]
    assert sorted(first) == sorted(second) == list(range(60))
    assert first != second != list(range(60))


@pytest.mark.parametrize("stopped", [0, 1, 4, 9])
def test_a_place_is_found_again(stopped):
    rows = [features(sample("pairs")), features(sample("names"))]
    whole = [batch["input_ids"] for batch in islice(TaskBatches(rows, 8, seed=1), 12)]
    began, resumed = TaskBatches(rows, 8, seed=1), TaskBatches(rows, 8, seed=1)
    list(islice(began, stopped))
    resumed.load_state_dict(json.loads(json.dumps(began.state_dict())))
    rest = [batch["input_ids"] for batch in islice(resumed, 12 - stopped)]
    assert all(torch.equal(one, other) for one, other in zip(whole[stopped:], rest, strict=True))
    with pytest.raises(TrainingError, match="rows"):
        TaskBatches(rows[:1], 8, seed=1).load_state_dict(began.state_dict())


def test_ranks_share_a_step():
    rows = features(sample("names"))
    whole = next(iter(TaskBatches([rows], 6)))["row_ids"].tolist()
    parts = [next(iter(TaskBatches([rows], 6, rank=rank, num_ranks=2)))["row_ids"].tolist() for rank in range(2)]
    assert parts == [whole[0::2], whole[1::2]]


def test_more_ranks_than_rows():
    with pytest.raises(ConfigError, match="3 processes cannot share 2 rows"):
        TaskBatches([features(sample("pairs"))], 2, rank=2, num_ranks=3)


@pytest.mark.parametrize("tau", [0.0, 0.5, 1.0])
def test_tasks_are_taken_by_their_sizes(tau):
    rows = [features(sample("sentiment")), features(sample("names"))]  # 80 and 20 rows
    batches = TaskBatches(rows, 4, seed=7, tau=tau)
    taken = Counter(batches.task_at(step) for step in range(4000))
    share = 80**tau / (80**tau + 20**tau)
    assert taken[0] / 4000 == pytest.approx(share, abs=5 * math.sqrt(share * (1 - share) / 4000))


# ---- from which head


def test_a_new_head_is_a_function_of_the_seed(general):
    task, before = load_task(sample("pairs")), torch.get_rng_state()
    heads = [load_task_model(task, general, seed).classifier.weight for seed in (0, 0, 1)]
    assert torch.equal(heads[0], heads[1])
    assert not torch.equal(heads[0], heads[2])
    assert torch.equal(before, torch.get_rng_state())


def test_a_head_stays_for_its_labels_only(general, tmp_path):
    task = load_task(sample("pairs"))
    trained = load_task_model(task, general)
    trained.save_pretrained(tmp_path)
    again = load_task_model(task, str(tmp_path), seed=5)
    assert torch.equal(again.classifier.weight, trained.classifier.weight)
    other = task.model_copy(update={"labels": ("a", "b", "c")})
    renewed = load_task_model(other, str(tmp_path), seed=5)
    assert not torch.equal(renewed.classifier.weight, trained.classifier.weight)
    assert torch.equal(
        renewed.bert.encoder.layer[1].output.dense.weight, trained.bert.encoder.layer[1].output.dense.weight
    )
    fewer = load_task_model(load_task(sample("sentiment")), str(tmp_path))
    assert fewer.classifier.weight.shape == (2, 16)


def test_learning_rates_of_the_published_table():
    ocnli, other = load_task("ocnli"), load_task("chnsenticorp")
    rates = [
        default_learning_rate(task, BertConfig(hidden_size=width)) for width in (256, 768) for task in (ocnli, other)
    ]
    assert rates == [5e-5, 1e-4, 3e-5, 3e-5]


# ---- which weights are kept


@pytest.fixture(scope="module")
def whole(general, tmp_path_factory):
    """Runs that were not stopped."""
    folder = tmp_path_factory.mktemp("whole")
    return {name: runs.run_finetune(config(general, folder / name, name)) for name in KINDS}


@pytest.mark.parametrize("name", KINDS)
def test_transformers_opens_what_scored_best(name, whole):
    result = whole[name]
    task = load_task(sample(name))
    model, tokenizer = AUTO[name].from_pretrained(result.output), AutoTokenizer.from_pretrained(result.output)
    if name != "reading":
        assert tuple(model.config.id2label.values()) == (task.tags if name == "names" else task.labels)
    examples = task.read(task.validation)
    assert score_model(model, task, encode(task, examples, tokenizer, 128), examples) == result.scores
    evaluations = [line for line in metrics(result.output) if line["kind"] == "evaluation"]
    best = max(evaluations, key=lambda line: line["scores"][task.main_metric])
    assert (result.best_step, result.main) == (best["step"], best["scores"][task.main_metric])
    declared = json.loads((result.output / "task.json").read_text("utf-8"))
    assert declared["task"]["kind"] == task.kind
    assert json.loads((result.output / "metrics.json").read_text("utf-8"))["best_step"] == result.best_step
    assert f"| {task.main_metric} |" in (result.output / "README.md").read_text("utf-8")
    assert not (result.output / "checkpoints").exists()


def test_weights_of_an_earlier_step_are_kept_where_they_scored_better(general, tmp_path, monkeypatch):
    scores = iter([0.2, 0.9, 0.5, 0.4])
    seen = []

    def score(model, task, rows, examples, precision):
        seen.append({name: weight.clone() for name, weight in model.state_dict().items()})
        return {"accuracy": next(scores), "f1_macro": 0.0}

    monkeypatch.setattr("wwmcorpus.tasks.evaluation.score_model", score)
    result = runs.run_finetune(config(general, tmp_path / "model", epochs=4.0, batch_size=40))
    assert (result.steps, result.best_step, result.main) == (8, 4, 0.9)
    kept = AutoModelForSequenceClassification.from_pretrained(result.output).state_dict()
    assert all(torch.equal(weight, seen[1][name]) for name, weight in kept.items())
    assert any(not torch.equal(weight, seen[3][name]) for name, weight in kept.items())


def test_it_learns(general, tmp_path):
    path = tmp_path / "marks.tsv"
    rows = [f"{mark}\t{'好坏'[mark]}{'这家店东西菜人山水'[n % 9]}" for n in range(16) for mark in (0, 1)]
    path.write_text("\n".join(["label\ttext_a", *rows]) + "\n", "utf-8")
    settings = FinetuneConfig(
        task=sample("sentiment"),
        model=general,
        output=str(tmp_path / "model"),
        train=str(path),
        validation=str(path),
        training=TRAINING | {"epochs": 20.0},
    )
    assert runs.run_finetune(settings).scores["accuracy"] == 1.0


def test_patience_comes_to_an_end(general, tmp_path):
    idle = config(general, tmp_path / "model", learning_rate=1e-12, epochs=9.0, patience=2)
    result = runs.run_finetune(idle)
    assert (result.best_step, result.steps) == (5, 15)
    assert runs.run_finetune(idle) == type(result).of(result.output, result.content())  # found, not run again


def test_several_files_are_learned_together(general, tmp_path):
    task = load_task(sample("names"))
    settings = FinetuneConfig(
        task=sample("names"),
        model=general,
        output=str(tmp_path / "model"),
        train=[task.train, task.validation],
        training=TRAINING,
    )
    runs.run_finetune(settings)
    counts = json.loads((tmp_path / "model" / "run.json").read_text("utf-8"))["data"]["sample-names"]
    assert counts["train"]["rows"] == 25
    assert counts["validation_examples"] == 5


# ---- stops in between


@pytest.mark.parametrize(
    ("name", "step"), [("sentiment", 1), ("sentiment", 5), ("sentiment", 8), ("reading", 3), ("names", 1)]
)
def test_stopped_and_begun_again(name, step, general, whole, tmp_path, monkeypatch):
    settings = config(general, tmp_path / name, name)
    with monkeypatch.context() as patch:
        patch.setattr(runs, "TaskBatches", stops_at(step))
        with pytest.raises(TerminatedJobError, match=f"step {step} of"):
            runs.run_finetune(settings)
    assert not (tmp_path / name).exists()
    result = runs.run_finetune(settings)
    assert result.scores == whole[name].scores
    assert metrics(result.output) == metrics(whole[name].output)
    weights = [(folder / "model.safetensors").read_bytes() for folder in (result.output, whole[name].output)]
    assert weights[0] == weights[1]


def test_resumed_patience_is_what_it_was(general, tmp_path, monkeypatch):
    settings = config(general, tmp_path / "model", learning_rate=1e-12, epochs=9.0, patience=2)
    with monkeypatch.context() as patch:
        patch.setattr(runs, "TaskBatches", stops_at(12))
        with pytest.raises(TerminatedJobError):
            runs.run_finetune(settings)
    result = runs.run_finetune(settings)
    assert (result.best_step, result.steps) == (5, 15)


# ---- what does not fit


def test_metrics_are_cut_before_any_process_reads_them(general, tmp_path, monkeypatch):
    settings, calls = config(general, tmp_path / "model"), []
    with monkeypatch.context() as patch:
        patch.setattr(runs, "TaskBatches", stops_at(8))
        with pytest.raises(TerminatedJobError):
            runs.run_finetune(settings)

    def listed(owner, name):
        real = getattr(owner, name)
        monkeypatch.setattr(owner, name, lambda *given: calls.append(name) or real(*given))

    for owner, name in ((runs.Trainer, "resume"), (Accelerator, "wait_for_everyone"), (runs.TaskEvaluation, "restore")):
        listed(owner, name)
    runs.run_finetune(settings)
    begin = calls.index("resume")
    assert "wait_for_everyone" in calls[begin : calls.index("restore")]


def test_patience_where_nothing_is_scored(general, tmp_path):
    rows = tmp_path / "rows.tsv"
    rows.write_text("好书\t1\n坏书\t0\n", "utf-8")
    (tmp_path / "task.toml").write_text(
        'kind = "classification"\nfile_format = "tsv"\nlabels = ["0", "1"]\ncolumns = ["text_a", "label"]\n', "utf-8"
    )
    values = {
        "task": str(tmp_path / "task.toml"),
        "train": str(rows),
        "model": general,
        "output": str(tmp_path / "out"),
    }
    with pytest.raises(ConfigError, match=r"nothing is scored here.*training\.patience"):
        runs.run_finetune(FinetuneConfig(**values, training=TRAINING | {"patience": 1}))
    scored = FinetuneConfig(**values, validation=str(rows), training=TRAINING | {"patience": 1, "epochs": 1.0})
    assert runs.run_finetune(scored).scores is not None


def test_other_answers_to_be_scored_on_are_another_run(general, tmp_path):
    """All answers of a question count for its score, not only the first, which is in the rows."""
    content = json.loads(Path(load_task(sample("reading")).validation).read_text("utf-8"))
    content["data"] = content["data"][:1]
    question = content["data"][0]["paragraphs"][0]["qas"][0]
    held_out = tmp_path / "dev.json"

    def run(texts):
        question["answers"] = [question["answers"][0], *({"text": text, "answer_start": 0} for text in texts)]
        held_out.write_text(json.dumps(content), "utf-8")
        few = config(general, tmp_path / "model", "reading", epochs=1.0)
        few = few.model_copy(update={"train": (str(held_out),), "validation": str(held_out)})
        return runs.run_finetune(few)

    passage = content["data"][0]["paragraphs"][0]["context"]
    run([passage[:3]])
    run([passage[:3]])
    with pytest.raises(ConfigError, match="validation_examples"):
        run([passage[:4]])


def test_rows_longer_than_the_model(general, tmp_path):
    settings = FinetuneConfig(task=sample("names"), model=general, output=str(tmp_path / "model"), max_length=300)
    with pytest.raises(ConfigError, match="rows of 300 pieces do not fit a model of 256 positions"):
        runs.run_finetune(settings)


def test_a_task_without_files(general, tmp_path):
    with pytest.raises(ConfigError, match="names no file to learn from"):
        runs.run_finetune(FinetuneConfig(task="ocnli", model=general, output=str(tmp_path / "model")))


def test_no_model_there(tmp_path):
    with pytest.raises(ConfigError, match="a folder without a tokenizer"):
        runs.run_finetune(FinetuneConfig(task=sample("names"), model=str(tmp_path), output=str(tmp_path / "model")))


def test_an_output_of_another_run(general, whole):
    other = config(general, whole["names"].output, "names", learning_rate=1e-3)
    with pytest.raises(ConfigError, match="learning_rate"):
        runs.run_finetune(other)
