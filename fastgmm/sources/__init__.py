"""Sources: where rows come from, and the sums over them that EM needs."""
