"""Starts, restarts and what tells a good optimum from a spurious one."""
