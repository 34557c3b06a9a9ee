"""The same tasks on a Ray cluster: the same bytes, the same errors, the same resume."""

import pytest
from conftest import SAMPLE_DATA

from wwmcorpus.corpus import BuildConfig, build
from wwmcorpus.errors import SegmenterError

ray = pytest.importorskip("ray")


@pytest.fixture(scope="module")
def cluster():
    """Two nodes on this machine."""
    from ray.cluster_utils import Cluster

    started = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    second = started.add_node(num_cpus=1)
    ray.init(address=started.address, log_to_driver=False)
    yield started, second
    ray.shutdown()
    started.shutdown()


def values(output, vocabulary_file, **changes):
    return {
        "inputs": tuple(str(SAMPLE_DATA / "corpus" / name) for name in ("news.txt", "verse.txt", "social.txt")),
        "output": str(output),
        "segmenter": "given",
        "tokenizer": str(vocabulary_file),
        "max_length": 64,
        "task_bytes": 2_000,
        "num_workers": 0,
    } | changes


def test_a_cluster_that_loses_a_node_gives_the_same_bytes(cluster, tmp_path, vocabulary_file):
    class Remover:
        """Removes a node once a task is done."""

        removed = False

        def start(self, total_bytes):
            assert total_bytes > 0

        def advance(self, num_bytes):
            if num_bytes and not self.removed:
                self.removed = True
                cluster[0].remove_node(cluster[1])

    remover = Remover()
    here = build(BuildConfig(**values(tmp_path / "here", vocabulary_file)))["train"]
    there = build(BuildConfig(**values(tmp_path / "there", vocabulary_file, engine="ray")), remover)["train"]
    assert remover.removed
    assert sum(node["Alive"] for node in ray.nodes()) == 1
    assert there.content == here.content
    assert here.content.num_tasks > 4


def test_errors_arrive_as_they_are(cluster, tmp_path, vocabulary_file, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    wrong = values(tmp_path / "wrong", vocabulary_file, engine="ray", segmenter="ltp:/nowhere/at/all")
    with pytest.raises(SegmenterError, match="no LTP folder"):
        build(BuildConfig(**wrong))
