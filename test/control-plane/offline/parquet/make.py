"""Made the Parquet files beside it, with pyarrow 26.0.1: python make.py FOLDER. 300 rows each, all of the same values.

The values are functions of the row (see rows.ts), so that the test knows them without these files.
"""

import datetime as dt
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

ROWS = range(300)
table = pa.table(
    {
        "float": pa.array([None if r % 10 == 3 else (r * 37 % 101) / 8 for r in ROWS], pa.float64()),
        "single": pa.array([r * 17 % 97 - 40 for r in ROWS], pa.float32()),
        "whole": pa.array([r * 7919 % 1009 for r in ROWS], pa.int64()),
        "small": pa.array([None if r % 50 == 0 else r % 3 for r in ROWS], pa.int32()),
        "flag": pa.array([r % 3 == 0 for r in ROWS], pa.bool_()),
        "word": pa.array([None if r % 20 == 7 else ["α", "two", "three, 3"][r % 3] for r in ROWS]),
        "late": pa.array([None if r < 5 else "x" for r in ROWS]),
        "when": pa.array([dt.datetime(2026, 1, 1) + dt.timedelta(hours=r) for r in ROWS]),
        "list": pa.array([[r] for r in ROWS]),
    }
)
folder = Path(sys.argv[1])
for codec in ("none", "snappy", "gzip", "zstd", "brotli", "lz4"):
    pq.write_table(table, folder / f"{codec}.parquet", compression=codec, row_group_size=128)
pq.write_table(table, folder / "plain.parquet", use_dictionary=False)
pq.write_table(table, folder / "v2.parquet", data_page_version="2.0", data_page_size=512)
pq.write_table(
    table.select(["single", "whole"]).cast(
        pa.schema([pa.field("single", pa.float32(), False), pa.field("whole", pa.int64(), False)])
    ),
    folder / "required.parquet",
    use_dictionary=False,
    column_encoding={"single": "BYTE_STREAM_SPLIT", "whole": "DELTA_BINARY_PACKED"},
)
