"""The same corpus whatever runs the build: workers, kills and resumes, a cluster that loses a node.

    python benchmarks/same_bytes.py --text TEXT... [--kills 20] [--ray]

Builds the texts with 1, 2 and 3 workers; then in a process group that is killed with SIGKILL at random moments and run
again, until it was killed ``--kills`` times; with ``--ray`` on a Ray cluster of two nodes of which one is removed
midway. Compares the sha256 of every shard and of the manifests' content. Exits with 1 where two differ.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from measure import machine, write_result

from wwmcorpus.corpus import BuildConfig, Manifest, build
from wwmcorpus.corpus.verify import verify
from wwmcorpus.files import file_sha256


def main() -> None:
    """Build, compare, print, write results/same_bytes.json."""
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--text", nargs="+", required=True)
    arguments.add_argument("--kills", type=int, default=20)
    arguments.add_argument("--ray", action="store_true")
    arguments.add_argument("--segmenter", default="ltp")
    arguments.add_argument("--task-bytes", type=int, default=1 << 20)
    given = arguments.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        rows = runs(Path(folder), given)
    for row in rows:
        print(row)
    result = {"machine": machine(("wwmcorpus", "ltp-extension", "pyarrow", "multiprocess")), "rows": rows}
    print(write_result("same_bytes", result))
    sys.exit(len({(row["content_sha256"], tuple(row["shards_sha256"])) for row in rows}) > 1)


def runs(folder: Path, given: argparse.Namespace) -> list[dict[str, Any]]:
    """Build in every way; give one row each."""
    options = {"inputs": tuple(given.text), "segmenter": given.segmenter, "task_bytes": given.task_bytes}
    rows = []
    for workers in (1, 2, 3):
        output = folder / f"workers-{workers}"
        build(BuildConfig(output=str(output), num_workers=workers, **options))
        rows.append({"run": f"{workers} workers", **hashes(output)})
    rows.append({"run": f"killed {given.kills} times", **hashes(kill_and_resume(folder / "killed", given))})
    if given.ray:
        rows.append({"run": "Ray, two nodes, one removed", **hashes(lose_a_node(folder / "ray", options))})
    return rows


def hashes(output: Path) -> dict[str, Any]:
    """Check a corpus in full; give the hashes of its manifest's content and of its shards, read from the files."""
    verify(output, full=True)
    manifest = Manifest.read(output)
    shards = [file_sha256(output / shard.name)[:16] for shard in manifest.content.shards]
    return {"content_sha256": manifest.content_sha256, "shards_sha256": shards, "rows": manifest.num_rows}


def kill_and_resume(output: Path, given: argparse.Namespace) -> Path:
    """Build in a process group that is killed again and again; start anew where it gets done too early."""
    command = [sys.executable, "-m", "wwmcorpus", "-q", "build", *given.text, "--output", str(output)]
    command += ["--segmenter", given.segmenter, "--set", f"task_bytes={given.task_bytes}", "--workers", "2"]
    draw, kills = random.Random(0), 0
    while True:
        process = subprocess.Popen(
            command, start_new_session=True, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL
        )
        limit = draw.uniform(0.5, 6.0) if kills < given.kills else None
        try:
            status = process.wait(timeout=limit)
        except subprocess.TimeoutExpired:
            # Only the parent is killed, as an out-of-memory killer would: its workers must not live on.
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
            kills += 1
            continue
        if status:
            raise SystemExit(f"the build ended with status {status}")
        if kills >= given.kills:
            return output
        shutil.rmtree(output)


def lose_a_node(output: Path, options: dict[str, Any]) -> Path:
    """Build on a cluster of two nodes, and remove one while it works."""
    import ray
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    other = cluster.add_node(num_cpus=1)
    ray.init(address=cluster.address, log_to_driver=False)
    assert len([node for node in ray.nodes() if node["Alive"]]) == 2

    def remove() -> None:
        while not list((output / ".work" / "records").glob("*.json")):
            time.sleep(0.05)
        cluster.remove_node(other)

    threading.Thread(target=remove, daemon=True).start()
    build(BuildConfig(output=str(output), engine="ray", **options))
    assert len([node for node in ray.nodes() if node["Alive"]]) == 1
    ray.shutdown()
    cluster.shutdown()
    return output


if __name__ == "__main__":
    main()
