#!/usr/bin/env python3
"""The core suite and h2o: the same queries on the same Parquet files, millstream and its peers in turn.

    python3 -m venv /tmp/peers && /tmp/peers/bin/pip install duckdb polars datafusion chdb pyarrow numpy
    cargo build --release && /tmp/peers/bin/python compare/suite.py --binary target/release/millstream --events 10000000

Every query runs in a process of its own, so that its peak memory is its own. Peers time the query alone, the least of some
runs in one process. Millstream is timed twice: the whole process, start included, and warm, which is what peers are: a
process that runs the query four times less one that runs it once, by three. Answers are folded to a count and sums, and
must agree. Writes a Markdown table: CPU seconds of each, wall seconds and peak MiB of millstream and of the best peer, and
the ratio of the best peer's CPU seconds to those of millstream's process and of millstream warm (above 1: millstream is
faster).
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time

# name: (query, what is folded); {d} is integer division, ts are epoch milliseconds
CORE = {
    "f1 filter, multiply": ("SELECT auction, price * 0.908 AS p FROM bid WHERE price > 1000000", "sum(auction), sum(p)"),
    "f2 one in 123": ("SELECT auction, price FROM bid WHERE auction % 123 = 0", "sum(auction), sum(price)"),
    "f3 filter, multiply, sum": ("SELECT count(*) AS n, sum(p) AS s FROM (SELECT price * 0.908 AS p FROM bid WHERE price > 1000000) AS q", "sum(n), sum(s)"),
    "a1 sum, count, avg": ("SELECT sum(price) AS s, count(*) AS c, avg(price) AS m FROM bid", "sum(s), sum(c), sum(m)"),
    "g1 string, 1,000 groups": ("SELECT symbol, count(*) AS c, sum(quantity) AS q, avg(price) AS m FROM trades GROUP BY symbol", "sum(c), sum(q), sum(m)"),
    "g2 bigint, many groups": ("SELECT auction, count(*) AS c, max(price) AS m FROM bid GROUP BY auction", "sum(c), sum(m)"),
    "g3 two strings, 5,000 groups": ("SELECT symbol, status, count(*) AS c, sum(quantity) AS q, avg(price) AS m FROM trades GROUP BY symbol, status", "sum(c), sum(q), sum(m)"),
    "g4 two bigints, very many groups": ("SELECT auction, bidder, count(*) AS c, max(price) AS m FROM bid GROUP BY auction, bidder", "sum(c), sum(m)"),
    "d1 count distinct": ("SELECT count(DISTINCT auction) AS c FROM bid", "sum(c)"),
    "d2 count distinct by string": ("SELECT channel, count(DISTINCT bidder) AS c FROM bid GROUP BY channel", "sum(c)"),
    "w1 tumble by auction": ("SELECT auction, ts {d} 10000 AS w, count(*) AS c FROM bid GROUP BY auction, ts {d} 10000", "sum(c), sum(w)"),
    "w2 hop by auction, as panes": ("SELECT auction, p - k AS w, sum(c) AS c FROM (SELECT auction, ts {d} 2000 AS p, count(*) AS c FROM bid GROUP BY auction, ts {d} 2000) AS pn CROSS JOIN (SELECT 0 AS k UNION ALL SELECT 1 UNION ALL SELECT 2 UNION ALL SELECT 3 UNION ALL SELECT 4) AS ks GROUP BY auction, p - k", "sum(c), sum(w)"),
    "q7 highest bid": ("SELECT b.auction, b.price, b.bidder FROM bid AS b JOIN (SELECT ts {d} 10000 AS w, max(price) AS m FROM bid GROUP BY ts {d} 10000) AS x ON b.price = x.m AND b.ts {d} 10000 = x.w", "sum(auction), sum(price)"),
    "q8 persons and auctions": ("SELECT p.id, p.w FROM (SELECT id, name, ts {d} 10000 AS w FROM person GROUP BY id, name, ts {d} 10000) AS p JOIN (SELECT seller, ts {d} 10000 AS w FROM auction GROUP BY seller, ts {d} 10000) AS s ON p.id = s.seller AND p.w = s.w", "sum(id), sum(w)"),
    "q12 tumble by bidder": ("SELECT bidder, ts {d} 10000 AS w, count(*) AS c FROM bid GROUP BY bidder, ts {d} 10000", "sum(c), sum(w)"),
    "q3 auction and person": ("SELECT p.name, a.id FROM auction AS a JOIN person AS p ON a.seller = p.id WHERE a.category = 10 AND p.state IN ('or', 'id', 'ca', 'OR', 'ID', 'CA')", "sum(id)"),
    "q20 bid and auction": ("SELECT b.auction, b.bidder, b.price, a.reserve FROM bid AS b JOIN auction AS a ON b.auction = a.id WHERE a.category = 10", "sum(auction), sum(price), sum(reserve)"),
    "q4 avg of max": ("SELECT category, avg(m) AS f FROM (SELECT a.id, a.category, max(b.price) AS m FROM auction AS a JOIN bid AS b ON a.id = b.auction WHERE b.ts >= a.ts AND b.ts <= a.ex GROUP BY a.id, a.category) AS q GROUP BY category", "sum(category), sum(f)"),
    "q18 last bid": ("SELECT auction, bidder, ts FROM (SELECT auction, bidder, ts, row_number() OVER (PARTITION BY bidder, auction ORDER BY ts DESC) AS r FROM bid) AS q WHERE r <= 1", "sum(auction), sum(ts)"),
    "q19 top 10": ("SELECT auction, price, r FROM (SELECT auction, price, row_number() OVER (PARTITION BY auction ORDER BY price DESC) AS r FROM bid) AS q WHERE r <= 10", "sum(price), sum(r)"),
}
H2O = {
    "h1": ("SELECT id1, sum(v1) AS v FROM x GROUP BY id1", "sum(v)"),
    "h2": ("SELECT id1, id2, sum(v1) AS v FROM x GROUP BY id1, id2", "sum(v)"),
    "h3": ("SELECT id3, sum(v1) AS v, avg(v3) AS w FROM x GROUP BY id3", "sum(v), sum(w)"),
    "h4": ("SELECT id4, avg(v1) AS a, avg(v2) AS b, avg(v3) AS c FROM x GROUP BY id4", "sum(a), sum(b), sum(c)"),
    "h5": ("SELECT id6, sum(v1) AS a, sum(v2) AS b, sum(v3) AS c FROM x GROUP BY id6", "sum(a), sum(b), sum(c)"),
    "h6": ("SELECT id4, id5, median(v3) AS a, stddev(v3) AS b FROM x GROUP BY id4, id5", "sum(a), sum(b)"),
    "h7": ("SELECT id3, max(v1) - min(v2) AS r FROM x GROUP BY id3", "sum(r)"),
    "h8": ("SELECT id6, v3 FROM (SELECT id6, v3, row_number() OVER (PARTITION BY id6 ORDER BY v3 DESC) AS o FROM x) AS q WHERE o <= 2", "sum(v3)"),
    "h9": ("SELECT id2, id4, power(corr(v1, v2), 2) AS r FROM x GROUP BY id2, id4", "sum(r)"),
    "h10": ("SELECT id1, id2, id3, id4, id5, id6, sum(v3) AS v, count(*) AS c FROM x GROUP BY id1, id2, id3, id4, id5, id6", "sum(v), sum(c)"),
}
QUERIES = {**CORE, **H2O}
TABLES = ["bid", "auction", "person", "trades", "x"]
PEERS = ["duckdb", "polars", "datafusion", "chdb"]


def make_data(folder, events, binary):
    """Nexmark by millstream's generator, trades and h2o by numpy, each one Parquet file; all of it from fixed seeds."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    def write(name, table):
        pq.write_table(table, os.path.join(folder, name + ".parquet"), row_group_size=1 << 20)

    columns = {
        "bid": "auction, bidder, price, channel, dateTime",
        "auction": "id, seller, category, reserve, dateTime, expires",
        "person": "id, name, city, state, dateTime",
    }
    for name, picked in columns.items():
        raw = os.path.join(folder, name + "-raw.parquet")
        sql = f"""CREATE TABLE e WITH ('connector' = 'nexmark', 'type' = '{name}', 'events' = '{events}');
                  CREATE TABLE f WITH ('path' = '{raw}') AS SELECT {picked} FROM e"""
        subprocess.run([binary, "-c", sql], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        table = pq.read_table(raw)
        for old, new in [("dateTime", "ts"), ("expires", "ex")]:
            if old in table.column_names:
                at = table.column_names.index(old)
                table = table.set_column(at, new, table[old].cast(pa.timestamp("ms")).cast(pa.int64()))
        strings = [i for i, field in enumerate(table.schema) if pa.types.is_string_view(field.type)]
        for at in strings:
            table = table.set_column(at, table.column_names[at], table.column(at).cast(pa.string()))
        write(name, table)
        os.remove(raw)

    random = np.random.default_rng(1)
    pick = lambda values, rows: pa.DictionaryArray.from_arrays(
        pa.array(random.integers(0, len(values), rows).astype(np.int32)), pa.array(values)
    ).cast(pa.string())
    rows = events
    write("trades", pa.table({
        "symbol": pick([f"SYM{i:04}" for i in range(1000)], rows),
        "status": pick(["new", "open", "partially filled", "filled", "cancelled"], rows),
        "quantity": pa.array(random.integers(1, 1000, rows)),
        "price": pa.array(random.random(rows) * 1000),
    }))
    few, many = 100, max(rows // 100, 1)
    write("x", pa.table({
        "id1": pick([f"id{i + 1:03}" for i in range(few)], rows),
        "id2": pick([f"id{i + 1:03}" for i in range(few)], rows),
        "id3": pick([f"id{i + 1:010}" for i in range(many)], rows),
        "id4": pa.array(random.integers(1, few + 1, rows)),
        "id5": pa.array(random.integers(1, few + 1, rows)),
        "id6": pa.array(random.integers(1, many + 1, rows)),
        "v1": pa.array(random.integers(1, 6, rows)),
        "v2": pa.array(random.integers(1, 16, rows)),
        "v3": pa.array(np.round(random.random(rows) * 100, 6)),
    }))


def folded(name, division):
    query, sums = QUERIES[name]
    return f"SELECT count(*) AS n, {', '.join(f'{s} AS s{i}' for i, s in enumerate(sums.split(', ')))} FROM ({query}) AS q".replace("{d}", division)


def peer(engine, folder, threads):
    """A function from SQL to the one row of its answer, and the engine's integer division."""
    file = lambda table: os.path.join(folder, table + ".parquet")
    if engine == "duckdb":
        import duckdb

        connection = duckdb.connect(config={"threads": threads})
        for table in TABLES:
            connection.execute(f"CREATE VIEW {table} AS SELECT * FROM read_parquet('{file(table)}')")
        return (lambda sql: connection.sql(sql).fetchall()[0]), "//"
    if engine == "polars":
        import polars as pl

        context = pl.SQLContext({table: pl.scan_parquet(file(table)) for table in TABLES})
        return (lambda sql: context.execute(sql).collect(engine="streaming").row(0)), "//"
    if engine == "datafusion":
        import datafusion

        context = datafusion.SessionContext(datafusion.SessionConfig().with_target_partitions(threads))
        for table in TABLES:
            context.register_parquet(table, file(table))
        return (lambda sql: tuple(context.sql(sql).collect()[0].to_pylist()[0].values())), "/"
    import re

    from chdb import session

    connection = session.Session()
    for table in TABLES:
        connection.query(f"CREATE VIEW {table} AS SELECT * FROM file('{file(table)}', Parquet)")

    def run(sql):
        sql = re.sub(r"(\w*\.?\bts) // (\d+)", r"intDiv(\1, \2)", sql).replace("stddev(", "stddevSamp(")
        answer = connection.query(f"{sql} SETTINGS max_threads={threads}", "JSONCompactEachRow")
        return tuple(float(cell) for cell in json.loads(str(answer)))

    return run, "//"


def measure_peer(engine, folder, threads, name, repeats):
    """Runs in a process of its own: prints what it took as JSON."""
    run, division = peer(engine, folder, threads)
    sql = folded(name, division)
    cpu, wall, answer = [], [], None
    for _ in range(repeats):
        before, started = time.process_time(), time.perf_counter()
        answer = run(sql)
        wall.append(time.perf_counter() - started)
        cpu.append(time.process_time() - before)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"cpu": min(cpu), "wall": min(wall), "peak": peak, "answer": [float(cell or 0) for cell in answer]}))


WARM = 3


def measure_own(binary, folder, threads, name, repeats):
    """The whole process; `warm` is the query alone in a process that has run it already."""
    best = run_own(binary, folder, threads, name, repeats, 1)
    if "error" in best:
        return best
    again = run_own(binary, folder, threads, name, repeats, 1 + WARM)
    if "error" in again:
        return again
    for clock in ["cpu", "wall"]:
        best["warm " + clock] = (again[clock] - best[clock]) / WARM
    return best


def run_own(binary, folder, threads, name, repeats, times):
    tables = "".join(f"CREATE TABLE {t} WITH ('path' = '{os.path.join(folder, t)}.parquet'); " for t in TABLES)
    query = folded(name, "/") if name else "SELECT 1"
    command = [binary, "run", "--quiet", "--partitions", str(threads), "--format", "csv", "-c", tables + "; ".join([query] * times)]
    best = {"cpu": float("inf"), "wall": float("inf"), "peak": 0.0}
    for _ in range(repeats):
        started = time.perf_counter()
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        out, complaint = process.stdout.read(), process.stderr.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            return {"error": complaint.strip().splitlines()[0][:100] if complaint.strip() else "failed"}
        best["wall"] = min(best["wall"], time.perf_counter() - started)
        best["cpu"] = min(best["cpu"], usage.ru_utime + usage.ru_stime)
        best["peak"] = max(best["peak"], usage.ru_maxrss / 1024)
        best["answer"] = [float(cell or 0) for cell in out.strip().splitlines()[-1].split(",")]
    return best


def ask_peer(engine, folder, threads, name, repeats):
    environment = dict(os.environ, POLARS_MAX_THREADS=str(threads), TOKIO_WORKER_THREADS=str(threads), RAYON_NUM_THREADS=str(threads))
    command = [sys.executable, __file__, "--measure", engine, name, folder, "--threads", str(threads), "--repeats", str(repeats)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    try:
        return json.loads(done.stdout.strip().splitlines()[-1])
    except (IndexError, ValueError):
        return {"error": (done.stderr.strip().splitlines() or ["failed"])[-1][:100]}


def agree(one, other):
    return len(one) == len(other) and all(abs(a - b) <= 1e-6 * max(1.0, abs(a), abs(b)) for a, b in zip(one, other))


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--binary", default="target/release/millstream")
    arguments.add_argument("--events", type=int, default=10_000_000)
    arguments.add_argument("--repeats", type=int, default=3)
    arguments.add_argument("--threads", type=int, nargs="*", default=[1, 2])
    arguments.add_argument("--peers", nargs="*", default=PEERS)
    arguments.add_argument("--only", default="", help="first words of queries, with commas between")
    arguments.add_argument("--data", help="a folder to keep the files in, or where they are already")
    arguments.add_argument("--measure", nargs=3, help=argparse.SUPPRESS)
    arguments.add_argument("--make", help=argparse.SUPPRESS)
    options = arguments.parse_args()
    if options.make:
        return make_data(options.make, options.events, options.binary)
    if options.measure:
        engine, name, folder = options.measure
        return measure_peer(engine, folder, options.threads[0], name, options.repeats)

    only = [word for word in options.only.split(",") if word]
    names = [name for name in QUERIES if not only or name.split()[0] in only]
    with tempfile.TemporaryDirectory() as scratch:
        folder = options.data or scratch
        os.makedirs(folder, exist_ok=True)
        if not os.path.exists(os.path.join(folder, "x.parquet")):
            # In a process of its own: what it held would count as ours.
            subprocess.run([sys.executable, __file__, "--make", folder, "--events", str(options.events), "--binary", options.binary], check=True)
        peers = options.peers
        start = measure_own(options.binary, folder, 1, None, options.repeats)
        print(f"Start of millstream alone, part of each of its times: {start['cpu']:.3f} cpu s, {start['peak']:.0f} MiB.\n")
        print(f"| query | threads | millstream cpu s | wall s | MiB | warm cpu s | warm wall s | {' | '.join(peers)} | best peer wall s | leanest peer MiB | process ratio | warm ratio |")
        print("|---|---|---|---|---|---|---|" + "---|" * len(peers) + "---|---|---|---|", flush=True)
        for threads in options.threads:
            product, warm_product, count = 1.0, 1.0, 0
            for name in names:
                own = measure_own(options.binary, folder, threads, name, options.repeats)
                others = {engine: ask_peer(engine, folder, threads, name, options.repeats) for engine in peers}
                right = {engine: got for engine, got in others.items() if "error" not in got}
                for engine, got in right.items():
                    if "error" not in own and not agree(own["answer"], got["answer"]):
                        print(f"{name}: other answers: {own['answer']}, {engine} {got['answer']}", file=sys.stderr)
                cells = [f"{right[e]['cpu']:.3f}" if e in right else "-" for e in peers]
                best = min((got["cpu"] for got in right.values()), default=float("nan"))
                wall = min((got["wall"] for got in right.values()), default=float("nan"))
                lean = min((got["peak"] for got in right.values()), default=float("nan"))
                if "error" in own:
                    print(f"| {name} | {threads} | {own['error']} | | | | | {' | '.join(cells)} | {wall:.3f} | {lean:.0f} | | |", flush=True)
                    continue
                ratio, warm_ratio = best / own["cpu"], best / own["warm cpu"]
                product, warm_product, count = product * ratio, warm_product * warm_ratio, count + 1
                print(f"| {name} | {threads} | {own['cpu']:.3f} | {own['wall']:.3f} | {own['peak']:.0f} | {own['warm cpu']:.3f} | {own['warm wall']:.3f} | {' | '.join(cells)} | {wall:.3f} | {lean:.0f} | {ratio:.2f} | {warm_ratio:.2f} |", flush=True)
            if count:
                print(f"\nGeometric mean at {threads} threads of {count} queries: process {product ** (1 / count):.2f}, warm {warm_product ** (1 / count):.2f}\n", flush=True)


if __name__ == "__main__":
    main()
