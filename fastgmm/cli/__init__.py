"""The command line: fit a table, choose a model, predict rows, compile the kernels in advance.

click parses the arguments, rich prints tables, tqdm shows progress, polars reads files. Only click
is imported before a command runs, so that ``--help`` answers at once.

Every error that the user can correct is one sentence on the standard error and exit code 2, and
leaves no output behind.
"""
