"""The sample documents are many, long enough, and written one by one."""

import re
from collections import defaultdict

from conftest import SAMPLE_DATA

RUN = 8


def sample_documents():
    paths = sorted((SAMPLE_DATA / "corpus").glob("*.txt"))
    return [text for path in paths for text in re.split(r"\n\s*\n", path.read_text("utf-8")) if text.strip()]


def test_there_is_enough_of_it():
    documents = sample_documents()
    assert len(documents) >= 200
    assert sum(map(len, documents)) >= 40_000
    assert len({document.strip() for document in documents}) == len(documents)


def test_documents_share_next_to_nothing():
    homes = defaultdict(set)
    for number, document in enumerate(sample_documents()):
        for run in re.findall(rf"[\u3400-\u9fff]{{{RUN},}}", document):
            for at in range(len(run) - RUN + 1):
                homes[run[at : at + RUN]].add(number)
    shared = [run for run, numbers in homes.items() if len(numbers) > 1]
    assert len(homes) > 5_000
    assert len(shared) < 0.005 * len(homes), shared[:10]


def test_its_kinds_are_varied():
    text = "\n".join(sample_documents())
    for what, pattern in {
        "traditional characters": "[臺灣個們這裡說時會]",
        "Latin words": "[A-Za-z]{4,}",
        "digits": "[0-9]{3,}",
        "emoji": "[\U0001f300-\U0001faff]",
        "dialogue": "[“「]",
    }.items():
        assert len(re.findall(pattern, text)) >= 20, what
