#!/usr/bin/env python3
"""Every form of subquery at every place of a query, answered by millstream and by DuckDB over small random tables.

    cargo build && /tmp/oracle/bin/python compare/subqueries.py --share 0.1 --seed 1

`--share` is how many of the combinations are tried, `--places` and `--forms` name some; each has tables of its own. `{k}` and
`{n}` are the columns that a subquery sees: of the place, its groups, or aggregates of it. Combinations that one of the two refuses
are counted; `--show` prints them too. Needs duckdb.
"""

import argparse
import collections
import json
import random
import re
import subprocess
import sys

import duckdb

FORMS = {
 'count': "(SELECT count(*) FROM b WHERE b.k = {k})",
 'maxlt': "(SELECT max(b.m) FROM b WHERE b.m < {n})",
 'sumne': "(SELECT sum(b.m) FROM b WHERE b.k = {k} AND b.m <> {n})",
 'lim': "(SELECT b.m FROM b WHERE b.k = {k} ORDER BY b.m, b.id LIMIT 1)",
 'off': "(SELECT b.m FROM b WHERE b.k = {k} ORDER BY b.m, b.id LIMIT 1 OFFSET 1)",
 'limexpr': "(SELECT b.m FROM b ORDER BY abs(b.m - {n}), b.id LIMIT 1)",
 'derived': "(SELECT max(x) FROM (SELECT b.m + {n} AS x FROM b WHERE b.k = {k}) q)",
 'union': "(SELECT count(*) FROM (SELECT b.m FROM b WHERE b.k = {k} UNION SELECT c.p FROM c WHERE c.k = {n}) q)",
 'unionall': "(SELECT sum(v) FROM (SELECT b.m AS v FROM b WHERE b.k = {k} UNION ALL SELECT c.p FROM c WHERE c.k = {k}) q)",
 'intersect': "(SELECT count(*) FROM (SELECT b.m FROM b WHERE b.k = {k} INTERSECT SELECT c.p FROM c) q)",
 'except': "(SELECT count(*) FROM (SELECT b.m FROM b EXCEPT SELECT c.p FROM c WHERE c.k = {k}) q)",
 'distinct': "(SELECT count(DISTINCT b.m) FROM b WHERE b.k >= {k})",
 'rn': "(SELECT max(r) FROM (SELECT row_number() OVER (ORDER BY b.m, b.id) AS r FROM b WHERE b.k = {k}) q)",
 'winouter': "(SELECT sum(w) FROM (SELECT sum(b.m + {n}) OVER (ORDER BY b.id) AS w FROM b WHERE b.k <= {k}) q)",
 'grp': "(SELECT sum(t) FROM (SELECT count(*) AS t FROM b WHERE b.k <= {k} GROUP BY b.m) q)",
 'grpouter': "(SELECT max(t) FROM (SELECT count(*) AS t FROM b GROUP BY b.m + {n}) q)",
 'leftin': "(SELECT count(c.p) FROM b LEFT JOIN c ON b.k = c.k AND c.p = {n})",
 'fullin': "(SELECT count(*) FROM (SELECT * FROM b WHERE b.k = {k}) x FULL JOIN c ON x.k = c.k)",
 'existsin': "(SELECT count(*) FROM b WHERE EXISTS (SELECT 1 FROM c WHERE c.k = b.k AND c.p >= {n}))",
 'inin': "(SELECT count(*) FROM b WHERE b.m IN (SELECT c.p FROM c WHERE c.k = {k}))",
 'notinin': "(SELECT count(*) FROM b WHERE b.m NOT IN (SELECT c.p FROM c WHERE c.k = {k}))",
 'nested': "(SELECT max((SELECT max(c.p) FROM c WHERE c.k = b.k AND c.p <> {n})) FROM b WHERE b.k = {k})",
 'nested3': "(SELECT sum((SELECT count(*) FROM c WHERE c.p > (SELECT min(d.m) FROM b d WHERE d.k = b.k AND d.m > {n}))) FROM b)",
 'self': "(SELECT {n})",
 'selfwhere': "(SELECT {n} + 1 WHERE {n} > 2)",
 'values': "(SELECT max(v) FROM (VALUES ({n}), ({k})) t(v))",
 'rollup': "(SELECT count(*) FROM (SELECT b.k, count(*) FROM b WHERE b.m > {n} GROUP BY ROLLUP (b.k)) q)",
 'setouter': "(SELECT count(*) FROM (SELECT {n} AS oo, count(*) FROM b GROUP BY GROUPING SETS (({n}), ())) q)",
 'setouter1': "(SELECT count(*) FROM (SELECT {n} AS oo FROM b GROUP BY GROUPING SETS (({n}))) q)",
 'setmixed': "(SELECT sum(z) FROM (SELECT b.k, {n} AS oo, count(*) AS z FROM b GROUP BY GROUPING SETS ((b.k, {n}), ({n}), (b.k), ())) q)",
 'cubeouter': "(SELECT count(*) FROM (SELECT b.k FROM b GROUP BY CUBE (b.k, {n})) q)",
 'dblempty': "(SELECT count(*) FROM (SELECT b.k, count(*) FROM b WHERE b.k = {k} GROUP BY GROUPING SETS ((b.k), (), ())) q)",
 'having': "(SELECT count(*) FROM b WHERE b.k = {k} HAVING count(*) > 1)",
 'having2': "(SELECT max(b.m) FROM b GROUP BY b.k HAVING b.k = {k})",
 'havingn': "(SELECT count(*) FROM (SELECT b.k FROM b GROUP BY b.k HAVING sum(b.m) > {n}) q)",
 'lat': "(SELECT sum(q.v) FROM b, LATERAL (SELECT b.m + c.p AS v FROM c WHERE c.k = b.k AND c.p <> {n}) q)",
 'latagg': "(SELECT sum(q.v) FROM b, LATERAL (SELECT count(*) AS v FROM c WHERE c.k = b.k AND c.p > {n}) q WHERE b.k = {k})",
 'latleft': "(SELECT count(q.v) FROM b LEFT JOIN LATERAL (SELECT c.p AS v FROM c WHERE c.k = b.k AND c.p > {n}) q ON true WHERE b.k = {k})",
 'series': "(SELECT count(*) FROM generate_series(1, {n}))",
 'unnest': "(SELECT sum(x) FROM (SELECT unnest([{n}, {k}, 1]) AS x) q)",
 'cte': "(WITH w AS (SELECT b.m FROM b WHERE b.k = {k}) SELECT sum(w.m) FROM w)",
 'cte2': "(WITH w AS (SELECT b.m FROM b WHERE b.k = {k}) SELECT count(*) FROM w x JOIN w y ON x.m <= y.m)",
 'case': "(SELECT max(CASE WHEN b.m > {n} THEN b.m ELSE {k} END) FROM b)",
 'filter': "(SELECT count(*) FILTER (WHERE b.m > {n}) FROM b)",
 'filter2': "(SELECT sum(b.m) FILTER (WHERE b.k = {k}) FROM b WHERE b.m <> {n})",
 'avg': "(SELECT avg(b.m) FROM b WHERE b.k = {k})",
 'qualify': "(SELECT b.m FROM b WHERE b.k = {k} QUALIFY row_number() OVER (ORDER BY b.m DESC NULLS LAST, b.id) = 1)",
 'diston': "(SELECT sum(m) FROM (SELECT DISTINCT ON (b.k) b.k, b.m FROM b WHERE b.m >= {n} ORDER BY b.k, b.m, b.id) q)",
 'distsub': "(SELECT sum(m) FROM (SELECT DISTINCT b.m FROM b WHERE b.k = {k}) q)",
 'crossagg': "(SELECT count(*) FROM b, c WHERE b.k = {k} AND c.k = {k})",
 'or': "(SELECT count(*) FROM b WHERE b.k = {k} OR b.m = {n})",
 'isnot': "(SELECT count(*) FROM b WHERE b.k IS NOT DISTINCT FROM {k})",
 'exprkey': "(SELECT max(b.m) FROM b WHERE b.k + 1 = {k})",
 'coalesce': "coalesce((SELECT max(b.m) FROM b WHERE b.k = {k}), -1)",
 'two': "((SELECT count(*) FROM b WHERE b.k = {k}) + (SELECT count(*) FROM c WHERE c.p = {n}))",
 'exists': "(CASE WHEN EXISTS (SELECT 1 FROM b WHERE b.k = {k} AND b.m > {n}) THEN 1 ELSE 0 END)",
 'notexists': "(CASE WHEN NOT EXISTS (SELECT 1 FROM b WHERE b.k = {k} OR b.m = {n}) THEN 1 ELSE 0 END)",
 'existslim': "(CASE WHEN EXISTS (SELECT 1 FROM b WHERE b.k = {k} ORDER BY b.m LIMIT 1 OFFSET 1) THEN 1 ELSE 0 END)",
 'existsagg': "(CASE WHEN EXISTS (SELECT count(*) FROM b WHERE b.k = {k}) THEN 1 ELSE 0 END)",
 'existshav': "(CASE WHEN EXISTS (SELECT b.m FROM b WHERE b.k = {k} GROUP BY b.m HAVING count(*) > 1) THEN 1 ELSE 0 END)",
 'in': "(CASE WHEN {n} IN (SELECT b.m FROM b WHERE b.k = {k}) THEN 1 WHEN {n} NOT IN (SELECT b.m FROM b WHERE b.k = {k}) THEN 0 END)",
 'inagg': "(CASE WHEN {n} IN (SELECT count(*) FROM b WHERE b.k = {k} GROUP BY b.m) THEN 1 ELSE 0 END)",
 'inlim': "(CASE WHEN {n} IN (SELECT b.m FROM b WHERE b.k = {k} ORDER BY b.m, b.id LIMIT 2) THEN 1 ELSE 0 END)",
 'inunion': "(CASE WHEN {n} IN (SELECT b.m FROM b WHERE b.k = {k} UNION ALL SELECT c.p FROM c WHERE c.k = {k}) THEN 1 ELSE 0 END)",
 'uncin': "(CASE WHEN {n} IN (SELECT b.m FROM b) THEN 1 WHEN {n} NOT IN (SELECT b.m FROM b) THEN 0 END)",
 'rowin': "(CASE WHEN ({k}, {n}) IN (SELECT b.k, b.m FROM b) THEN 1 ELSE 0 END)",
 'any': "(CASE WHEN {n} > ANY (SELECT b.m FROM b WHERE b.k = {k}) THEN 1 ELSE 0 END)",
 'all': "(CASE WHEN {n} <= ALL (SELECT b.m FROM b WHERE b.k = {k}) THEN 1 ELSE 0 END)",
 'eqany': "(CASE WHEN {n} = ANY (SELECT b.m FROM b WHERE b.k <> {k}) THEN 1 ELSE 0 END)",
 'neall': "(CASE WHEN {n} <> ALL (SELECT b.m FROM b WHERE b.k <> {k}) THEN 1 ELSE 0 END)",
 'array': "(SELECT array_length(ARRAY(SELECT b.m FROM b WHERE b.k = {k})))",
 'listagg': "(SELECT sum(array_length(l)) FROM (SELECT array_agg(b.m ORDER BY b.id) AS l FROM b WHERE b.k <= {k} GROUP BY b.k) q)",
 'inorder': "(SELECT count(*) FROM (SELECT b.m FROM b ORDER BY (SELECT count(*) FROM c WHERE c.k = b.k AND c.p > {n}), b.id LIMIT 2) q)",
 'ingroup': "(SELECT max(z) FROM (SELECT count(*) AS z FROM b GROUP BY (SELECT count(*) FROM c WHERE c.k = b.k AND c.p > {n})) q)",
 'inon': "(SELECT count(*) FROM b LEFT JOIN c ON b.k = c.k AND c.p > (SELECT min(d.m) FROM b d WHERE d.k = {k}))",
 'semi': "(SELECT count(*) FROM b WHERE (SELECT count(*) FROM c WHERE c.k = b.k) > {n})",
 'aggouter': "(SELECT sum(b.m * {n}) FROM b WHERE b.k = {k})",
 'avgdec': "(SELECT round(avg(b.m + {n}), 3) FROM b)",
 'anti': "(SELECT count(*) FROM b ANTI JOIN c ON b.k = c.k AND c.p = {n})",
 'semijoin': "(SELECT count(*) FROM b SEMI JOIN c ON b.k = c.k AND c.p > {n})",
 'natural': "(SELECT count(*) FROM b NATURAL JOIN c WHERE c.p > {n})",
 'using': "(SELECT max(m) FROM b LEFT JOIN c USING (k) WHERE k = {k} AND (p IS NULL OR p <> {n}))",
 'fullusing': "(SELECT count(k) FROM b FULL JOIN c USING (k) WHERE k = {k})",
 'star': "(SELECT count(*) FROM (SELECT * FROM b WHERE b.k = {k}) AS q)",
 'limit0': "(SELECT b.m FROM b WHERE b.k = {k} LIMIT 0)",
 'tbl2': "(SELECT max(x.m) FROM b x JOIN b y ON x.k = y.k AND x.m < y.m WHERE x.k = {k} AND y.m <> {n})",
 'recur': "(WITH RECURSIVE r(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM r WHERE i < 3) SELECT count(*) FROM r WHERE i <= {n})",
 'recur2': "(WITH RECURSIVE r(i) AS (SELECT {k} UNION ALL SELECT i + 1 FROM r WHERE i < 4) SELECT sum(i) FROM r)",
 'limitouter': "(SELECT count(*) FROM (SELECT b.m FROM b ORDER BY b.id LIMIT 3) q WHERE q.m > {n})",
 'pivotish': "(SELECT max(b.m) - min(b.m) FROM b WHERE b.s = (SELECT max(c.s) FROM c WHERE c.k = {k}))",
 'str': "(SELECT length(string_agg(b.s, ',' ORDER BY b.id)) FROM b WHERE b.k = {k})",
 'oneplus': "(SELECT 1 + max(b.m) FROM b WHERE b.k = {k})",
 'emptygrp': "(SELECT 7 FROM b WHERE b.k = {k} GROUP BY ())",
 'constagg': "(SELECT count(*) + {n} FROM b WHERE b.k = {k})",
 'aggmix': "(SELECT max(b.m) + {n} FROM b WHERE b.k = {k})",
 'anyv': "(SELECT CASE WHEN count(*) = 0 THEN -5 ELSE max(b.m) END FROM b WHERE b.k = {k})",
 'havouter': "(SELECT count(*) FROM b HAVING count(*) > {n})",
 'ordagg': "(SELECT b.k FROM b WHERE b.m <> {n} GROUP BY b.k ORDER BY count(*) DESC, b.k LIMIT 1)",
 'winrank': "(SELECT count(*) FROM (SELECT rank() OVER (PARTITION BY b.k ORDER BY b.m) AS r FROM b WHERE b.m > {n}) q WHERE r = 1)",
 'lag': "(SELECT sum(l) FROM (SELECT lag(b.m, 1, {n}) OVER (ORDER BY b.id) AS l FROM b WHERE b.k = {k}) q)",
 'winpart': "(SELECT max(z) FROM (SELECT count(*) OVER (PARTITION BY b.m > {n}) AS z FROM b) q)",
 'mark2': "(SELECT count(*) FROM b WHERE b.k = {k} AND (b.m > 3 OR EXISTS (SELECT 1 FROM c WHERE c.k = b.k AND c.p = {n})))",
}

# The query, and what its subquery sees.
PLACES = {
 'select': ("SELECT o.id, {S} AS x FROM a o", 'o.k', 'o.n'),
 'where': ("SELECT o.id FROM a o WHERE o.n >= {S}", 'o.k', 'o.n'),
 'wherenull': ("SELECT o.id FROM a o WHERE {S} IS NULL OR o.k = 1", 'o.k', 'o.n'),
 'wherenot': ("SELECT o.id FROM a o WHERE NOT ({S} > 1 AND o.n > 1)", 'o.k', 'o.n'),
 'case': ("SELECT o.id, CASE WHEN o.k > 1 THEN {S} WHEN o.k = 1 THEN -7 END AS x FROM a o", 'o.k', 'o.n'),
 'groupby': ("SELECT {S} AS x, count(*) AS z FROM a o GROUP BY 1", 'o.k', 'o.n'),
 'having': ("SELECT o.k, count(*) AS z FROM a o GROUP BY o.k HAVING count(*) > {S} OR {S} IS NULL", 'o.k', 'o.k'),
 'afteragg': ("SELECT o.k, {S} AS x FROM a o GROUP BY o.k", 'o.k', 'o.k'),
 'outeragg': ("SELECT o.k, {S} AS x FROM a o GROUP BY o.k", 'o.k', 'sum(o.n)'),
 'outeragg1': ("SELECT {S} AS x FROM a o", 'max(o.k)', 'count(*)'),
 'outeraggh': ("SELECT o.k, count(*) AS z FROM a o GROUP BY o.k HAVING {S} > 1", 'o.k', 'max(o.n)'),
 'outeraggk': ("SELECT o.s, {S} AS x FROM a o GROUP BY o.s", 'min(o.k)', 'max(o.n)'),
 'outeraggd': ("SELECT o.s, {S} AS x FROM a o GROUP BY o.s", 'min(o.k)', 'count(DISTINCT o.n)'),
 'outeraggo': ("SELECT o.k, count(*) AS z FROM a o GROUP BY o.k ORDER BY {S}, o.k", 'o.k', 'sum(o.n)'),
 'orderby': ("SELECT o.id FROM a o ORDER BY {S} NULLS LAST, o.id LIMIT 4", 'o.k', 'o.n'),
 'aggarg': ("SELECT sum({S}) AS x, count({S}) AS y FROM a o", 'o.k', 'o.n'),
 'aggarg2': ("SELECT o.k, max({S}) AS x FROM a o GROUP BY o.k", 'o.k', 'o.n'),
 'aggfilter': ("SELECT o.k, count(*) FILTER (WHERE {S} > 1) AS x FROM a o GROUP BY o.k", 'o.k', 'o.n'),
 'winarg': ("SELECT o.id, sum({S}) OVER (PARTITION BY o.k ORDER BY o.id) AS x FROM a o", 'o.k', 'o.n'),
 'winpart': ("SELECT o.id, count(*) OVER (PARTITION BY {S}) AS x FROM a o", 'o.k', 'o.n'),
 'winord': ("SELECT o.id, rank() OVER (ORDER BY {S}) AS x FROM a o", 'o.k', 'o.n'),
 'inneron': ("SELECT o.id, x.p FROM a o JOIN c x ON x.k = o.k AND x.p >= {S}", 'o.k', 'o.n'),
 'inneron2': ("SELECT o.id, x.p FROM a o JOIN c x ON x.k = o.k AND x.p >= {S}", 'o.k', 'x.p'),
 'lefton': ("SELECT o.id, x.p FROM a o LEFT JOIN c x ON x.k = o.k AND x.p >= {S}", 'o.k', 'o.n'),
 'lefton2': ("SELECT o.id, x.p FROM a o LEFT JOIN c x ON x.k = o.k AND x.p >= {S}", 'o.k', 'x.p'),
 'lefton3': ("SELECT o.id, x.p FROM a o LEFT JOIN c x ON o.n >= {S}", 'x.k', 'o.n'),
 'righton': ("SELECT o.id, x.p FROM a o RIGHT JOIN c x ON x.k = o.k AND o.n >= {S}", 'o.k', 'x.p'),
 'fullon': ("SELECT o.id, x.p FROM a o FULL JOIN c x ON x.k = o.k AND o.n >= {S}", 'o.k', 'x.p'),
 'fullonr': ("SELECT o.id, x.p FROM a o FULL JOIN c x ON x.k = o.k AND o.n >= {S}", 'x.k', 'x.p'),
 'semion': ("SELECT o.id FROM a o SEMI JOIN c x ON x.k = o.k AND x.p >= {S}", 'o.k', 'x.p'),
 'antion': ("SELECT o.id FROM a o ANTI JOIN c x ON x.k = o.k AND x.p >= {S}", 'o.k', 'x.p'),
 'overjoin': ("SELECT o.id, x.p, {S} AS y FROM a o LEFT JOIN c x ON x.k = o.k", 'o.k', 'x.p'),
 'inlist': ("SELECT o.id FROM a o WHERE o.n IN ({S}, 3)", 'o.k', 'o.n'),
 'between': ("SELECT o.id FROM a o WHERE o.n BETWEEN {S} AND 4", 'o.k', 'o.n'),
 'lateral': ("SELECT o.id, l.x FROM a o, LATERAL (SELECT {S} AS x) l", 'o.k', 'o.n'),
 'lateral2': ("SELECT o.id, l.x FROM a o LEFT JOIN LATERAL (SELECT {S} + e.p AS x FROM c e WHERE e.k = o.k) l ON true", 'o.k', 'o.n'),
 'rollup': ("SELECT o.k, {S} AS x FROM a o GROUP BY ROLLUP (o.k)", 'o.k', 'o.k'),
 'rollup2': ("SELECT o.k, o.s, {S} AS x FROM a o GROUP BY GROUPING SETS ((o.k), (o.s), ())", 'o.k', 'count(*)'),
 'rollupkey': ("SELECT {S} AS x, o.s, count(*) AS z FROM a o GROUP BY CUBE (1, 2)", 'o.k', 'o.n'),
 'distinct': ("SELECT DISTINCT {S} AS x FROM a o", 'o.k', 'o.n'),
 'distincton': ("SELECT DISTINCT ON (o.k) o.k, {S} AS x FROM a o ORDER BY o.k, o.id", 'o.k', 'o.n'),
 'qualify': ("SELECT o.id FROM a o QUALIFY row_number() OVER (PARTITION BY o.k ORDER BY {S}, o.id) = 1", 'o.k', 'o.n'),
 'cte': ("WITH w AS (SELECT o.id, o.k, o.n FROM a o WHERE o.n IS NOT NULL) SELECT w.id, {S} AS x FROM w", 'w.k', 'w.n'),
 'union': ("SELECT {S} AS x FROM a o UNION SELECT e.p FROM c e", 'o.k', 'o.n'),
 'derived': ("SELECT d.id, {S} AS x FROM (SELECT id, k, n + 1 AS nn FROM a WHERE k > 0 ORDER BY id LIMIT 5) d", 'd.k', 'd.nn'),
 'expr': ("SELECT o.id, {S} AS x FROM a o", 'o.k + 1', 'abs(o.n - 3)'),
 'arith': ("SELECT o.id, 2 * {S} - {S} AS x FROM a o WHERE {S} IS NOT NULL", 'o.k', 'o.n'),
 'twolevel': ("SELECT o.id, (SELECT max({S}) FROM c x WHERE x.k = o.k) AS y FROM a o", 'o.k', 'x.p'),
 'twolevel2': ("SELECT o.id FROM a o WHERE EXISTS (SELECT 1 FROM c x WHERE x.p <= {S})", 'o.k', 'x.k'),
 'twolevel3': ("SELECT o.id, (SELECT {S} FROM c x WHERE x.k = o.k ORDER BY x.p, x.id LIMIT 1) AS y FROM a o", 'x.k', 'o.n'),
 'unused': ("SELECT count(*) AS z FROM (SELECT o.id, {S} AS x FROM a o) q", 'o.k', 'o.n'),
 'wholeagg': ("SELECT count(*) AS z, sum(o.n) AS y FROM a o HAVING {S} IS NOT NULL", '2', 'count(*)'),
}


def table(rng, columns, rows):
    """Rows of small numbers and letters, some NULL, each with a number of its own."""
    def value(column):
        if rng.random() < 0.2:
            return None
        return rng.choice(["x", "y", "zz"]) if column == "s" else rng.randint(0, 4 if column == "k" else 6)
    return [[row] + [value(column) for column in columns] for row in range(rows)]


def literal(value, column):
    if value is None:
        return "NULL::" + ("TEXT" if column == "s" else "BIGINT")
    return f"'{value}'" if isinstance(value, str) else f"{value}::BIGINT"


def setup(rng):
    text = ""
    for name, columns in [("a", ["k", "n", "s"]), ("b", ["k", "m", "s"]), ("c", ["k", "p", "s"])]:
        named = ["id"] + columns
        rows = table(rng, columns, rng.choice([0, 1, 6, 10]) if rng.random() < 0.4 else 8)
        kept = "" if rows else " WHERE false"
        values = ["(" + ", ".join(map(literal, row, named)) + ")" for row in rows or table(rng, columns, 1)]
        text += f"CREATE TABLE {name} AS SELECT * FROM (VALUES {', '.join(values)}) AS v({', '.join(named)}){kept};\n"
    return text


def cell(value):
    if value is None or isinstance(value, bool):
        return str(value)
    try:
        return f"{float(value):.9g}"
    except (ValueError, TypeError):
        return str(value)


def run_ours(binary, sql, options):
    command = [binary, "-c", sql, "--format", "ndjson", "--quiet"] + options
    try:
        ran = subprocess.run(command, capture_output=True, text=True, timeout=60)
    except subprocess.TimeoutExpired:
        return None, "exit 3: it hangs"
    if ran.returncode:
        return None, f"exit {ran.returncode}: " + (ran.stderr.strip().splitlines() or ["?"])[0]
    rows = (json.loads(line, object_pairs_hook=list) for line in ran.stdout.splitlines())
    return sorted(tuple(cell(value) for _, value in row) for row in rows), ""


def run_theirs(tables, sql):
    connection = duckdb.connect(config={"threads": 1})
    connection.execute(tables)
    try:
        return sorted(tuple(map(cell, row)) for row in connection.execute(sql).fetchall()), ""
    except duckdb.Error as error:
        return None, str(error).splitlines()[0]


def outcome(ours, our_error, theirs):
    if ours is None and our_error.startswith("exit 3"):
        return "bug"
    if ours is None:
        return "both refuse" if theirs is None else "we refuse"
    if theirs is None:
        return "they refuse"
    return "agree" if ours == theirs else "differ"


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--binary", default="target/debug/millstream")
    arguments.add_argument("--seed", type=int, default=1)
    arguments.add_argument("--share", type=float, default=1.0)
    arguments.add_argument("--places", default="")
    arguments.add_argument("--forms", default="")
    arguments.add_argument("--show", action="store_true")
    arguments = arguments.parse_args()
    rng = random.Random(arguments.seed)
    tally, refused = collections.Counter(), collections.defaultdict(list)
    for place, (query, k, n) in PLACES.items():
        for form, subquery in FORMS.items():
            if place not in (arguments.places or place).split(",") or form not in (arguments.forms or form).split(","):
                continue
            if rng.random() > arguments.share:
                continue
            sql = query.replace("{S}", subquery.replace("{k}", k).replace("{n}", n))
            tables = setup(rng)
            options = ["--partitions", rng.choice("112"), "--batch-rows", rng.choice(["1", "3", "8192"])]
            ours, our_error = run_ours(arguments.binary, tables + sql.replace(" SEMI JOIN", " LEFT SEMI JOIN").replace(" ANTI JOIN", " LEFT ANTI JOIN"), options)
            theirs, their_error = run_theirs(tables, sql)
            kind = outcome(ours, our_error, theirs)
            tally[kind] += 1
            if kind == "we refuse":
                refused[re.sub(r"\(line.*|__outer_\w+", "", our_error)[:150]].append(f"{place}/{form}")
            if kind in ("bug", "differ") or arguments.show and kind != "agree":
                print(f"== {kind}: {place}/{form} {' '.join(options)}\n{tables}{sql}")
                print(f"   ours: {ours} {our_error}\n   theirs: {theirs} {their_error}\n", flush=True)
    for message, where in sorted(refused.items(), key=lambda item: -len(item[1])):
        print(f"{len(where)} refused, {message}: {' '.join(where[:6])}")
    print(dict(tally))
    return 1 if tally["differ"] or tally["bug"] else 0


if __name__ == "__main__":
    sys.exit(main())
