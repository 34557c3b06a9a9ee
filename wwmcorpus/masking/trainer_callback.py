"""A collator in, the callback out that tells it the epoch of a ``transformers.Trainer``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from wwmcorpus.errors import ConfigError

if TYPE_CHECKING:
    from wwmcorpus.masking.collator import WholeWordMaskCollator


class CollatorCallback(TrainerCallback):
    """Sets the collator's epoch before each epoch's first batch is drawn; a resumed run goes on at its own.

    Args:
        collator: The ``data_collator`` of the Trainer.
    """

    def __init__(self, collator: WholeWordMaskCollator) -> None:
        self._collator = collator
        self._next_epoch = 0

    def on_init_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **others: Any) -> None:
        """Refuse a Trainer that would take the words away.

        Raises:
            ConfigError: ``remove_unused_columns`` is True, its default.
        """
        if args.remove_unused_columns:
            raise ConfigError(
                "the Trainer would remove the columns that say where words are",
                value=True,
                where="remove_unused_columns",
                fix="Set TrainingArguments(remove_unused_columns=False); the model gets only what the collator gives.",
            )

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **others: Any
    ) -> None:
        """Compare vocabularies, and take up the epoch where the run stands.

        Raises:
            CorpusError: the training rows come from a corpus with another vocabulary.
        """
        self._collator.check(getattr(others.get("train_dataloader"), "dataset", None))
        self._next_epoch = int(state.epoch or 0)

    def on_epoch_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **others: Any
    ) -> None:
        """Count the epochs: of a data set without length the Trainer knows a share of its steps, and no epoch."""
        self._collator.set_epoch(self._next_epoch)
        self._next_epoch += 1
