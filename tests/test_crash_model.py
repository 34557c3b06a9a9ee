"""A build that is stopped at any file operation, on a disk that loses what was not synced.

Whatever is left either holds no corpus, the old one or the new one, each whole; and the same build, run again on what
is left, gives the same corpus as one that was never stopped. ``CRASH_STRIDE=1`` tries every operation.
"""

import os
import shutil

import pytest
from crash_disk import POLICIES, Crash, CrashDisk

from wwmcorpus.corpus import BuildConfig, build, open_corpus
from wwmcorpus.corpus.verify import verify
from wwmcorpus.errors import CorpusError

STRIDE = int(os.environ.get("CRASH_STRIDE", "7"))
TEXT = "他 叫 汤姆 。\n今天 下雨 了 。\n我们 去 看 书 。\n外面 很 冷 。\n"


@pytest.fixture
def settings(tmp_path, vocabulary_file):
    """A build of two small files in three tasks; keyword arguments change it."""
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "a.txt").write_text(TEXT, "utf-8")
    (tmp_path / "texts" / "b.txt").write_text(TEXT[::-1].strip() + "\n", "utf-8")
    (tmp_path / "more.txt").write_text("再 来 一 本 。\n", "utf-8")

    def make(root, **changes):
        values = {
            "inputs": (str(tmp_path / "texts"),),
            "output": str(root / "corpus"),
            "segmenter": "given",
            "tokenizer": str(vocabulary_file),
            "max_length": 16,
            "task_bytes": 90,
            "num_workers": 0,
        }
        return BuildConfig(**values | changes)

    return make


def state_of(folder):
    """Give what an output folder holds: None for no corpus, or the fingerprints of its splits, read in full."""
    if not ((folder / "state.json").exists() or (folder / "dataset_dict.json").exists()):
        return None
    return tuple(open_corpus(found.folder).fingerprint for found in verify(folder, full=True))


def crash_everywhere(tmp_path, before, doing, allowed, final):
    """Crash ``doing`` at every ``STRIDE``-th operation; give how many images were looked at."""
    counting = tmp_path / "counting"
    shutil.copytree(before, counting)
    with CrashDisk(counting) as disk:
        doing(counting)
    disk.close()
    num_images = 0
    for crash_at in range(0, disk.num_operations, STRIDE):
        root = tmp_path / f"crash-{crash_at}"
        shutil.copytree(before, root)
        with CrashDisk(root, crash_at) as broken, pytest.raises(Crash):
            doing(root)
        for number, (data, names) in enumerate(POLICIES):
            image = tmp_path / f"image-{crash_at}-{data}-{names}"
            broken.image(image, data, names)
            assert state_of(image / "corpus") in allowed, (crash_at, data, names)
            if (number + crash_at // STRIDE) % len(POLICIES) == 0 or STRIDE == 1:
                doing(image)
                assert state_of(image / "corpus") == final
            num_images += 1
            shutil.rmtree(image)
        broken.close()
        shutil.rmtree(root)
    return num_images


def finished(disk_root, doing, tmp_path):
    """Run to the end; whatever the disk then forgets of what was not synced, the corpus is there."""
    with CrashDisk(disk_root) as disk:
        doing(disk_root)
    states = []
    for data, names in POLICIES:
        disk.image(tmp_path / f"done-{data}-{names}", data, names)
        states.append(state_of(tmp_path / f"done-{data}-{names}" / "corpus"))
    disk.close()
    return states


@pytest.mark.parametrize("splits", [{}, {"validation_fraction": 0.3}])
def test_a_first_build(settings, tmp_path, splits):
    before, done = tmp_path / "before", tmp_path / "done"
    before.mkdir()
    done.mkdir()

    def doing(root):
        build(settings(root, **splits))

    states = finished(done, doing, tmp_path)
    assert len(set(states)) == 1, "acknowledged but lost"
    assert states[0] is not None
    assert crash_everywhere(tmp_path, before, doing, {None, states[0]}, states[0]) >= 6


def test_replacing_a_corpus(settings, tmp_path):
    before, done = tmp_path / "before", tmp_path / "done"
    before.mkdir()
    build(settings(before, pack="stream"))
    old = state_of(before / "corpus")
    shutil.copytree(before, done)

    def doing(root):
        try:
            build(settings(root, overwrite=True))
        except CorpusError as error:  # nothing else is to be mended by hand
            raise AssertionError(str(error)) from error

    states = finished(done, doing, tmp_path)
    assert len(set(states)) == 1
    assert states[0] != old
    crash_everywhere(tmp_path, before, doing, {old, states[0]}, states[0])


def test_adding_to_a_corpus(settings, tmp_path):
    before, done = tmp_path / "before", tmp_path / "done"
    before.mkdir()
    build(settings(before))
    old = state_of(before / "corpus")
    shutil.copytree(before, done)

    def doing(root):
        try:
            build(settings(root, inputs=(str(tmp_path / "more.txt"),), append=True))
        except CorpusError as error:
            if "already" not in str(error):  # it was committed, and only its work folder was left
                raise

    states = finished(done, doing, tmp_path)
    assert len(set(states)) == 1
    assert states[0] != old
    crash_everywhere(tmp_path, before, doing, {old, states[0]}, states[0])
