"""Write Old Faithful as each common kind of table, and read them all back.

    python examples/write_tables.py [FOLDER]

Writes the files to FOLDER, `tables` by default. Every one of them holds the same 272 rows, as
`fastgmm fit FILE --components 2` shows. Workbooks need the extra `excel`, and XlsxWriter to write
them.
"""

import gzip
import sys
from pathlib import Path

import numpy as np
import polars as pl

import fastgmm.__main__

folder = Path(sys.argv[1] if len(sys.argv) > 1 else "tables")
folder.mkdir(parents=True, exist_ok=True)
frame = pl.read_csv(Path(__file__).with_name("old_faithful.csv"))
rows = frame.to_numpy()

frame.write_csv(folder / "plain.csv")
frame.write_csv(folder / "tabs.txt", separator="\t")
frame.write_csv(folder / "european.csv", separator=";", decimal_comma=True)
frame.with_row_index("", 1).write_csv(folder / "row_numbers.csv")
(folder / "packed.csv.gz").write_bytes(gzip.compress(frame.write_csv().encode()))
np.savetxt(folder / "blanks.dat", rows, fmt="%9.4f", header="  ".join(frame.columns), comments="")
frame.write_parquet(folder / "columns.parquet")
frame.write_ipc(folder / "columns.feather")
frame.write_ndjson(folder / "lines.jsonl")
frame.write_excel(folder / "workbook.xlsx")
np.save(folder / "matrix.npy", rows)
np.savez(folder / "matrix.npz", rows)

for path in sorted(folder.iterdir()):
    print(f"\n$ fastgmm fit {path} --components 1", flush=True)
    if fastgmm.__main__.main(["fit", str(path), "--components", "1"]) != 0:
        sys.exit(1)
