"""Every recipe runs at tiny scale with its own configuration file, and gives what the command line gives."""

import importlib
import json
import runpy
import sys
import tomllib
from pathlib import Path
from types import ModuleType

import pytest
from transformers import BertForMaskedLM

from wwmcorpus import cli, open_corpus
from wwmcorpus.errors import ConfigError
from wwmcorpus.training.settings.presets import read_preset

PIPELINES = Path(__file__).resolve().parent.parent / "pipelines"
TINY = "{layers = 1, hidden = 32, heads = 2, intermediate = 64}"
#: A teacher of two steps knows nothing.
ACCEPT = ["--set", "accept_teacher=true"]
SHORT = ["--set", "training.steps=2", "--set", "training.global_batch_size=4", "--set", "training.evaluation_rows=4"]
#: First weights of a student as shallow as its teacher.
INIT = "{weights = 'teacher', layers = 'first', embeddings = 'copy', head = false}"
STAGE = "{steps = 2, global_batch_size = 4, evaluation_rows = 4}"


def recipe(name: str, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(PIPELINES))
    return importlib.import_module(name)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a folder with a corpus and a teacher that the recipes made."""
    folder = tmp_path_factory.mktemp("runs")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(PIPELINES.parent)
        recipe("build_corpus", patch).main(["--set", f"output='{folder}/corpus'", "--set", "max_length=64"])
        recipe("pretrain_teacher", patch).main(
            [*places(folder), "--set", f"output='{folder}/teacher'", "--set", f"student={TINY}", *SHORT]
        )
    return folder


def places(runs: Path) -> list[str]:
    return ["--set", f"corpus='{runs}/corpus/train'", "--set", f"validation='{runs}/corpus/validation'"]


def test_recipe_and_command_line_give_the_same_fingerprint(
    runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(PIPELINES.parent)
    config = str(PIPELINES / "configs" / "build_sample.toml")
    arguments = ["build", "--config", config, "--output", str(tmp_path), "--max-length", "64"]
    monkeypatch.setattr(sys, "argv", ["wwmcorpus", *arguments])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert not ended.value.code
    for split in ("train", "validation"):
        assert open_corpus(tmp_path / split).fingerprint == open_corpus(runs / "corpus" / split).fingerprint


def test_the_teacher_is_a_model_for_transformers(runs: Path) -> None:
    teacher = BertForMaskedLM.from_pretrained(runs / "teacher")
    assert teacher.config.vocab_size == open_corpus(runs / "corpus" / "train").vocabulary.num_pieces


def test_one_stage(runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = [*places(runs), "--set", f"teacher='{runs}/teacher'", "--set", f"output='{tmp_path}/student'", *SHORT]
    arguments += ACCEPT
    recipe("distill_student", monkeypatch).main(arguments)
    assert BertForMaskedLM.from_pretrained(tmp_path / "student").config.hidden_size == 256


def test_two_stages(runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = [*places(runs), "--set", f"teacher='{runs}/teacher'", "--set", f"output='{tmp_path}/two'"]
    arguments += ACCEPT
    for stage in ("assistant", "student"):
        arguments += ["--set", f"{stage}.model={TINY}", "--set", f"{stage}.training={STAGE}"]
    recipe("distill_two_stage", monkeypatch).main(arguments)
    for stage in ("assistant", "student"):
        assert BertForMaskedLM.from_pretrained(tmp_path / "two" / stage).config.hidden_size == 32


@pytest.mark.parametrize("name", ["rbt4_h312", "tinybert", "distilbert"])
def test_published_recipes(name: str, runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each names its preset and runs with tiny models; a finished run has what the preset says in its card."""
    config = PIPELINES / "configs" / f"published_{name}.toml"
    preset = tomllib.loads(config.read_text("utf-8"))["preset"]
    arguments = ["--config", str(config), *places(runs), *SHORT, *ACCEPT, "--set", f"output='{tmp_path}/student'"]
    arguments += ["--set", f"teacher='{runs}/teacher'", "--set", f"student={TINY}", "--set", "training.precision=fp32"]
    arguments += ["--set", f"init={INIT}"] if name == "distilbert" else []
    recipe("distill_student", monkeypatch).main(arguments)
    made = json.loads((tmp_path / "student" / "run.json").read_text("utf-8"))["identity"]["config"]
    published = read_preset(preset)
    assert {key: made["optimiser"][key] for key in published["optimiser"]} == published["optimiser"]
    assert {key: made["masking"][key] for key in published["masking"]} == published["masking"]
    assert BertForMaskedLM.from_pretrained(tmp_path / "student").config.hidden_size == 32


def test_the_published_two_stages(runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = PIPELINES / "configs" / "published_two_stage.toml"
    written = tomllib.loads(config.read_text("utf-8"))
    for stage in ("assistant", "student"):
        assert written["masking"] == read_preset(written[stage]["preset"])["masking"]
    arguments = ["--config", str(config), *places(runs), "--set", f"teacher='{runs}/teacher'", *ACCEPT]
    arguments += ["--set", f"output='{tmp_path}/two'", "--set", f"assistant.init={INIT}"]
    for stage in ("assistant", "student"):
        arguments += ["--set", f"{stage}.model={TINY}", "--set", f"{stage}.training.precision=fp32"]
        for size in SHORT[1::2]:
            arguments += ["--set", f"{stage}.{size}"]
    recipe("distill_two_stage", monkeypatch).main(arguments)
    made = json.loads((tmp_path / "two" / "student" / "run.json").read_text("utf-8"))["identity"]["config"]
    assert (made["losses"]["temperature"], made["optimiser"]["clip"]) == (8.0, "student")
    assert made["masking"]["random_from"] == "vocabulary"


RECIPES = sorted(path.stem for path in PIPELINES.glob("*.py") if path.stem != "recipe")


@pytest.mark.parametrize("name", RECIPES)
def test_an_error_is_a_message(name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.syspath_prepend(str(PIPELINES))
    monkeypatch.setattr(sys, "argv", [name, "--set", "nonsense=1"])
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(PIPELINES / f"{name}.py"), run_name="__main__")
    assert ended.value.code == ConfigError.exit_status
    told = capsys.readouterr().err
    assert told.startswith("error: ")
    assert "nonsense" in told
