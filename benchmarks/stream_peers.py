"""Rows a second of other streaming libraries, for ``stream.py``: run in an interpreter that has the one that is named.

``python stream_peers.py NAME FOLDER``: FOLDER holds ``rows.npy``, (num_rows, length) uint16. The last
line that it prints is JSON. Nothing here imports wwmcorpus.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

import numpy as np

BATCH = 64


def rate(batches: Any, num_rows: int) -> dict[str, Any]:
    """Give rows per second of an iterable of batches; the first batch is no part of it."""
    iterator = iter(batches)
    next(iterator)
    wall, cpu = time.perf_counter(), time.process_time()
    for _ in iterator:
        pass
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    rows = num_rows - BATCH
    return {"rows_per_second": round(rows / wall), "rows_per_cpu_second": round(rows / cpu)}


def mosaic(folder: str, rows: np.ndarray) -> dict[str, Any]:
    """MDS shards of one uint16 array a row, shuffled."""
    from streaming import MDSWriter, StreamingDataLoader, StreamingDataset

    with MDSWriter(out=f"{folder}/mds", columns={"input_ids": f"ndarray:uint16:{rows.shape[1]}"}) as writer:
        for row in rows:
            writer.write({"input_ids": row})
    data = StreamingDataset(local=f"{folder}/mds", shuffle=True, batch_size=BATCH)
    loader = StreamingDataLoader(data, batch_size=BATCH, num_workers=0, drop_last=True)
    return {"mosaicml-streaming, StreamingDataLoader, no masking": rate(loader, len(rows) // BATCH * BATCH)}


def litdata(folder: str, rows: np.ndarray) -> dict[str, Any]:
    """Chunks of tokens, shuffled."""
    import torch
    from litdata import StreamingDataLoader, StreamingDataset, TokensLoader, optimize

    optimize(
        fn=lambda number: torch.from_numpy(rows[number].astype(np.int32)),
        inputs=list(range(len(rows))),
        output_dir=f"{folder}/lit",
        chunk_bytes="64MB",
        item_loader=TokensLoader(),
        num_workers=1,
        start_method="fork",
    )
    data = StreamingDataset(f"{folder}/lit", item_loader=TokensLoader(block_size=rows.shape[1]), shuffle=True)
    loader = StreamingDataLoader(data, batch_size=BATCH, num_workers=0, drop_last=True)
    return {"litdata, StreamingDataLoader, no masking": rate(loader, len(rows) // BATCH * BATCH)}


if __name__ == "__main__":
    _, peer, place = sys.argv
    found = {"mosaicml-streaming": mosaic, "litdata": litdata}[peer](place, np.load(f"{place}/rows.npy"))
    print(json.dumps(found))
