#!/usr/bin/env python3
"""Other engines' queries, rows and answers, run through millstream.

    python compare/cases.py FOLDER [--only datafusion] [--match text] [--show-refused]

FOLDER holds `cases/*.jsonl` (one case per line; the forms are those the loaders below read) and the data they name. A case
agrees, differs, or is refused; refusals are counted by message. Needs pyarrow.
"""

import argparse
import collections
import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor

import pyarrow as pa
import pyarrow.parquet as pq

TYPES = {"INT": pa.int32(), "INTEGER": pa.int32(), "BIGINT": pa.int64(), "SMALLINT": pa.int16(), "VARCHAR": pa.string(), "TEXT": pa.string(),
         "DOUBLE": pa.float64(), "DOUBLE PRECISION": pa.float64(), "FLOAT": pa.float64(), "REAL": pa.float32(), "BOOLEAN": pa.bool_(),
         "TIMESTAMP": pa.timestamp("us"), "DATE": pa.date32()}


def quoted(name):
    return '"' + name.replace('"', '""') + '"'


class Case:
    def __init__(self, name, sql, rows, ordered, folder, is_error=False):
        self.name, self.sql, self.rows, self.ordered, self.folder, self.is_error = name, sql, rows, ordered, folder, is_error


def table(name, path):
    return f"CREATE TABLE {quoted(name)} WITH ('connector' = 'file', 'path' = '{path}');\n"


def write(folder, name, columns, rows):
    """A table of these rows as Parquet; None when a type is not known here."""
    arrays = []
    for at, (_, sql_type) in enumerate(columns):
        arrow = TYPES.get(sql_type.upper())
        values = [row[at] for row in rows]
        if arrow is None:
            return None
        if pa.types.is_timestamp(arrow) or pa.types.is_date(arrow):
            arrays.append(pa.array(values, type=pa.string()).cast(arrow))
        else:
            arrays.append(pa.array(values, type=arrow))
    path = os.path.join(folder, f"{hashlib.md5((name + str(len(rows)) + str(rows)).encode()).hexdigest()}.parquet")
    pq.write_table(pa.table(arrays, names=[c[0] for c in columns]), path)
    return table(name, path)


def datafusion(root, scratch):
    for case in lines(root, "datafusion"):
        if case.get("df") == "differ":
            # Its tables are not as the query found them.
            continue
        sql = "".join(table(name, os.path.join(root, "data/df-tables", t["file"])) for name, t in case["tables"].items())
        yield Case(case["id"], sql + case["sql"], case.get("rows_text"), case.get("sort") == "nosort" and case.get("ordered"), None, "error" in case)


def risingwave(root, scratch):
    for group in lines(root, "risingwave"):
        for case in group["cases"]:
            sql, known = "", True
            for name, key in case["tables"].items():
                stream = group["streams"][key]
                rows = collections.OrderedDict()
                for seq, sign, row in stream["changes"]:
                    if seq <= case["upto"]:
                        at = json.dumps(row)
                        rows[at] = rows.get(at, 0) + (1 if sign == "+" else -1)
                left = [json.loads(row) for row, count in rows.items() for _ in range(count)]
                try:
                    made = write(scratch, name, stream["columns"], left)
                except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError):
                    made = None
                known &= made is not None
                sql += made or ""
            for name, key in case["views"].items():
                sql += f"CREATE VIEW {quoted(name)} AS {group['views'][key]['sql']};\n"
            if known:
                yield Case(case["id"], sql + case["sql"], case["expect"]["rows_text"], case["expect"]["ordered"], None)


def sqlite(root, scratch):
    for group in lines(root, "sqlite"):
        sql = "".join(write(scratch, name, t["columns"], t["rows"]) for name, t in group["tables"].items())
        for query in group["queries"]:
            yield Case(f"{group['id']}:{query['line']}", sql + query["sql"], (query["sort"], query["expect"]), None, None)


def windows(root, scratch):
    for case in lines(root, "windows-and-joins"):
        answers = case["expect"]["final"] + case["expect"]["emitted"]
        if any(isinstance(answer.get("value"), str) for answer in answers) or "emit-final" in case["features"] or any(r["tombstone"] for s in case["sources"] for r in s["rows"]):
            continue
        sql, known = "", True
        for source in case["sources"]:
            columns = [(c["name"], c["type"]) for c in source["columns"]] + [("rowtime", "BIGINT")]
            rows = [[(r["row"] or {}).get(c["name"]) for c in source["columns"]] + [r["ts"]] for r in source["rows"]]
            if source["kind"] == "table":
                key = [n for n, c in enumerate(source["columns"]) if c["key"]]
                rows = list({json.dumps([row[n] for n in key]): row for row in rows}.values())
            try:
                made = write(scratch, "raw_" + source["name"].lower(), columns, rows)
            except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError):
                made = None
            known &= made is not None
            names = ", ".join(quoted(c[0]) for c in columns[:-1])
            sql += (made or "") + f"CREATE VIEW {source['name'].lower()} AS SELECT {names}, to_timestamp_millis(rowtime) AS rowtime FROM raw_{source['name'].lower()};\n"
        if not known:
            continue
        rows = []
        for final in case["expect"]["final"]:
            values = named(final.get("value"))
            key = final.get("key")
            for at, name in enumerate(case["key_columns"]):
                values[name] = (key[name] if isinstance(key, dict) else key[at] if isinstance(key, list) else key)
            if final.get("window"):
                values["window_start"], values["window_end"] = final["window"]
            rows.append([values.get(name, "*") for name in case["out_columns"]])
        is_table = case["sink_kind"] == "table"
        if not is_table:
            rows = []
            for emitted in case["expect"]["emitted"]:
                values = named(emitted.get("value"))
                for at, name in enumerate(case["key_columns"]):
                    key = emitted.get("key")
                    values[name] = (key[name] if isinstance(key, dict) else key[at] if isinstance(key, list) else key)
                rows.append([values.get(name, "*") for name in case["out_columns"]])
        yield Case(case["id"], sql + case["sql"], ("cells", rows), False, None)


def named(value):
    return dict(value) if isinstance(value, dict) else {}


LOADERS = {"datafusion": datafusion, "risingwave": risingwave, "sqlite": sqlite, "windows": windows}


def lines(root, name):
    with open(os.path.join(root, "cases", name + ".jsonl")) as text:
        return [json.loads(line) for line in text]


def run(binary, sql):
    ran = subprocess.run([binary, "-c", sql, "--format", "ndjson", "--quiet"], capture_output=True, timeout=60)
    if ran.returncode != 0:
        return None, ran.returncode, ran.stderr.decode(errors="replace").strip()
    keep = lambda pairs: list(v for _, v in pairs)
    text = ran.stdout.decode()
    return [json.loads(line, object_pairs_hook=Record, parse_float=str, parse_int=str) for line in text.splitlines()], 0, ""


class Record(dict):
    """A JSON object whose cells keep their order."""


def cell(value):
    if value is None:
        return "NULL"
    if value is True or value is False:
        return str(value).lower()
    if isinstance(value, list):
        return "[" + ", ".join(cell(v) for v in value) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{k}: {cell(v)}" for k, v in value.items()) + "}"
    return "(empty)" if value == "" else value


def tokens(line):
    return [token for token in re.split(r"[\s,\[\]{}:]+", line.strip()) if token]


def same_token(a, b):
    if a == b or a.strip("'\"") == b.strip("'\""):
        return True
    if b == "*":
        # A key that the case does not tell.
        return True
    if a == "NULL" and b.lower() in ("nan", "infinity", "-infinity", "inf", "-inf"):
        # JSON has no word for them.
        return True
    try:
        x, y = float(a), float(b)
    except ValueError:
        # A date and a time at its midnight; T or a blank between them; a zone of none.
        plain = lambda t: t.replace("T00:00:00", "").rstrip("Z").removesuffix("+00:00")
        return plain(a) == plain(b) or a.lower() in ("t", "f") and a[0] == b[0] or b.lower() in ("t", "f") and a[0] == b[0]
    return x == y or (x != x and y != y) or abs(x - y) <= 1e-9 * max(abs(x), abs(y), 1)


def spans(line):
    """Spans of time as months, days and nanoseconds, in both spellings."""
    def iso(m):
        seconds = m[3] or "0"
        return f"span({m[1] or 0},{m[2] or 0},{round(float(seconds) * 1e9)})"
    def words(m):
        sums = {"mon": 0, "day": 0, "sec": 0.0}
        for number, unit in re.findall(r"(-?[\d.]+) (year|mon|day|hour|min|sec)", m[0]):
            at, factor = {"year": ("mon", 12), "mon": ("mon", 1), "day": ("day", 1), "hour": ("sec", 3600), "min": ("sec", 60), "sec": ("sec", 1)}[unit]
            sums[at] += (float if at == "sec" else int)(number) * factor
        return f"span({sums['mon']},{sums['day']},{round(sums['sec'] * 1e9)})"
    line = re.sub(r"\bP(?=[-\dT])(?:(-?\d+)M)?(?:(-?\d+)D)?(?:T(-?[\d.]+)S)?", iso, line)
    return re.sub(r"-?[\d.]+ (?:year|mon|day|hour|min|sec)s?(?: -?[\d.]+ (?:year|mon|day|hour|min|sec)s?)*", words, line)


def same_line(a, b):
    a, b = spans(a), spans(b)
    # The difference of two times is a span of seconds here, days and seconds there.
    flat = lambda m: f"span({m[1]},{int(m[2]) * 86_400_000_000_000 + int(m[3])})"
    a, b = (re.sub(r"span\((-?\d+),(-?\d+),(-?\d+)\)", flat, line) for line in (a, b))
    a, b = tokens(a.replace("T", " ")), tokens(b.replace("T", " "))
    if len(a) != len(b):
        # Midnight may be left away.
        midnight = lambda ts: [t for t in ts if t not in ("00", "00Z")]
        a, b = midnight(a), midnight(b)
    return len(a) == len(b) and all(map(same_token, a, b))


def check(binary, case):
    try:
        answer, code, error = run(binary, case.sql)
    except subprocess.TimeoutExpired:
        return "hangs", ""
    if answer is None:
        if code not in (1, 2) or "panic" in error:
            return "bug", error
        return ("agree", "") if case.is_error else ("refused", error)
    if case.is_error:
        return "accepted", json.dumps(answer)[:300]
    shown = [" ".join(cell(v) for v in row.values()) for row in answer]
    expected = case.rows
    if isinstance(expected, tuple) and expected[0] == "cells":
        flat = lambda v: "NULL" if v is None else str(v).lower() if isinstance(v, bool) else json.dumps(v) if isinstance(v, (dict, list)) else str(v)
        expected = [" ".join(flat(v) or "(empty)" for v in row) for row in expected[1]]
        millis = re.compile(r"1970-01-0(\d)T(\d\d):(\d\d):(\d\d)(?:\.(\d+))?")
        to_ms = lambda m: str((((int(m[1]) - 1) * 24 + int(m[2])) * 60 + int(m[3])) * 60_000 + int(m[4]) * 1000 + int((m[5] or "0").ljust(3, "0")[:3]))
        shown = [millis.sub(to_ms, line) for line in shown]
    elif isinstance(expected, tuple):
        return check_sqlite(answer, *expected)
    if not case.ordered:
        shown, expected = sorted(shown), sorted(expected)
    if len(shown) == len(expected):
        left = list(expected)
        for line in shown:
            at = next((n for n, other in enumerate(left) if same_line(line, other)), None)
            if at is None or (case.ordered and at != 0):
                break
            left.pop(at)
        else:
            return "agree", ""
    return "differ", "ours:\n    " + "\n    ".join(shown[:8]) + "\n  theirs:\n    " + "\n    ".join(expected[:8])


def check_sqlite(answer, sort, expected):
    rows = [[str(cell(v)) for v in row.values()] for row in answer]
    if sort == "rowsort":
        rows.sort()
    values = [v for row in rows for v in row]
    if sort == "valuesort":
        values.sort()
    if len(expected) == 1 and " values hashing to " in expected[0]:
        digest = hashlib.md5("".join(v + "\n" for v in values).encode()).hexdigest()
        ours = [f"{len(values)} values hashing to {digest}"]
    else:
        ours = values
    return ("agree", "") if ours == [str(e) for e in expected] else ("differ", f"ours {ours[:12]}\n  theirs {expected[:12]}")


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("folder")
    arguments.add_argument("--binary", default="target/debug/millstream")
    arguments.add_argument("--only")
    arguments.add_argument("--match", default="")
    arguments.add_argument("--show-refused", action="store_true")
    arguments = arguments.parse_args()
    bad = 0
    for name, load in LOADERS.items():
        if arguments.only not in (None, name):
            continue
        with tempfile.TemporaryDirectory() as scratch, ThreadPoolExecutor(2) as pool:
            cases = [case for case in load(arguments.folder, scratch) if arguments.match in case.name]
            outcomes = list(pool.map(lambda case: check(arguments.binary, case), cases))
        tally, reasons = collections.Counter(o for o, _ in outcomes), collections.Counter()
        for case, (outcome, text) in zip(cases, outcomes):
            if outcome == "refused":
                reasons[re.sub(r"[:(].*", "", text.splitlines()[0].removeprefix("error: "))] += 1
            if outcome in ("differ", "bug", "hangs", "accepted") or (outcome == "refused" and arguments.show_refused):
                query = case.sql.splitlines()
                print(f"== {outcome} {case.name}\n  " + "\n  ".join(l for l in query if not l.startswith("CREATE TABLE")) + f"\n  {text}\n")
            bad += outcome in ("differ", "bug", "hangs")
        print(f"{name}: {dict(tally)}")
        for reason, count in reasons.most_common(40):
            print(f"  {count:5} refused: {reason}")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
