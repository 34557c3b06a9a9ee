"""Recipe: models and tasks -> a table of scores. ``python pipelines/evaluate_models.py [--config FILE]``."""

from pathlib import Path

from recipe import read_arguments, run
from rich.console import Console

from wwmcorpus import jobs
from wwmcorpus.tasks.evaluate import EvaluateConfig
from wwmcorpus.tasks.evaluate.render import print_evaluation


def main(arguments: list[str] | None = None) -> None:
    """Compare the models that the configuration names."""
    config = read_arguments(EvaluateConfig, Path(__file__).parent / "configs" / "evaluate_sample.toml", arguments)
    print_evaluation(jobs.evaluate(config), Console(soft_wrap=True))


if __name__ == "__main__":
    run(main)
