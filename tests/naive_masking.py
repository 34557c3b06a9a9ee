"""The masking schemes once more, in Python's integers, one row and one word at a time: what the package must equal.

A scheme is read as its fields say; nothing of ``wwmcorpus.masking`` but these fields is used.
"""

import math
import struct

IGNORED = -100
FRAME = (0, 3, 4, 5)


def splitmix(key, counter):
    """SplitMix64's output number ``counter`` for the seed ``key``, after its authors' description."""
    state = (key + (counter + 1) * 0x9E3779B97F4A7C15) % 2**64
    state = (state ^ (state >> 30)) * 0xBF58476D1CE4E5B9 % 2**64
    state = (state ^ (state >> 27)) * 0x94D049BB133111EB % 2**64
    return state ^ (state >> 31)


def fold(*parts):
    key = 0
    for part in parts:
        key = splitmix(key, part % 2**64)
    return key


def draw_of(key, purpose, number):
    """A number below 2**32: the high half of a hash."""
    return splitmix(key, purpose * 2**32 + number) >> 32


def below(draw, share):
    return draw < int(share * 2**32)


def run_shares(masking):
    if masking.scheme == "span":
        rates = [masking.stop_probability * (1 - masking.stop_probability) ** n for n in range(masking.max_words)]
    elif masking.shares == "inverse":
        rates = [1 / n for n in range(1, masking.max_words + 1)]
    else:
        return list(masking.shares)
    return [rate / sum(rates) for rate in rates]


def words_of(starts):
    words = []
    for position, begins in enumerate(starts):
        if begins:
            words.append([])
        words[-1].append(position)
    return words


def budget_of(length, masking):
    limit = masking.max_predictions
    if masking.budget == "bernoulli":
        return limit
    budget = max(1, round(length * masking.probability))
    return budget if limit is None else min(budget, limit)


def cut_runs(words, closed, key, shares, budget):
    """Runs of word numbers: lengths drawn one after another, ended by a closed word, the row or the budget."""
    runs, at = [], 0
    while at < len(words):
        run = [at]
        if not closed[at]:
            draw, bound, length = draw_of(key, 4, at), 0.0, 1
            for share in shares[:-1]:
                bound += share
                length += draw >= int(bound * 2**32)
            while len(run) < length and run[-1] + 1 < len(words) and not closed[run[-1] + 1]:
                pieces = sum(len(words[number]) for number in [*run, run[-1] + 1])
                if masking_budget_exceeded(pieces, budget):
                    break
                run.append(run[-1] + 1)
        runs.append(run)
        at = run[-1] + 1
    return runs


def masking_budget_exceeded(pieces, budget):
    return budget is not None and pieces > budget


def units_of(words, closed, weights, masking, key, budget):
    """Units as (positions, is a candidate, weight)."""
    if masking.scheme == "token":
        return [([p], not closed[w], weights[w]) for w, word in enumerate(words) for p in word]
    if masking.scheme == "whole_word":
        return [(word, not closed[w], weights[w]) for w, word in enumerate(words)]
    return [
        ([p for w in run for p in words[w]], not closed[run[0]], sum(weights[w] for w in run) / len(run))
        for run in cut_runs(words, closed, key, run_shares(masking), budget)
    ]


def priority(draw, weight):
    """How long a unit waits, as the bits of a float of 32 bits."""
    return struct.unpack("<I", struct.pack("<f", -math.log((draw + 0.5) / 2**32) / weight))[0]


def choose(units, masking, key, budget):
    """The chosen units, each a list of positions: greedy in order of priority, passing over what does not fit."""
    tried = []
    for number, (positions, candidate, weight) in enumerate(units):
        if candidate:
            draw = draw_of(key, 1, number)
            tried.append((draw if masking.weights is None else priority(draw, weight), number, draw, weight, positions))
    tried.sort()
    chosen, taken = [], 0
    for _, _, draw, weight, positions in tried:
        drawn = masking.budget == "exact" or draw < min(masking.probability * weight, 1) * 2**32 // 1
        if drawn and not masking_budget_exceeded(taken + len(positions), budget):
            chosen.append(positions)
            taken += len(positions)
    return sorted(chosen or [positions for *_, positions in tried[:1]])


def parts_of(chosen, starts, by):
    """The chosen positions as pieces, words or units."""
    if by == "piece":
        return [[position] for unit in chosen for position in unit]
    parts = []
    for unit in chosen:
        parts.append([])
        for position in unit:
            if by == "word" and starts[position] and parts[-1]:
                parts.append([])
            parts[-1].append(position)
    return parts


def replace_by_shares(ids, chosen, starts, masking, key, pool):
    seen, num_random = list(ids), 0
    mask, random = (int(share * 2**32) for share in (masking.mask_share, masking.mask_share + masking.random_share))
    for number, part in enumerate(parts_of(chosen, starts, masking.replace_by)):
        draw = draw_of(key, 2, number)
        for position in part:
            if draw < mask:
                seen[position] = 5
            elif draw < random:
                if masking.replace_by == "piece":
                    seen[position] = pool[(draw - mask) * len(pool) // (random - mask)]
                else:
                    seen[position] = pool[draw_of(key, 3, num_random) * len(pool) >> 32]
                num_random += 1
    return seen


def replace_by_similar(ids, chosen, starts, masking, key, pool, table):
    """``table``: pieces of a word -> list of the pieces of similar words."""
    seen, num_random, num_swapped = list(ids), 0, 0
    for number, part in enumerate(parts_of(chosen, starts, "word")):
        draw = draw_of(key, 2, number)
        alike = below(draw, masking.similar_share)
        others = table.get(tuple(ids[position] for position in part))
        if alike and others:
            picked = others[draw_of(key, 5, num_swapped) * len(others) >> 32]
            num_swapped += 1
            for position, piece in zip(part, picked, strict=True):
                seen[position] = piece
        elif alike or below(draw, masking.similar_share + masking.random_share):
            for position in part:
                seen[position] = pool[draw_of(key, 3, num_random) * len(pool) >> 32]
                num_random += 1
    return seen


def permute(ids, chosen, starts, masking, key):
    seen, labels = list(ids), {position: position for unit in chosen for position in unit}
    moving = [
        position
        for number, part in enumerate(parts_of(chosen, starts, masking.shuffle_by))
        if below(draw_of(key, 2, number), masking.shuffle_share)
        for position in part
    ]
    order = sorted(range(len(moving)), key=lambda number: (draw_of(key, 6, number), number))
    for place, number in zip(moving, order, strict=True):
        seen[place] = ids[moving[number]]
        labels[moving[number]] = place
    return seen, labels


def mask_row(ids, starts, row_id, masking, seed, epoch, pool, table=None, weight_of=None):
    """One row by any scheme: (input ids, labels). ``weight_of``: pieces of a word -> weight; 1 without it."""
    key, words = fold(seed, epoch, row_id), words_of(starts)
    weights = [1.0 if weight_of is None else weight_of([ids[p] for p in word]) for word in words]
    closed = [ids[word[0]] in FRAME or weight == 0 for word, weight in zip(words, weights, strict=True)]
    budget = budget_of(len(ids), masking)
    chosen = choose(units_of(words, closed, weights, masking, key, budget), masking, key, budget)
    labels = {position: ids[position] for unit in chosen for position in unit}
    if masking.scheme == "permutation":
        seen, labels = permute(ids, chosen, starts, masking, key)
    elif masking.scheme == "similar":
        seen = replace_by_similar(ids, chosen, starts, masking, key, pool, table)
    else:
        seen = replace_by_shares(ids, chosen, starts, masking, key, pool)
    return seen, [labels.get(position, IGNORED) for position in range(len(ids))]
