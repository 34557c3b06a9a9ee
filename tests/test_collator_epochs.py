"""The epoch reaches every worker; the collator of a ``transformers.Trainer`` that ends, goes on or is told wrong."""

import datasets
import pytest
import torch
from transformers import BertConfig, BertForMaskedLM, Trainer, TrainingArguments

from wwmcorpus.align import Vocabulary
from wwmcorpus.errors import ConfigError, CorpusError
from wwmcorpus.masking import IGNORED_LABEL, WholeWordMaskCollator

NUM_ROWS, BATCH_ROWS = 24, 4


@pytest.fixture(scope="module")
def rows(small_corpus):
    return datasets.load_from_disk(str(small_corpus.path)).select(range(NUM_ROWS))


@pytest.fixture
def collator(tokenizer):
    return WholeWordMaskCollator(tokenizer, seed=7)


def equal(batches, others):
    return len(batches) == len(others) and all(
        all(torch.equal(batch[name], other[name]) for name in ("input_ids", "labels", "attention_mask"))
        for batch, other in zip(batches, others, strict=True)
    )


def expected(tokenizer, rows, epoch):
    """Batches in order, of another collator, in this process."""
    collator = WholeWordMaskCollator(tokenizer, seed=7)
    collator.set_epoch(epoch)
    return [collator([rows[i] for i in range(at, at + BATCH_ROWS)]) for at in range(0, NUM_ROWS, BATCH_ROWS)]


@pytest.mark.parametrize("context", ["fork", "spawn"])
def test_persistent_workers_hear_of_the_epoch(tokenizer, collator, rows, context):
    loader = torch.utils.data.DataLoader(
        list(rows),
        batch_size=BATCH_ROWS,
        collate_fn=collator,
        num_workers=1 if context == "spawn" else 2,
        persistent_workers=True,
        multiprocessing_context=context,
    )
    epochs = []
    for epoch in (0, 1, 0):
        collator.set_epoch(epoch)
        epochs.append(list(loader))
        assert equal(epochs[-1], expected(tokenizer, rows, epoch))
    assert not equal(epochs[0], epochs[1])


class Recorder(Trainer):
    """Keeps what the model is given."""

    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        self.seen = []

    def compute_loss(self, model, inputs, *args, **options):
        self.seen.append({name: tensor.clone() for name, tensor in inputs.items()})
        return super().compute_loss(model, inputs, *args, **options)


def trainer(folder, rows, collator, callback=True, **options):
    config = BertConfig(
        vocab_size=collator.vocabulary.num_pieces,
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        max_position_embeddings=32,
    )
    values = {"num_train_epochs": 2, "save_strategy": "no", "remove_unused_columns": False} | options
    return Recorder(
        BertForMaskedLM(config),
        TrainingArguments(
            str(folder),
            per_device_train_batch_size=BATCH_ROWS,
            report_to=[],
            use_cpu=True,
            disable_tqdm=True,
            dataloader_pin_memory=False,
            **values,
        ),
        train_dataset=rows,
        data_collator=collator,
        callbacks=[collator.trainer_callback()] if callback else [],
    )


def as_rows(batches):
    """Give what was asked of each row, by its pieces: whatever batches the rows were in."""
    found = {}
    for batch in batches:
        restored = torch.where(batch["labels"] == IGNORED_LABEL, batch["input_ids"], batch["labels"])
        for ids, seen, labels, present in zip(
            restored, batch["input_ids"], batch["labels"], batch["attention_mask"].bool(), strict=True
        ):
            found[tuple(ids[present].tolist())] = (seen[present].tolist(), labels[present].tolist())
    return found


@pytest.mark.parametrize("workers", [0, 1])
def test_a_trainer_masks_each_epoch_anew(tokenizer, collator, rows, tmp_path, workers):
    run = trainer(tmp_path, rows, collator, dataloader_num_workers=workers, dataloader_persistent_workers=bool(workers))
    losses = run.train().training_loss
    assert 0 < losses < 20
    half = NUM_ROWS // BATCH_ROWS
    epochs = [as_rows(run.seen[:half]), as_rows(run.seen[half:])]
    assert len(run.seen) == 2 * half
    for number, epoch in enumerate(epochs):
        assert epoch == as_rows(expected(tokenizer, rows, number))
    assert epochs[0] != epochs[1]
    assert set(run.seen[0]) == {"input_ids", "attention_mask", "labels"}


def test_a_resumed_trainer_goes_on_with_its_epoch(collator, rows, tmp_path):
    whole = trainer(tmp_path, rows, collator, save_strategy="steps", save_steps=8)
    whole.train()
    collator.set_epoch(0)
    resumed = trainer(tmp_path, rows, collator)
    resumed.train(resume_from_checkpoint=str(tmp_path / "checkpoint-8"))
    assert len(resumed.seen) == 4
    assert equal(resumed.seen, whole.seen[8:])


def test_epochs_of_data_without_a_length_are_counted(tokenizer, collator, rows, tmp_path):
    run = trainer(tmp_path, rows.to_iterable_dataset(), collator, max_steps=12)
    run.train()
    assert equal(run.seen, expected(tokenizer, rows, 0) + expected(tokenizer, rows, 1))


def test_columns_that_a_trainer_would_remove(collator, rows, tmp_path):
    with pytest.raises(ConfigError, match=r"remove the columns.*remove_unused_columns=False"):
        trainer(tmp_path, rows, collator, remove_unused_columns=True)
    for kind in (rows, list(rows)):
        run = trainer(tmp_path, kind, collator, callback=False, remove_unused_columns=True)
        with pytest.raises(CorpusError, match=r"rows without words: \['input_ids'\].*remove_unused_columns=False"):
            run.train()


def test_a_trainer_on_a_corpus_of_another_vocabulary(vocabulary, rows, tmp_path):
    stranger = Vocabulary((*vocabulary.pieces, "另"), **{f"{k}_id": v for k, v in vocabulary.special.items()})
    run = trainer(tmp_path, rows, WholeWordMaskCollator(stranger))
    with pytest.raises(CorpusError, match=f"{vocabulary.sha256[:8]}.*{stranger.sha256[:8]}"):
        run.train()
    assert run.seen == []
