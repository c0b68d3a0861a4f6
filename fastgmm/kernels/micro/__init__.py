"""Micro-kernels: innermost loops, emitted as vector instructions."""
