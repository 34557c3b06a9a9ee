"""The jobs on a fake corpus and stream: what they write, what they refuse, and that teachers reach their students."""

from __future__ import annotations

import json
import os
import resource
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from rich.console import Console
from training_fakes import VOCAB, batch, tokenizer_folder
from transformers import BertForMaskedLM

from wwmcorpus.align import Vocabulary, load_tokenizer
from wwmcorpus.errors import ConfigError, CorpusError, TrainingError
from wwmcorpus.masking import RatioSchedule, TokenMasking, WholeWordMasking
from wwmcorpus.training import runs
from wwmcorpus.training.curves import draw_curves
from wwmcorpus.training.results import weights_sha256
from wwmcorpus.training.settings import DistillConfig, PretrainConfig, TwoStageConfig

SHAPE = {"layers": 1, "hidden": 16, "heads": 2, "intermediate": 16, "max_positions": 40}
TRAINING = {"steps": 4, "global_batch_size": 4, "log_every": 2, "evaluation_draws": 2, "device": "cpu"}


class FakeCorpus:
    has_pairs = False

    def __init__(self, path, folder):
        self.path, self.tokenizer_folder = Path(path), folder
        self.fingerprint, self.signature = "f" * 64, "wwm|fake"
        self.vocabulary = Vocabulary.of(load_tokenizer(str(folder)))

    def __len__(self):
        return 0 if self.path.name == "empty" else 20

    def piece_counts(self):
        return np.arange(VOCAB, dtype=np.int64)


class FakeStream:
    def __init__(self, corpus, global_batch_size=64, seed=0, rank=0, world_size=1, masking=None, options=None):
        if len(corpus) < global_batch_size:
            raise CorpusError("fewer rows than one global batch", fix="Make it smaller.")
        self.size, self.rows, self.seed = global_batch_size, len(corpus), seed
        self.index = 0

    def state_dict(self):
        return {"index": self.index}

    def load_state_dict(self, state):
        self.index = state["index"]

    def batch(self, epoch, index):
        return batch(self.size, seed=1000 * self.seed + 100 * epoch + index)

    def __iter__(self):
        for index in range(self.index, self.rows // self.size):
            self.index = (index + 1) % (self.rows // self.size)
            yield self.batch(0, index)


@pytest.fixture(autouse=True)
def fakes(monkeypatch, tmp_path):
    folder = tokenizer_folder(tmp_path / "tokenizer")
    monkeypatch.setattr(runs, "draw_curves", lambda metrics, output: None)
    monkeypatch.setattr(runs, "open_corpus", lambda path: FakeCorpus(path, folder))
    monkeypatch.setattr(runs, "Stream", FakeStream)


def pretrain_config(tmp_path, **changes):
    values = {
        "corpus": "corpus",
        "validation": "held_out",
        "output": str(tmp_path / "teacher"),
        "student": SHAPE,
        "training": TRAINING,
    }
    return PretrainConfig(**values | changes)


def test_pretrain_writes_a_folder_that_hugging_face_opens(tmp_path):
    result = runs.run_pretrain(pretrain_config(tmp_path))
    names = {path.name for path in result.output.iterdir()}
    assert names >= {
        "config.json",
        "model.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
        "metrics.jsonl",
        "README.md",
    }
    assert BertForMaskedLM.from_pretrained(result.output).config.vocab_size == VOCAB
    assert list(result.figures) == ["unigram baseline", "student before", "student after"]
    assert result.before != result.after
    kinds = [json.loads(line)["kind"] for line in (result.output / "metrics.jsonl").read_text().splitlines()]
    assert kinds == ["baseline", "evaluation", "train", "train", "evaluation"]
    assert "wwm|fake" in (result.output / "README.md").read_text()


def test_a_run_is_a_function_of_its_config(tmp_path):
    first = runs.run_pretrain(pretrain_config(tmp_path))
    torch.rand(5)
    again = runs.run_pretrain(pretrain_config(tmp_path, output=str(tmp_path / "again")))
    assert (first.output / "model.safetensors").read_bytes() == (again.output / "model.safetensors").read_bytes()
    assert first.after == again.after


def test_a_run_is_not_the_same_with_other_lists_of_words(tmp_path):
    def run():
        return runs.run_pretrain(pretrain_config(tmp_path, masking=masking | {"weights": {"never_file": str(path)}}))

    path, masking = tmp_path / "never.txt", {"probability": 0.2}
    path.write_text("山\n", "utf-8")
    first = run()
    assert not first.found
    assert run().found
    path.write_text("水\n", "utf-8")
    with pytest.raises(ConfigError, match=r"masking\.weights\.never_file was"):
        run()


def test_first_bias(tmp_path):
    begun = [
        runs.run_pretrain(pretrain_config(tmp_path, output=str(tmp_path / bias), output_bias=bias))
        for bias in ("zero", "log_frequency")
    ]
    assert begun[0].before.loss == pytest.approx(np.log(VOCAB), rel=0.02)
    assert begun[1].before.loss == pytest.approx(begun[1].baseline.loss, rel=0.02)


def two_stage_config(tmp_path, **changes):
    stage = {"model": SHAPE | {"hidden": 12}, "training": TRAINING | {"micro_batch_size": 2}}
    values = {
        "corpus": "corpus",
        "validation": "held_out",
        "output": str(tmp_path / "two"),
        "teacher": str(tmp_path / "teacher"),
        "accept_teacher": True,
        "assistant": stage,
        "student": stage | {"model": SHAPE},
    }
    return TwoStageConfig(**values | changes)


def test_each_stage_keeps_the_logits_of_its_own_teacher(tmp_path):
    runs.run_pretrain(pretrain_config(tmp_path))
    cached = TRAINING | {"teacher_cache": str(tmp_path / "cache")}
    stage = {"model": SHAPE, "training": cached, "losses": {"layer_map": "none"}}
    config = two_stage_config(tmp_path, assistant=stage, student=stage, one_stage=True)
    result = runs.run_two_stage(config)
    assert list(result.runs) == ["assistant", "student", "one_stage"]
    assert sorted(path.name for path in (tmp_path / "cache").iterdir()) == ["assistant", "one_stage", "student"]
    # Where the cache lies decides nothing, whether there is one does: its logits are rounded.
    elsewhere = stage | {"training": TRAINING | {"teacher_cache": str(tmp_path / "elsewhere")}}
    again = runs.run_two_stage(two_stage_config(tmp_path, assistant=elsewhere, student=elsewhere, one_stage=True))
    assert all(run.found for run in again.runs.values())
    with pytest.raises(ConfigError, match=r"training\.teacher_cache was true, now false"):
        runs.run_two_stage(two_stage_config(tmp_path, assistant=stage | {"training": TRAINING}, student=stage))


def test_a_cache_without_a_teacher_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="there is no teacher whose logits could be kept"):
        pretrain_config(tmp_path, training=TRAINING | {"teacher_cache": "cache"})


def test_stages_on_different_devices_are_refused(tmp_path):
    stage = {"model": SHAPE, "training": TRAINING | {"device": "auto"}}
    with pytest.raises(ConfigError, match="both stages run in one process, on one device"):
        two_stage_config(tmp_path, assistant=stage)


def test_two_stages(tmp_path):
    teacher = runs.run_pretrain(pretrain_config(tmp_path))
    result = runs.run_two_stage(two_stage_config(tmp_path))
    assert result.assistant.teacher == teacher.after
    seen_again = replace(result.assistant.after, agreement=None, hidden_cosine=None)
    assert result.student.teacher == seen_again
    assert [path.name for path in (result.assistant.output, result.student.output)] == ["assistant", "student"]
    metrics = [json.loads(line) for line in (result.student.output / "metrics.jsonl").read_text().splitlines()]
    assert set(next(line for line in metrics if line["kind"] == "train")["terms"]) == {
        "soft_labels",
        "hidden_mse_0_0",
        "hidden_mse_1_1",
    }


def test_stream_options_reach_the_stream_and_what_only_is_faster_is_no_other_run(tmp_path, monkeypatch):
    seen = []

    class Seeing(FakeStream):
        def __init__(self, *values, **named):
            super().__init__(*values, **named)
            seen.append(values[6] if len(values) > 6 else None)

    monkeypatch.setattr(runs, "Stream", Seeing)
    runs.run_pretrain(pretrain_config(tmp_path, stream={"bucket_batches": 4}))
    assert seen[-1].bucket_batches == 4
    assert runs.run_pretrain(pretrain_config(tmp_path, stream={"bucket_batches": 4, "prefetch_batches": 0})).found
    with pytest.raises(ConfigError, match=r"stream\.bucket_batches"):
        runs.run_pretrain(pretrain_config(tmp_path))
    with pytest.raises(ConfigError, match="training reads padded batches"):
        pretrain_config(tmp_path, stream={"layout": "packed"})


def test_progress_bar_on_a_terminal(tmp_path):
    with open(tmp_path / "screen", "w") as screen:
        runs.run_pretrain(pretrain_config(tmp_path), console=Console(file=screen, force_terminal=True, width=120))
    text = (tmp_path / "screen").read_text()
    assert "4/4" in text
    assert "loss" in text


def test_no_validation_corpus(tmp_path):
    result = runs.run_pretrain(pretrain_config(tmp_path, validation=None))
    assert result.figures == {}


def test_a_finished_run_is_found_and_one_with_other_settings_is_not_touched(tmp_path):
    first = runs.run_pretrain(pretrain_config(tmp_path))
    written = (first.output / "model.safetensors").stat().st_mtime_ns
    again = runs.run_pretrain(pretrain_config(tmp_path))
    assert again == replace(first, found=True, seconds=again.seconds)
    assert "not run again" in again.summary()
    assert (first.output / "model.safetensors").stat().st_mtime_ns == written
    longer = pretrain_config(tmp_path, training=TRAINING | {"steps": 5})
    with pytest.raises(ConfigError, match=r"training\.steps was 4, now 5"):
        runs.run_pretrain(longer)
    with pytest.raises(ConfigError, match=r"inputs\.teacher"):
        runs.run_distill(DistillConfig(**pretrain_config(tmp_path).values(), teacher=str(first.output)))


def test_a_two_stage_run_goes_on_with_its_second_stage(tmp_path, monkeypatch):
    runs.run_pretrain(pretrain_config(tmp_path))
    whole = runs.run_two_stage(two_stage_config(tmp_path, output=str(tmp_path / "whole")))
    with monkeypatch.context() as patch:
        patch.setattr(runs, "run_distill", lambda *_: pytest.fail("stopped by a power cut"))
        with pytest.raises(pytest.fail.Exception):
            runs.run_two_stage(two_stage_config(tmp_path))
    runs.run_distill(two_stage_config(tmp_path).stages()["assistant"])
    result = runs.run_two_stage(two_stage_config(tmp_path))
    assert (result.assistant.found, result.student.found) == (True, False)
    assert result.student.after == whole.student.after
    third = runs.run_two_stage(two_stage_config(tmp_path))
    assert third.student.found


def test_one_stage_control_and_curves(tmp_path, monkeypatch):
    several = lambda metrics, output: draw_curves(metrics, output) if len(metrics) > 1 else None  # noqa: E731
    monkeypatch.setattr(runs, "draw_curves", several)
    teacher = runs.run_pretrain(pretrain_config(tmp_path))
    result = runs.run_two_stage(two_stage_config(tmp_path, one_stage=True))
    assert result.one_stage is not None
    assert result.one_stage.steps == result.student.steps
    assert result.one_stage.teacher == teacher.after
    assert result.one_stage.before.loss == result.student.before.loss
    lines = [line.split("  ")[1] for line in result.summary().split("\n") if line.startswith("  ")]
    assert lines == ["unigram baseline", "teacher", "assistant", "student, two stages", "student, one stage"]
    assert (tmp_path / "two" / "curves.png").read_bytes().startswith(b"\x89PNG")


def test_curves_that_cannot_be_written_are_one_message(tmp_path, monkeypatch):
    (tmp_path / "two" / "curves.png").mkdir(parents=True)
    several = lambda metrics, output: draw_curves(metrics, output) if len(metrics) > 1 else None  # noqa: E731
    monkeypatch.setattr(runs, "draw_curves", several)
    runs.run_pretrain(pretrain_config(tmp_path))
    with pytest.raises(CorpusError, match=r"the output cannot be written: .*curves\.png"):
        runs.run_two_stage(two_stage_config(tmp_path))


def test_a_stage_folder_that_holds_something_else_is_refused_before_any_work(tmp_path):
    (tmp_path / "two" / "student").mkdir(parents=True)
    (tmp_path / "two" / "student" / "mine").touch()
    with pytest.raises(ConfigError, match="exists already"):
        runs.run_two_stage(two_stage_config(tmp_path))


@pytest.mark.parametrize("validation", ["held_out", None])
def test_a_teacher_with_a_random_head_is_stopped_at_the_gate(tmp_path, validation, caplog):
    from training_fakes import tiny

    tiny(seed=1).save_pretrained(tmp_path / "random")
    values = pretrain_config(tmp_path, validation=validation, output=str(tmp_path / "student")).values()
    config = DistillConfig(**values, teacher=str(tmp_path / "random"))
    with pytest.raises(TrainingError, match=r"looks untrained: perplexity .*frequency alone gives .*--accept-teacher"):
        runs.run_distill(config)
    assert "no tokenizer beside it" in caplog.text
    assert not (tmp_path / "student").exists()
    runs.run_distill(config.model_copy(update={"accept_teacher": True}))
    assert "teacher accepted as asked" in caplog.text


def test_training_goes_on_from_a_checkpoint(tmp_path):
    first = runs.run_pretrain(pretrain_config(tmp_path))
    init = {"weights": str(first.output)}
    more = runs.run_pretrain(pretrain_config(tmp_path, student=None, init=init, output=str(tmp_path / "more")))
    assert more.before == first.after
    num_weights = len(BertForMaskedLM.from_pretrained(first.output).state_dict())
    assert (
        f"{num_weights} of {num_weights} weights from {first.output}, layers 1"
        in (more.output / "README.md").read_text()
    )


def test_frozen_weights_stay_and_the_others_move(tmp_path):
    first = runs.run_pretrain(pretrain_config(tmp_path))
    init = {"weights": str(first.output)}
    frozen = pretrain_config(tmp_path, init=init, freeze=["bert.embeddings.*"], output=str(tmp_path / "frozen"))
    before, after = (
        BertForMaskedLM.from_pretrained(run.output).state_dict() for run in (first, runs.run_pretrain(frozen))
    )
    same = {name for name in before if torch.equal(before[name], after[name])}
    assert {name for name in before if name.startswith("bert.embeddings.")} <= same
    assert "bert.encoder.layer.0.output.dense.weight" not in same


def test_the_assistant_can_begin_with_layers_of_the_teacher(tmp_path):
    runs.run_pretrain(pretrain_config(tmp_path, student=SHAPE | {"layers": 2}))
    stage = {"model": SHAPE, "training": TRAINING, "init": {"weights": "teacher", "layers": [2]}}
    result = runs.run_two_stage(two_stage_config(tmp_path, assistant=stage))
    assert '"first_weights": "' in (result.assistant.output / "README.md").read_text()
    with pytest.raises(ConfigError, match="there is no teacher to begin with"):
        runs.run_pretrain(pretrain_config(tmp_path, init={"weights": "teacher"}, output=str(tmp_path / "none")))


def test_output_that_exists_is_refused_before_any_work(tmp_path):
    (tmp_path / "teacher").mkdir()
    (tmp_path / "teacher" / "mine").touch()
    with pytest.raises(ConfigError, match="exists already"):
        runs.run_pretrain(pretrain_config(tmp_path))
    with pytest.raises(ConfigError, match="exists already"):
        runs.run_distill(DistillConfig(**pretrain_config(tmp_path).values(), teacher="nowhere"))


def test_empty_corpora(tmp_path):
    with pytest.raises(ConfigError, match="validation corpus is empty"):
        runs.run_pretrain(pretrain_config(tmp_path, validation="empty"))
    with pytest.raises(CorpusError, match="fewer rows"):
        runs.run_pretrain(pretrain_config(tmp_path, validation=None, corpus="empty"))


def test_teacher_of_another_vocabulary(tmp_path):
    from training_fakes import tiny

    tiny(vocab_size=50).save_pretrained(tmp_path / "other")
    with pytest.raises(ConfigError, match="the teacher has 50 pieces where 60 are expected"):
        runs.run_distill(DistillConfig(**pretrain_config(tmp_path).values(), teacher=str(tmp_path / "other")))


def test_teacher_whose_ids_mean_other_pieces(tmp_path):
    from training_fakes import tiny

    folder = tokenizer_folder(tmp_path / "other")
    text = (folder / "tokenizer.json").read_text("utf-8")
    assert "\u4e02" in text
    (folder / "tokenizer.json").write_text(text.replace("\u4e02", "\u9f98"), "utf-8")
    tiny().save_pretrained(folder)
    with pytest.raises(ConfigError, match="id 7 is '\u9f98' there, '\u4e02' in the corpus"):
        runs.run_distill(DistillConfig(**pretrain_config(tmp_path).values(), teacher=str(folder)))


def test_a_student_is_known_by_what_its_file_says(tmp_path):
    shape = {"num_hidden_layers": 1, "hidden_size": 16, "num_attention_heads": 2, "intermediate_size": 16}
    path = tmp_path / "shape.json"
    path.write_text(json.dumps(shape))
    runs.run_pretrain(pretrain_config(tmp_path, student=str(path)))
    moved = path.rename(tmp_path / "elsewhere.json")
    assert runs.run_pretrain(pretrain_config(tmp_path, student=str(moved))).found
    moved.write_text(json.dumps(shape | {"num_attention_heads": 4}))
    with pytest.raises(ConfigError, match=r"inputs\.student was"):
        runs.run_pretrain(pretrain_config(tmp_path, student=str(moved)))


def test_models_are_known_by_weights_and_shape_and_may_move(tmp_path, monkeypatch):
    teacher = runs.run_pretrain(pretrain_config(tmp_path)).output

    def distil(folder, corpus="corpus"):
        init = {"weights": str(folder)}
        values = pretrain_config(tmp_path, init=init, output=str(tmp_path / "student"), corpus=corpus).values()
        return runs.run_distill(DistillConfig(**values, teacher=str(folder), accept_teacher=True))

    distil(teacher)
    moved = teacher.rename(tmp_path / "moved")
    assert distil(moved, corpus="./corpus").found
    config = json.loads((moved / "config.json").read_text())
    (moved / "config.json").write_text(json.dumps(config | {"num_attention_heads": 4}))
    with pytest.raises(ConfigError, match=r"inputs\.init\.weights was .*; inputs\.teacher was"):
        distil(moved)


def test_the_teacher_as_first_weights_is_not_looked_up_on_the_hub(tmp_path, monkeypatch):
    teacher = runs.run_pretrain(pretrain_config(tmp_path)).output
    monkeypatch.setattr("wwmcorpus.training.results._hub_commit", lambda name: pytest.fail(f"looked up {name}"))
    values = pretrain_config(tmp_path, init={"weights": "teacher"}, output=str(tmp_path / "student")).values()
    assert runs.run_distill(DistillConfig(**values, teacher=str(teacher), accept_teacher=True)).after


def test_the_disk_keeps_every_file_before_the_record_says_that_a_run_is_finished(tmp_path, monkeypatch):
    synced, fsync = [], os.fsync
    monkeypatch.setattr(os, "fsync", lambda number: (fsync(number), synced.append(os.fstat(number).st_ino)))
    output = runs.run_pretrain(pretrain_config(tmp_path)).output
    before = synced[: synced.index((output / "run.json").stat().st_ino)]
    others = {path.name: path.stat().st_ino for path in output.iterdir() if path.name != "run.json"}
    assert {"model.safetensors", "config.json", "tokenizer.json", "metrics.jsonl", "README.md"} <= others.keys()
    assert {name for name, number in others.items() if number not in before} == set()


@pytest.mark.parametrize("output", [".", "..", "/", "some/.."])
def test_an_output_without_a_name(tmp_path, monkeypatch, output):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match="the output needs a name of its own"):
        runs.run_pretrain(pretrain_config(tmp_path, output=output))


def test_an_output_below_a_file_is_one_message(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(CorpusError, match="the output cannot be written"):
        runs.run_pretrain(pretrain_config(tmp_path, output=str(tmp_path / "file" / "run")))


@pytest.mark.parametrize("most_bytes", [100, 3000])
def test_a_full_disk_is_one_message_and_the_run_goes_on(tmp_path, most_bytes):
    """The metrics find no room, or the weights."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, limits[1]))
    try:
        with pytest.raises(CorpusError, match=r"the output cannot be written: .*large.*goes on where it stopped"):
            runs.run_pretrain(pretrain_config(tmp_path))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert runs.run_pretrain(pretrain_config(tmp_path)).after is not None


def test_a_record_of_another_version(tmp_path):
    record = runs.run_pretrain(pretrain_config(tmp_path)).output / "run.json"
    whole = json.loads(record.read_text())
    older = {key: value for key, value in whole["figures"]["after"].items() if key != "pair_accuracy"}
    for less in ({"figures": whole["figures"] | {"after": older}}, {"figures": []}, {"made": {}}):
        record.write_text(json.dumps(whole | less))
        with pytest.raises(ConfigError, match=r"damaged, or of another version.*run\.json"):
            runs.run_pretrain(pretrain_config(tmp_path))


@pytest.mark.parametrize("content", ["", "{", "[]", "{}"])
def test_a_damaged_record_of_a_run(tmp_path, content):
    output = tmp_path / "teacher"
    output.mkdir()
    (output / "run.json").write_text(content)
    with pytest.raises(ConfigError, match=r"the record of the run is damaged.*run\.json"):
        runs.run_pretrain(pretrain_config(tmp_path))


def test_held_out_pieces_are_hidden_where_training_hides_none(tmp_path, monkeypatch):
    """As TinyBERT's preset does: a model that sees every piece would be asked to copy."""
    seen = []

    class Stream(FakeStream):
        def __init__(self, corpus, *values, masking=None, **named):
            seen.append((str(corpus.path), masking if masking is not None else values[4]))
            super().__init__(corpus, *values, **named)

    monkeypatch.setattr(runs, "Stream", Stream)
    masking = TokenMasking(probability=0.2, mask_share=0.0, random_share=0.0)
    runs.run_pretrain(pretrain_config(tmp_path, masking=masking))
    assert dict(seen) == {"corpus": masking, "held_out": WholeWordMasking(probability=0.2)}


def test_a_share_that_changes_does_not_change_the_evaluation(tmp_path, monkeypatch):
    seen = {}

    class Stream(FakeStream):
        def __init__(self, corpus, *values, masking=None, **named):
            seen[str(corpus.path)] = masking if masking is not None else values[4]
            super().__init__(corpus, *values, **named)

    monkeypatch.setattr(runs, "Stream", Stream)
    masking = WholeWordMasking(probability=0.2, schedule=RatioSchedule(final_probability=0.4, num_rows=100))
    runs.run_pretrain(pretrain_config(tmp_path, masking=masking))
    assert seen == {"corpus": masking, "held_out": WholeWordMasking(probability=0.2)}


@pytest.mark.parametrize(
    "files", [["model.safetensors"], ["pytorch_model.bin"], ["model-1.safetensors", "model-2.safetensors"]]
)
def test_a_model_is_known_by_its_weight_files(tmp_path, files):
    assert weights_sha256(str(tmp_path)) is None
    for name in files:
        (tmp_path / name).write_bytes(b"weights")
    before = weights_sha256(str(tmp_path))
    assert before is not None
    (tmp_path / files[-1]).write_bytes(b"other weights")
    assert weights_sha256(str(tmp_path)) not in (None, before)


def test_a_model_of_the_hub_is_known_by_its_commit(tmp_path, monkeypatch):
    cached = tmp_path / "models--who--what"
    for commit in ("a" * 40, "b" * 40):
        (cached / "snapshots" / commit).mkdir(parents=True)
        (cached / "snapshots" / commit / "config.json").write_text('{"model_type": "bert"}', "utf-8")
    (cached / "refs").mkdir()
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    for commit in ("a" * 40, "b" * 40):
        (cached / "refs" / "main").write_text(commit, "utf-8")
        assert weights_sha256("who/what") == commit
    assert weights_sha256("who/nobody") is None
