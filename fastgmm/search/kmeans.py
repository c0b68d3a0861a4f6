"""k-means with greedy k-means++ seeding; it draws the same random numbers as scikit-learn."""

import numpy as np

_MAX_ITER = 300
_TOL = 1e-4  # squared shift of all centers, relative to the mean variance of the features


def seed_rows(source, n_clusters, random_state):
    """Return the indices (n_clusters,) of rows that greedy k-means++ chooses: see `Seeding`."""
    seeding = source.seeding(n_clusters)
    seeding.first(random_state)
    while len(seeding.chosen) < n_clusters:
        seeding.next(random_state)
    return np.array(seeding.chosen)


class _Lloyd:
    """Lloyd's iterations: assign rows to centers, and move the centers to the clusters' means.

    Sums are taken about the median of the initial centers, because outliers hardly move it.
    """

    def __init__(self, source, centers):
        self.centers = centers
        self._source = source
        ranked, count = np.sort(centers, axis=0), len(centers)  # np.median takes thrice as long
        self._origin = ranked[(count - 1) // 2 : count // 2 + 1].mean(axis=0)
        self._drift = np.append(np.zeros(len(centers)), np.inf)
        self._assignment = source.assignment(len(centers), self._origin)

    @property
    def labels(self):
        """Labels (n_stored,) of the leading rows for which they are stored."""
        return self._assignment.labels

    def assign(self):
        """Assign every row to its nearest center; return whether a label may have changed."""
        self._totals = self._assignment.update(self.centers, self._drift)
        return self._totals.changed > 0

    def variance(self):
        """Return the mean variance of the features, from the totals of the first assignment.

        The scatter about the centers exceeds the scatter about the means by `gained`. Each center
        is still a row of its cluster and so close to the mean: little cancels.
        """
        s1, weight = self._totals.moments[:, :-1], self._totals.moments[:, -1]
        total = weight.sum()
        occupied = weight > 0
        means = s1[occupied] / weight[occupied, None]
        mean = s1.sum(axis=0) / total
        between = weight[occupied] @ ((means - mean) ** 2).sum(axis=1)
        gaps = self._origin + means - self.centers[occupied]
        gained = weight[occupied] @ (gaps**2).sum(axis=1)
        return (self._totals.scatter + between - gained) / (total * len(mean))

    def move(self):
        """Move the centers to the means of their clusters; return their total squared shift.

        An empty cluster gets the row that is farthest from its center. A cluster that loses its
        only row in this way moves to the heaviest cluster's mean, or to its sum if the loop has
        not divided that sum yet. scikit-learn does the same, and labels must agree with it.
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
        """Add to each cluster's drift the shift of its center and the longest of the others."""
        longest = np.argmax(shift)
        others = np.full(len(shift), shift[longest])
        others[longest] = np.delete(shift, longest).max(initial=0.0)
        self._drift[:-1] += (shift + others) * (1.0 + 1e-9)  # the factor covers rounding

    def _relocate(self, empty, moments):
        """Move the farthest rows from their clusters' sums to those of empty clusters, in place."""
        rows, labels, distances = self._assignment.farthest(self.centers, len(empty))
        if not distances.any():  # fewer distinct rows than clusters
            return
        for new, row, old in zip(empty, rows, labels, strict=True):
            weight = self._source.weights(row)
            moment = weight * np.append(self._source.rows(row) - self._origin, 1.0)
            moments[old] -= moment
            moments[new] = moment


def kmeans(source, n_clusters, random_state):
    """Return labels (n_stored,) of the leading rows and centers (n_clusters, n_features).

    Labels are stored for a limited number of rows: see `Assignment`. Lloyd's iterations start
    from k-means++ and stop when no label changes, when the centers' squared shift is at most
    1e-4 of the mean variance of the features, or after 300 iterations.
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
