"""Rows in blocks, from files and other places that need not fit in memory."""
