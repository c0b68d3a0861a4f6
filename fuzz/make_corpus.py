"""Write the corpus that fuzzing begins with: small models of every type, small tables."""

from pathlib import Path

import numpy as np

import fastgmm

CORPUS = Path(__file__).parent / "corpus"
COVARIANCES = {
    "full": [[[1.0, 0.3], [0.3, 2.0]], [[0.7, -0.1], [-0.1, 0.2]]],
    "tied": [[1.0, 0.3], [0.3, 2.0]],
    "diag": [[1.0, 2.0], [0.7, 0.2]],
    "spherical": [1.0, 0.2],
}
TABLES = {
    "plain": b"\0a,b\n1,2\n3,4.5\n-5e3,7\n",
    "quoted": b'\0"a","b"\r\n"1"," 2"\r\n3,4\r\n\r\n',
    "no_header": b"\x041,2\n3,4\n",
    "tabs": b"\x01a\tb\n1\t2\n",
    "one_column": b"\x08a,b\n1,x\n3,y\n",
    "missing": b"\0a,b\n1,NA\n,4\n",
    "text": b"\0a,b\n1,\xe9\n0x3,4_0\n",
    "uneven": b"\0a,b\n1,2,3\n4\n",
    "returns": b"\0a,b\r1,2\r",
    "infinite": b"\0a,b\ninf,nan\n1e400,-0\n",
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
