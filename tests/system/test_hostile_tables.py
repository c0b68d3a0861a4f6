"""Tables and names that the command line must read or refuse in one sentence, never a traceback."""

import bz2
import gzip
import lzma
import os
import re
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import zstandard

import fastgmm.__main__

GOOD = b"a,b\n1,2\n3,4\n5,7\n"


@pytest.fixture(autouse=True)
def in_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")


@pytest.fixture
def fgmm(capsys):
    """Run the command; give its exit code and what it wrote to either stream."""

    def run(*arguments):
        code = fastgmm.__main__.main([str(argument) for argument in arguments])
        return code, *capsys.readouterr()

    return run


@pytest.fixture
def refused(fgmm):
    """Run a command that must fail; give its one short, printable sentence."""

    def run(*arguments):
        code, out, err = fgmm(*arguments)
        assert (code, out) == (2, "")
        assert err.startswith("Error: ")
        assert err.endswith("\n")
        assert err[:-1].isprintable()
        assert len(err) < 500
        return err

    return run


def npy(head, body=b""):
    """A .npy file with any text for a header."""
    text = head.ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text.encode() + body


BROKEN = {
    "some_returns.csv": (b"a,b\r\n1,2\r3,4\n5,7\r\n", "carriage return"),
    "nul.csv": (b"a,b\n1,2\n3,\x004\n", r"row 2 holds \"\\x004\""),
    "escape.csv": (b"\x1b[2Ja,b\n1,2\n3,\x1b[31m\n", r"row 2 holds \"\\x1b\[31m\""),
    "escape_name.csv": (b"\x1b[2Ja,b\nx,2\n3,4\n", r"column \\x1b\[2Ja is"),
    "utf16.csv": ("a,b\n1,2\n3,x\n".encode("utf-16")[:-1], "cannot be read as UTF-16"),
    "long_field.csv": (b"a,b\n1,2\n3," + b"z" * 10**6 + b"\n", r"z{60}\.\.\."),
    "long_name.csv": (b"a" * 10**6 + b",b\nx,2\n", r"a{60}\.\.\."),
    "digits.csv": (b"a,b\n1,2\n3," + b"9" * 10**6 + b"\n", "infinite"),
    "huge.csv": (b"a,b\n1,2\n3,1e400\n", "infinite"),
    "quote.csv": (b'a,b\n"1,2\n3,4\n', "cannot be read"),
    "quotes.csv": (b'a,b\n1,"2""\n3,4\n', "cannot be read"),
    "blank.csv": (b"\n\n\n", "cannot be read"),
    "semicolons.csv": (b"a;b\n1,5;2\n3;4;5\n", "line 3 has 3 fields instead of 2"),
    "cut.csv.gz": (gzip.compress(GOOD * 99)[:-9], "cannot be unpacked"),
    "cut.csv.bz2": (bz2.compress(GOOD * 99)[:-9], "cannot be unpacked"),
    "cut.csv.xz": (lzma.compress(GOOD * 99)[:-9], "cannot be unpacked"),
    "cut.csv.zst": (zstandard.compress(GOOD * 99)[:-9], "cannot be unpacked: the data end"),
    "wrong.csv.gz": (b"\x1f\x8b\x08" + bytes(99), "cannot be unpacked"),
    "wrong.csv.zst": (b"\x28\xb5\x2f\xfd" + b"x" * 99, "cannot be unpacked"),
    "wrong.zip": (b"PK\x03\x04" + b"x" * 99, "cannot be unpacked"),
    "nothing.csv.gz": (gzip.compress(b""), "is empty"),
    "arabic.csv": ("a,b\n\u0661,2\n3,4\n".encode(), "not numeric"),
    "empty.csv": (b"", "is empty"),
    "empty.parquet": (b"", "is empty"),
    "footer.parquet": (b"PAR1\xff\xff\xff\x7fPAR1", "cannot be read"),
    "zeros.parquet": (b"PAR1" + bytes(100) + b"PAR1", "cannot be read"),
    "cut.npy": (b"\x93NUMPY\x01\x00\x10\x00{'descr': '<f8'}", "damaged"),
    "version.npy": (b"\x93NUMPY\x09\x00v\x00" + bytes(300), "damaged"),
    "large.npy": (
        npy("{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000, 3)}"),
        "damaged",
    ),
    "negative.npy": (
        npy("{'descr': '<f8', 'fortran_order': False, 'shape': (-1, 3)}", bytes(240)),
        "damaged",
    ),
    "brackets.npy": (npy("(" * 117, bytes(240)), "damaged"),
    "backslash.npy": (npy(r"{'descr': '\d', 'fortran_order': False, 'shape': (3,)}"), "damaged"),
    "wide.npy": (
        npy("{'descr': '<f8', 'fortran_order': False, 'shape': (0, 1000000000)}"),
        "no rows",
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_tables(refused, name):
    content, reason = BROKEN[name]
    Path(name).write_bytes(content)
    assert re.search(reason, refused("fit", name, "--components", 1, "--strict"))


@pytest.mark.parametrize("width", [100_001, 1_000_000])
def test_too_many_columns(refused, width):
    """A million of them took 80 s and 8 GB to read."""
    row = b",".join([b"1"] * width) + b"\n"
    Path("wide.csv").write_bytes(row * 2)
    assert f"has {width} columns" in refused("fit", "wide.csv", "--components", 1)
    Path("wide.tsv").write_bytes(row.replace(b",", b"\t") * 2)
    assert ".npy" in refused("fit", "wide.tsv", "--components", 1, "--no-header")


@pytest.mark.parametrize(
    "content",
    [
        b"a,b\r\n1,2\n3,4\r\n5,7\n",
        b"\xef\xbb\xbfa,b\n1,2\n3,4\n5,7",
        b'"a","b"\n"1","2"\n3,4\n5,7\n\n\n',
        b"\xe9t\xe9,b\n1,2\n3,4\n5,7\n",
        b"a\x00,b\n1,2\n3,4\n5,7\n",
        b"\x1b[31ma,b\x07\n1,2\n3,4\n5,7\n",
        "\u202ea,b\n1,2\n3,4\n5,7\n".encode(),
        b'"a\nb",b\n1,2\n3,4\n5,7\n',
        b"a,b\r1,2\r3,4\r5,7\r",
    ],
    ids=range(9),
)
def test_odd_tables_are_read(fgmm, content):
    """Odd names of columns never reach the terminal as they are."""
    Path("odd.csv").write_bytes(content)
    code, out, err = fgmm("fit", "odd.csv", "--components", 1)
    assert (code, err) == (0, "")
    assert out.replace("\n", "").isprintable()
    assert "3 rows, 2 columns" in out


@pytest.mark.parametrize(
    "name",
    [
        "new\nline",
        "\x1b[31m",
        "*",
        "a[1]",
        "{a}",
        "sp ace",
        "\u202e",
        "http:x",
        "file:",
        "%41",
        "~",
    ],
)
def test_odd_names_of_files(fgmm, name):
    """Files are what their names say: no patterns, no addresses, no escapes."""
    Path(f"{name}.csv").write_bytes(GOOD)
    outputs = ("--out", f"{name}.npz", "--labels", f"{name}-labels.csv")
    code, out, err = fgmm("fit", f"{name}.csv", "--components", 1, *outputs)
    assert (code, err) == (0, "")
    assert out.replace("\n", "").isprintable()
    code, _, err = fgmm("predict", f"{name}.npz", f"{name}.csv", "--out", f"{name}-more.csv")
    assert (code, err) == (0, "")
    expected = [f"{name}{end}" for end in ("-labels.csv", "-more.csv", ".csv", ".npz")]
    assert sorted(path.name for path in Path().iterdir()) == sorted(expected)
    assert Path(f"{name}-more.csv").read_bytes() == Path(f"{name}-labels.csv").read_bytes()


@pytest.mark.skipif(sys.platform != "linux", reason="names that are no text")
def test_names_that_are_no_text(refused, fgmm):
    name = os.fsdecode(b"\xff\xfe")
    Path(f"{name}.csv").write_bytes(GOOD)
    assert "not UTF-8" in refused("fit", f"{name}.csv", "--components", 1)
    Path("good.csv").write_bytes(GOOD)
    arguments = ("--components", 1, "--out", f"{name}.npz", "--labels", f"{name}.csv")
    code, out, _ = fgmm("fit", "good.csv", *arguments)
    assert code == 0
    assert r"\udcff" in out


def test_names_that_are_no_files(refused):
    Path("good.csv").write_bytes(GOOD)
    os.mkdir("folder.csv")
    Path("loop.csv").symlink_to("loop.csv")
    Path("loop.npz").symlink_to("loop.npz")
    os.mkfifo("pipe.csv")
    os.mkfifo("pipe.npz")
    fit = ("--components", 1)
    assert "folder" in refused("fit", "folder.csv", *fit)
    assert "not a regular file" in refused("fit", "pipe.csv", *fit)
    assert "not a regular file" in refused("predict", "pipe.npz", "good.csv")
    assert "not a regular file" in refused("fit", "good.csv", *fit, "--out", "pipe.npz")
    assert "cannot be read" in refused("fit", "loop.csv", *fit)
    assert "symbolic links" in refused("predict", "loop.npz", "good.csv")
    assert "cannot be read" in refused("fit", "n" * 200 + ".csv", *fit)
    assert "irectory" in refused("predict", "folder.csv", "good.csv")
    assert "cannot be written" in refused("fit", "good.csv", *fit, "--out", "good.csv/model.npz")


@pytest.mark.parametrize(
    ("columns", "reason"),
    [
        ("a\nb", "cannot be read"),
        ("z" * 200_000, "cannot be read"),
        ("z" * 1000, "no column"),
        ("\x1b[31m", r"no column \"\\x1b\[31m\""),
        ("", "names no column"),
        (",", "no column"),
    ],
)
def test_odd_choices_of_columns(refused, columns, reason):
    Path("good.csv").write_bytes(GOOD)
    message = refused("fit", "good.csv", "--components", 1, "--columns", columns)
    assert re.search(reason, message)


def test_very_many_chosen_columns(fgmm):
    """Finding 20,000 names among 50,000 takes no 10^9 steps."""
    names = [f"c{n}" for n in range(50_000)]
    rows = [names, ["1"] * 50_000, ["2"] * 50_000]
    Path("wide.csv").write_text("\n".join(map(",".join, rows)))
    chosen = ",".join(names[::-1][:20_000])
    arguments = ("--components", 1, "--covariance", "spherical", "--columns", chosen)
    code, out, _ = fgmm("fit", "wide.csv", *arguments)
    assert code == 0
    assert "2 rows, 20000 columns" in out


def test_absurd_sizes_are_told(refused):
    np.save("wide.npy", np.zeros((3, 100_000)))
    message = refused("fit", "wide.npy", "--components", 2)
    assert "would need about" in message
    assert "TiB" in message


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is full")
def test_a_full_disk_is_told():
    Path("good.csv").write_bytes(GOOD)
    fit = [sys.executable, "-m", "fastgmm", "fit", "good.csv", "--components", "1"]
    with open("/dev/full", "w") as full:
        result = subprocess.run(fit, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert result.returncode == 2
    assert "No space left" in result.stderr
    assert "Traceback" not in result.stderr
