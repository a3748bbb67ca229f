#!/usr/bin/env python3
"""TPC-DS: every query of a folder, answered by millstream and by DuckDB over the same Parquet files.

    python compare/tpcds.py QUERIES DATA [--make 1] [--partitions 1,2] [--only 14,39] [--binary target/debug/millstream]

QUERIES holds the 99 queries as `.sql` files, DATA the 24 tables as `name.parquet`; `--make` has DuckDB's extension `tpcds`
write them there, at that scale (a Python package of DuckDB that can load it is needed for that alone).

A query is right when its rows are DuckDB's, as a multiset: numbers within 1e-6 of one another. Beside it stands the CPU time
of both, DuckDB's with as many threads. Needs duckdb.
"""

import argparse
import collections
import decimal
import glob
import json
import os
import resource
import subprocess
import sys
import time

import duckdb


def make(folder, scale):
    """The tables at a scale, as Parquet."""
    connection = duckdb.connect()
    connection.execute("INSTALL tpcds; LOAD tpcds")
    connection.execute(f"CALL dsdgen(sf = {scale})")
    os.makedirs(folder, exist_ok=True)
    for (name,) in connection.execute("SHOW TABLES").fetchall():
        connection.execute(f"COPY {name} TO '{os.path.join(folder, name)}.parquet' (FORMAT parquet)")


def cell(value):
    """A value as both sides write it."""
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (decimal.Decimal, float)):
        return repr(float(value))
    return str(value).replace("T00:00:00", "")


def same_cell(a, b):
    if a == b:
        return True
    try:
        x, y = float(a), float(b)
    except ValueError:
        return False
    return abs(x - y) <= 1e-6 * max(abs(x), abs(y), 1)


def order(row):
    """Rows that are the same within the tolerance stand at the same place."""
    def key(value):
        try:
            return (0, f"{float(value):.7g}")
        except ValueError:
            return (1, value)
    return [key(value) for value in row]


def same_rows(ours, theirs):
    pairs = zip(sorted(ours, key=order), sorted(theirs, key=order))
    return len(ours) == len(theirs) and all(len(a) == len(b) and all(map(same_cell, a, b)) for a, b in pairs)


def run_ours(binary, sql, partitions, seconds):
    """The rows, or what the engine says instead."""
    command = [binary, "--partitions", str(partitions), "-c", sql, "--format", "ndjson", "--quiet"]
    try:
        ran = subprocess.run(command, capture_output=True, text=True, timeout=seconds)
    except subprocess.TimeoutExpired:
        return None, f"no answer within {seconds} s"
    if ran.returncode != 0:
        return None, ran.stderr.strip().splitlines()[0]
    pairs = (json.loads(line, object_pairs_hook=list) for line in ran.stdout.splitlines())
    return [tuple(cell(value) for _, value in row) for row in pairs], ""


def cpu_of_children():
    """Seconds of CPU that processes started here and ended have taken."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("queries")
    arguments.add_argument("data")
    arguments.add_argument("--make", metavar="SCALE")
    arguments.add_argument("--partitions", default="1,2")
    arguments.add_argument("--only", default="")
    arguments.add_argument("--seconds", type=float, default=300)
    arguments.add_argument("--binary", default="target/debug/millstream")
    arguments = arguments.parse_args()
    if arguments.make:
        make(arguments.data, arguments.make)
    connection = duckdb.connect()
    setup = ""
    for path in sorted(glob.glob(os.path.join(arguments.data, "*.parquet"))):
        name = os.path.basename(path).removesuffix(".parquet")
        connection.execute(f"CREATE VIEW {name} AS SELECT * FROM '{path}'")
        setup += f"CREATE TABLE {name} WITH ('path' = '{path}');\n"
    only = [number for number in arguments.only.split(",") if number]
    tally, empty = collections.Counter(), 0
    for path in sorted(glob.glob(os.path.join(arguments.queries, "*.sql"))):
        name = os.path.basename(path).removesuffix(".sql")
        if only and name.lstrip("0q") not in only:
            continue
        sql = open(path).read().strip().rstrip(";")
        for partitions in arguments.partitions.split(","):
            connection.execute(f"SET threads = {partitions}")
            began = time.process_time()
            theirs = connection.execute(sql).fetchall()
            of_theirs = time.process_time() - began
            theirs = [tuple(map(cell, row)) for row in theirs]
            began = cpu_of_children()
            ours, error = run_ours(arguments.binary, setup + sql, partitions, arguments.seconds)
            seconds = cpu_of_children() - began
            if ours is None:
                outcome, more = "refused", error
            elif same_rows(ours, theirs):
                outcome, more = "right", f"{len(ours)} rows, {seconds:.2f} s for {of_theirs:.2f} s: {of_theirs / seconds:.2f}"
            else:
                only_here = [row for row in ours if row not in theirs][:2]
                only_there = [row for row in theirs if row not in ours][:2]
                outcome, more = "wrong", f"{len(ours)} rows for {len(theirs)}: {only_here} for {only_there}"
            tally[outcome] += 1
            print(f"{name} on {partitions}: {outcome}: {more}", flush=True)
        empty += not theirs
    print(f"{dict(tally)}; {empty} queries have no row here")
    return 0 if set(tally) <= {"right"} else 1


if __name__ == "__main__":
    sys.exit(main())
