"""Skip pairs that cannot be live, by bounds on distances carried over from earlier passes.

All points of a vector share one lower bound on their distance to each component. A bound of the
last iteration gives a bound for this one: `fastgmm.sources.skipping` computes how much distances
can have shrunk and grown, and ``docs/lazy-em.md`` proves it. If its bound shows that a component is
negligible for every point of a vector, the component does not list that vector, and nothing is
computed for it.

The distance of a vector is that of its closest point. To make the points of a vector alike, the
points of a block are sorted from time to time: by their nearest component, then by the set of
components for which they are live, then by their distance from the nearest. When 25% of the pairs
were live, vectors of unsorted points computed 74% of the pairs, vectors of sorted points 28%, and
vectors of points sorted by their nearest and second nearest component 35%.

With many components a block of 4096 points has only a few of each. The points of long blocks are
sorted between passes, by their nearest component and their number of live components, keys that
the pass writes. Their bounds are then unknown, and the next pass computes all pairs.

Bounds are stored as 16-bit numbers, rounded down, at first with 64 steps per standard deviation.
"""

import numpy as np

from fastgmm.jit.decorators import jit
from fastgmm.kernels.micro.lanes import greatest, lanes_of, least

MAX_BOUND = 65535.0  # steps; the largest 16-bit number
PATTERN_BITS = 8  # components per sort key
_ROUND_UP = 1.0 + 2.0**-22  # relative; more than rounding to float32 loses


@jit
def quantise(distance, part, shift, steps):
    """Return the largest stored number that is a valid lower bound for a computed distance."""
    value = (distance * part + shift) * steps
    value = MAX_BOUND if value > MAX_BOUND else value
    return np.uint16(value if value > 0.0 else 0.0)  # NaN becomes 0, the trivial bound


@jit
def list_unskipped(operands, bounds, drift, t, work):
    """List, for every component, the vectors of tile t that may have live points, in place."""
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
            negligible = 0.5 * bound * bound - density > limit[v]
            work.places[k, n] = v * lanes
            n += not (negligible and bound > 0.0)
        work.counts[k] = n


@jit
def update_bounds(operands, bounds, drift, t, work):
    """Update the bounds of tile t from its computed squared distances in `work.resp`, in place."""
    lanes, size = lanes_of(work.tile), work.peak.size
    n_vectors = work.places.shape[1]
    best = work.scratch[0]
    for v in range(n_vectors):
        best[v] = -np.inf
        bounds.farthest[t, v] = np.inf  # no upper bound, unless some density is finite
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
    """Write the squared distances of a tile's points to `work.block.distances`, in place.

    The tile begins at position `begin` of the block. For pairs that were not computed, minus the
    square of the lower bound is written.
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
def write_keys(operands, bounds, drift, start, work):
    """Write the sort keys of a tile's points from the distances in `work.resp`, in place.

    They are the nearest component and the number of live components. The tile begins at position
    `start`. `work.scratch` is overwritten.
    """
    lanes = lanes_of(work.tile)
    peak, live = work.scratch[0], work.scratch[1]
    nearest, counts = bounds.keys[0], bounds.keys[1]
    for p in range(peak.size):
        peak[p] = -np.inf
        live[p] = 0.0
        nearest[start + p] = 0
    for k in range(operands.offsets.size):
        offset = operands.offsets[k]
        for m in range(work.counts[k]):
            place = work.places[k, m]
            for l in range(lanes):
                value = offset - 0.5 * work.resp[k, m * lanes + l]
                if value > peak[place + l]:
                    peak[place + l] = value
                    nearest[start + place + l] = k
    for k in range(operands.offsets.size):
        density = drift.density[k] + drift.nats
        for m in range(work.counts[k]):
            place = work.places[k, m]
            for l in range(lanes):
                value = density - 0.5 * work.resp[k, m * lanes + l]
                live[place + l] += value > peak[place + l]
    for p in range(peak.size):
        counts[start + p] = np.uint16(live[p])


@jit
def keep_bounds(operands, bounds, drift, t, place, work):
    """Update the bounds of tile t; also write what its points are sorted by, if they will be.

    `place` is the position of its first point in its block.
    """
    update_bounds(operands, bounds, drift, t, work)
    if drift.reorder and bounds.keys.size:
        write_keys(operands, bounds, drift, t * work.peak.size, work)
    elif drift.reorder:
        store_distances(bounds, drift, t, place, work)


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
    """Write the distance of each of n points from its nearest component as a key, in place.

    Keys run from 0 to 255; a typical point of a component has 128.
    """
    for p in range(n):
        far = 128.0 * np.sqrt(abs(distances[nearest[p], p]) / n_features)
        keys[p] = np.uint16(far if far < 255.0 else 255.0)


@jit
def write_live_keys(density, nats, distances, begin, n, peak, keys):
    """Write for which of PATTERN_BITS components, from `begin` on, n points are live, in place.

    Each component is one bit of the key; component `begin` has the highest.
    """
    for p in range(n):
        keys[p] = 0
    for k in range(begin, min(begin + PATTERN_BITS, density.size)):
        bit = np.uint16(1 << (begin + PATTERN_BITS - 1 - k))
        for p in range(n):
            value = density[k] - 0.5 * distances[k, p]
            live = distances[k, p] >= 0.0 and value > peak[p] - nats
            keys[p] += bit if live else np.uint16(0)


@jit
def counting_sort(keys, n, ends, permutation, sorted_permutation):
    """Sort the first n entries of `permutation` by their keys, stably, in place.

    `ends` (more than any key + 1,) and `sorted_permutation` are overwritten.
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
    """Compute the bounds of a tile from the distances of its points in the block, in place.

    `permutation` (size,) gives the positions of its points in the block; `closest` is overwritten.
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
            d = d if d > 0.0 else np.float32(np.inf)  # not computed; the bound may be -0.0
            far = d if d > far else far
        bounds.nearest[tile, v] = nearest
        bounds.farthest[tile, v] = np.sqrt(far) * _ROUND_UP / (1.0 - drift.error[nearest])


@jit
def sort_block(offsets, bounds, drift, t, start, n, work):
    """Sort the n points of the block that begins with tile t and recompute its bounds, in place.

    Each sort is stable, so the least significant key is sorted first. Positions past n, up to the
    end of the last tile, repeat the first point of that tile.
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
