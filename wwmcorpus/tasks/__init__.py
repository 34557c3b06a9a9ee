"""Files of labelled examples in; rows for a model, scores of what it says, and more examples of the same out.

The road inside: ``declaration`` (what a task is) -> ``read`` (its files, and what is wrong with them) -> ``encode``
(rows of pieces) -> a model -> ``predictions`` -> ``metrics``; beside it ``augment`` makes variants of examples, with
candidates from a masked language model or from word vectors, which ``train_vectors`` learns from a corpus. ``runs``
fine-tunes and distils models for tasks, through the loop of ``wwmcorpus.training``.

Only declarations, records and settings are imported here, so that a task is known without waiting for torch.
"""

from wwmcorpus.tasks.declaration import Task, load_task, task_names
from wwmcorpus.tasks.examples import Answer, Example, Examples, ReadingExample, RejectedRow, TaggedExample, TextExample
from wwmcorpus.tasks.settings import DistillTaskConfig, FinetuneConfig, TaskTraining, TaughtTask

__all__ = [
    "Answer",
    "DistillTaskConfig",
    "Example",
    "Examples",
    "FinetuneConfig",
    "ReadingExample",
    "RejectedRow",
    "TaggedExample",
    "Task",
    "TaskTraining",
    "TaughtTask",
    "TextExample",
    "load_task",
    "task_names",
]
