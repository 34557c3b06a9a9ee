from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from training_fakes import STUDENT, TEACHER, VOCAB, batch, tiny, tokenizer_folder
from transformers import AutoTokenizer, BertForMaskedLM

from wwmcorpus.errors import ConfigError, MissingExtraError, TrainingError
from wwmcorpus.training.curves import draw_curves
from wwmcorpus.training.evaluate import Figures, evaluate, evaluate_with_guesses, unigram_baseline, word_numbers
from wwmcorpus.training.export import model_card, staged_folder, write_model
from wwmcorpus.training.heads import load_masked_lm
from wwmcorpus.training.held_out import hidden_cosine
from wwmcorpus.training.objective import Objective
from wwmcorpus.training.pair_head import pair_accuracy
from wwmcorpus.training.registry import register_loss
from wwmcorpus.training.reporting import Reporter, read_metrics
from wwmcorpus.training.settings import DistillLosses, LayerMatch
from wwmcorpus.training.students import build_student, student_config


def test_word_numbers_never_repeat_within_a_batch():
    start = torch.tensor([[1, 1, 0, 1], [1, 1, 1, 0]], dtype=torch.bool)
    numbers = word_numbers(start)
    assert numbers[0, 1] == numbers[0, 2]
    assert len(numbers.unique()) == 6


def test_figures_equal_a_naive_count():
    model, rows = tiny(seed=5).eval(), [batch(seed=seed) for seed in range(3)]
    loss, pieces, words = 0.0, [], []
    for row in rows:
        logits = model(input_ids=row["input_ids"], attention_mask=row["attention_mask"]).logits.detach()
        for r, labels in enumerate(row["labels"].tolist()):
            word: list[bool] = []
            for p, label in enumerate([*labels, -100]):
                starts = p == len(labels) or bool(row["word_start"][r, p])
                if starts and word:
                    words.append(all(word))
                    word = []
                if label != -100:
                    loss -= float(torch.log_softmax(logits[r, p], -1)[label])
                    word.append(int(logits[r, p].argmax()) == label)
                    pieces.append(word[-1])
    figures = evaluate(model, rows)
    assert (figures.num_pieces, figures.num_words) == (len(pieces), len(words))
    assert figures.loss == pytest.approx(loss / len(pieces), rel=1e-5)
    assert figures.piece_accuracy == pytest.approx(np.mean(pieces))
    assert figures.word_accuracy == pytest.approx(np.mean(words))
    assert figures.perplexity == pytest.approx(math.exp(figures.loss))


def test_agreement_with_a_teacher_equals_a_naive_count():
    student, teacher, rows = tiny(seed=5), tiny(TEACHER, seed=6), [batch(seed=seed) for seed in range(3)]
    _, guesses = evaluate_with_guesses(teacher, rows)
    agreed = []
    for row in rows:
        asked = row["labels"] != -100
        inputs = {"input_ids": row["input_ids"], "attention_mask": row["attention_mask"]}
        best = [model.eval()(**inputs).logits.argmax(-1)[asked] for model in (student, teacher)]
        agreed += (best[0] == best[1]).tolist()
    assert evaluate(student, rows, teacher_guesses=guesses).agreement == pytest.approx(np.mean(agreed))
    assert evaluate(teacher, rows, teacher_guesses=guesses).agreement == 1
    assert evaluate(student, rows).agreement is None


def test_hidden_cosine_of_the_deepest_match():
    student, teacher, row = tiny(seed=5).eval(), tiny(TEACHER, seed=6).eval(), batch()
    objective = Objective(student, DistillLosses(), teacher)
    inputs = {"input_ids": row["input_ids"], "attention_mask": row["attention_mask"], "output_hidden_states": True}
    ours, theirs = (model(**inputs).hidden_states[-1].detach() for model in (student, teacher))
    mine = objective.projections[-1](ours).detach()
    cosine = (mine * theirs).sum(-1) / (mine.norm(dim=-1) * theirs.norm(dim=-1))
    expected = float(cosine[row["attention_mask"].bool()].mean())
    assert hidden_cosine(objective, teacher, [row], "fp32") == pytest.approx(expected, rel=1e-4)
    unmatched = Objective(student, DistillLosses(layer_map="none"), teacher)
    assert hidden_cosine(unmatched, teacher, [row], "fp32") is None


@pytest.mark.parametrize(
    ("precision", "expected"), [("fp32", torch.float32), ("bf16", torch.bfloat16), ("fp16", torch.float16)]
)
def test_evaluations_multiply_in_the_format_of_the_run(precision, expected):
    config = student_config(STUDENT, VOCAB)
    student, teacher = build_student(config, has_pair_head=True), tiny(TEACHER, 1)
    seen = []
    for model in (student, teacher):
        model.bert.encoder.layer[0].intermediate.dense.register_forward_hook(lambda *given: seen.append(given[2].dtype))
    evaluate(student, [batch()], precision)
    hidden_cosine(Objective(student, DistillLosses(), teacher), teacher, [batch()], precision)
    pair_accuracy(student, [batch() | {"pair_label": torch.zeros(8, dtype=torch.int64)}], precision)
    assert seen == [expected] * 4


def test_a_perplexity_beyond_float64_is_infinite():
    assert Figures(709.0, 0.0, None, 1, None).perplexity == pytest.approx(8.218e307, rel=1e-3)  # e ** 709
    content = Figures(710.0, 0.0, None, 1, None).content()
    assert content["perplexity"] == math.inf
    assert Figures.of(content).loss == 710.0


def test_evaluation_leaves_the_mode_as_it_was():
    model = tiny().train()
    evaluate(model, [batch()])
    assert model.training


def test_without_word_starts_there_is_no_word_accuracy():
    row = {name: tensor for name, tensor in batch().items() if name != "word_start"}
    figures = evaluate(tiny(), [row])
    assert figures.word_accuracy is None
    assert figures.num_words is None


def test_nothing_masked():
    with pytest.raises(TrainingError, match="nothing to evaluate"):
        evaluate(tiny(), [batch(mask_share=0.0)])


def test_unigram_baseline_by_hand():
    # counts 3, 1 and 0 of three pieces, plus one: 4/7, 2/7, 1/7; piece 0, most frequent of all, is never masked
    row = {
        "labels": torch.tensor([[-100, 1, 1, 2, -100]]),
        "word_start": torch.tensor([[1, 1, 0, 1, 1]], dtype=torch.bool),
    }
    figures = unigram_baseline(np.array([99, 3, 1, 0]), [row], left_out=[0])
    assert figures.loss == pytest.approx(-(2 * math.log(4 / 7) + math.log(2 / 7)) / 3)
    assert figures.piece_accuracy == pytest.approx(2 / 3)
    assert figures.word_accuracy == pytest.approx(1 / 2)


def test_export_gives_the_same_logits(tmp_path):
    model, rows = tiny(seed=2).eval(), batch()
    with staged_folder(tmp_path / "out") as folder:
        assert not (tmp_path / "out").exists()
        write_model(folder, model, tokenizer_folder(tmp_path / "tokenizer"))
    inputs = {"input_ids": rows["input_ids"], "attention_mask": rows["attention_mask"]}
    loaded = BertForMaskedLM.from_pretrained(tmp_path / "out")
    assert torch.equal(loaded(**inputs).logits, model(**inputs).logits)
    assert AutoTokenizer.from_pretrained(tmp_path / "out").mask_token_id == 4
    assert (tmp_path / "out" / "model.safetensors").is_file()
    assert not (tmp_path / "out.partial").exists()
    assert not any(parameter.requires_grad for parameter in load_masked_lm(str(tmp_path / "out")).parameters())


def test_a_failed_run_leaves_no_output(tmp_path):
    with pytest.raises(RuntimeError), staged_folder(tmp_path / "out"):
        raise RuntimeError
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("config", [None, '{"model_type": "gpt2"}'])
def test_bad_teacher(tmp_path, config):
    if config:
        (tmp_path / "config.json").write_text(config)
    with pytest.raises(ConfigError, match="of a known kind: 'gpt2'" if config else "cannot be loaded"):
        load_masked_lm(str(tmp_path))


def test_teacher_without_head(tmp_path):
    tiny().bert.save_pretrained(tmp_path)
    with pytest.raises(ConfigError, match="no masked language modelling head"):
        load_masked_lm(str(tmp_path))


def test_card_has_signature_recipe_and_figures():
    figures = {
        "unigram baseline": Figures(7.0, 0.05, 0.08, 100, 60),
        "student after": Figures(6.0, 0.1, 0.2, 100, 60, 0.3, 0.9),
    }
    card = model_card("student", "wwm|seg:ltp", "abc", {"teacher": "老师"}, figures)
    assert all(
        part in card
        for part in (
            "`wwm|seg:ltp`",
            "`abc`",
            '"teacher": "老师"',
            "| student after | 6.000 | 403.4 | 10.0% | 20.0% | 30.0% | 0.900 |",
            "60 words",
        )
    )


def test_curves_of_several_runs(tmp_path):
    paths = {}
    for name in ("teacher", "student"):
        paths[name] = tmp_path / f"{name}.jsonl"
        with Reporter(name, 3, paths[name]) as reporter:
            reporter.record("baseline", 0, **Figures(7.0, 0.05, 0.08, 100, 60).content())
            for step in (1, 2, 3):
                reporter.record("train", step, loss=9.0 - step)
                reporter.record("evaluation", step, **Figures(9.0 - step, 0.05, 0.03 * step, 100, 60).content())
    assert len(read_metrics(paths["teacher"], "train")) == 3
    picture = draw_curves(paths, tmp_path / "curves.png")
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_curves_without_matplotlib(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "matplotlib.figure", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'wwmcorpus\[viz\]'"):
        draw_curves({}, tmp_path / "curves.png")


def test_curves_of_a_run_that_is_not_there(tmp_path):
    with pytest.raises(ConfigError, match="no such metrics file"):
        draw_curves({"a": tmp_path / "none.jsonl"}, tmp_path / "curves.png")


def test_only_hidden_states_are_compared_by_their_cosine():
    """Models of one width, where another loss's layers would give a number too."""
    register_loss("own_scores", lambda *_: torch.zeros(()), feature="attention", unit="pairs", equal_heads=True)
    teacher, match = tiny(TEACHER, 1), LayerMatch(teacher_layer=4, student_layer=4, loss="own_scores")
    objective = Objective(tiny(TEACHER), DistillLosses(matches=(match,)), teacher)
    assert hidden_cosine(objective, teacher, [batch()], "fp32") is None
    both = DistillLosses(matches=(match, LayerMatch(teacher_layer=2, student_layer=2)))
    found = hidden_cosine(Objective(tiny(TEACHER), both, teacher), teacher, [batch()], "fp32")
    states = []
    for model in (tiny(TEACHER).eval(), teacher.eval()):
        inputs = {"input_ids": batch()["input_ids"], "attention_mask": batch()["attention_mask"]}
        states.append(model.bert(**inputs, output_hidden_states=True).hidden_states[2].detach())
    expected = torch.nn.functional.cosine_similarity(*states, dim=-1)[batch()["attention_mask"].bool()].mean()
    assert found == pytest.approx(float(expected), rel=1e-4)
