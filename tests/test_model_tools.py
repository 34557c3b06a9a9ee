"""Sizes against published ones and sums by hand; exports opened by transformers and ONNX Runtime themselves."""

import json
import math
import re
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import SafetensorError
from torch import nn
from transformers import (
    AutoModel,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    BertConfig,
    BertForMaskedLM,
    BertForQuestionAnswering,
    BertForSequenceClassification,
    PreTrainedModel,
)

from wwmcorpus import cli
from wwmcorpus.align import load_tokenizer
from wwmcorpus.errors import ConfigError, CorpusError, TrainingError
from wwmcorpus.models import export
from wwmcorpus.models.compare import Distance, distance
from wwmcorpus.models.export import export_model
from wwmcorpus.models.info import model_info
from wwmcorpus.models.latency import set_threads, summarise, take_turns
from wwmcorpus.models.load import load_model
from wwmcorpus.models.parameters import module_sizes, sizes
from wwmcorpus.models.tables import aligned_lines, markdown_table


def saved(folder: Path, kind: type[PreTrainedModel] = BertForMaskedLM, **more: object) -> Path:
    """Write a tiny model with the embedded tokenizer."""
    tokenizer = load_tokenizer("embedded")
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=24,
        max_position_embeddings=48,
        **more,
    )
    torch.manual_seed(0)
    model = kind(config)
    for parameter in model.parameters():  # so that no output is near a tie
        nn.init.normal_(parameter, std=0.3)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return saved(tmp_path_factory.mktemp("models") / "classifier", BertForSequenceClassification, num_labels=3)


# Published: MiniRBT's and HFL's tables, in millions, with and without embeddings; both count BertModel and its pooler.
@pytest.mark.parametrize(
    ("name", "whole", "rest"),
    [("minirbt-h256", 10_345_216, 4_804_352), ("minirbt-h288", 12_311_136, None), ("rbt6", 59_740_416, None)],
)
def test_sizes_are_the_published_ones(name: str, whole: int, rest: int | None) -> None:
    found = sizes(load_model(name))
    assert found.num_backbone == whole
    assert rest is None or found.num_without_embeddings == rest


def test_shared_weights_count_once() -> None:
    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.words = nn.Embedding(10, 4)
            self.inner = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 10, bias=False))
            self.inner[1].weight = self.words.weight

    rows = {row.name: row for row in module_sizes(Tied())}
    assert (rows[""].num_parameters, rows[""].num_shared, rows[""].size_bytes) == (60, 0, 240)
    assert (rows["inner"].num_parameters, rows["inner"].num_shared) == (20, 40)
    assert (rows["inner.1"].num_parameters, rows["inner.1"].num_shared) == (0, 40)
    assert list(rows) == ["", "words", "inner", "inner.0", "inner.1"]
    assert [row.name for row in module_sizes(Tied(), depth=1)] == ["", "words", "inner"]


def test_children_add_up_to_the_whole(classifier: Path) -> None:
    model = load_model(str(classifier))
    rows = module_sizes(model)
    assert rows[0].num_parameters == model.num_parameters()
    for parent in rows:
        children = [row for row in rows if row.name.rpartition(".")[0] == parent.name and row.depth == parent.depth + 1]
        # A leaf has none; BERT's modules hold no weights of their own beside their children, but for the output bias.
        assert not children or sum(row.num_parameters for row in children) == parent.num_parameters


def test_info_compares_with_the_teacher(classifier: Path) -> None:
    found = model_info(
        [str(classifier)], teacher="rbt3", depth=1, latency=True, batch_sizes=(1, 2), length=999, seconds=0.0
    )
    teacher, student = found.models
    assert [model.name for model in found.models] == ["rbt3", str(classifier)]
    assert (student.layers, student.hidden, student.heads) == (1, 16, 2)
    assert [(each.batch_size, each.length) for each in student.latencies] == [(1, 48), (2, 48)]  # its positions
    assert student.latencies[0].num_threads == torch.get_num_threads()
    row = dict(zip(found.header(), found.rows()[1], strict=True))
    share = student.sizes.num_backbone / teacher.sizes.num_backbone
    assert f"({share:.1%})" in row["backbone"]
    ratio = teacher.latencies[1].median_seconds / student.latencies[1].median_seconds
    assert row["speed-up, batch 2"] == f"{ratio:.1f}x"
    assert found.rows()[0][-1] == "1.0x"
    told = json.loads(json.dumps(found.content()))
    assert told[1]["sizes"]["num_backbone"] == student.sizes.num_backbone
    assert told[0]["speed_ups"] == [1.0, 1.0]
    assert told[1]["speed_ups"][1] == pytest.approx(ratio)


def test_turns_alternate_and_quartiles_are_numpys() -> None:
    calls: list[str] = []
    times = take_turns({"a": lambda: calls.append("a"), "b": lambda: calls.append("b")}, min_turns=3, seconds=0.0)
    assert calls == ["a", "b"] * 5  # two turns before those that count
    assert [len(each) for each in times.values()] == [3, 3]
    values = [0.5, 0.1, 0.4, 0.9, 0.2, 0.3]
    found = summarise(values, 1, 128)
    expected = np.quantile(values, [0.25, 0.5, 0.75])
    assert np.allclose([found.lower_seconds, found.median_seconds, found.upper_seconds], expected)


def test_export_gives_a_folder_that_transformers_opens(classifier: Path, tmp_path: Path) -> None:
    run = saved(tmp_path / "run", BertForSequenceClassification, num_labels=3)
    (run / "README.md").write_text("# A run\n\nIts recipe.\n", "utf-8")
    (run / "task.json").write_text("{}\n", "utf-8")
    (run / "checkpoints").mkdir()
    made = export_model(str(run), tmp_path / "out")
    names = {path.name for path in made.folder.iterdir()}
    assert names == {
        "README.md",
        "config.json",
        "model.safetensors",
        "task.json",
        "tokenizer.json",
        "tokenizer_config.json",
        "vocab.txt",
    }
    card = (made.folder / "README.md").read_text("utf-8")
    assert card.startswith("# A run\n\nIts recipe.\n\n## Size\n")
    assert (export_model(str(made.folder), tmp_path / "again").folder / "README.md").read_text("utf-8") == card
    original, copy = (AutoModelForSequenceClassification.from_pretrained(each).eval() for each in (run, made.folder))
    batch = AutoTokenizer.from_pretrained(made.folder)("他叫汤姆去拿外衣。", "why not", return_tensors="pt")
    with torch.no_grad():
        assert torch.equal(original(**batch).logits, copy(**batch).logits)
        hidden = AutoModel.from_pretrained(made.folder).eval()(**batch).last_hidden_state
        assert torch.equal(original.bert(**batch).last_hidden_state, hidden)
    assert not list(tmp_path.glob(".*"))  # no attempt is left behind


# The first has a pooler and one output, the other an output for beginnings and one for ends.
@pytest.mark.parametrize("kind", [BertForSequenceClassification, BertForQuestionAnswering])
def test_onnx_gives_what_torch_gives(tmp_path: Path, kind: type[PreTrainedModel]) -> None:
    runtime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    run = saved(tmp_path / "run", kind)
    made = export_model(str(run), tmp_path / "out", onnx=True, int8_tolerance=0.3, seconds=0.0)
    files = made.onnx
    assert files is not None
    model, tokenizer = kind.from_pretrained(run).eval(), AutoTokenizer.from_pretrained(run)
    # Another number of rows and another length than it was traced with.
    batch = tokenizer(["汤姆去拿外衣。", "我们在南京市长江大桥上。", "好"], padding=True, return_tensors="pt")
    with torch.no_grad():
        expected = model(**batch)
    session = runtime.InferenceSession(made.folder / "onnx" / "model.onnx")
    outputs = session.run(None, {each.name: batch[each.name].numpy() for each in session.get_inputs()})
    for output, name in zip(outputs, [each.name for each in session.get_outputs()], strict=True):
        assert np.allclose(output, expected[name], atol=1e-4)
    assert files.plain.distance.relative < 1e-4 < files.int8.distance.relative < 0.3
    assert files.int8.size_bytes < 0.5 * files.plain.size_bytes
    stored = json.loads((made.folder / "onnx" / "check.json").read_text("utf-8"))
    assert stored["model_int8.onnx"]["distance"]["relative"] == files.int8.distance.relative
    card = (made.folder / "README.md").read_text("utf-8")
    assert "| ONNX, int8 |" in card
    # The files for ONNX Runtime are not taken along, nor is what the card says of them; what others wrote stays.
    (made.folder / "README.md").write_text(card + "\n## Size of the corpus\n\nSmall.\n", "utf-8")
    again = (export_model(str(made.folder), tmp_path / "again").folder / "README.md").read_text("utf-8")
    assert re.findall(r"^#.*", again, re.MULTILINE) == ["# out", "## Size of the corpus", "## Size"]
    assert "ONNX" not in again
    assert "Small." in again


def test_a_copy_that_is_too_far_off_is_no_export(
    classifier: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    far = Distance(largest=0.5, relative=0.07, agreement=0.9, num_rows=4)
    far.check("model_int8.onnx", 0.07)
    Distance(largest=0.01, relative=0.5, agreement=1.0, num_rows=4).check("what hardly varies", 0.05)

    def too_far(*_: object, **__: object) -> None:
        far.check("model_int8.onnx", 0.05, "--int8-tolerance")

    monkeypatch.setattr(export, "export_onnx", too_far)
    with pytest.raises(
        TrainingError,
        match=r"model_int8\.onnx does not give .*90\.0% .* the same; 0\.05 is allowed .*raise --int8-tolerance",
    ):
        export_model(str(classifier), tmp_path / "out", onnx=True)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(TrainingError, match="nan"):
        Distance(math.nan, math.nan, None, 4).check("a copy", 0.05)


def test_a_disk_that_takes_no_more_is_one_message(
    classifier: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise SafetensorError("I/O error: No space left on device")

    monkeypatch.setattr(BertForSequenceClassification, "save_pretrained", full)
    with pytest.raises(CorpusError, match=r"cannot be written: .*No space left on device.*export again"):
        export_model(str(classifier), tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_a_card_counts_a_pooler_that_the_model_lacks_apart(tmp_path: Path) -> None:
    made = export_model(str(saved(tmp_path / "run", BertForQuestionAnswering)), tmp_path / "out")
    assert made.sizes.num_parameters < made.sizes.num_backbone  # two numbers for the head, 16 x 16 + 16 for the pooler
    card = (made.folder / "README.md").read_text("utf-8")
    assert f"of the backbone with a pooler, as published sizes count: {made.sizes.num_backbone:,}" in card
    earlier = card.replace("with a pooler, as published sizes count", "with its pooler, without heads")
    (made.folder / "README.md").write_text(earlier, "utf-8")
    assert (export_model(str(made.folder), tmp_path / "again").folder / "README.md").read_text("utf-8") == card


def test_distance_by_hand() -> None:
    mask = np.array([[1, 1], [1, 0]])
    logits = np.array([[[0.0, 4.0], [2.0, 0.0]], [[0.0, 2.0], [9.0, 9.0]]], dtype=np.float32)
    copy = logits.copy()
    copy[0, 0, 0] += 3.0  # the best stays
    copy[0, 1, 1] += 3.0  # the best moves
    copy[1, 1] = -7.0  # padding, does not count
    found = distance({"logits": logits}, {"logits": copy}, mask)
    assert found.largest == 3.0
    assert found.agreement == pytest.approx(2 / 3)
    assert found.relative == pytest.approx(np.sqrt(18 / 6) / np.std([0, 4, 2, 0, 0, 2]))
    starts = np.array([[1.0, 2.0], [1.0, 5.0]], dtype=np.float32)
    moved = np.array([[1.0, 0.0], [1.0, 99.0]], dtype=np.float32)
    assert distance({"start_logits": starts}, {"start_logits": moved}, mask).agreement == 0.5
    scores = {"logits": np.array([[0.5], [0.7]], dtype=np.float32)}
    assert distance(scores, scores, mask).agreement is None


def test_bad_models_are_one_clear_error(classifier: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="minirbt-h256"):
        load_model(str(tmp_path / "nothing"))
    (tmp_path / "two" / "student").mkdir(parents=True)
    (tmp_path / "two" / "student" / "config.json").write_text("{}", "utf-8")
    with pytest.raises(ConfigError, match=r"the folder is no model.*Choose one of: .*student"):
        load_model(str(tmp_path / "two"))
    shape = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 8}
    BertForMaskedLM(BertConfig(vocab_size=20, **shape)).save_pretrained(tmp_path / "small")
    load_tokenizer("embedded").save_pretrained(tmp_path / "small")
    with pytest.raises(ConfigError, match=r"the tokenizer has \d+ pieces, the model 20"):
        export_model(str(tmp_path / "small"), tmp_path / "out")
    with pytest.raises(ConfigError, match="the output exists already"):
        export_model(str(classifier), tmp_path / "two")
    for folder in (".", ".."):
        with pytest.raises(ConfigError, match="needs a name of its own"):
            export_model(str(classifier), folder)
    config = json.loads((classifier / "config.json").read_text("utf-8"))
    for path in classifier.iterdir():
        (tmp_path / "two" / path.name).write_bytes(path.read_bytes())
    (tmp_path / "two" / "config.json").write_text(json.dumps(config | {"architectures": ["Evil"]}), "utf-8")
    with pytest.raises(ConfigError, match="transformers has no such model class: 'Evil'"):
        load_model(str(tmp_path / "two"))
    (tmp_path / "two" / "config.json").write_text(json.dumps(config | {"num_hidden_layers": 2}), "utf-8")
    with pytest.raises(ConfigError, match=r"lacks 16 of its weights.*layer\.1"):
        load_model(str(tmp_path / "two"))


def test_tables() -> None:
    rows = [["模型", "1"], ["a|b", "12.5"]]
    assert list(aligned_lines(["", "n"], rows)) == ["         n", "模型     1", "a|b   12.5"]
    assert markdown_table(["", "n"], rows) == ["|  | n |", "| --- | ---: |", "| 模型 | 1 |", "| a\\|b | 12.5 |"]


def call(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> object:
    monkeypatch.setattr(sys, "argv", ["wwmcorpus", *arguments])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    return ended.value.code


def test_command_line(
    classifier: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    set_threads(1)
    assert not call(monkeypatch, "model-info", str(classifier), "minirbt-h256", "--teacher", "rbt3", "--depth", "1")
    printed = capsys.readouterr().out
    assert re.search(r"minirbt-h256 .*10\.35M \(\d+\.\d%\)", printed)
    assert "classifier (Linear)" in printed
    assert not call(monkeypatch, "model-info", "minirbt-h256", "--json")
    assert json.loads(capsys.readouterr().out)[0]["sizes"]["num_without_embeddings"] == 4_804_352
    assert not call(monkeypatch, "export", str(classifier), "--output", str(tmp_path / "out"))
    assert "the same outputs on 32 texts" in capsys.readouterr().out
    assert call(monkeypatch, "export", str(tmp_path / "none"), "--output", str(tmp_path / "other")) == 2
    assert call(monkeypatch, "model-info", "rbt3", "--latency", "--batch-size", "0") == 2
