"""The examples that run EM on MPI, Spark and Dask, where these are installed."""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"


def output_of(command, **environment):
    inherited = {**os.environ, "PYTHONPATH": str(EXAMPLES.parent), **environment}
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env=inherited, timeout=300
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def numbers(text):
    return [abs(float(number)) for number in re.findall(r"-?\d+\.\d*", text.partition("row")[2])]


def is_there(module, program):
    return importlib.util.find_spec(module) is not None and shutil.which(program) is not None


@pytest.mark.skipif(not is_there("mpi4py", "mpirun"), reason="no MPI")
def test_mpi():
    allow = {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
    command = ["mpirun", "--oversubscribe", "-n", "2", sys.executable]
    out = output_of([*command, str(EXAMPLES / "fit_with_mpi.py")], **allow)
    assert out.startswith("2 ranks")
    assert numbers(out)[1:] == pytest.approx([0, 0, 6, 0, 0, 6], abs=0.03)


@pytest.mark.skipif(not is_there("pyspark", "java"), reason="no Spark")
def test_spark():
    out = output_of([sys.executable, str(EXAMPLES / "fit_with_spark.py")])
    assert numbers(out)[1:] == pytest.approx([0, 0, 6, 0, 0, 6], abs=0.03)


@pytest.mark.skipif(importlib.util.find_spec("distributed") is None, reason="no Dask")
def test_dask():
    out = output_of([sys.executable, str(EXAMPLES / "kill_a_dask_worker.py")])
    assert "killed a worker" in out
    assert "the same bits: True" in out
