"""Compilation, its cache and threads: the only package that names Numba."""
