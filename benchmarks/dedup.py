"""Duplicates found in real text with planted copies, beside datasketch and beside brute force; speed; memory.

    OMP_NUM_THREADS=1 python benchmarks/dedup.py --text TEXT...            # needs datasketch (extra bench)
    OMP_NUM_THREADS=1 python benchmarks/dedup.py --text TEXT... --memory 10 100 1000

Quality: the lines of the texts that are long enough, and copies of some of them in which 2, 5 or 20 % of the characters
were replaced, left out or doubled at random. Truth is the Jaccard similarity of the sets of character 5-grams, counted
for every pair that shares one; clusters are what pairs at or above the threshold connect; the first of a cluster is
kept. ``recall`` and ``precision`` are of the dropped documents. datasketch has the same n-grams, bands, rows and
threshold, its candidates compared by its own estimate.

Speed: whole jobs on one thread, from files to committed lists, start-up apart; MB are 10**6 bytes of UTF-8. A line is a
document; recombined.txt has documents of about 1.2 KB. CPU seconds say what a machine with others on it does not.

Memory: distinct documents of about 1.2 KB, recombined from sentences of the texts by a seeded generator; the largest
resident size of a fresh process.
"""

from __future__ import annotations

import argparse
import functools
import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from measure import machine, rate, seconds, write_result

from wwmcorpus.records import Document
from wwmcorpus.text import Cleaner, CleanOptions, read_sources, sentence_spans
from wwmcorpus.text.dedup import DedupConfig, KeepList, dedup

PACKAGES = ("wwmcorpus", "numpy", "pyarrow")
EDITS = (0.02, 0.05, 0.2)
MIN_CHARACTERS = 100
NGRAM, BANDS, ROWS, THRESHOLD = 5, 25, 5, 0.7


def main() -> None:
    """Measure, print tables, write results/dedup.json or results/dedup_memory.json."""
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--text", nargs="+", type=Path, default=[])
    arguments.add_argument("--max-documents", type=int, default=4000, help="before copies are planted")
    arguments.add_argument("--memory", nargs="+", type=int, help="sizes in MB")
    arguments.add_argument("--run", nargs=3, help="what a fresh process does: KIND INPUT OUTPUT")
    given = arguments.parse_args()
    if given.run:
        print(json.dumps(run_measured(*given.run)))
    elif given.memory:
        result = {"machine": machine(PACKAGES), "runs": memory(given.text, given.memory)}
        print(write_result("dedup_memory", result))
    else:
        documents = long_lines(given.text, given.max_documents)
        result = {"machine": machine((*PACKAGES, "datasketch")), "threads": 1, "quality": quality(documents)}
        with tempfile.TemporaryDirectory() as folder:
            bulk = Path(folder) / "recombined.txt"
            write_recombined(bulk, given.text, 50 * 10**6)
            result["speed"] = {path.name: speed(path) for path in (bulk, *given.text)}
        result["cleaning"] = {path.name: cleaning(path) for path in given.text}
        print(write_result("dedup", result))


def long_lines(paths: Iterable[Path], number: int) -> list[str]:
    """Give distinct lines that are long enough, evenly over the texts."""
    found = dict.fromkeys(
        item.text for item in read_sources(paths) if isinstance(item, Document) and len(item.text) >= MIN_CHARACTERS
    )
    lines = list(found)
    return lines[:: max(len(lines) // number, 1)][:number]


def edited(text: str, share: float, chance: random.Random, alphabet: str) -> str:
    """Replace, leave out or double a share of the characters."""
    characters = list(text)
    for place in chance.sample(range(len(characters)), max(round(share * len(characters)), 1)):
        kind = chance.randrange(3)
        characters[place] = (chance.choice(alphabet), "", characters[place] * 2)[kind]
    return "".join(characters)


def quality(documents: list[str]) -> dict[str, Any]:
    """Plant copies, and say which duplicates brute force, this package and datasketch find."""
    chance = random.Random(0)
    alphabet = "".join(sorted(set("".join(documents))))
    planted = {}
    texts = list(documents)
    for share in EDITS:
        for original in chance.sample(range(len(documents)), len(documents) // 6):
            planted[len(texts)] = (share, original)
            texts.append(edited(documents[original], share, chance, alphabet))
    num_bytes = sum(len(text.encode()) for text in texts)
    grams = [ngrams(text) for text in texts]
    similar = dict(similar_pairs(grams, 0.3))
    truth = dropped_of(len(texts), [pair for pair, value in similar.items() if value >= THRESHOLD])
    figures: dict[str, Any] = {
        "documents": len(documents),
        "planted": len(planted),
        "bytes": num_bytes,
        "ngram": NGRAM,
        "bands": BANDS,
        "rows": ROWS,
        "threshold": THRESHOLD,
        "dropped_by_brute_force": len(truth),
    }
    for name, find in (("wwmcorpus", find_here), ("datasketch", find_with_datasketch)):
        begin = time.perf_counter()
        found = find(texts)
        figures[name] = {
            **rate(num_bytes, [time.perf_counter() - begin]),
            **scores(found, truth),
            "precision_at_0.6": round(share_similar(found, similar, 0.6), 4),
            "copies_dropped": {str(share): found_copies(found, planted, share) for share in EDITS},
        }
    figures["copies"] = {str(share): copies(grams, planted, share) for share in EDITS}
    print(json.dumps(figures, indent=1))
    return figures


def ngrams(text: str) -> set[str]:
    """Give the character n-grams of a text without its whitespace."""
    text = "".join(text.split())
    return {text[place : place + NGRAM] for place in range(max(len(text) - NGRAM + 1, 1))}


def similar_pairs(grams: list[set[str]], at_least: float) -> Iterator[tuple[tuple[int, int], float]]:
    """Give every pair of documents that is similar enough, with its Jaccard similarity; all n-grams are counted."""
    owners: dict[str, list[int]] = defaultdict(list)
    for number, found in enumerate(grams):
        shared = Counter(other for gram in found for other in owners[gram])
        for other, count in shared.items():
            value = count / (len(found) + len(grams[other]) - count)
            if value >= at_least:
                yield (other, number), value
        for gram in found:
            owners[gram].append(number)


def dropped_of(number: int, pairs: Iterable[tuple[int, int]]) -> set[int]:
    """Give all but the first of every cluster that the pairs connect."""
    parents = list(range(number))

    def root(one: int) -> int:
        while parents[one] != one:
            one = parents[one]
        return one

    for first, second in pairs:
        low, high = sorted((root(first), root(second)))
        parents[high] = low
    return {one for one in range(number) if parents[one] != one}


def find_here(texts: list[str]) -> set[int]:
    """Give the numbers of the documents that this package drops."""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "texts.jsonl"
        source.write_text("".join(json.dumps({"text": text}, ensure_ascii=False) + "\n" for text in texts), "utf-8")
        keep = dedup(config("near", source, Path(folder) / "out"))
        assert keep.num_documents == len(texts)
        return {number for batch in keep.pairs() for number in batch["document"].tolist()}


def find_with_datasketch(texts: list[str]) -> set[int]:
    """Give the numbers of the documents that datasketch's index connects with an earlier one."""
    from datasketch import MinHash, MinHashLSH

    index = MinHashLSH(params=(BANDS, ROWS), num_perm=BANDS * ROWS)
    hashes, pairs = [], []
    for number, text in enumerate(texts):
        minhash = MinHash(BANDS * ROWS)
        minhash.update_batch([gram.encode() for gram in ngrams(text)])
        candidates = index.query(minhash)
        pairs += [(other, number) for other in candidates if hashes[other].jaccard(minhash) >= THRESHOLD]
        index.insert(number, minhash)
        hashes.append(minhash)
    return dropped_of(len(texts), pairs)


def scores(found: set[int], truth: set[int]) -> dict[str, Any]:
    """Give recall and precision of the dropped documents."""
    both = len(found & truth)
    return {
        "dropped": len(found),
        "recall": round(both / len(truth), 4),
        "precision": round(both / len(found), 4),
    }


def share_similar(found: set[int], similar: dict[tuple[int, int], float], at_least: float) -> float:
    """Give the share of the dropped documents that are at least so similar to some other document."""
    close = {number for pair, value in similar.items() if value >= at_least for number in pair}
    return len(found & close) / len(found)


def found_copies(found: set[int], planted: dict[int, tuple[float, int]], share: float) -> float:
    """Give the share of the planted copies of one kind that are dropped."""
    numbers = [number for number, (edit, _) in planted.items() if edit == share]
    return round(sum(number in found for number in numbers) / len(numbers), 4)


def copies(grams: list[set[str]], planted: dict[int, tuple[float, int]], share: float) -> dict[str, float]:
    """Say how similar the copies of one kind are to their originals."""
    values = [
        len(grams[number] & grams[original]) / len(grams[number] | grams[original])
        for number, (edit, original) in planted.items()
        if edit == share
    ]
    return {
        "mean_similarity": round(sum(values) / len(values), 4),
        "at_threshold_or_above": round(sum(value >= THRESHOLD for value in values) / len(values), 4),
    }


def speed(path: Path) -> dict[str, Any]:
    """Time whole jobs on a text, a line a document."""
    figures = {}
    num_bytes = path.stat().st_size
    for kind in ("exact", "near"):
        with tempfile.TemporaryDirectory() as folder:
            outputs = (Path(folder) / str(number) for number in range(100))
            work = functools.partial(dedup_into, outputs, kind, path)
            begin = time.process_time()
            figures[kind] = rate(num_bytes, seconds(work, repeats=3, warm_up=0))
            figures[kind]["mb_per_cpu_second"] = round(3 * num_bytes / 1e6 / (time.process_time() - begin), 3)
        print(f"{path.name:<44}{kind:<8}{figures[kind]['mb_per_second']:>8.1f} MB/s", end="")
        print(f"{figures[kind]['mb_per_cpu_second']:>8.1f} MB per CPU second")
    return figures


def dedup_into(outputs: Iterator[Path], kind: str, source: Path) -> KeepList:
    """Run a job into the next folder."""
    return dedup(config(kind, source, next(outputs)))


def cleaning(path: Path) -> dict[str, Any]:
    """Time the cleaner on the documents of a text, in memory: lines, and paragraphs that blank lines separate."""
    figures = {}
    for document_break in ("line", "blank_line"):
        options = {"document_break": document_break}
        items = read_sources([path], DedupConfig(inputs=("x",), output="x", source=options).source)
        documents = [item for item in items if isinstance(item, Document)]
        num_bytes = sum(len(document.text.encode()) for document in documents)
        cleaner = Cleaner(CleanOptions())
        times = seconds(functools.partial(clean_all, cleaner, documents))
        figures[document_break] = {"documents": len(documents), **rate(num_bytes, times)}
        print(f"{path.name:<44}clean, {document_break:<12}{figures[document_break]['mb_per_second']:>8.1f} MB/s")
    return figures


def clean_all(cleaner: Cleaner, documents: list[Document]) -> None:
    """Clean documents."""
    for document in documents:
        cleaner.clean(document)


def memory(paths: list[Path], sizes: list[int]) -> list[dict[str, Any]]:
    """Measure the largest resident size at each size, each in a process of its own."""
    runs = []
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "recombined.txt"
        for size in sizes:
            num_documents = write_recombined(source, paths, size * 10**6)
            for kind in ("exact", "near"):
                command = [sys.executable, __file__, "--run", kind, str(source), f"{folder}/{kind}-{size}"]
                done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
                run = {"kind": kind, "mb": size, "documents": num_documents} | json.loads(done.stdout.split("\n")[-2])
                runs.append(run)
                print(run)
    return runs


def write_recombined(target: Path, paths: list[Path], num_bytes: int, seed: int = 0) -> int:
    """Write distinct documents of ten sentences each, a line each; give their number."""
    chance = random.Random(seed)
    texts = (item.text for item in read_sources(paths) if isinstance(item, Document))
    sentences = [text[start:end].strip() for text in texts for start, end in sentence_spans(text)]
    sentences = [sentence for sentence in dict.fromkeys(sentences) if len(sentence) > 20]
    written = number = 0
    with target.open("w", encoding="utf-8") as file:
        while written < num_bytes:
            line = "".join(chance.choices(sentences, k=10)) + f"（{number}）\n"
            written += len(line.encode())
            number += 1
            file.write(line)
    return number


def run_measured(kind: str, source: str, output: str) -> dict[str, Any]:
    """Run one job; give its largest resident size, MiB, and what it found."""
    begin, cpu_begin = time.perf_counter(), time.process_time()
    keep: KeepList = dedup(config(kind, Path(source), Path(output)))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {
        "peak_mib": round(peak, 1),
        "seconds": round(time.perf_counter() - begin, 1),
        "cpu_seconds": round(time.process_time() - cpu_begin, 1),
        "duplicates": keep.num_duplicates,
        "crowded_buckets": keep.content.counts["crowded_buckets"],
        "compared_pairs": keep.content.counts["compared_pairs"],
    }


def config(kind: str, source: Path, output: Path) -> DedupConfig:
    """Give the configuration of a job."""
    return DedupConfig(
        inputs=(str(source),),
        output=str(output),
        kind=kind,
        ngram=NGRAM,
        num_bands=BANDS,
        rows_per_band=ROWS,
        threshold=THRESHOLD,
    )


if __name__ == "__main__":
    main()
