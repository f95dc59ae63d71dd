#!/usr/bin/env python3
"""The exports of `spanlake-load exports`, made by DuckDB of the same rows.

usage: duck.py FOLDER EXPORTS.json [--threads N]

FOLDER is the one that `spanlake-load exports` filled; its report is EXPORTS.json. DuckDB reads the tenant's Parquet files and
copies them into files of the same kinds, with the columns that ours have, ids as hex and times as text likewise. In its favour: it reads
what is stored as it is stored, without prices, without attributes put together from their parts, and in no order of days;
content that is JSON stays text; it writes one file, without its digest. Prints JSON.
"""

import argparse
import json
import os
import pathlib
import time

import duckdb

# Columns that exports leave out.
OURS = ["tenant_id", "start_minute", "is_root", "input_preview", "output_preview", "log_name"]
IDS = ["app_id", "agent_id", "trace_id", "span_id", "parent_span_id", "writer_id"]

# The fields of a line, as far as DuckDB has them.
LINE = """
    lower(hex(trace_id)) AS trace_id, name AS span_name,
    CASE kind WHEN 'llm' THEN 'GENERATION' WHEN 'embedding' THEN 'GENERATION' WHEN 'event' THEN 'EVENT' ELSE 'SPAN' END AS type,
    model, duration_ns / 1e6 AS latency_ms, strftime(start_time AT TIME ZONE 'UTC', '%Y-%m-%dT%H:%M:%S.%fZ') AS timestamp,
    input, output, metadata, lower(hex(span_id)) AS span_id, lower(hex(parent_span_id)) AS parent_span_id, kind, status,
    user_id, session_id, tags, input_tokens, output_tokens, cost
"""

COPIES = {
    "parquet": ("*", "FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 3"),
    "jsonl": (LINE, "FORMAT json"),
    "jsonl.zst": (LINE, "FORMAT json, COMPRESSION zstd"),
    "csv": (LINE, "FORMAT csv, HEADER"),
    "csv.zst": (LINE, "FORMAT csv, HEADER, COMPRESSION zstd"),
}


def columns(found):
    """All columns of a file of ours, but what only we need."""
    kept = [name for name in found if name not in OURS]
    return ", ".join(f"lower(hex({name})) AS {name}" if name in IDS else f'"{name}"' for name in kept)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("report", type=pathlib.Path)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    args = parser.parse_args()
    report = json.loads(args.report.read_text())
    tenant = report["history"]["tenant"]
    files = [str(path) for path in (args.folder / "data").glob(f"**/t/{tenant}/spans/*/*.parquet")]
    db = duckdb.connect(config={"threads": args.threads})
    found = [row[0] for row in db.execute("DESCRIBE FROM read_parquet(?)", [files]).fetchall()]
    copies = {}
    for job in report["jobs"]:
        name = job["name"]
        wanted, options = COPIES[name]
        wanted = columns(found) if wanted == "*" else wanted
        target = args.folder / f"duck.{name}"
        begun = time.monotonic()
        rows = db.execute(f"COPY (SELECT {wanted} FROM read_parquet({files!r})) TO '{target}' ({options})").fetchone()[0]
        seconds = time.monotonic() - begun
        if rows != report["history"]["spans"]:
            raise SystemExit(f"duck.py: {name}: {rows} rows, not {report['history']['spans']}")
        size = target.stat().st_size
        target.unlink()
        copies[name] = {"seconds": round(seconds, 3), "rows_per_second": round(rows / seconds), "bytes": size}
    print(json.dumps({"version": duckdb.__version__, "threads": args.threads, "copies": copies}))


if __name__ == "__main__":
    main()
