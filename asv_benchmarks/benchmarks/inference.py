"""What a fitted mixture answers about rows."""

from .common import clusters, fit_ours, fit_sklearn, median_ratio, seconds, start


class Inference:
    params = (["predict_proba", "predict", "score_samples"],)
    param_names = ("method",)

    def setup(self, method):
        self.X = clusters(100_000, 10, 10)
        self.options = start(self.X, 10)
        self.answer = getattr(fit_ours(self.X, max_iter=2, **self.options), method)
        self.answer(self.X)  # compiles

    def time_answer(self, method):
        self.answer(self.X)

    def peakmem_answer(self, method):
        self.answer(self.X)

    def track_speedup_over_sklearn(self, method):
        theirs = getattr(fit_sklearn(self.X, max_iter=2, **self.options), method)
        return median_ratio(lambda: seconds(theirs, self.X), lambda: seconds(self.answer, self.X))

    track_speedup_over_sklearn.unit = "times"


class SingleRow:
    def setup(self):
        X = clusters(1000, 10, 10)
        self.row = X[:1]
        self.mixture = fit_ours(X, max_iter=2, **start(X, 10))
        self.mixture.predict_proba(self.row)  # compiles

    def time_1000_single_rows(self):
        for _ in range(1000):
            self.mixture.predict_proba(self.row)
