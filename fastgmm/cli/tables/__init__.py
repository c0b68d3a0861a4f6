"""Tables of finite numbers, read from files.

polars reads all but the arrays of NumPy: it alone reads CSV, Parquet, Arrow, JSON and workbooks,
on all cores and in a stream. pandas is no slower on CSV, but needs another package for each of the
others.

Every error about a file is a `FileProblem` whose message is one sentence. It counts rows from 1,
without the header.
"""
