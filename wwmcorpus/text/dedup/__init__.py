"""Sources in, the list of documents that repeat others out: a pass of its own, before a build."""

from wwmcorpus.text.dedup.job import Progress, Run, dedup
from wwmcorpus.text.dedup.keep_list import KeepList, KeptPlace
from wwmcorpus.text.dedup.settings import DedupConfig, SignatureOptions
from wwmcorpus.text.dedup.sign import sign_task
from wwmcorpus.text.dedup.tasks import SignBlueprint, SignRecord, SignTask

__all__ = [
    "DedupConfig",
    "KeepList",
    "KeptPlace",
    "Progress",
    "Run",
    "SignBlueprint",
    "SignRecord",
    "SignTask",
    "SignatureOptions",
    "dedup",
    "sign_task",
]
