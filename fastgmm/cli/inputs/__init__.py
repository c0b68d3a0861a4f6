"""The rows that a command reads: a table in memory, or files that are read in blocks."""
