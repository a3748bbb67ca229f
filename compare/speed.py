#!/usr/bin/env python3
"""The same queries on the same files, millstream and DuckDB in turn: CPU and wall seconds, the least of some runs.

    python3 -m venv /tmp/oracle && /tmp/oracle/bin/pip install duckdb pyarrow
    cargo build --release && /tmp/oracle/bin/python compare/speed.py --events 10000000

Data: Nexmark bids as Parquet, a fifth of them as CSV and NDJSON, and temperatures as CSV, all made by millstream with its own seeds. Every query is checked:
both engines must give the same count and the same sums. millstream's times are those of the whole process, start included;
DuckDB's those of the query alone. Prints a Markdown table.
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time

import duckdb

CASES = [
    # name, the query over {bids}, {temps}, {csv} or {json}; {tumble} is the start of the ten-second window of a bid
    ("1brc, csv", "SELECT station, min(temperature) AS a, max(temperature) AS b, count(*) AS c FROM {temps} GROUP BY station"),
    ("tumble 10 s, count per auction, parquet", "SELECT auction, {tumble} AS w, count(*) AS c FROM {bids} GROUP BY auction, {tumble}"),
    ("group by auction, count and max, parquet", "SELECT auction, count(*) AS c, max(price) AS b FROM {bids} GROUP BY auction"),
    ("group by channel, count and avg, parquet", "SELECT channel, count(*) AS c, avg(price) AS b FROM {bids} GROUP BY channel"),
    ("count distinct bidders, parquet", "SELECT count(DISTINCT bidder) AS c FROM {bids}"),
    ("filter and multiply, summed, parquet", "SELECT count(*) AS c, sum(price * 2) AS b FROM {bids} WHERE price > 1000000"),
]
EACH = "SELECT sum(auction) AS a, sum(bidder) AS b, max(price) AS p, max(channel) AS h, max(url) AS u, max(dateTime) AS t, max(extra) AS e, count(*) AS c FROM"
CASES += [("bids, csv", EACH + " {csv}"), ("bids, ndjson", EACH + " {json}")]
FOLD = "SELECT count(*) AS n, sum(c) AS c FROM ({query}) AS q"


def children_cpu():
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def own_cpu():
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def run(engine, cpu, repeats):
    """Least CPU seconds, least wall seconds, and the answer."""
    best_cpu, best_wall, answer = float("inf"), float("inf"), None
    for _ in range(repeats):
        started, before = time.perf_counter(), cpu()
        answer = engine()
        best_wall = min(best_wall, time.perf_counter() - started)
        best_cpu = min(best_cpu, cpu() - before)
    return best_cpu, best_wall, answer


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--binary", default="target/release/millstream")
    arguments.add_argument("--events", type=int, default=10_000_000)
    arguments.add_argument("--repeats", type=int, default=3)
    arguments.add_argument("--partitions", type=int, nargs="*", default=[1, 2])
    options = arguments.parse_args()

    with tempfile.TemporaryDirectory() as folder:
        bids, temps, csv, ndjson = (os.path.join(folder, name) for name in ("bids.parquet", "temps.csv", "bids.csv", "bids.ndjson"))
        generate = [options.binary, "generate"]
        subprocess.run([*generate, "1brc", "--rows", str(options.events), temps], check=True, stdout=subprocess.DEVNULL)
        make = f"""
            CREATE TABLE bid WITH ('connector' = 'nexmark', 'type' = 'bid', 'events' = '{options.events}');
            CREATE TABLE file WITH ('path' = '{bids}') AS SELECT auction, bidder, price, channel, dateTime FROM bid"""
        subprocess.run([options.binary, "-c", make], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for path in (csv, ndjson):
            make = f"""
                CREATE TABLE bid WITH ('connector' = 'nexmark', 'type' = 'bid', 'events' = '{options.events // 5}');
                CREATE TABLE file WITH ('path' = '{path}') AS SELECT auction, bidder, price, channel, url, dateTime, extra FROM bid"""
            subprocess.run([options.binary, "-c", make], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

        print(f"duckdb {duckdb.__version__}, {options.events} events\n")
        print("| query | threads | millstream cpu s | wall s | duckdb cpu s | wall s | cpu ratio |")
        print("|---|---|---|---|---|---|---|")
        for threads in options.partitions:
            connection = duckdb.connect(config={"threads": threads})
            for name, query in CASES:
                ours = FOLD.format(query=query).format(
                    bids="bids", temps="temps", csv="csv", json="json", tumble="date_bin(INTERVAL '10' SECOND, dateTime)"
                )
                tables = [("bids", f"'path' = '{bids}'"), ("temps", f"'path' = '{temps}', 'delimiter' = ';'"), ("csv", f"'path' = '{csv}'"), ("json", f"'path' = '{ndjson}'")]
                ours = "".join(f"CREATE TABLE {name} WITH ({given}); " for name, given in tables) + ours
                theirs = FOLD.format(query=query).format(
                    bids=f"'{bids}'",
                    temps=f"read_csv('{temps}', delim = ';')",
                    csv=f"read_csv('{csv}')",
                    json=f"read_json('{ndjson}')",
                    tumble="time_bucket(INTERVAL '10 seconds', dateTime)",
                )
                command = [options.binary, "run", "--quiet", "--partitions", str(threads), "--format", "csv", "-c", ours]

                def millstream():
                    out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
                    return tuple(int(cell) for cell in out.strip().splitlines()[-1].split(","))

                def peer():
                    return tuple(int(cell) for cell in connection.sql(theirs).fetchall()[0])

                our_cpu, our_wall, ours_answer = run(millstream, children_cpu, options.repeats)
                their_cpu, their_wall, their_answer = run(peer, own_cpu, options.repeats)
                if ours_answer != their_answer:
                    sys.exit(f"{name}: different answers: {ours_answer} and {their_answer}")
                ratio = their_cpu / our_cpu
                print(f"| {name} | {threads} | {our_cpu:.3f} | {our_wall:.3f} | {their_cpu:.3f} | {their_wall:.3f} | {ratio:.1f} |", flush=True)


if __name__ == "__main__":
    main()
