#!/usr/bin/env python3
"""Random windows over streams, answered by millstream and by DuckDB in plain SQL, compared as multisets.

    cargo build && /tmp/oracle/bin/python compare/windows.py --count 300 --seed 1

Tumbling, hopping, cumulating, session and calendar windows in their three spellings, over one to three files of which each has a
watermark of its own and no row is late; ended input or not, all emissions, one to three workers. What may be taken back is
folded up here. `--seed 417 --count 1` repeats one query.
"""

import datetime as dt
import os
import random
import subprocess
import sys
from collections import Counter

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from oracle import compare, normal as scalar, run

UNITS = [("MILLISECOND", 1), ("SECOND", 1_000), ("MINUTE", 60_000), ("HOUR", 3_600_000)]


def interval(ms):
    """A span as SQL, in the largest unit it is whole in."""
    for name, length in reversed(UNITS):
        if ms % length == 0:
            return f"INTERVAL '{ms // length}' {name}"
    raise ValueError(ms)


def short(ms):
    """The same as clauses have it."""
    for suffix, length in [("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)]:
        if ms % length == 0:
            return f"{ms // length}{suffix}"
    raise ValueError(ms)


def aligned(ms, size, offset):
    """The start of the window of `size` that holds `ms`."""
    return f"({ms} - ((({ms} - {offset}) % {size}) + {size}) % {size})"


def at(ms):
    return f"make_timestamp(({ms}) * 1000)"


class Table:
    """Rows with keys, values and times, in some files; a file's rows come out of order by `spread` at most."""

    def __init__(self, rng, folder):
        rows = rng.choice([0, 1, 3, 20, 100, 400, 2000])
        self.step = rng.choice([1, 200, 1_000, 30_000])
        self.spread = rng.choice([0, 0, 3, 20]) * self.step
        begin = rng.choice([0, -50 * self.step, 1_700_000_000_000, 1_711_800_000_000])
        keys = rng.choice([1, 3, 30])
        nulls = rng.choice([0.0, 0.1])
        files = rng.choice([1, 1, 2, 3])
        self.path = os.path.join(folder, "t")
        os.mkdir(self.path)
        empty = lambda value: None if rng.random() < nulls else value
        for file in range(files):
            now, values = begin, []
            for _ in range(rows // files):
                now += rng.choice([0, 1, 1, 2, 3, rng.randint(0, 60)]) * self.step
                time = now - rng.randint(0, self.spread)
                value = empty(rng.randint(-20, 20))
                values.append((empty(f"key {rng.randrange(keys)}"), value, rng.choice([0.5, -1.25, 7.0]), time if rng.random() > nulls / 5 else None))
            columns = list(zip(*values)) if values else [[], [], [], []]
            types = [pa.string(), pa.int64(), pa.float64(), pa.timestamp("ms")]
            arrays = [pa.array(list(column), kind) for column, kind in zip(columns, types)]
            pq.write_table(pa.table(arrays, ["k", "v", "f", "ts"]), os.path.join(self.path, f"{file}.parquet"),
                           row_group_size=rng.choice([7, 100, 1_000_000]))

    def definition(self, endless):
        watermark = f"WATERMARK FOR ts AS ts - {interval(self.spread)}" if self.spread else "WATERMARK FOR ts"
        columns = f"(k TEXT, v BIGINT, f DOUBLE, ts TIMESTAMP(3), {watermark})"
        if endless:
            return f"CREATE UNBOUNDED EXTERNAL TABLE t {columns} STORED AS PARQUET LOCATION '{self.path}/';"
        return f"CREATE TABLE t {columns} WITH ('path' = '{self.path}/');"


class Window:
    """A kind of window: its spellings here, and rows with window_start and window_end in milliseconds there."""

    def __init__(self, rng, step):
        self.kind = rng.choice(["tumble", "tumble", "hop", "hop", "cumulate", "session", "session", "day", "month"])
        unit = max(step, 1)
        size = rng.choice([1, 5, 7, 10, 60]) * unit
        self.slide = self.gap = size
        self.offset = rng.choice([0, 0, 0, size // 2, -size // 3 if size >= 3 else 0])
        self.zone = None
        if self.kind == "hop":
            self.slide, size = size, rng.choice([size * 3, size * 4, size * 3 // 2 or 1, size, max(size // 2, 1)])
        if self.kind == "cumulate":
            self.slide, size = size, size * rng.choice([1, 2, 5])
        if self.kind in ("day", "month"):
            self.offset, self.zone = 0, rng.choice(["UTC", "Europe/Berlin", "America/New_York"])
        if self.kind == "session":
            self.offset = 0
        self.size = size

    def arguments(self, write):
        sizes = {"hop": [self.slide, self.size], "cumulate": [self.slide, self.size], "session": [self.gap]}.get(self.kind, [self.size])
        if self.kind in ("day", "month"):
            return [f"INTERVAL '1' {self.kind.upper()}", f"'{self.zone}'"]
        return [write(size) for size in sizes] + ([write(self.offset)] if self.offset else [])

    def function(self):
        return "tumble" if self.kind in ("day", "month") else self.kind

    def in_from(self, table, keys):
        part = " PARTITION BY " + ", ".join(keys) if self.kind == "session" and keys else ""
        return f"{self.function()}(TABLE {table}{part}, DESCRIPTOR(ts), {', '.join(self.arguments(interval))})"

    def in_group(self):
        return f"{self.function()}(ts, {', '.join(self.arguments(interval))})"

    def clause(self):
        if self.kind in ("day", "month"):
            return f"WINDOW TUMBLING(1 {self.kind.upper()}, '{self.zone}')"
        offset = f", OFFSET {short(self.offset)}" if self.offset > 0 else ""
        if self.kind == "hop":
            return f"WINDOW HOPPING(SIZE {short(self.size)}, ADVANCE BY {short(self.slide)}{offset})"
        if self.kind == "cumulate":
            return f"WINDOW CUMULATING(SIZE {short(self.size)}, STEP {short(self.slide)}{offset})"
        if self.kind == "session":
            return f"WINDOW SESSION({short(self.gap)})"
        return f"WINDOW TUMBLING(SIZE {short(self.size)}{offset})"

    def rows(self, source, keys):
        """Rows of `source` with their windows, in DuckDB's SQL."""
        base = f"SELECT *, epoch_ms(ts) AS ms FROM {source} WHERE ts IS NOT NULL"
        if self.kind == "tumble":
            start = aligned("ms", self.size, self.offset)
            return f"SELECT *, {at(start)} AS window_start, {at(f'{start} + {self.size}')} AS window_end FROM ({base})"
        if self.kind == "hop":
            count = -(-self.size // self.slide)
            start = f"({aligned('ms', self.slide, self.offset)} - n * {self.slide})"
            return (f"SELECT *, {at(start)} AS window_start, {at(f'{start} + {self.size}')} AS window_end "
                    f"FROM ({base}), range({count}) AS r(n) WHERE {start} + {self.size} > ms")
        if self.kind == "cumulate":
            start = aligned("ms", self.size, self.offset)
            end = f"({start} + (n + 1) * {self.slide})"
            return (f"SELECT *, {at(start)} AS window_start, {at(end)} AS window_end "
                    f"FROM ({base}), range({self.size // self.slide}) AS r(n) WHERE {end} > ms")
        if self.kind == "session":
            part = f"PARTITION BY {', '.join(keys)} " if keys else ""
            marked = f"SELECT *, coalesce(ms - lag(ms) OVER ({part}ORDER BY ms) > {self.gap}, true)::INT AS first FROM ({base})"
            numbered = f"SELECT *, sum(first) OVER ({part}ORDER BY ms) AS number FROM ({marked})"
            whole = f"OVER (PARTITION BY {', '.join(keys + ['number'])})"
            return (f"SELECT *, {at(f'min(ms) {whole}')} AS window_start, {at(f'max(ms) {whole} + {self.gap}')} AS window_end "
                    f"FROM ({numbered})")
        local = f"(ts AT TIME ZONE 'UTC') AT TIME ZONE '{self.zone}'"
        bound = lambda more: (f"((date_trunc('{self.kind}', {local}){more}) AT TIME ZONE '{self.zone}') AT TIME ZONE 'UTC'")
        more = f" + INTERVAL '1' {self.kind}"
        return f"SELECT *, {bound('')} AS window_start, {bound(more)} AS window_end FROM ({base})"


class Form:
    """A random query, here and there."""

    AGGREGATES = [("COUNT(*)",) * 2, ("COUNT(v)",) * 2, ("SUM(v)",) * 2, ("MIN(v)",) * 2, ("MAX(v)",) * 2, ("AVG(v)",) * 2,
                  ("SUM(f)",) * 2, ("COUNT(DISTINCT v)",) * 2, ("SUM(v) FILTER (WHERE v > 0)",) * 2, ("MAX(f * v)",) * 2,
                  ("BOOL_OR(v > 3)",) * 2, ("MEDIAN(f)",) * 2, ("STDDEV(v)",) * 2, ("SUM(DISTINCT v)",) * 2,
                  ("FIRST_VALUE(v ORDER BY ts, v, f)", "first(v ORDER BY ts, v NULLS LAST, f)"),
                  ("STRING_AGG(CAST(v AS TEXT), ',' ORDER BY v)", "string_agg(CAST(v AS TEXT), ',' ORDER BY v)"),
                  ("ARRAY_AGG(v ORDER BY v, ts)", "array_agg(v ORDER BY v NULLS LAST, ts)")]

    def __init__(self, rng, table):
        self.rng, self.window = rng, Window(rng, table.step)
        self.emit = rng.choice(["", "", "", " EMIT FINAL", " EMIT CHANGES"])
        form = rng.choice(["group", "group", "group", "group", "rows", "top", "nested", "total"])
        self.ours, self.theirs = getattr(self, form)()

    def keys(self):
        return self.rng.choice([[], ["k"], ["k"], ["k", "f"]])

    def where(self):
        return self.rng.choice(["", "", " WHERE v > 0", " WHERE k <> 'key 0' OR v IS NULL"])

    def aggregates(self):
        picked = [self.rng.choice(self.AGGREGATES) for _ in range(self.rng.randint(1, 4))]
        return [ours for ours, _ in picked], [theirs for _, theirs in picked]

    def group(self):
        keys, where, window = self.keys(), self.where(), self.window
        ours, theirs = self.aggregates()
        bounds = ["window_start", "window_end"]
        having = self.rng.choice(["", "", "", " HAVING COUNT(*) > 1"])
        named = lambda parts: ", ".join(f"{part} AS c{n}" for n, part in enumerate(parts))
        by = ", ".join(keys + bounds)
        # Conditions above the function come after its windows are known; a session's depend on its rows.
        source = f"(SELECT * FROM t{where})"
        there = f"SELECT {named(keys + bounds + theirs)} FROM ({window.rows(source, keys)}) GROUP BY {by}{having}"
        spelling = self.rng.choice(["from", "group", "clause"])
        if spelling == "clause" and window.offset < 0:
            spelling = "group"
        if spelling == "from":
            if window.kind == "session" and where:
                there = f"SELECT {named(keys + bounds + theirs)} FROM ({window.rows('t', keys)}){where} GROUP BY {by}{having}"
            here = f"SELECT {named(keys + bounds + ours)} FROM {window.in_from('t', keys)}{where} GROUP BY {by}{having}"
        elif spelling == "group":
            name = window.function()
            bounds = [f"{name}_start(ts, {', '.join(window.arguments(interval))})", f"{name}_end(ts, {', '.join(window.arguments(interval))})"]
            here = f"SELECT {named(keys + bounds + ours)} FROM t{where} GROUP BY {', '.join(keys + [window.in_group()])}{having}"
        else:
            group = f" GROUP BY {', '.join(keys)}" if keys else ""
            here = f"SELECT {named(keys + bounds + ours)} FROM t{where}{group} {window.clause()}{having}"
            if having and self.rng.random() < 2:
                here = f"SELECT {named(keys + bounds + ours)} FROM t{where}{group} {window.clause()}"
                there = there.removesuffix(having)
        return here + self.emit, there

    def rows(self):
        """Rows with their windows."""
        keys, window = self.keys(), self.window
        here = f"SELECT k, v, ts, window_start, window_end FROM {window.in_from('t', keys)}{self.where()}"
        where = here.split(")")[-1]
        self.emit = ""
        return here, f"SELECT k, v, ts, window_start, window_end FROM ({window.rows('t', keys)}){where}"

    def top(self):
        """The first rows of each window."""
        keys, window, most = self.keys(), self.window, self.rng.choice([1, 1, 2, 3])
        part = ", ".join(["window_start", "window_end"] + keys)
        order = self.rng.choice(["v DESC, ts, f, k", "ts, v, f, k", "ts DESC, v, f, k"])
        theirs = ", ".join(key + (" NULLS FIRST" if "DESC" in key else " NULLS LAST") for key in order.split(", "))
        query = lambda rows, order: (f"SELECT k, v, f, ts, window_start, window_end FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY {part} "
                                     f"ORDER BY {order}) AS rank FROM {rows}) AS r WHERE rank <= {most}")
        self.emit = ""
        return query(window.in_from("t", keys), order), query(f"({window.rows('t', keys)})", theirs)

    def nested(self):
        """Windows over windows."""
        keys, window = self.keys(), self.window
        size = window.size * self.rng.choice([2, 5])
        by = ", ".join(keys + ["window_start", "window_end"])
        inner = f"SELECT {by}, window_time AS ts, COUNT(*) AS n, MAX(v) AS m FROM {window.in_from('t', keys)} GROUP BY {by}, window_time"
        here = (f"SELECT tumble_start(ts, {interval(size)}) AS start, SUM(n) AS n, MAX(m) AS m, COUNT(*) AS c FROM ({inner}) AS i "
                f"GROUP BY tumble(ts, {interval(size)})")
        there = f"SELECT window_end - INTERVAL 1 MILLISECOND AS ts, COUNT(*) AS n, MAX(v) AS m FROM ({window.rows('t', keys)}) GROUP BY {by}"
        start = at(aligned("epoch_ms(ts)", size, 0))
        self.emit = ""
        return here, f"SELECT {start} AS start, SUM(n) AS n, MAX(m) AS m, COUNT(*) AS c FROM ({there}) GROUP BY start"

    def total(self):
        """Groups of windows by their start alone, again grouped."""
        keys, window = self.keys(), self.window
        by = ", ".join(keys + ["window_start", "window_end"])
        query = lambda rows: (f"SELECT window_start, MAX(n) AS most, COUNT(*) AS c FROM (SELECT {by}, COUNT(*) AS n FROM {rows} GROUP BY {by}) AS i "
                              "GROUP BY window_start, window_end")
        self.emit = ""
        return query(window.in_from("t", keys)), query(f"({window.rows('t', keys)})")


def normal(value):
    return repr([scalar(part) for part in value]) if isinstance(value, list) else scalar(value)


def run_theirs(connection, sql):
    try:
        return [tuple(normal(value) for value in row) for row in connection.execute(sql).fetchall()], None
    except duckdb.Error as error:
        return None, str(error).splitlines()[0]


def folded(columns, names):
    """Rows as they are in the end."""
    rows = list(zip(*columns))
    if names[:1] != ["_op"]:
        return [tuple(normal(value) for value in row) for row in rows]
    there = Counter()
    kept = {}
    for op, *row in rows:
        row = tuple(normal(value) for value in row)
        kept[repr(row)] = row
        there[repr(row)] += 1 if op.startswith("+") else -1
    assert all(count >= 0 for count in there.values()), "a row is taken back that was not given"
    return [kept[row] for row in there.elements()]


def run_ours(binary, sql, sink, options):
    ran = subprocess.run([binary, "-c", sql, "--sink", sink, "--quiet", *options], capture_output=True, text=True, timeout=120)
    if ran.returncode != 0:
        return None, f"exit {ran.returncode}: {ran.stderr.strip()}"
    table = pq.read_table(sink)
    return folded([column.to_pylist() for column in table.columns], table.column_names), None


def one(seed, folder, arguments):
    rng = random.Random(seed)
    table = Table(rng, folder)
    form = Form(rng, table)
    text = f"{table.definition(rng.random() < 0.4)}\n{form.ours}"
    options = ["--batch-rows", str(rng.choice([1, 7, 100, 8192])), "--partitions", str(rng.choice([1, 2, 3]))]
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute(f"CREATE TABLE t AS SELECT * REPLACE (ts::TIMESTAMP AS ts) FROM '{table.path}/*.parquet'")
    theirs, their_error = run_theirs(connection, form.theirs)
    try:
        ours, our_error = run_ours(arguments.binary, text, os.path.join(folder, "out.parquet"), options)
    except subprocess.TimeoutExpired:
        ours, our_error = None, "it hangs"
    except AssertionError as error:
        ours, our_error = None, str(error)
    head = f"== seed {seed} ({' '.join(options)})\n{text}\n"
    if theirs is None:
        return "they refuse", head + f"   theirs: {their_error}\n   {form.theirs}\n"
    if ours is None:
        return "we refuse", head + f"   ours: {our_error}\n"
    difference = compare(ours, theirs, False)
    if difference:
        return "differ", head + f"   {difference}\n   theirs: {form.theirs}\n"
    return "agree", None


def main():
    return run(__doc__, one, ["agree"])


if __name__ == "__main__":
    sys.exit(main())
