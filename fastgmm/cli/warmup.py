"""The command ``fastgmm warmup``."""

from __future__ import annotations

import time

import click

import fastgmm
from fastgmm.cli.output import spinner


@click.command(short_help="Compile all kernels now; later fits start at once.")
def warmup() -> None:
    """Compile all kernels now, so that no later fit waits for the compiler."""
    start = time.perf_counter()
    with spinner("compiling the kernels"):
        fastgmm.precompile()
    click.echo(f"kernels compiled and cached in {time.perf_counter() - start:.1f} s")
