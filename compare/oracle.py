#!/usr/bin/env python3
"""Random queries over random files, answered by millstream and by DuckDB, compared as multisets.

    python3 -m venv /tmp/oracle && /tmp/oracle/bin/pip install duckdb pyarrow
    cargo build && /tmp/oracle/bin/python compare/oracle.py --count 300 --seed 1

Every query has a seed of its own: `--seed 417 --count 1` repeats one. DuckDB always reads Parquet; millstream reads the same
rows as Parquet, CSV or NDJSON, under random batch sizes and partition counts, and writes Parquet that is read back here.

Differences that are meant: whole numbers divide to whole numbers (`//` there), and by nought is an error (NULL there): the
queries are written so. Sums of whole numbers beyond BIGINT are errors (HUGEINT there): counted, not shown.
"""

import argparse
import csv
import datetime as dt
import json
import math
import os
import random
import subprocess
import sys
import tempfile
from collections import Counter

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

COLUMNS = [
    # name, kind, type in CREATE TABLE, pyarrow type
    ("i", "int", "BIGINT", pa.int64()),
    ("j", "int", "INT", pa.int32()),
    ("big", "big", "BIGINT", pa.int64()),
    ("f", "float", "DOUBLE", pa.float64()),
    ("g", "float", "DOUBLE", pa.float64()),
    ("s", "str", "TEXT", pa.string()),
    ("t", "str", "TEXT", pa.string()),
    ("b", "bool", "BOOLEAN", pa.bool_()),
    ("d", "date", "DATE", pa.date32()),
    ("ts", "time", "TIMESTAMP(3)", pa.timestamp("ms")),
    ("dec", "dec", "DECIMAL(12, 2)", pa.decimal128(12, 2)),
]
KINDS = {name: kind for name, kind, _, _ in COLUMNS}
EPOCH = dt.datetime(1970, 1, 1)
WORDS = ["", "a", "b", "ab", "apple", "Apple", "apple pie", "ünï", "日本語", "exactly12byt", "thirteen byte", "a longer text, with comma",
         'quote " inside', "two\nlines", "tail ", " lead", "%", "_", "0", "-1", "null", "NULL", "x" * 40]


# ---------------------------------------------------------------------------------------------------------------- data

class Data:
    """A random table, as a Parquet file and as another file of the same rows."""

    def __init__(self, rng, folder, fmt, rows=None):
        self.format = fmt
        if rows is None:
            rows = rng.choice([0, 1, 2, 10, 100, 1000, 5000])
        nulls = rng.choice([0.0, 0.1, 0.5])
        keys = rng.choice([2, 10, 1000])
        special = fmt == "parquet" or (fmt == "csv" and rng.random() < 0.3)
        base = rng.choice([0, 1_700_000_000_000, -100_000])
        words = rng.sample(WORDS, rng.randint(2, len(WORDS))) + [f"word {n}" for n in range(rng.choice([0, 3, 200]))]

        def value(kind, name):
            if rng.random() < nulls:
                return None
            if name == "i":
                return rng.randint(-keys, keys)
            if name == "j":
                return rng.randint(-3, 3)
            if kind == "big":
                return rng.choice([rng.randint(-10**12, 10**12), 2**53 + 1, -(2**53) - 1])
            if kind == "float":
                if special and rng.random() < 0.05:
                    return rng.choice([float("nan"), float("inf"), float("-inf"), -0.0])
                return rng.choice([0.0, 0.5, -1.25, rng.uniform(-1000, 1000), float(rng.randint(-5, 5)), 1e-7, 123456789.0])
            if kind == "str":
                return rng.choice(words)
            if kind == "bool":
                return rng.random() < 0.5
            if kind == "date":
                return dt.date(1970, 1, 1) + dt.timedelta(days=rng.randint(-400, 20000))
            if kind == "time":
                return EPOCH + dt.timedelta(milliseconds=base + rng.randint(-200_000, 200_000))
            if kind == "dec":
                return f"{rng.randint(-99999, 99999) / 100:.2f}"

        self.columns = {name: [value(kind, name) for _ in range(rows)] for name, kind, _, _ in COLUMNS}
        if rng.random() < 0.3:
            # In order of time, as streams mostly are.
            order = sorted(range(rows), key=lambda row: self.columns["ts"][row] or EPOCH)
            self.columns = {name: [values[row] for row in order] for name, values in self.columns.items()}
        arrays = []
        for name, kind, _, arrow in COLUMNS:
            values = self.columns[name]
            if kind == "dec":
                import decimal
                values = [None if v is None else decimal.Decimal(v) for v in values]
            arrays.append(pa.array(values, type=arrow))
        table = pa.table(arrays, names=[c[0] for c in COLUMNS])
        self.parquet = os.path.join(folder, "t.parquet")
        pq.write_table(table, self.parquet, row_group_size=rng.choice([1, 7, 100, 100_000]) if rows else None)
        self.path = os.path.join(folder, f"t.{fmt}")
        if fmt == "csv":
            self.write_csv()
        elif fmt == "ndjson":
            self.write_json(rng)

    def rows(self):
        return zip(*(self.columns[c[0]] for c in COLUMNS))

    def write_csv(self):
        def cell(value):
            if value is None:
                return ""
            if isinstance(value, str):
                return '"' + value.replace('"', '""') + '"'
            if isinstance(value, bool):
                return "true" if value else "false"
            if isinstance(value, float):
                return {"nan": "NaN", "inf": "inf", "-inf": "-inf"}.get(repr(value), repr(value))
            return str(value)
        with open(self.path, "w", newline="") as out:
            out.write(",".join(c[0] for c in COLUMNS) + "\n")
            for row in self.rows():
                out.write(",".join(cell(v) for v in row) + "\n")

    def write_json(self, rng):
        ascii_only = rng.random() < 0.5
        with open(self.path, "w") as out:
            for row in self.rows():
                record = {}
                for (name, kind, _, _), value in zip(COLUMNS, row):
                    if value is None and rng.random() < 0.5:
                        continue
                    if kind == "dec" and value is not None:
                        value = float(value)
                    record[name] = str(value) if isinstance(value, (dt.date, dt.datetime)) else value
                items = list(record.items())
                if rng.random() < 0.2:
                    rng.shuffle(items)
                out.write(json.dumps(dict(items), ensure_ascii=ascii_only) + "\n")

    def definition(self, declared):
        if self.format == "parquet" or not declared:
            return f"CREATE TABLE t WITH ('connector' = 'file', 'path' = '{self.path}');"
        columns = ", ".join(f"{name} {sql}" for name, _, sql, _ in COLUMNS)
        return f"CREATE TABLE t ({columns}) WITH ('connector' = 'file', 'path' = '{self.path}');"


# ------------------------------------------------------------------------------------------------------------- queries

class Query:
    """A query in both dialects: wherever they differ, an expression is a pair (ours, theirs)."""

    def __init__(self, rng):
        self.rng = rng

    def pick(self, *options):
        return self.rng.choice(options)()

    @staticmethod
    def join(template, *parts):
        return template.format(*(p[0] for p in parts)), template.format(*(p[1] for p in parts))

    def same(self, text):
        return text, text

    def column(self, kind):
        names = [name for name, k in self.columns.items() if k == kind]
        if not names:
            return self.literal(kind)
        return self.same(self.rng.choice(names))

    def literal(self, kind):
        rng = self.rng
        text = {
            "int": lambda: str(rng.randint(-5, 20)),
            "big": lambda: str(rng.randint(-10**12, 10**12)),
            "float": lambda: f"CAST({rng.choice(['0.5', '-2', '10.25', '100'])} AS DOUBLE)",
            "str": lambda: "'" + rng.choice(WORDS).replace("'", "''").replace("\n", " ") + "'",
            "bool": lambda: rng.choice(["true", "false"]),
            "date": lambda: f"DATE '{rng.choice(['1970-01-01', '2000-02-29', '1999-12-31'])}'",
            "time": lambda: f"TIMESTAMP '{rng.choice(['1970-01-01 00:00:00', '2023-11-14 22:13:20', '1969-12-31 23:59:00'])}'",
            "dec": lambda: f"CAST('{rng.choice(['1.50', '-20.25', '0'])}' AS DECIMAL(12, 2))",
        }[kind]()
        return self.same(text)

    def expr(self, kind, depth=2):
        if depth <= 0 or self.rng.random() < 0.3:
            return self.column(kind) if self.rng.random() < 0.8 else self.literal(kind)
        return getattr(self, kind)(depth - 1)

    def case(self, kind, depth):
        form = self.rng.randint(0, 3)
        if form == 0:
            return self.join("CASE WHEN {} THEN {} ELSE {} END", self.expr("bool", depth), self.expr(kind, depth), self.expr(kind, depth))
        if form == 1:
            return self.join("CASE WHEN {} THEN {} END", self.expr("bool", depth), self.expr(kind, depth))
        if form == 2:
            return self.join("COALESCE({}, {})", self.expr(kind, depth), self.expr(kind, depth))
        return self.join("NULLIF({}, {})", self.expr(kind, depth), self.expr(kind, depth))

    def int(self, depth):
        e = lambda kind="int": self.expr(kind, depth)
        small = lambda: self.literal("int")
        def divide():
            a, b = e(), e()
            return f"({a[0]} / NULLIF({b[0]}, 0))", f"({a[1]} // NULLIF({b[1]}, 0))"
        return self.pick(
            lambda: self.join("({} + {})", e(), e()),
            lambda: self.join("({} - {})", e(), e()),
            lambda: self.join("({} * {})", self.column("int"), small()),
            divide,
            lambda: self.join("({} % NULLIF({}, 0))", e(), e()),
            lambda: self.join("ABS({})", e()),
            lambda: self.join("(- {})", e()),
            lambda: self.join("LENGTH({})", e("str")),
            lambda: self.join("STRPOS({}, 'a')", e("str")),
            lambda: self.join("CAST(EXTRACT(YEAR FROM {}) AS BIGINT)", e("time")),
            lambda: self.join("CAST(EXTRACT(HOUR FROM {}) AS BIGINT)", e("time")),
            lambda: self.join("CAST(EXTRACT(MONTH FROM {}) AS BIGINT)", e("date")),
            lambda: self.join("CAST({} AS BIGINT)", e("bool")),
            lambda: self.case("int", depth),
            lambda: self.join("({} & {})", e(), small()),
            lambda: self.join("({} | {})", e(), small()),
        )

    def big(self, depth):
        e = lambda: self.expr("big", depth)
        return self.pick(
            lambda: self.join("({} + {})", e(), self.expr("int", depth)),
            lambda: self.join("({} - {})", self.column("big"), self.column("big")),
            lambda: self.join("ABS({})", e()),
            lambda: self.join("({} % 1000)", e()),
            lambda: self.case("big", depth),
        )

    def float(self, depth):
        e = lambda kind="float": self.expr(kind, depth)
        return self.pick(
            lambda: self.join("({} + {})", e(), e()),
            lambda: self.join("({} - {})", e(), e()),
            lambda: self.join("({} * {})", e(), self.literal("float")),
            lambda: self.join("({} / NULLIF({}, CAST(0 AS DOUBLE)))", e(), e()),
            lambda: self.join("ABS({})", e()),
            lambda: self.join("FLOOR({})", e()),
            lambda: self.join("CEIL({})", e()),
            lambda: self.join("SQRT(ABS({}))", e()),
            lambda: self.join("CAST({} AS DOUBLE)", e("int")),
            lambda: self.join("CAST({} AS DOUBLE)", e("dec")),
            lambda: self.join("({} + {})", e(), e("int")),
            lambda: self.case("float", depth),
        )

    def dec(self, depth):
        return self.pick(
            lambda: self.join("({} + {})", self.column("dec"), self.literal("dec")),
            lambda: self.join("({} - {})", self.column("dec"), self.column("dec")),
            lambda: self.join("({} * {})", self.column("dec"), self.literal("dec")),
            lambda: self.join("ABS({})", self.column("dec")),
            lambda: self.case("dec", depth),
        )

    def str(self, depth):
        rng, e = self.rng, lambda: self.expr("str", depth)
        return self.pick(
            lambda: self.join("UPPER({})", e()),
            lambda: self.join("LOWER({})", e()),
            lambda: self.join("({} || {})", e(), e()),
            lambda: self.join(f"SUBSTR({{}}, {rng.randint(1, 6)}, {rng.randint(0, 8)})", e()),
            lambda: self.join(f"SUBSTR({{}}, {rng.randint(1, 6)})", e()),
            lambda: self.join(f"LEFT({{}}, {rng.randint(0, 6)})", e()),
            lambda: self.join(f"RIGHT({{}}, {rng.randint(0, 6)})", e()),
            lambda: self.join("REPLACE({}, 'a', {})", e(), self.literal("str")),
            lambda: self.join("TRIM({})", e()),
            lambda: self.join("CONCAT({}, '-', {})", e(), e()),
            lambda: self.join("CAST({} AS VARCHAR)", self.expr("int", depth)),
            lambda: self.join("CAST({} AS VARCHAR)", self.expr("date", depth)),
            lambda: self.join("SPLIT_PART({}, ' ', 1)", e()),
            lambda: self.case("str", depth),
        )

    def bool(self, depth):
        rng, e = self.rng, lambda kind="bool": self.expr(kind, depth)
        kind = rng.choice(["int", "big", "float", "str", "date", "time", "dec"])
        op = rng.choice(["=", "<>", "<", "<=", ">", ">="])
        pattern = rng.choice(["a%", "%a%", "%e", "_pple", "%,%", "", "%", "ap%pie", "日%", "a\\%%", "%longer%comma"])
        return self.pick(
            lambda: self.join(f"({{}} {op} {{}})", e(kind), e(kind)),
            lambda: self.join(f"({{}} {op} {{}})", self.column(kind), self.literal(kind)),
            lambda: self.join(f"({{}} {op} {{}})", e("int"), e("float")),
            lambda: self.join("({} AND {})", e(), e()),
            lambda: self.join("({} OR {})", e(), e()),
            lambda: self.join("(NOT {})", e()),
            lambda: self.join("({} IS NULL)", e(kind)),
            lambda: self.join("({} IS NOT NULL)", e(kind)),
            lambda: self.join("({} IS NOT TRUE)", e()),
            lambda: self.join("({} BETWEEN {} AND {})", e(kind), self.literal(kind), self.literal(kind)),
            lambda: self.join("({} IN ({}, {}, {}))", e(kind), self.literal(kind), self.literal(kind), self.literal(kind)),
            lambda: self.join("({} NOT IN ({}, {}))", e(kind), self.literal(kind), self.literal(kind)),
            lambda: self.join("({} IN ({}, NULL))", e(kind), self.literal(kind)),
            lambda: self.join("({} IS DISTINCT FROM {})", e(kind), e(kind)),
            lambda: (lambda s: (f"({s[0]} LIKE '{pattern}')", f"({s[1]} LIKE '{pattern}' ESCAPE '\\')"))(e("str")),
            lambda: (lambda s: (f"({s[0]} NOT ILIKE '{pattern}')", f"({s[1]} NOT ILIKE '{pattern}' ESCAPE '\\')"))(e("str")),
            lambda: self.join("STARTS_WITH({}, 'a')", e("str")),
            lambda: self.case("bool", depth),
        )

    def time(self, depth):
        rng, e = self.rng, lambda: self.expr("time", depth)
        unit = rng.choice(["second", "minute", "hour", "day", "week", "month", "year"])
        return self.pick(
            lambda: self.join(f"date_trunc('{unit}', {{}})", e()),
            lambda: self.join(f"({{}} + INTERVAL '{rng.randint(-100, 100)} {rng.choice(['second', 'minute', 'hour', 'day', 'month'])}')", e()),
            lambda: self.join("CAST({} AS TIMESTAMP)", self.expr("date", depth)),
            lambda: self.case("time", depth),
        )

    def date(self, depth):
        return self.pick(lambda: self.join("CAST({} AS DATE)", self.expr("time", depth)), lambda: self.case("date", depth))

    def aggregate(self):
        rng = self.rng
        e = lambda kind, depth=1: self.expr(kind, depth)
        any_kind = lambda: rng.choice(["int", "big", "float", "str", "date", "time", "dec", "bool"])
        ordered = lambda: rng.choice(["int", "big", "float", "str", "date", "time", "dec"])
        text = self.pick(
            lambda: self.same("COUNT(*)"),
            lambda: self.join("COUNT({})", e(any_kind())),
            lambda: self.join("SUM({})", e("int")),
            lambda: self.join("SUM({})", e("big")),
            lambda: self.join("SUM({})", e("float")),
            lambda: self.join("SUM({})", self.column("dec")),
            lambda: self.join("AVG({})", e("float")),
            lambda: self.join("AVG({})", e("int")),
            lambda: self.join("MIN({})", e(ordered())),
            lambda: self.join("MAX({})", e(ordered())),
            lambda: self.join("COUNT(DISTINCT {})", e(any_kind())),
            lambda: self.join("SUM(DISTINCT {})", e("int")),
            lambda: self.join("STDDEV_SAMP({})", e("int")),
            lambda: self.join("VAR_POP({})", e("int")),
            lambda: self.join("BOOL_AND({})", e("bool")),
            lambda: self.join("BOOL_OR({})", e("bool")),
            lambda: self.join("BIT_XOR({})", self.column("int")),
            lambda: self.join("BIT_AND({})", self.column("int")),
            lambda: self.join("MEDIAN(CAST({} AS DOUBLE))", self.column("int")),
            lambda: self.join("STRING_AGG({0}, ',' ORDER BY {0})", self.column("str")),
        )
        if rng.random() < 0.25:
            text = self.join("{} FILTER (WHERE {})", text, e("bool"))
        return text

    def make(self):
        """The query as (ours, theirs, is_ordered)."""
        self.columns = dict(KINDS)
        form = self.rng.choice(["plain", "plain", "group", "group", "group", "window", "window", "union", "nested", "distinct", "over", "over", "rank"])
        return getattr(self, f"make_{form}")()

    def where(self):
        return self.join(" WHERE {}", self.expr("bool", 3)) if self.rng.random() < 0.6 else self.same("")

    def named(self, exprs):
        return self.join(", ".join(f"{{}} AS c{n}" for n in range(len(exprs))), *exprs)

    def finish(self, body, count):
        """ORDER BY all columns, and a limit, or nothing."""
        if self.rng.random() < 0.6:
            return body + (False,)
        keys = list(range(1, count + 1))
        self.rng.shuffle(keys)
        order = ", ".join(f"{k} {self.rng.choice(['ASC NULLS LAST', 'ASC NULLS FIRST', 'DESC NULLS FIRST', 'DESC NULLS LAST'])}" for k in keys)
        limit = self.rng.choice(["", f" LIMIT {self.rng.randint(0, 20)}", f" LIMIT {self.rng.randint(1, 20)} OFFSET {self.rng.randint(0, 10)}"])
        return self.join("{} ORDER BY " + order + limit, body) + (True,)

    def kinds(self, low, high):
        kinds = ["int", "big", "float", "str", "bool", "date", "time", "dec"]
        return [self.rng.choice(kinds) for _ in range(self.rng.randint(low, high))]

    def make_plain(self):
        exprs = [self.expr(kind, 3) for kind in self.kinds(1, 4)]
        return self.finish(self.join("SELECT {} FROM t{}", self.named(exprs), self.where()), len(exprs))

    def make_distinct(self):
        exprs = [self.expr(kind, 1) for kind in self.kinds(1, 3)]
        return self.finish(self.join("SELECT DISTINCT {} FROM t{}", self.named(exprs), self.where()), len(exprs))

    def make_union(self):
        kinds = self.kinds(1, 3)
        side = lambda: self.join("SELECT {} FROM t{}", self.named([self.expr(kind, 1) for kind in kinds]), self.where())
        word = self.rng.choice(["UNION ALL", "UNION ALL", "UNION"])
        return self.finish(self.join(f"{{}} {word} {{}}", side(), side()), len(kinds))

    def having(self):
        if self.rng.random() < 0.7:
            return self.same("")
        return self.join(" HAVING {} > {}", self.same(self.rng.choice(["COUNT(*)", "COUNT(i)", "MAX(i)", "SUM(j)"])), self.literal("int"))

    def make_group(self):
        keys = [self.expr(kind, self.rng.choice([0, 0, 1, 2])) for kind in self.kinds(0, 3)]
        keys = [key for key in keys if not key[0].lstrip("-").replace("'", "").isdigit()]
        aggregates = [self.aggregate() for _ in range(self.rng.randint(1, 4))]
        by = self.same("")
        if keys:
            by = self.same(" GROUP BY " + ", ".join(str(n + 1) for n in range(len(keys))))
            if self.rng.random() < 0.1:
                by = self.same(" GROUP BY " + self.rng.choice(["ROLLUP", "CUBE"]) + " (" + ", ".join(str(n + 1) for n in range(len(keys))) + ")")
                # Ordinals are not taken inside by all; say the expressions.
                by = self.join(" GROUP BY " + by[0].split()[2] + " (" + ", ".join("{}" for _ in keys) + ")", *keys)
        exprs = keys + aggregates
        return self.finish(self.join("SELECT {} FROM t{}{}{}", self.named(exprs), self.where(), by, self.having()), len(exprs))

    def make_window(self):
        """Tumbling and hopping windows; there, the arithmetic that they stand for."""
        rng = self.rng
        size = rng.choice([1000, 5000, 7000, 60000, 90000])
        slide = rng.choice([size, size, 1000, 2000, size * 2, size // 2 or 1, 3000])
        offset = rng.choice([0, 0, 0, 1500, -700])
        is_hop = slide != size or rng.random() < 0.3
        span = lambda ms: f"INTERVAL '{ms / 1000:g}' SECOND"
        keys = [self.expr(kind, 0) for kind in self.kinds(0, 2)]
        keys = [key for key in keys if key[0] in self.columns and key[0] != "ts"]
        aggregates = [self.aggregate() for _ in range(rng.randint(1, 3))]
        where = self.where()
        sizes = f"{span(slide)}, {span(size)}" if is_hop else span(size)
        if offset:
            sizes += f", {span(offset)}"
        name = "hop" if is_hop else "tumble"
        form = rng.randint(0, 1)
        starts = f"""(SELECT *, epoch_ms(ts) AS e_, epoch_ms(ts) - (((epoch_ms(ts) - {offset}) % {slide} + {slide}) % {slide}) AS last_ FROM t{where[1]})"""
        spread = f"""(SELECT *, unnest(range(last_, e_ - {size}, -{slide})) AS ws_ FROM {starts} AS q1 WHERE e_ IS NOT NULL)"""
        theirs_keys = [("make_timestamp_ms(ws_)",) * 2, (f"make_timestamp_ms(ws_ + {size})",) * 2]
        if form == 0:
            our_keys = [self.same("window_start"), self.same("window_end")]
            source = f"{name.upper()}(TABLE t, DESCRIPTOR(ts), {sizes})"
            group = ["window_start", "window_end"]
        else:
            our_keys = [self.same(f"{name}_start(ts, {sizes})"), self.same(f"{name}_end(ts, {sizes})")]
            source = "t"
            group = [f"{name}(ts, {sizes})"]
        ours = self.named(our_keys + keys + aggregates)[0]
        theirs = self.named(theirs_keys + keys + aggregates)[1]
        group += [key[0] for key in keys]
        body = (f"SELECT {ours} FROM {source}{where[0]} GROUP BY {', '.join(group)}",
                f"SELECT {theirs} FROM {spread} AS q2 GROUP BY {', '.join(['ws_'] + [key[1] for key in keys])}")
        return self.finish(body, 2 + len(keys) + len(aggregates))

    def order(self, total):
        """ORDER BY keys; all columns behind them where ties would show."""
        keys = [self.expr(kind, self.rng.choice([0, 0, 1])) for kind in self.kinds(1, 2)]
        keys = [key for key in keys if not key[0].lstrip("-").replace("'", "").isdigit()] or [self.column("int")]
        how = lambda: self.rng.choice([" ASC NULLS LAST", " ASC NULLS FIRST", " DESC NULLS FIRST", " DESC NULLS LAST"])
        if total:
            keys += [self.same(name) for name in self.columns]
        return self.join(", ".join("{}" + how() for _ in keys), *keys)

    def frame(self):
        """A frame, and whether ties show in it; the ORDER BY that a measured one needs."""
        rng = self.rng
        units = rng.choice(["ROWS", "ROWS", "RANGE", "GROUPS", "default", "whole"])
        if units == "default":
            return "", False, None
        if units == "whole":
            return f" {rng.choice(['ROWS', 'RANGE'])} BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING", False, None
        key = None
        count = lambda: str(rng.choice([0, 1, 2, 3, 10, 50, 200]))
        if units == "RANGE":
            key, steps = rng.choice([("i", ["0", "1", "5", "300"]), ("j", ["0", "1", "2"]), ("f", ["0.5", "10.0"]), ("dec", ["0.25", "100.00"]),
                                     ("ts", ["INTERVAL '1 second'", "INTERVAL '90 second'", "INTERVAL '1 day'", "INTERVAL '1 month'"]),
                                     ("d", ["INTERVAL '1 day'", "INTERVAL '30 day'"]), (None, None)])
            if key is None:
                bounds = [("UNBOUNDED PRECEDING", 0), ("CURRENT ROW", 2), ("UNBOUNDED FOLLOWING", 4)]
                start, end = sorted(rng.sample(bounds, 2), key=lambda b: b[1])
                return f" RANGE BETWEEN {start[0]} AND {end[0]}", False, None
            count = lambda: rng.choice(steps)
        sides = [("UNBOUNDED PRECEDING", 0), (f"{count()} PRECEDING", 1), ("CURRENT ROW", 2), (f"{count()} FOLLOWING", 3), ("UNBOUNDED FOLLOWING", 4)]
        start, end = sorted([rng.choice(sides[:4]), rng.choice(sides[1:])], key=lambda b: b[1])
        return f" {units} BETWEEN {start[0]} AND {end[0]}", units == "ROWS", key

    def windowed(self):
        """A function with OVER."""
        rng = self.rng
        e = lambda kind, depth=1: self.expr(kind, depth)
        any_kind = lambda: rng.choice(["int", "big", "float", "str", "date", "time", "dec", "bool"])
        partition = self.same("")
        if rng.random() < 0.7:
            keys = [self.expr(kind, 0) for kind in self.kinds(1, 2)]
            partition = self.join("PARTITION BY " + ", ".join("{}" for _ in keys) + " ", *keys)
        form = rng.randint(0, 3)
        if form == 0:
            # Ranks: ties share one, or all columns break them.
            name = rng.choice(["ROW_NUMBER()", "RANK()", "DENSE_RANK()", "PERCENT_RANK()", "CUME_DIST()", f"NTILE({rng.randint(1, 9)})"])
            order = self.order("ROW" in name or "NTILE" in name)
            return self.join(name.replace("{", "{{") + " OVER ({}ORDER BY {})", partition, order)
        if form == 1:
            arg, nulls = self.column(any_kind()), rng.random() < 0.3
            offset = rng.choice(["", f", {rng.randint(0, 5)}"])
            name = rng.choice(["LAG", "LEAD"])
            ours = f"{name}({arg[0]}{offset}){' IGNORE NULLS' if nulls else ''}"
            theirs = f"{name}({arg[1]}{offset}{' IGNORE NULLS' if nulls else ''})"
            return self.join("{} OVER ({}ORDER BY {})", (ours, theirs), partition, self.order(True))
        frame, ties, key = self.frame()
        while form == 2 and key is not None:
            # A frame by value has an order of one key, which leaves ties: which of them is first, nobody says.
            frame, ties, key = self.frame()
        if form == 2:
            arg, nulls = self.column(any_kind()), rng.random() < 0.3
            name, more = rng.choice([("FIRST_VALUE", ""), ("LAST_VALUE", ""), ("NTH_VALUE", f", {rng.randint(1, 4)}")])
            function = (f"{name}({arg[0]}{more}){' IGNORE NULLS' if nulls else ''}", f"{name}({arg[1]}{more}{' IGNORE NULLS' if nulls else ''})")
            ties = True
        else:
            function = self.pick(
                lambda: self.same("COUNT(*)"),
                lambda: self.join("COUNT({})", e(any_kind())),
                lambda: self.join("SUM({})", e("int")),
                lambda: self.join("SUM({})", e("float")),
                lambda: self.join("SUM({})", self.column("dec")),
                lambda: self.join("AVG({})", e("int")),
                lambda: self.join("AVG({})", e("float")),
                lambda: self.join("MIN({})", e(rng.choice(["int", "big", "float", "str", "date", "time", "dec"]))),
                lambda: self.join("MAX({})", e(rng.choice(["int", "big", "float", "str", "date", "time", "dec"]))),
                lambda: self.join("COUNT(DISTINCT {})", e(any_kind(), 0)),
                lambda: self.join("VAR_POP({})", self.column("int")),
                lambda: self.join("BOOL_OR({})", e("bool")),
                lambda: self.join("BIT_XOR({})", self.column("int")),
                lambda: self.join("MEDIAN(CAST({} AS DOUBLE))", self.column("int")),
            )
            if rng.random() < 0.2:
                function = self.join("{} FILTER (WHERE {})", function, e("bool"))
        if key is not None:
            order = self.same(key + rng.choice(["", " ASC NULLS FIRST", " DESC NULLS LAST", " DESC NULLS FIRST"]))
            if order[0] == key:
                order = (key, key + " NULLS LAST")
        else:
            order = self.order(ties)
        if frame and "UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING" in frame and not ties and rng.random() < 0.5:
            return self.join("{} OVER ({})", function, partition)
        return self.join("{} OVER ({}ORDER BY {}" + frame + ")", function, partition, order)

    def make_over(self):
        exprs = [self.column(kind) for kind in self.kinds(1, 2)] + [self.windowed() for _ in range(self.rng.randint(1, 3))]
        body = self.join("SELECT {} FROM t{}", self.named(exprs), self.where())
        if self.rng.random() < 0.2:
            body = self.join("{} QUALIFY {} IS NOT NULL", body, self.windowed())
        return body + (False,)

    def make_rank(self):
        """The first rows of each key: Top-N and the one row of a key."""
        rng = self.rng
        keys = [self.expr(kind, 0) for kind in self.kinds(0, 2)]
        partition = self.join("PARTITION BY " + ", ".join("{}" for _ in keys) + " ", *keys) if keys else self.same("")
        name = rng.choice(["ROW_NUMBER()", "RANK()", "DENSE_RANK()"])
        call = self.join(name + " OVER ({}ORDER BY {})", partition, self.order("ROW" in name))
        columns = [self.column(kind) for kind in self.kinds(1, 4)]
        limit = rng.choice(["= 1", "<= 3", "< 4", "<= 10", "BETWEEN 2 AND 5", "> 2", "= 2", "<= 3 AND j > 0"])
        inner = self.join("SELECT *, {} AS r_ FROM t{}", call, self.where())
        shown = columns + ([self.same("CAST(r_ AS BIGINT)")] if rng.random() < 0.5 else [])
        body = self.join("SELECT {} FROM ({}) AS q WHERE r_ " + limit, self.named(shown), inner)
        return self.finish(body, len(shown))

    def make_nested(self):
        kinds = self.kinds(2, 5)
        inner = self.join("SELECT {} FROM t{}", self.named([self.expr(kind, 2) for kind in kinds]), self.where())
        if self.rng.random() < 0.3:
            keys = [self.column(kind) for kind in ["int", "str"]]
            inner = self.join("SELECT {}, {}, COUNT(*), SUM(j), MIN(f) FROM t{} GROUP BY {}, {}", *keys, self.where(), *keys)
            inner = tuple(text.replace("SELECT ", "SELECT ", 1) for text in inner)
            kinds = ["int", "str", "int", "int", "float"]
            inner = self.join("SELECT * FROM ({}) AS q0(c0, c1, c2, c3, c4)", inner)
        self.columns = {f"c{n}": kind for n, kind in enumerate(kinds)}
        where = self.where()
        form = self.rng.choice(["plain", "group", "distinct"])
        if form == "group":
            key = self.column(self.rng.choice(kinds))
            aggregates = [self.aggregate() for _ in range(self.rng.randint(1, 2))]
            exprs = [key] + aggregates
            outer = self.join("SELECT {} FROM ({}) AS q{} GROUP BY 1", self.named(exprs), inner, where)
        else:
            exprs = [self.expr(kind, 1) for kind in self.kinds(1, 3)]
            word = "DISTINCT " if form == "distinct" else ""
            outer = self.join(f"SELECT {word}{{}} FROM ({{}}) AS q{{}}", self.named(exprs), inner, where)
        return self.finish(outer, len(exprs))


# ---------------------------------------------------------------------------------------------------------- comparison

def normal(value):
    """A value that compares across both engines."""
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, dt.datetime):
        return ("time", round((value.replace(tzinfo=None) - EPOCH).total_seconds() * 1000))
    if isinstance(value, dt.date):
        return ("date", (value - EPOCH.date()).days)
    if isinstance(value, int):
        return value
    number = float(value)
    if math.isnan(number):
        return "NaN"
    return number


def close(a, b):
    if isinstance(a, (int, float)) and isinstance(b, (int, float)) and not isinstance(a, bool) and not isinstance(b, bool):
        if isinstance(a, int) and isinstance(b, int):
            return a == b
        if math.isinf(a) or math.isinf(b):
            return a == b
        return abs(a - b) <= 1e-6 + 1e-9 * max(abs(a), abs(b))
    # A date there may be a time at midnight here.
    if isinstance(a, tuple) and isinstance(b, tuple) and a[0] != b[0]:
        days = lambda v: v[1] * 86_400_000 if v[0] == "date" else v[1]
        return days(a) == days(b)
    return type(a) is type(b) and a == b


def sort_key(row):
    """Exact values first, floats last and coarse: rows that agree but for rounding come to stand side by side."""
    def exact(value):
        if isinstance(value, tuple):
            return (1, value[1] * 86_400_000 if value[0] == "date" else value[1], "")
        if isinstance(value, int) and not isinstance(value, bool):
            return (1, value, "")
        return (0 if value is None else 2, 0, str(value))
    coarse = lambda value: float(f"{value:.6g}") + 0.0
    floats = [isinstance(value, float) for value in row]
    return ([(3, 0, "") if is_float else exact(value) for value, is_float in zip(row, floats)],
            [coarse(value) for value, is_float in zip(row, floats) if is_float])


def matched(ours, theirs):
    """Whether rows that sorting did not bring together can be paired all the same."""
    left = list(theirs)
    for row in ours:
        at = next((n for n, other in enumerate(left) if all(map(close, row, other))), None)
        if at is None:
            return False
        left.pop(at)
    return True


def compare(ours, theirs, ordered):
    """None when they agree, else what differs."""
    if len(ours) != len(theirs):
        extra = list((Counter(map(repr, ours)) - Counter(map(repr, theirs))).elements())[:3]
        missing = list((Counter(map(repr, theirs)) - Counter(map(repr, ours))).elements())[:3]
        return f"rows: ours {len(ours)}, theirs {len(theirs)}; only ours {extra}; only theirs {missing}"
    if not ordered:
        ours, theirs = sorted(ours, key=sort_key), sorted(theirs, key=sort_key)
    apart = [at for at, (a, b) in enumerate(zip(ours, theirs)) if len(a) != len(b) or not all(map(close, a, b))]
    if not apart or (not ordered and matched([ours[at] for at in apart], [theirs[at] for at in apart])):
        return None
    at = apart[0]
    return f"row {at}: ours {ours[at]}, theirs {theirs[at]}; {len(apart)} rows differ"


def run_ours(binary, sql, sink, rng_options):
    ran = subprocess.run([binary, "-c", sql, "--sink", sink, "--quiet", *rng_options], capture_output=True, text=True, timeout=120)
    if ran.returncode != 0:
        return None, f"exit {ran.returncode}: {ran.stderr.strip()}"
    table = pq.read_table(sink)
    columns = [column.to_pylist() for column in table.columns]
    return [tuple(normal(v) for v in row) for row in zip(*columns)], None


def run_theirs(connection, sql):
    try:
        return [tuple(normal(v) for v in row) for row in connection.execute(sql).fetchall()], None
    except duckdb.Error as error:
        return None, str(error).splitlines()[0]


def run(doc, one, good, extra=()):
    """The command of a script: asks `one(seed, folder, arguments)` for an outcome and a report, `--count` times from `--seed` on.
    The exit code is 1 where an outcome is not among `good`."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", default="target/debug/millstream")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=300)
    for name, help_text in extra:
        parser.add_argument(name, action="store_true", help=help_text)
    arguments = parser.parse_args()
    tally = Counter()
    for seed in range(arguments.seed, arguments.seed + arguments.count):
        with tempfile.TemporaryDirectory() as folder:
            outcome, report = one(seed, folder, arguments)
        tally[outcome] += 1
        if report:
            print(report, flush=True)
    print(dict(tally))
    return 1 if set(tally) - set(good) else 0


def main():
    return run(__doc__, one, ["agree", "both refuse", "sum beyond BIGINT", "they refuse"], [("--show", "print every query")])


def one(seed, folder, arguments):
    rng = random.Random(seed)
    data = Data(rng, folder, rng.choice(["parquet", "csv", "ndjson"]))
    query = Query(rng)
    ours_sql, theirs_sql, ordered = query.make()
    changes = not ordered and rng.random() < 0.15 and "GROUP BY" in ours_sql and "OVER" not in ours_sql
    text = data.definition(True) + "\n" + ours_sql + (" EMIT CHANGES" if changes else "")
    options = ["--batch-rows", str(rng.choice([1, 7, 100, 8192])), "--partitions", str(rng.choice([1, 2, 3]))]
    if changes:
        options.append("--final")
    if arguments.show:
        print(f"-- seed {seed}\n{text}\n")
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute(f"CREATE TABLE t AS SELECT * FROM '{data.parquet}'")
    theirs, their_error = run_theirs(connection, theirs_sql)
    try:
        ours, our_error = run_ours(arguments.binary, text, os.path.join(folder, "out.parquet"), options)
    except subprocess.TimeoutExpired:
        ours, our_error = None, "it hangs"
    head = f"== seed {seed} ({data.format}, {len(data.columns['i'])} rows, {' '.join(options)})\n{text}\n"
    if ours is None and theirs is None:
        bug = our_error.startswith("exit 3") or our_error == "it hangs"
        return ("bug", head + f"   ours: {our_error}\n   theirs: {their_error}\n") if bug else ("both refuse", None)
    if ours is None and "overflows BIGINT" in our_error and "SUM(" in ours_sql:
        return "sum beyond BIGINT", None
    if ours is None:
        return "we refuse", head + f"   ours: {our_error}\n"
    if theirs is None:
        if "non-integer literal" in their_error:
            return "they refuse", None
        return "they refuse", head + f"   theirs: {their_error}\n   {theirs_sql}\n"
    difference = compare(ours, theirs, ordered)
    if difference:
        return "differ", head + f"   {difference}\n   theirs: {theirs_sql}\n"
    return "agree", None


if __name__ == "__main__":
    sys.exit(main())
