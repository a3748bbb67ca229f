#!/usr/bin/env python3
"""Random joins, subqueries and set operations, answered by millstream and by DuckDB, compared as multisets.

    cargo build && /tmp/oracle/bin/python compare/joins.py --count 300 --seed 1

Data, expressions and comparison are those of `oracle.py`; `--seed 417 --count 1` repeats one query.
"""

import os
import random
import subprocess
import sys

import duckdb

from oracle import KINDS, Data, Query, compare, run, run_ours, run_theirs

KEYS = ["int", "int", "int", "str", "bool", "date", "dec", "big"]


class JoinQuery(Query):
    """Queries over `t` and `u`, under the names k, l, m, n (no columns are called so); subqueries over p and q."""

    def scope(self, *names):
        self.columns = {f"{name}.{column}": kind for name in names for column, kind in KINDS.items()}

    def of(self, name, kind):
        """A column of one table."""
        return self.same(f"{name}." + self.rng.choice([column for column, k in KINDS.items() if k == kind]))

    def key(self, left, right):
        """An equality that both sides have a part in."""
        rng, kind = self.rng, self.rng.choice(KEYS)
        a, b = self.of(left, kind), self.of(right, kind)
        if rng.random() < 0.15:
            a = self.join("({} + 1)", self.of(left, "int"))
            b = self.of(right, "int")
        word = "({} IS NOT DISTINCT FROM {})" if rng.random() < 0.15 else "{} = {}"
        return self.join(word, a, b) if rng.random() < 0.8 else self.join(word, b, a)

    def condition(self, left, right):
        rng = self.rng
        parts = [self.key(left, right) for _ in range(rng.choice([0, 1, 1, 1, 1, 2]))]
        if not parts or rng.random() < 0.4:
            kind = rng.choice(["int", "float", "time", "str"])
            parts.append(self.join("{} " + rng.choice(["<", ">=", "<>"]) + " {}", self.of(left, kind), self.of(right, kind)))
        if rng.random() < 0.3:
            kept = self.columns
            self.scope(*rng.choice([[left], [right], [left, right]]))
            parts.append(self.expr("bool", 1))
            self.columns = kept
        return self.join(" AND ".join(["{}"] * len(parts)), *parts)

    def source(self):
        """FROM of one to three tables."""
        rng = self.rng
        text, names = self.same(f"{rng.choice('tu')} AS k"), ["k"]
        for name in "lm"[:rng.choice([1, 1, 1, 2, 2])]:
            table = f"{rng.choice('tu')} AS {name}"
            kind = rng.choice(["JOIN", "JOIN", "JOIN", "LEFT JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN", "SEMI", "ANTI", "CROSS"])
            on = self.condition(rng.choice(names), name)
            if kind == "CROSS":
                text = self.join(f"{{}} CROSS JOIN (SELECT * FROM {table[0]} WHERE j = 1 AND i < 3) AS {name}", text)
                names.append(name)
            elif kind in ("SEMI", "ANTI"):
                text = text[0] + f" LEFT {kind} JOIN {table} ON {on[0]}", text[1] + f" {kind} JOIN {table} ON {on[1]}"
            else:
                if kind == "FULL JOIN" and " = " not in on[0]:
                    kind = "LEFT JOIN"
                text = self.join(f"{{}} {kind} {table} ON {{}}", text, on)
                names.append(name)
        return text, names

    def subquery(self, names):
        """A condition with a query in it."""
        rng = self.rng
        outer = rng.choice(names)
        table = rng.choice("tu")
        kind = rng.choice(["int", "int", "str", "date"])
        value, own = self.of("p", kind), self.of(outer, kind)
        kept = self.columns
        self.scope("p")
        inner = self.expr("bool", 1)
        self.columns = kept
        links = [self.join("{} = {}", self.of("p", k), self.of(outer, k)) for k in [rng.choice(KEYS)]]
        if rng.random() < 0.3:
            links.append(self.join("{} < {}", self.of("p", "float"), self.of(outer, "float")))
        link = self.join(" AND ".join(["{}"] * len(links)), *links)
        where = rng.choice([inner, link, link, self.join("{} AND {}", link, inner), self.same("true")])
        word = rng.choice(["", "NOT "])
        aggregate = rng.choice(["MAX({})", "MIN({})", "COUNT({})"])
        op = rng.choice(["=", "<", ">=", "<>"])
        def scalar():
            if aggregate.startswith("COUNT"):
                return self.join(f"{{}} {op} (SELECT {aggregate} FROM {table} AS p WHERE {{}})", self.of(outer, "int"), value, where)
            return self.join(f"{{}} {op} (SELECT {aggregate} FROM {table} AS p WHERE {{}})", own, value, where)
        return self.pick(
            lambda: self.join(f"{word}EXISTS (SELECT 1 FROM {table} AS p WHERE {{}})", where),
            lambda: self.join(f"{{}} {word}IN (SELECT {{}} FROM {table} AS p WHERE {{}})", own, value, where),
            lambda: self.join(f"{{}} {word}IN (SELECT {{}} FROM {table} AS p WHERE {{}})", own, value, inner),
            scalar,
            scalar,
        )

    def where(self, names=None):
        names = names or [name for name in "klm" if any(column.startswith(name + ".") for column in self.columns)]
        parts = []
        for _ in range(self.rng.choice([0, 0, 1, 1, 2])):
            parts.append(self.subquery(names) if self.rng.random() < 0.7 else self.expr("bool", 2))
        if not parts:
            return self.same("")
        word = self.rng.choice([" AND ", " AND ", " AND ", " OR "])
        return self.join(" WHERE " + word.join(["({})"] * len(parts)), *parts)

    def make(self):
        self.columns = {}
        form = self.rng.choice(["plain", "plain", "plain", "group", "count", "distinct", "set", "comma"])
        return getattr(self, f"make_{form}")()

    def make_plain(self):
        source, names = self.source()
        self.scope(*names)
        exprs = [self.column(kind) if self.rng.random() < 0.8 else self.expr(kind, 1) for kind in self.kinds(1, 5)]
        if self.rng.random() < 0.15:
            link = self.join("{} = {}", self.of("p", "int"), self.of(names[0], "int"))
            exprs.append(self.join("(SELECT " + self.rng.choice(["COUNT(*)", "MAX(p.s)", "SUM(p.j)"]) + " FROM u AS p WHERE {})",
                                   self.rng.choice([link, self.same("p.i > 0")])))
        return self.finish(self.join("SELECT {} FROM {}{}", self.named(exprs), source, self.where(names)), len(exprs))

    def make_count(self):
        source, names = self.source()
        self.scope(*names)
        return self.join("SELECT COUNT(*) AS c0 FROM {}{}", source, self.where(names)) + (False,)

    def make_distinct(self):
        source, names = self.source()
        self.scope(*names)
        exprs = [self.column(kind) for kind in self.kinds(1, 3)]
        return self.finish(self.join("SELECT DISTINCT {} FROM {}{}", self.named(exprs), source, self.where(names)), len(exprs))

    def make_group(self):
        source, names = self.source()
        self.scope(*names)
        exprs = [self.column(kind) for kind in self.kinds(1, 2)]
        exprs = [key for key in exprs if "." in key[0]] or [self.of(names[0], "int")]
        by = self.same(", ".join(str(n + 1) for n in range(len(exprs))))
        exprs += [self.aggregate() for _ in range(self.rng.randint(1, 3))]
        return self.finish(self.join("SELECT {} FROM {}{} GROUP BY {}", self.named(exprs), source, self.where(names), by), len(exprs))

    def make_comma(self):
        """Three or four tables, keys in WHERE: the order is the engine's."""
        names = list("klmn"[:self.rng.choice([3, 3, 4])])
        source = self.same(", ".join(f"{self.rng.choice('vw')} AS {name}" for name in names))
        self.scope(*names)
        parts = [self.key(self.rng.choice(names[:at]), name) for at, name in enumerate(names) if at]
        parts += [self.key(*self.rng.sample(names, 2)) for _ in range(self.rng.choice([0, 0, 1]))]
        if self.rng.random() < 0.4:
            parts.append(self.expr("bool", 1))
        if self.rng.random() < 0.3:
            parts.append(self.subquery(names))
        exprs = [self.column(kind) for kind in self.kinds(1, 4)]
        where = self.join(" AND ".join(["({})"] * len(parts)), *parts)
        return self.finish(self.join("SELECT {} FROM {} WHERE {}", self.named(exprs), source, where), len(exprs))

    def make_set(self):
        kinds = self.kinds(1, 3)
        word = self.rng.choice(["INTERSECT", "INTERSECT ALL", "EXCEPT", "EXCEPT ALL", "UNION"])
        def side(name):
            self.scope(name)
            columns = self.named([self.column(kind) for kind in kinds])
            return self.join(f"SELECT {{}} FROM {self.rng.choice('tu')} AS {name}{{}}", columns, self.where([name]))
        return self.finish(self.join(f"{{}} {word} {{}}", side("k"), side("l")), len(kinds))


def main():
    return run(__doc__, one, ["agree", "both refuse", "sum beyond BIGINT", "they refuse", "too large"])


def one(seed, folder, arguments):
    rng = random.Random(seed)
    tables = {}
    for name in "tu":
        os.mkdir(os.path.join(folder, name))
        tables[name] = Data(rng, os.path.join(folder, name), "parquet", rows=rng.choice([0, 1, 2, 10, 40, 100, 300]))
    ours_sql, theirs_sql, ordered = JoinQuery(rng).make()
    text = "\n".join(f"CREATE TABLE {name} WITH ('connector' = 'file', 'path' = '{data.path}');" for name, data in tables.items())
    options = ["--batch-rows", str(rng.choice([1, 7, 100, 8192])), "--partitions", str(rng.choice([1, 2, 3]))]
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    for name, data in tables.items():
        connection.execute(f"CREATE TABLE {name} AS SELECT * FROM '{data.parquet}'")
    for view, name in [("v", "t"), ("w", "u")]:
        text += f"\nCREATE VIEW {view} AS SELECT * FROM {name} WHERE i BETWEEN -8 AND 8;"
        connection.execute(f"CREATE VIEW {view} AS SELECT * FROM {name} WHERE i BETWEEN -8 AND 8")
    text += "\n" + ours_sql
    theirs, their_error = run_theirs(connection, theirs_sql)
    if theirs is not None and len(theirs) > 300_000:
        return "too large", None
    try:
        ours, our_error = run_ours(arguments.binary, text, os.path.join(folder, "out.parquet"), options)
    except subprocess.TimeoutExpired:
        ours, our_error = None, "it hangs"
    head = f"== seed {seed} ({' '.join(str(len(data.columns['i'])) for data in tables.values())} rows, {' '.join(options)})\n{text}\n"
    if ours is None and theirs is None:
        bug = our_error.startswith("exit 3") or our_error == "it hangs"
        return ("bug", head + f"   ours: {our_error}\n   theirs: {their_error}\n") if bug else ("both refuse", None)
    if ours is None and "overflows BIGINT" in our_error and "SUM(" in ours_sql:
        return "sum beyond BIGINT", None
    if ours is None:
        return "we refuse", head + f"   ours: {our_error}\n"
    if theirs is None:
        return "they refuse", None
    difference = compare(ours, theirs, ordered)
    if difference:
        return "differ", head + f"   {difference}\n   theirs: {theirs_sql}\n"
    return "agree", None


if __name__ == "__main__":
    sys.exit(main())
