"""Which components the points of a vector have to do with, from the distances of before.

The points of a vector share one lower bound of their distances to each component. A bound of
the last iteration is worth something in this one: see `fastgmm.sources.skipping`, which hands over by how
much distances can have shrunk and grown, and ``docs/lazy-em.md``, which proves it. A component
whose bound shows that it cannot matter to any point of a vector does not list that vector, and
nothing of it is computed.

A vector is as close to a component as the closest of its points. So that its points are alike,
those of a block are put in order from time to time: by their nearest component, then by which
components matter to them at all, then by how far they are from the nearest. Where 25% of the pairs
mattered one by one, vectors of unordered points had to compute 74%, of ordered ones 28%; of points
ordered by their nearest and second nearest component, 35%.

Bounds are kept as 16-bit numbers, 64 to a standard deviation at first, rounded down.
"""

import numpy as np

from fastgmm.jit.decorators import jit
from fastgmm.kernels.micro.lanes import greatest, lanes_of, least

MAX_BOUND = 65535.0
PATTERN_BITS = 8  # components by which points are put in order at a time
_ROUND_UP = 1.0 + 2.0**-22  # rounding to float32 loses less


@jit
def quantise(distance, part, shift, steps):
    """Return the greatest number that may stand for a computed distance."""
    value = (distance * part + shift) * steps
    value = MAX_BOUND if value > MAX_BOUND else value
    return np.uint16(value if value > 0.0 else 0.0)  # NaN, too: nothing is known


@jit
def list_unskipped(operands, bounds, drift, t, work):
    """List for every component the vectors of tile t that may matter to it, in place."""
    lanes, n_vectors = lanes_of(work.tile), work.places.shape[1]
    limit = work.scratch[0]
    for v in range(n_vectors):
        h = bounds.nearest[t, v]
        far = drift.growth[h] * (bounds.farthest[t, v] + drift.move[h])
        limit[v] = drift.nats - (operands.offsets[h] - 0.5 * far * far)
    for k in range(operands.offsets.size):
        scale, shift, density = drift.scale[k], drift.shift[k], drift.density[k]
        least_part = 1.0 - drift.error[k]
        n = 0
        for v in range(n_vectors):
            bound = least_part * (scale * bounds.lower[t, k, v] - shift)
            hopeless = 0.5 * bound * bound - density > limit[v]
            work.places[k, n] = v * lanes
            n += not (hopeless and bound > 0.0)
        work.counts[k] = n


@jit
def update_bounds(operands, bounds, drift, t, work):
    """Keep the bounds of what was computed of tile t; `work.resp` holds squared distances."""
    lanes, size = lanes_of(work.tile), work.peak.size
    n_vectors = work.places.shape[1]
    best = work.scratch[0]
    for v in range(n_vectors):
        best[v] = -np.inf
        bounds.farthest[t, v] = np.inf  # where no density is finite, nothing is known
    for k in range(operands.offsets.size):
        part, shift, steps = 1.0 - drift.error[k], drift.new_shift[k], drift.new_steps[k]
        if drift.rebased[k]:
            for v in range(n_vectors):
                bound = drift.scale[k] * bounds.lower[t, k, v] - drift.shift[k]
                bounds.lower[t, k, v] = quantise(bound, part, shift, steps)
        offset, more = operands.offsets[k], _ROUND_UP / (1.0 - drift.error[k])
        for m in range(work.counts[k]):
            i, v = k * size + m * lanes, work.places[k, m] // lanes
            closest_point = np.sqrt(least(work.resp, i, work.tile))
            bounds.lower[t, k, v] = quantise(closest_point, part, shift, steps)
            far = greatest(work.resp, i, work.tile)
            if offset - 0.5 * far > best[v]:
                best[v] = offset - 0.5 * far
                bounds.nearest[t, v] = k
                bounds.farthest[t, v] = np.sqrt(far) * more


@jit
def store_distances(bounds, drift, t, begin, work):
    """Write the squared distances of a tile's points, from place `begin` of the block on, in place.

    The computed ones into ``work.block.distances``, and of others a bound, with a minus.
    """
    lanes = lanes_of(work.tile)
    distances = work.block.distances
    for k in range(work.counts.size):
        if work.counts[k] < work.places.shape[1]:
            scale, shift = 1.0 / drift.new_steps[k], drift.new_shift[k]
            for p in range(0, work.peak.size, lanes):
                bound = scale * bounds.lower[t, k, p // lanes] - shift
                bound = bound if bound > 0.0 else 0.0
                for l in range(lanes):
                    distances[k, begin + p + l] = -bound * bound
        for m in range(work.counts[k]):
            place = begin + work.places[k, m]
            for l in range(lanes):
                distances[k, place + l] = work.resp[k, m * lanes + l]


@jit
def find_nearest(offsets, distances, n, peak, nearest):
    """Write the nearest component of each of n points and its log-density, in place."""
    for p in range(n):
        peak[p] = -np.inf
        nearest[p] = 0
    for k in range(offsets.size):
        for p in range(n):
            value = np.float32(offsets[k] - 0.5 * abs(distances[k, p]))
            nearest[p] = k if value > peak[p] else nearest[p]
            peak[p] = value if value > peak[p] else peak[p]


@jit
def write_distance_keys(distances, nearest, n, n_features, keys):
    """Write how far each of n points is from its nearest component, from 0 to 255, in place.

    A typical point of a component is half-way.
    """
    for p in range(n):
        far = 128.0 * np.sqrt(abs(distances[nearest[p], p]) / n_features)
        keys[p] = np.uint16(far if far < 255.0 else 255.0)


@jit
def write_live_keys(density, nats, distances, begin, n, peak, keys):
    """Write which of PATTERN_BITS components from `begin` on matter to each of n points, in place.

    As bits of the keys, the first component's the highest.
    """
    for p in range(n):
        keys[p] = 0
    for k in range(begin, min(begin + PATTERN_BITS, density.size)):
        bit = np.uint16(1 << (begin + PATTERN_BITS - 1 - k))
        for p in range(n):
            value = density[k] - 0.5 * distances[k, p]
            matters = distances[k, p] >= 0.0 and value > peak[p] - nats
            keys[p] += bit if matters else np.uint16(0)


@jit
def counting_sort(keys, n, ends, permutation, sorted_permutation):
    """Sort the first n places in `turn` by their keys, equal ones in order, in place.

    `ends` (more than any key + 1,) and `sorted_turn` are overwritten.
    """
    for k in range(ends.size):
        ends[k] = 0
    for p in range(n):
        ends[keys[p] + 1] += 1
    for k in range(1, ends.size):
        ends[k] += ends[k - 1]
    for p in range(n):
        place = permutation[p]
        key = keys[place]
        sorted_permutation[ends[key]] = place
        ends[key] += 1
    for p in range(n):
        permutation[p] = sorted_permutation[p]


@jit
def bound_sorted_tile(permutation, bounds, drift, tile, lanes, block, closest):
    """Make the bounds of a tile from the distances of its points in the block, in place.

    `turn` (size,) says which points of the block these are; `closest` is overwritten.
    """
    distances = block.distances
    n_vectors = permutation.size // lanes
    for k in range(distances.shape[0]):
        for v in range(n_vectors):
            least_square = np.float32(np.inf)
            for l in range(lanes):
                d = abs(distances[k, permutation[v * lanes + l]])
                least_square = d if d < least_square else least_square
            closest[v] = np.sqrt(least_square) / _ROUND_UP
        part, shift, steps = 1.0 - drift.error[k], drift.new_shift[k], drift.new_steps[k]
        for v in range(n_vectors):
            bounds.lower[tile, k, v] = quantise(closest[v], part, shift, steps)
    for v in range(n_vectors):
        nearest = block.nearest[permutation[v * lanes]]
        far = np.float32(0.0)
        for l in range(lanes):
            d = distances[nearest, permutation[v * lanes + l]]
            d = d if d > 0.0 else np.float32(np.inf)  # a bound may be minus zero
            far = d if d > far else far
        bounds.nearest[tile, v] = nearest
        bounds.farthest[tile, v] = np.sqrt(far) * _ROUND_UP / (1.0 - drift.error[nearest])


@jit
def sort_block(offsets, bounds, drift, t, start, n, work):
    """Order the n points of the block that begins with tile t, and make their bounds anew.

    By the least important key first, as each sort keeps the order of equal ones. Points after
    them, to the end of the tile, repeat the first one of their tile.
    """
    block, permutation, order = work.block, work.block.permutation, work.block.order
    size, lanes = work.peak.size, lanes_of(work.tile)
    find_nearest(offsets, block.distances, n, block.peak, block.nearest)
    for p in range(n):
        permutation[p] = p
    write_distance_keys(block.distances, block.nearest, n, work.tile.shape[0], block.keys)
    counting_sort(block.keys, n, block.ends, permutation, order)
    for k in range((offsets.size - 1) // PATTERN_BITS * PATTERN_BITS, -1, -PATTERN_BITS):
        write_live_keys(drift.density, drift.nats, block.distances, k, n, block.peak, block.keys)
        counting_sort(block.keys, n, block.ends, permutation, order)
    counting_sort(block.nearest, n, block.ends, permutation, order)
    for p in range(n):
        order[p] = bounds.order[start + permutation[p]]
    for p in range(n):
        bounds.order[start + p] = order[p]
    n_tiles = (n + size - 1) // size
    for p in range(n, n_tiles * size):
        permutation[p] = permutation[(n_tiles - 1) * size]
    for i in range(n_tiles):
        tile = permutation[i * size : (i + 1) * size]
        bound_sorted_tile(tile, bounds, drift, t + i, lanes, block, work.scratch[0])
