"""What a search did: kept with the mixture that it found."""

from dataclasses import dataclass


@dataclass
class SearchRecord:
    """What a search for the right optimum did, over all starts of a fit.

    Attributes
    ----------
    n_candidates : int
        Number of starts and moves that were tried.
    n_moves : int
        Number of moves that improved the best optimum: a component was split, two were merged, or
        both; or the responsibilities of another covariance type were taken over.
    n_rows : int
        Number of rows that were searched: all, or those of a sample.
    n_passes : int
        Number of passes over these rows.
    """

    n_candidates: int = 0
    n_moves: int = 0
    n_rows: int = 0
    n_passes: int = 0

    def __str__(self) -> str:
        def plural(count: int, word: str, more: str = "s") -> str:
            return f"{count} {word}{'' if count == 1 else more}"

        return (
            f"{plural(self.n_candidates, 'candidate')}, {plural(self.n_moves, 'move')},"
            f" {plural(self.n_passes, 'pass', 'es')} over {plural(self.n_rows, 'row')}"
        )

    def add(self, other: "SearchRecord") -> None:
        """Add what another search did on as many rows."""
        self.n_candidates += other.n_candidates
        self.n_moves += other.n_moves
        self.n_passes += other.n_passes
        self.n_rows = max(self.n_rows, other.n_rows)
