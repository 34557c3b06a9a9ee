"""The way of run_chinese_ref.py, written anew: words of a line, matched again as a set against its tokens."""

from __future__ import annotations

from typing import Any

from transformers import PreTrainedTokenizerFast

from wwmcorpus.text import is_han


def published_refs(model: Any, tokenizer: PreTrainedTokenizerFast, lines: list[str], parallel: bool) -> list[list[int]]:
    """Give refs the published way, naively: a set of words for each line, matched again against its tokens."""
    refs = []
    rows = tokenizer(lines, add_special_tokens=True, truncation=True, max_length=512)["input_ids"]
    for words, ids in zip(model.batch_predict(lines, parallelism=parallel), rows, strict=True):
        chinese = {word for word in words if len(word) > 1 and all(is_han(ord(c)) for c in word)}
        tokens = [tokenizer.convert_ids_to_tokens(i) for i in ids]
        longest = max(map(len, chinese), default=0)
        ref, at = [], 0
        while at < len(tokens):
            length = 1
            if is_han(ord(tokens[at][0])):
                reach = min(len(tokens) - at, longest)
                length = next((n for n in range(reach, 1, -1) if "".join(tokens[at : at + n]) in chinese), 1)
            ref.extend(range(at + 1, at + length))
            at += length
        refs.append(ref)
    return refs
