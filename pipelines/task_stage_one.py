"""Recipe: task teacher, general student -> hidden states and attention. ``python pipelines/task_stage_one.py``."""

from pathlib import Path

from recipe import read_arguments, run

from wwmcorpus import DistillTaskConfig, jobs


def main(arguments: list[str] | None = None) -> None:
    """Run TinyBERT's first stage of task distillation as the configuration describes it."""
    config = read_arguments(DistillTaskConfig, Path(__file__).parent / "configs" / "task_stage_one.toml", arguments)
    print(jobs.distill_task(config).summary())


if __name__ == "__main__":
    run(main)
