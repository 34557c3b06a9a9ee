"""Models and tasks in, one table of scores, sizes and speeds out, as MiniRBT reports them.

``settings`` (what is asked for) -> ``cells`` (one fine-tuning each, by model, task, epochs and seed) -> ``pool``
(processes that run them) -> ``summary`` (means, spreads, the best epochs) -> ``render``, ``plots`` and ``page``;
``job`` puts them together.

Source of the protocol: MiniRBT, https://github.com/iflytek/MiniRBT.
"""

from wwmcorpus.tasks.evaluate.settings import EvaluateConfig, EvaluatedModel, EvaluatedTask

__all__ = ["EvaluateConfig", "EvaluatedModel", "EvaluatedTask"]
