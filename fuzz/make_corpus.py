"""Write the corpus that fuzzing begins with: small models of every type, small tables."""

import gzip
import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

import fastgmm

CORPUS = Path(__file__).parent / "corpus"


def _saved(save: Callable[..., None], array: NDArray) -> bytes:
    buffer = io.BytesIO()
    save(buffer, array)
    return buffer.getvalue()


def _written(method: str) -> bytes:
    buffer = io.BytesIO()
    getattr(pl.DataFrame({"a": [1.5, 2.0], "b": [3, 4], "k": ["x", None]}), method)(buffer)
    return buffer.getvalue()


COVARIANCES = {
    "full": [[[1.0, 0.3], [0.3, 2.0]], [[0.7, -0.1], [-0.1, 0.2]]],
    "tied": [[1.0, 0.3], [0.3, 2.0]],
    "diag": [[1.0, 2.0], [0.7, 0.2]],
    "spherical": [1.0, 0.2],
}
# After two bytes that choose the ending and the request; see fuzz_table.py.
TABLES = {
    "plain": b"\0\0a,b\n1,2\n3,4.5\n-5e3,7\n",
    "quoted": b'\0\0"a","b"\r\n"1"," 2"\r\n3,4\r\n\r\n',
    "no_header": b"\0\x021,2\n3,4\n",
    "tabs": b"\x01\0a\tb\n1\t2\n",
    "one_column": b"\0\x03a,b\n1,x\n3,y\n",
    "missing": b"\0\x04a,b\n1,NA\n,4\n",
    "text": b"\0\0a,b\n1,\xe9\n0x3,4_0\n",
    "uneven": b"\0\0a,b\n1,2,3\n4\n",
    "returns": b"\0\0a,b\r1,2\r",
    "infinite": b"\0\0a,b\ninf,nan\n1e400,-0\n",
    "decimals": b'\x09\0sep=;\na;b;k\n1,5;2.000;x\n"3,1";4;y\n',
    "blanks": b"\x09\x07# by\n  a  b\n 1 2\n\n3\t4\n",
    "units": b"\x09\x05a|b|\nmm|cm|\n1|2|\n3|4|\n",
    "utf16": b"\x09\0" + "a;b\n1;2\n".encode("utf-16"),
    "packed": b"\x08\0" + gzip.compress(b"a,b\n1,2\n"),
    "array": b"\x02\0" + _saved(np.save, np.eye(2)),
    "arrays": b"\x03\0" + _saved(np.savez, np.eye(2)),
    "parquet": b"\x04\0" + _written("write_parquet"),
    "arrow": b"\x05\0" + _written("write_ipc"),
    "json": b"\x06\0" + _written("write_ndjson"),
    "workbook": b"\x07\0" + _written("write_excel"),
}


def main() -> None:
    for name, covariances in COVARIANCES.items():
        mixture = fastgmm.Mixture.from_parameters(
            [0.3, 0.7], [[0.0, 1.0], [2.5, 3.0]], covariances, name
        )
        mixture.save(CORPUS / "load" / f"{name}.npz")
    X = np.repeat([[0.0, 0.0], [10.0, 10.0]], 5, axis=0)
    fastgmm.fit(X, 2, random_state=0).save(CORPUS / "load" / "fitted.npz")
    for name, content in TABLES.items():
        (CORPUS / "table" / name).write_bytes(content)


if __name__ == "__main__":
    main()
