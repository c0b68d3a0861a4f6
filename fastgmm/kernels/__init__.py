"""Kernels: what is compiled, and the types and sizes that go with it."""
