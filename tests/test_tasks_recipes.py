"""The recipes and commands of task training, with their own configuration files, at tiny scale."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest
from task_fakes import write_model
from transformers import AutoModelForSequenceClassification

from wwmcorpus import cli
from wwmcorpus.tasks import load_task

PIPELINES = Path(__file__).resolve().parent.parent / "pipelines"


def changed(**values):
    return [part for key, value in values.items() for part in ("--set", f"{key.replace('__', '.')}='{value}'")]


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    folder = tmp_path_factory.mktemp("recipes")
    write_model(folder / "teacher", 1, layers=4)
    write_model(folder / "student", 0)
    return folder


@pytest.fixture
def recipe(monkeypatch):
    monkeypatch.chdir(PIPELINES.parent)
    monkeypatch.syspath_prepend(str(PIPELINES))
    return lambda name, *arguments: importlib.import_module(name).main(list(arguments))


def command(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["wwmcorpus", *arguments])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    return ended.value.code


def test_from_a_general_teacher_to_a_student_of_a_task(places, recipe, monkeypatch, capsys):
    task, short = places / "task", ["--set", "{}.epochs=0.4"]
    recipe(
        "finetune",
        *changed(model=places / "teacher", output=task / "teacher"),
        *(each.format("training") for each in short),
    )
    train = task / "train.augmented.tsv"
    recipe("augment", *changed(model=places / "teacher", output=train), "--set", "num_workers=0")
    declared = load_task("sample_data/tasks/sentiment/task.toml")
    texts, more = ({(each.text_a, each.label) for each in declared.read(path)} for path in (declared.train, train))
    assert texts < more
    taught = changed(teacher=task / "teacher", train=train)
    one = [*taught, *changed(student=places / "student", output=task / "one"), "--set", "intermediate.epochs=0.1"]
    recipe("task_stage_one", *one)
    two = changed(student=task / "one", output=task / "two", cache=task / "logits")
    recipe("task_stage_two", *taught, *two, "--set", "prediction.epochs=0.1")
    assert "best at step 2: accuracy" in capsys.readouterr().out
    assert AutoModelForSequenceClassification.from_pretrained(task / "two").config.num_hidden_layers == 2
    # The command finds what the recipe made: they are the same job.
    file = str(PIPELINES / "configs" / "task_stage_two.toml")
    arguments = ["distill-task", "--config", file, *taught, *two, "--set", "prediction.epochs=0.1"]
    assert not command(monkeypatch, *arguments)
    assert "finished before, not run again" in capsys.readouterr().out


def test_a_command_without_a_file(places, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(PIPELINES.parent)
    named = ["--task", "sample_data/tasks/names/task.toml", "--model", str(places / "student")]
    arguments = ["finetune", *named, "--output", str(tmp_path / "model"), "--set", "training.epochs=1"]
    assert not command(monkeypatch, *arguments)
    assert "f1 0.0000" in capsys.readouterr().out
    assert command(monkeypatch, *arguments[:-1], "training.epoch=1") == 2
    assert "Did you mean 'epochs'?" in capsys.readouterr().err
