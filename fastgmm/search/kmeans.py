"""k-means with greedy k-means++ seeding, drawing its random numbers as scikit-learn does."""

import numpy as np

_MAX_ITER = 300
_TOL = 1e-4


def seed_rows(source, n_clusters, random_state):
    """Return the places of rows chosen as centers by greedy k-means++: see `Seeding`."""
    seeding = source.seeding(n_clusters)
    seeding.first(random_state)
    while len(seeding.chosen) < n_clusters:
        seeding.next(random_state)
    return np.array(seeding.chosen)


class _Lloyd:
    """Lloyd's iterations: assigns rows to centers and moves those to the clusters' means.

    Sums are taken about the median of the first centers, which no outlier moves.
    """

    def __init__(self, source, centers):
        self.centers = centers
        self._source = source
        self._origin = np.median(centers, axis=0)
        self._drift = np.append(np.zeros(len(centers)), np.inf)
        self._assignment = source.assignment(len(centers), self._origin)

    @property
    def labels(self):
        """The clusters of the first rows, as many as are remembered."""
        return self._assignment.labels

    def assign(self):
        """Assign every row to its nearest center; return whether a label may have changed."""
        self._totals = self._assignment.update(self.centers, self._drift)
        return self._totals.changed > 0

    def variance(self):
        """Return the mean variance of the features, from the totals of the first assignment.

        The scatter about the centers is that about the means and more. Every center is still one
        of its cluster's rows, so the means are not far from it, and little cancels.
        """
        s1, weight = self._totals.moments[:, :-1], self._totals.moments[:, -1]
        total = weight.sum()
        held = weight > 0
        means = s1[held] / weight[held, None]
        mean = s1.sum(axis=0) / total
        between = weight[held] @ ((means - mean) ** 2).sum(axis=1)
        gained = weight[held] @ ((self._origin + means - self.centers[held]) ** 2).sum(axis=1)
        return (self._totals.scatter + between - gained) / (total * len(mean))

    def move(self):
        """Move the centers to the means of their clusters; return their squared shift.

        An empty cluster gets the row farthest from its center. A cluster that loses its only row
        that way moves to the heaviest cluster's center, or to its sum where that is not divided
        yet: scikit-learn does so, and the same labels depend on it.
        """
        moments = self._totals.moments.copy()
        empty = np.flatnonzero(self._totals.size == 0)
        if empty.size:
            self._relocate(empty, moments)
        s1, weight = moments[:, :-1], moments[:, -1]
        heaviest = np.argmax(weight)
        for k in range(len(s1)):
            s1[k] = s1[k] / weight[k] if weight[k] > 0 else s1[heaviest]
        before, self.centers = self.centers, self._origin + s1
        shift = ((self.centers - before) ** 2).sum(axis=1)
        self._widen(np.sqrt(shift))
        return shift.sum()

    def _widen(self, shift):
        """Add to the drift of each cluster its center's shift and the longest of any other."""
        longest = np.argmax(shift)
        others = np.full(len(shift), shift[longest])
        others[longest] = np.delete(shift, longest).max(initial=0.0)
        self._drift[:-1] += (shift + others) * (1.0 + 1e-9)  # rounding included

    def _relocate(self, empty, moments):
        """Move the farthest rows from their clusters' sums to those of empty ones, in place."""
        rows, labels, distances = self._assignment.farthest(self.centers, len(empty))
        if not distances.any():  # fewer distinct rows than clusters
            return
        for new, row, old in zip(empty, rows, labels, strict=True):
            weight = self._source.weights(row)
            moment = weight * np.append(self._source.rows(row) - self._origin, 1.0)
            moments[old] -= moment
            moments[new] = moment


def kmeans(source, n_clusters, random_state):
    """Return the clusters of the first rows, as many as are remembered, and the centers.

    Lloyd's iterations from k-means++. They stop when no label changes, when the centers' squared
    shift is within 1e-4 of the mean variance of the features, or after 300 iterations.
    """
    rows = seed_rows(source, n_clusters, random_state)
    lloyd = _Lloyd(source, source.rows(rows).astype(np.float64))
    lloyd.assign()
    tolerance = _TOL * lloyd.variance()
    for _ in range(_MAX_ITER):
        shift = lloyd.move()
        if not lloyd.assign() or shift <= tolerance:
            break
    return lloyd.labels, lloyd.centers
