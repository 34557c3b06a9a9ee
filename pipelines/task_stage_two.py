"""Recipe: task teacher, student of stage one -> student of the task. ``python pipelines/task_stage_two.py``."""

from pathlib import Path

from recipe import read_arguments, run

from wwmcorpus import DistillTaskConfig, jobs


def main(arguments: list[str] | None = None) -> None:
    """Run TinyBERT's second stage of task distillation as the configuration describes it."""
    config = read_arguments(DistillTaskConfig, Path(__file__).parent / "configs" / "task_stage_two.toml", arguments)
    print(jobs.distill_task(config).summary())


if __name__ == "__main__":
    run(main)
