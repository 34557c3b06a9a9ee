"""The quickstart goes the whole road and says what it made; here with models of a moment."""

from collections.abc import Callable
from pathlib import Path

import datasets
import pytest
from rich.console import Console
from transformers import AutoTokenizer, BertForMaskedLM

from wwmcorpus import open_corpus, quickstart
from wwmcorpus.errors import CorpusError
from wwmcorpus.training import StudentShape, Training, TwoStageConfig

TINY = StudentShape(layers=1, hidden=32, heads=2, intermediate=64)


def accepting_its_teacher(make: Callable[[Path], TwoStageConfig]) -> Callable[[Path], TwoStageConfig]:
    """Go on with a teacher of two steps, which knows nothing."""
    return lambda output: make(output).model_copy(update={"accept_teacher": True})


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """Give the quickstart's folder and what it printed."""
    output = tmp_path_factory.mktemp("quick") / "start"
    console = Console(record=True, width=100, highlight=False)
    short = Training(steps=2, global_batch_size=4, evaluation_rows=8)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(quickstart, "_training", lambda steps: short)
        patch.setattr(quickstart, "StudentShape", lambda **_: TINY)
        patch.setattr(quickstart, "two_stage_config", accepting_its_teacher(quickstart.two_stage_config))
        quickstart.run_quickstart(output, console)
    return output, console.export_text()


def test_everything_that_it_names_is_there(made: tuple[Path, str]) -> None:
    output, printed = made
    for name in ("corpus", "teacher", "assistant", "student", "curves.png"):
        assert str(output / name).replace("\n", "") in printed.replace("\n", "")
        assert (output / name).exists()


def test_it_shows_words_and_figures(made: tuple[Path, str]) -> None:
    _, printed = made
    assert quickstart.SENTENCE in printed
    assert "[MASK]=" in printed
    assert "unigram baseline" in printed


def test_datasets_opens_the_corpus(made: tuple[Path, str]) -> None:
    opened = datasets.load_from_disk(str(made[0] / "corpus"))
    assert {"input_ids", "word_start"} <= set(opened["train"].column_names)
    for split in ("train", "validation"):
        assert len(opened[split]) == open_corpus(made[0] / "corpus" / split).manifest.num_rows > 0


def test_transformers_opens_the_student(made: tuple[Path, str]) -> None:
    student = BertForMaskedLM.from_pretrained(made[0] / "student")
    assert (student.config.hidden_size, student.config.num_hidden_layers) == (256, 6)
    assert len(AutoTokenizer.from_pretrained(made[0] / "student")) == student.config.vocab_size


def test_a_folder_of_something_else_is_never_touched(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(CorpusError, match="not empty"):
        quickstart.run_quickstart(tmp_path, Console(quiet=True), overwrite=True)
    assert (tmp_path / "thesis.txt").read_text() == "mine"
