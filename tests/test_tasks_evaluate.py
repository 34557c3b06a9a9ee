"""Tables of models on tasks: means against the statistics module, runs that stop and go on, a page that parses."""

import dataclasses
import errno
import json
import re
import shutil
import signal
import statistics
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from safetensors import SafetensorError
from task_fakes import fails_at, stops_at, write_model
from transformers import BertConfig, BertForMaskedLM, BertForSequenceClassification

from wwmcorpus import cli
from wwmcorpus.align import load_tokenizer
from wwmcorpus.errors import ConfigError, CorpusError, InterruptedJobError, SourceError, TrainingError
from wwmcorpus.models.latency import Latency
from wwmcorpus.models.parameters import Sizes
from wwmcorpus.tasks import load_task
from wwmcorpus.tasks import runs as task_runs
from wwmcorpus.tasks.evaluate import EvaluateConfig, job, plots, pool, worker
from wwmcorpus.tasks.evaluate.cells import Cell, CellResult, find_result, plan_cells, write_request
from wwmcorpus.tasks.evaluate.page import page
from wwmcorpus.tasks.evaluate.render import markdown, tables
from wwmcorpus.tasks.evaluate.summary import Evaluation, entries_of
from wwmcorpus.tasks.settings import FinetuneConfig

ROOT = Path(__file__).resolve().parent.parent
SENTIMENT = str(ROOT / "sample_data" / "tasks" / "sentiment" / "task.toml")


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write two tiny models with the embedded tokenizer."""
    folder = tmp_path_factory.mktemp("models")
    tokenizer = load_tokenizer("embedded")
    for name, width in (("large", 16), ("little", 8)):
        shape = {"hidden_size": width, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": width}
        torch.manual_seed(0)
        BertForMaskedLM(BertConfig(vocab_size=len(tokenizer), max_position_embeddings=40, **shape)).save_pretrained(
            folder / name
        )
        tokenizer.save_pretrained(folder / name)
    return folder


def settings(folder: Path, output: Path, **more: Any) -> EvaluateConfig:
    values: dict[str, Any] = {
        "models": [f"teacher={folder / 'large'}", str(folder / "little")],
        "tasks": [{"task": SENTIMENT, "max_length": 24}],
        "output": str(output),
        "teacher": "teacher",
        "epochs": (1.0, 2.0),
        "seeds": (0, 1),
        "num_workers": 0,
        "latency_batch_sizes": (1,),
        "latency_seconds": 0.0,
    }
    return EvaluateConfig(**values | more)


def evaluation(shift: float = 0.0) -> Evaluation:
    """Two models on two tasks from scores made up by hand."""
    names = ("t", "s <b>")
    scores = {
        ("t", "one"): {2: (0.80, 0.82), 5: (0.84, 0.90)},
        ("s <b>", "one"): {2: (0.70, 0.72), 5: (0.60, 0.62)},
        ("t", "two"): {2: (0.5, 0.5), 5: (0.5, 0.5)},
        ("s <b>", "two"): {2: (0.25, 0.25), 5: (0.1, 0.2)},
    }
    cells, results = [], {}
    for (model, task), by_epochs in scores.items():
        for epochs, values in by_epochs.items():
            for seed, value in enumerate(values):
                cell = Cell(model, task, epochs, seed, Path(f"{model}-{task}-{epochs}-{seed}"), {})
                cells.append(cell)
                results[cell] = CellResult(value, {"acc": value + shift}, {"acc": value / 2}, 1.0, 3, 1e-4)
    metrics = {"one": ("acc",), "two": ("acc",)}
    latencies = {
        name: (Latency(1, 128, seconds, seconds, seconds, 5, 1),)
        for name, seconds in zip(names, (0.06, 0.01), strict=True)
    }
    return Evaluation(
        name="e",
        teacher="t",
        metrics=metrics,
        entries=entries_of(names, metrics, cells, results),
        sizes={"t": Sizes(1000, 1000, 200, 4000), "s <b>": Sizes(120, 100, 20, 480)},
        latencies=latencies,
        failures={"s on one, 2 epochs, seed 7": "it <died>"},
        config={"epochs": [2, 5], "seeds": [0, 1], "weights": "last"},
    )


def test_the_best_mean_counts_and_ratios_are_to_the_teachers() -> None:
    made = evaluation()
    best = made.entries["t"]["one"].best
    assert best is not None
    assert best.epochs == 5
    assert best.main.mean == pytest.approx(0.87)
    assert best.main.deviation == pytest.approx(statistics.stdev([0.84, 0.90]))
    assert [made.entries[model]["two"].best.epochs for model in made.models] == [2, 2]  # of equal ones the fewest
    assert made.relative("s <b>", "one") == pytest.approx(0.71 / 0.87)
    assert made.mean_relative("s <b>") == pytest.approx((0.71 / 0.87 + 0.5) / 2)
    assert made.mean_score("t") == pytest.approx((0.87 + 0.5) / 2)
    assert made.speed_ups("s <b>") == [pytest.approx(6.0)]
    by_title = {table.title: table for table in tables(made)}
    assert by_title["Scores"].rows[0] == ["t", "87.00 ±4.24 (5)", "50.00 ±0.00 (2)", "68.50"]
    assert by_title["Relative to t"].rows[1] == ["s <b>", "81.6%", "50.0%", "65.8%"]
    assert by_title["Scores on test examples"].rows[1] == ["s <b>", "35.50 ±0.71", "12.50 ±0.00"]
    assert by_title["Size and speed"].rows[1][1:3] == ["100 (10.0%)", "80 (10.0%)"]
    assert by_title["Size and speed"].rows[1][-1] == "6.0x"
    assert len(by_title["All runs"].rows) == 8


def test_a_score_of_nothing_has_no_ratio() -> None:
    made = evaluation(shift=-0.9)  # correlations may lie below nought
    assert made.relative("s <b>", "one") is None
    assert made.mean_relative("s <b>") is None
    assert "–" in markdown(made)


def test_the_page_parses_and_holds_its_plots_within_bounds() -> None:
    text = page(evaluation())
    body = text[text.index("<body>") : text.index("</html>")]
    tree = ElementTree.fromstring(body)
    svgs = list(tree.iter("svg"))
    assert len(svgs) == 4  # by size, by time, and by epochs of each task
    for svg in svgs:
        places = [(float(mark.get("cx", "")), float(mark.get("cy", ""))) for mark in svg.iter("circle")]
        assert places
        assert all(plots.LEFT <= x <= plots.RIGHT and plots.TOP <= y <= plots.BOTTOM for x, y in places)
    assert len(list(svgs[2].iter("circle"))) == 2 * 2 * (2 + 1)  # of each model and number of epochs seeds and mean
    means = [mark for mark in svgs[2].iter("circle") if mark.get("class") == "c0"]
    assert [mark[0].text for mark in means] == ["t, 2 epochs: 81.00", "t, 5 epochs: 87.00"]
    assert float(means[0].get("cy", "")) > float(means[1].get("cy", ""))  # a better score lies higher
    assert "s <b>" not in text
    assert "s &lt;b&gt;" in text
    assert "it &lt;died&gt;" in text
    assert "prefers-color-scheme: dark" in text
    assert not re.search(r"(src|href)=|url\(|<script", text)
    assert page(evaluation()) == text


def test_names_in_a_plot_lie_upon_nothing_and_within_it() -> None:
    names = [f"model-{number}" for number in range(9)] + ["a" * 90, "学生" * 8]
    made = evaluation()
    crowded = dataclasses.replace(
        made,
        entries=dict.fromkeys(names, made.entries["t"]),
        sizes={name: Sizes(1000, 1000 + number // 3, 20, 4000) for number, name in enumerate(names)},
        latencies={},
        teacher=None,
    )
    size, *_ = plots.plots(crowded)
    boxes = [(mark.x - 4.5, mark.x + 4.5, mark.y - 4.5, mark.y + 4.5) for mark in size.marks]
    for label in size.labels:
        width = sum(12.0 if ord(letter) > 255 else 6.0 for letter in label.text)
        box = (label.x, label.x + width, label.y - 6, label.y + 6)
        assert box[0] >= plots.LEFT
        assert box[1] <= plots.WIDTH
        for other in boxes:
            assert not (box[0] < other[1] and other[0] < box[1] and box[2] < other[3] and other[2] < box[3])
        boxes.append(box)
    assert 3 <= len(size.labels) < len(names)
    # The seventh model has the first one's colour, but is no dot.
    assert [size.marks[number].style for number in (0, 1, 6, 7)] == ["c0", "c1", "c0 again", "c1 again"]
    text = page(crowded)
    assert text.count('<li class="c0 again">') == 1
    assert text.count('<polyline class="c0 again"') == 2


def test_notes_say_what_was_done_and_reasons_are_read_from_the_left() -> None:
    made = evaluation()
    scores, *_, failed = tables(made)
    assert scores.note.startswith("Mean over 2 seeds")
    assert "chosen on the same examples" in scores.note
    alone = dataclasses.replace(made, config={"epochs": [2], "seeds": [0], "weights": "last"})
    note = next(iter(tables(alone))).note
    assert note.startswith("One seed")
    assert "chosen" not in note
    assert "Mean" not in note
    assert failed.is_text
    text = page(made)
    assert text[text.index("Runs that failed") :].count('class="number"') == 0
    assert "| --- | --- |" in markdown(made)


def test_nice_ticks() -> None:
    assert plots.nice_ticks(61.3, 78) == [60, 65, 70, 75, 80]
    assert plots.nice_ticks(50, 50) == [49.5, 50, 50.5]


def test_evaluate_and_go_on(models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.set_num_threads(1)
    alone = {"models": [str(models / "little")], "teacher": None}
    made = job.evaluate(settings(models, tmp_path / "out", epochs=(1.0,), **alone))
    stored = json.loads((tmp_path / "out" / "evaluation.json").read_text("utf-8"))
    trial = stored["models"]["little"]["tasks"]["sample-sentiment"]["trials"][0]
    assert stored["failures"] == {}
    # The model that is kept gives the score that is told, when transformers scores it row by row.
    kept = list((tmp_path / "out" / "runs" / "little").glob("sample-sentiment/*/seed-*/model"))
    assert len(kept) == 1
    tokenizer = load_tokenizer(str(kept[0]))
    model = BertForSequenceClassification.from_pretrained(kept[0]).eval()
    task = load_task(SENTIMENT)
    right = []
    for example in task.read(task.validation):
        row = tokenizer(example.text_a, truncation=True, max_length=24, return_tensors="pt")
        with torch.no_grad():
            right.append(model(**row).logits.argmax().item() == int(example.label))
    seed = kept[0].parent.name.removeprefix("seed-")
    assert trial["scores"]["accuracy"]["values"][seed] == pytest.approx(statistics.fmean(right))
    assert max(trial["scores"]["accuracy"]["values"].values()) == trial["scores"]["accuracy"]["values"][seed]
    # More epochs: only those are run.
    ran: list[str] = []
    run = pool._run_here
    monkeypatch.setattr(pool, "_run_here", lambda cell: ran.append(str(cell)) or run(cell))
    more = job.evaluate(settings(models, tmp_path / "out", **alone))
    assert len(ran) == 2
    assert all("2 epochs" in each for each in ran)
    assert more.entries["little"]["sample-sentiment"].trials[0] == made.entries["little"]["sample-sentiment"].trials[0]
    assert (tmp_path / "out" / "evaluation.html").read_text("utf-8") == page(more)
    # Other settings of a run that is there: an error that names them.
    other = settings(models, tmp_path / "out", tasks=[{"task": SENTIMENT, "max_length": 20}], **alone)
    with pytest.raises(ConfigError, match=r"finetune\.max_length was 24, now 20"):
        job.evaluate(other)


def test_a_stop_amid_a_training_changes_nothing(models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.set_num_threads(1)
    alone = {"models": [str(models / "little")], "teacher": None, "latency": False, "weights": "best"}
    whole = job.evaluate(settings(models, tmp_path / "whole", **alone))
    with monkeypatch.context() as patch:
        patch.setattr(task_runs, "TaskBatches", stops_at(4))
        with pytest.raises(InterruptedJobError):
            job.evaluate(settings(models, tmp_path / "stopped", **alone))
    assert list((tmp_path / "stopped").rglob("checkpoints/step-*"))
    stopped = job.evaluate(settings(models, tmp_path / "stopped", **alone))
    assert scores_of(stopped) == scores_of(whole)


@pytest.mark.parametrize("weights", ["last", "best"])
def test_a_run_that_was_killed_goes_on_from_its_last_epoch(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, weights: str
) -> None:
    torch.set_num_threads(1)
    alone = {"models": [str(models / "little")], "teacher": None, "latency": False, "weights": weights}
    alone |= {"epochs": (3.0,), "seeds": (0,), "training": {"batch_size": 16}}  # of 80 rows: 5 steps are an epoch
    whole = job.evaluate(settings(models, tmp_path / "whole", **alone))
    with monkeypatch.context() as patch:
        patch.setattr(task_runs, "TaskBatches", fails_at(12))
        with pytest.raises(TrainingError, match="the cord was pulled"):
            job.evaluate(settings(models, tmp_path / "killed", **alone))
    kept = (tmp_path / "killed").rglob("checkpoints/step-*")
    assert max(int(checkpoint.name.removeprefix("step-")) for checkpoint in kept) == 10
    went_on = job.evaluate(settings(models, tmp_path / "killed", **alone))
    assert scores_of(went_on) == scores_of(whole)


def test_a_file_that_changed_is_another_input(models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    task, folder = load_task(SENTIMENT), tmp_path / "task"
    folder.mkdir()
    copies = {split: shutil.copy(getattr(task, split), folder) for split in ("train", "validation")}
    scores = dict.fromkeys(task.metric_names, 0.5)

    def outcome(cell: Cell) -> pool.Outcome:
        result = CellResult(0.5, scores, None, 1.0, 1, 0.1)
        (cell.folder / "result.json").write_text(json.dumps(result.content()), "utf-8")
        return result

    monkeypatch.setattr(pool, "_run_here", outcome)
    config = settings(models, tmp_path / "out", tasks=[{"task": SENTIMENT, **copies}], epochs=(1.0,), latency=False)
    job.evaluate(config)
    job.evaluate(config)
    lines = Path(copies["validation"]).read_bytes().splitlines(keepends=True)
    Path(copies["validation"]).write_bytes(b"".join(lines[:-1]))
    with pytest.raises(ConfigError, match=r"validation\.tsv was \"\w+\", now"):
        job.evaluate(config)


def test_a_run_that_came_to_nothing_stands_in_no_ones_way(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.set_num_threads(1)
    train = Path(shutil.copy(load_task(SENTIMENT).train or "", tmp_path))
    lines = train.read_bytes()
    train.write_bytes(lines[: lines.rindex(b"\n", 0, -1) + 1])
    alone = {"models": [str(models / "little")], "teacher": None, "epochs": (1.0,), "seeds": (0,), "latency": False}
    config = settings(models, tmp_path / "out", tasks=[{"task": SENTIMENT, "train": str(train)}], **alone)
    with monkeypatch.context() as patch:
        patch.setattr(task_runs, "TaskBatches", fails_at(1))
        with pytest.raises(TrainingError, match=r"all 1 runs failed; the first: .*the cord was pulled"):
            job.evaluate(config)
    train.write_bytes(lines)
    made = job.evaluate(config)
    assert not made.failures
    assert len(scores_of(made)) == 1


def test_a_training_that_was_begun_is_kept_from_other_settings(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.set_num_threads(1)
    alone = {"models": [str(models / "little")], "teacher": None, "epochs": (2.0,), "seeds": (0,), "latency": False}
    with monkeypatch.context() as patch:
        patch.setattr(task_runs, "TaskBatches", stops_at(1))
        with pytest.raises(InterruptedJobError):
            job.evaluate(settings(models, tmp_path / "out", **alone))
    with pytest.raises(ConfigError, match=r"finetune\.training\.learning_rate was null, now 0\.001"):
        job.evaluate(settings(models, tmp_path / "out", training={"learning_rate": 1e-3}, **alone))
    assert list((tmp_path / "out").rglob("checkpoints/step-*"))
    assert not job.evaluate(settings(models, tmp_path / "out", **alone)).failures


def scores_of(made: Evaluation) -> list[Any]:
    return [trial.scores for tasks in made.entries.values() for entry in tasks.values() for trial in entry.trials]


def test_a_failed_run_stops_no_other(models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def outcome(cell: Cell) -> pool.Outcome:
        value = 0.5 + cell.seed / 10
        scores = {"accuracy": value, "f1_macro": value}
        return "out of memory" if cell.model == "little" and cell.seed else CellResult(value, scores, None, 1.0, 1, 0.1)

    monkeypatch.setattr(pool, "_run_here", outcome)
    config = settings(models, tmp_path / "out", epochs=(1.0,), latency=False)
    made = job.evaluate(config)
    assert made.failures == {"little on sample-sentiment, 1 epochs, seed 1": "out of memory"}
    entry = made.entries["little"]["sample-sentiment"]
    assert entry.num_missing == 1
    scores, *_, failed = tables(made)
    assert scores.rows[1][1] == "50.00 (1, 1 of 2 seeds)"
    assert failed.rows == [["little on sample-sentiment, 1 epochs, seed 1", "out of memory"]]
    monkeypatch.setattr(pool, "_run_here", lambda cell: "no")
    with pytest.raises(TrainingError, match="all 4 runs failed; the first: no"):
        job.evaluate(settings(models, tmp_path / "other", epochs=(1.0,), latency=False))


def test_what_nobody_expected_stops_no_other_either(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(folder: Path) -> CellResult:
        if "little" in str(folder):
            raise RuntimeError("out of memory")
        return CellResult(0.5, {"accuracy": 0.5, "f1_macro": 0.5}, None, 1.0, 1, 0.1)

    monkeypatch.setattr(worker, "run_cell", fails)
    config = settings(models, tmp_path / "out", epochs=(1.0,), seeds=(0,), latency=False)
    made = job.evaluate(config)
    assert made.failures == {"little on sample-sentiment, 1 epochs, seed 0": "RuntimeError: out of memory"}
    assert made.entries["teacher"]["sample-sentiment"].num_missing == 0
    (log,) = (tmp_path / "out").rglob("log.txt")
    assert "in fails" in log.read_text("utf-8")  # the traceback

    def stopped(folder: Path) -> CellResult:
        raise KeyboardInterrupt

    monkeypatch.setattr(worker, "run_cell", stopped)
    with pytest.raises(KeyboardInterrupt):
        job.evaluate(config)


def test_a_model_is_scored_where_it_learned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    task = load_task(SENTIMENT)
    found = []
    monkeypatch.setattr(worker, "make_accelerator", lambda training: SimpleNamespace(device=torch.device("meta")))
    monkeypatch.setattr(worker, "score_model", lambda model, *_: found.append(model.weight.device.type) or {})
    config = FinetuneConfig(task=SENTIMENT, model="any", output=write_model(tmp_path / "model"))
    worker._score(config, torch.nn.Linear(2, 2), task.validation or "")
    assert found == ["meta"]


def test_processes_give_what_this_one_gives(models: Path, tmp_path: Path) -> None:
    found = {}
    alone = {"models": [str(models / "little")], "teacher": None}
    for workers in (0, 1):
        config = settings(models, tmp_path / str(workers), epochs=(1.0,), seeds=(0,), **alone)
        outcomes = dict(pool.run_cells(plan_cells(config), workers, 1))
        found[workers] = {
            (cell.model, cell.seed): dataclasses.replace(made, seconds=0.0)
            for cell, made in outcomes.items()
            if isinstance(made, CellResult)
        }
    assert found[0] == found[1]
    assert len(found[0]) == 1


def test_a_process_that_dies_is_told_by_its_last_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def start(cell: Cell, num_threads: int) -> Any:
        script = {
            "a": "print('half', flush=True)\nprint('error: no such thing')\nraise SystemExit(2)",
            "b": "import time\ntime.sleep(60)",
            "c": "print('step 3', flush=True)\nimport os\nos.kill(os.getpid(), 9)",
        }
        with (cell.folder / "log.txt").open("ab") as log:
            return subprocess.Popen([sys.executable, "-c", script[cell.model]], stdout=log, stderr=log)

    monkeypatch.setattr(pool, "_start", start)
    failing, endless, killed = (Cell(name, "one", 1.0, 0, tmp_path / name, {"finetune": name}) for name in "abc")
    assert list(pool.run_cells([killed], 1, 1)) == [(killed, "killed by SIGKILL: step 3")]
    assert list(pool.run_cells([failing], 1, 1)) == [(failing, "exit status 2: no such thing")]
    running = pool.run_cells([failing, endless], 2, 1)
    assert next(running)[0] == failing
    signal.raise_signal(signal.SIGINT)  # noted; the process that runs is told to end
    with pytest.raises(InterruptedJobError, match="it goes on where it stopped"):
        next(running)
    assert find_result(endless) is None


def test_a_log_goes_on_and_the_last_attempt_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "python"
    monkeypatch.setattr(sys, "executable", str(program))
    cell = Cell("m", "t", 1.0, 0, tmp_path / "cell", {})
    found = []
    for script in ("echo error: no room; exit 1", "echo killed; exit 1", "exit 3"):
        program.write_text(f"#!/bin/sh\n{script}\n", "utf-8")
        program.chmod(0o755)
        found += [outcome for _, outcome in pool.run_cells([cell], 1, 1)]
    assert found == ["exit status 1: no room", "exit status 1: killed", "exit status 3: it said nothing"]
    log = (cell.folder / "log.txt").read_text("utf-8")
    assert log.index("error: no room") < log.index("killed")


def test_results_count_beside_their_request_only(tmp_path: Path) -> None:
    cell = Cell("m", "t", 1.0, 0, tmp_path / "cell", {"finetune": {"epochs": 1.0}})
    assert find_result(cell) is None
    write_request(cell)
    assert find_result(cell) is None
    result = CellResult(0.5, {"acc": 0.5}, None, 1.0, 2, 0.1)
    (cell.folder / "result.json").write_text(json.dumps(result.content()), "utf-8")
    assert find_result(cell) == result
    with pytest.raises(ConfigError, match=r"finetune\.epochs was 1\.0, now 2\.0"):
        find_result(dataclasses.replace(cell, request={"finetune": {"epochs": 2.0}}))


def test_bad_configurations_are_one_clear_error(models: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"the teacher is none of the models: 'x'.*little, teacher"):
        settings(models, tmp_path, teacher="x")
    with pytest.raises(ConfigError, match=r"stands twice: \['little'\]"):
        settings(models, tmp_path, models=[str(models / "little")] * 2, teacher=None)
    with pytest.raises(ConfigError, match="the epochs are what is compared"):
        settings(models, tmp_path, training={"patience": 2})
    with pytest.raises(ConfigError, match=r"at its end only: 50.*training\.evaluate_every.*weights = \"best\""):
        settings(models, tmp_path, training={"evaluate_every": 50})
    assert settings(models, tmp_path, training={"evaluate_every": 50}, weights="best").training.evaluate_every == 50
    with pytest.raises(ConfigError, match=r"random weights: 'minirbt-h256'.*\./minirbt-h256"):
        job.evaluate(settings(models, tmp_path / "out", models=["small=minirbt-h256"], teacher=None))
    with pytest.raises(ConfigError, match="two tasks have one name"):
        plan_cells(settings(models, tmp_path, tasks=[SENTIMENT, SENTIMENT]))
    with pytest.raises(ConfigError, match="no examples to be scored on: 'ocnli'"):
        plan_cells(settings(models, tmp_path, tasks=["ocnli"]))
    with pytest.raises(ConfigError, match="the model cannot be loaded"):
        job.evaluate(settings(models, tmp_path / "out", models=[str(tmp_path / "none")], teacher=None))
    for folder in (".", "..", "=..", "runs/.."):
        with pytest.raises(ConfigError, match=r"a model has no name: .* \(models\)\. Give NAME=FOLDER"):
            settings(models, tmp_path, models=[folder], teacher=None)


def test_what_every_run_would_fail_of_is_told_once_before_any(models: Path, tmp_path: Path) -> None:
    task = {"task": SENTIMENT, "train": str(tmp_path / "none.tsv")}
    with pytest.raises(SourceError, match=r"no such file: .*none\.tsv"):
        job.evaluate(settings(models, tmp_path / "out", tasks=[task]))
    (tmp_path / "none.tsv").write_text("text_a\tlabel\n很好\t7\n", "utf-8")
    with pytest.raises(SourceError, match=r"no example.*unknown_label"):
        job.evaluate(settings(models, tmp_path / "out", tasks=[task]))
    bare = shutil.copytree(models / "little", tmp_path / "bare", ignore=shutil.ignore_patterns("*token*", "vocab*"))
    with pytest.raises(ConfigError, match="without a tokenizer"):
        job.evaluate(settings(models, tmp_path / "out", models=[str(bare)], teacher=None))
    assert not (tmp_path / "out").exists()


def test_a_disk_that_takes_no_more_is_one_message(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(cell: Cell) -> pool.Outcome:
        raise OSError(errno.ENOSPC, "No space left on device", str(cell.folder))

    monkeypatch.setattr(pool, "_run_here", full)
    with pytest.raises(CorpusError, match=r"cannot be written: No space left on device.*goes on where it stopped"):
        job.evaluate(settings(models, tmp_path / "out", latency=False))
    monkeypatch.undo()

    def too_full(*_: Any, **__: Any) -> None:
        raise SafetensorError("I/O error: No space left on device")

    alone = {"models": [str(models / "little")], "teacher": None, "epochs": (1.0,), "seeds": (0,)}
    monkeypatch.setattr(BertForSequenceClassification, "save_pretrained", too_full)
    with pytest.raises(TrainingError, match="the first: the output cannot be written: I/O error: No space left"):
        job.evaluate(settings(models, tmp_path / "other", latency=False, **alone))
    (tmp_path / "file").write_text("", "utf-8")
    with pytest.raises(CorpusError, match=r"cannot be written: .*\(.*file/out\)"):
        job.evaluate(settings(models, tmp_path / "file" / "out", latency=False))


def test_what_an_earlier_call_kept_goes_when_only_the_best_is_asked_for(models: Path, tmp_path: Path) -> None:
    torch.set_num_threads(1)
    alone = {"models": [str(models / "little")], "teacher": None, "epochs": (1.0,), "latency": False}
    job.evaluate(settings(models, tmp_path / "out", keep="all", **alone))
    assert len(list((tmp_path / "out").rglob("model/config.json"))) == 2
    job.evaluate(settings(models, tmp_path / "out", **alone))
    assert len(list((tmp_path / "out").rglob("model/config.json"))) == 1


def test_a_folder_with_an_equals_sign_is_a_folder() -> None:
    texts = ["runs/lr=1e-4/student", "./lr=1e-3", "a=runs/lr=1e-4", "hfl/rbt3", "=runs/b", "c:\\lr=1\\d"]
    made = EvaluateConfig(models=texts, tasks=["ocnli"], output="out")
    assert [(each.title, each.model) for each in made.models[:5]] == [
        ("student", "runs/lr=1e-4/student"),
        ("lr=1e-3", "./lr=1e-3"),
        ("a", "runs/lr=1e-4"),
        ("rbt3", "hfl/rbt3"),
        ("b", "runs/b"),
    ]
    assert made.models[5].model == "c:\\lr=1\\d"


def test_the_learning_rate_of_a_model_stands_above_that_of_all(models: Path, tmp_path: Path) -> None:
    chosen = {"model": str(models / "little"), "learning_rate": 3e-4}
    config = settings(models, tmp_path, models=[str(models / "large"), chosen], teacher=None)
    rates = {cell.model: cell.request["finetune"]["training"]["learning_rate"] for cell in plan_cells(config)}
    assert rates == {"large": None, "little": 3e-4}


def test_recipe_and_command_line(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import importlib

    monkeypatch.chdir(ROOT)
    monkeypatch.syspath_prepend(str(ROOT / "pipelines"))
    short = ["--set", "epochs=[1.0]", "--set", "seeds=[0]", "--set", "num_workers=0", "--set", "latency=false"]
    pair = f"models=['teacher={models / 'large'}', 'student={models / 'little'}']"
    names = "['sample_data/tasks/sentiment/task.toml']"
    recipe = ["--set", pair, "--set", f"tasks={names}", "--set", f"output='{tmp_path}/recipe'", *short]
    importlib.import_module("evaluate_models").main(recipe)
    printed = capsys.readouterr().out
    assert "Relative to teacher" in printed
    first = json.loads((tmp_path / "recipe" / "evaluation.json").read_text("utf-8"))
    arguments = ["evaluate", "--config", "pipelines/configs/evaluate_sample.toml", f"teacher={models / 'large'}"]
    arguments += [f"student={models / 'little'}", "--task", SENTIMENT, "--output", str(tmp_path / "cli"), *short]
    monkeypatch.setattr(sys, "argv", ["wwmcorpus", *arguments])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert not ended.value.code
    second = json.loads((tmp_path / "cli" / "evaluation.json").read_text("utf-8"))
    assert first["models"] == second["models"]
    assert "Scores" in capsys.readouterr().out
