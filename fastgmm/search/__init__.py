"""Starts, restarts, and the detection of spurious optima."""
