"""Recipe: model and task -> a teacher of the task. ``python pipelines/finetune.py [--config FILE]``."""

from pathlib import Path

from recipe import read_arguments, run

from wwmcorpus import FinetuneConfig, jobs


def main(arguments: list[str] | None = None) -> None:
    """Fine-tune the model that the configuration describes."""
    config = read_arguments(FinetuneConfig, Path(__file__).parent / "configs" / "finetune_sentiment.toml", arguments)
    print(jobs.finetune(config).summary())


if __name__ == "__main__":
    run(main)
