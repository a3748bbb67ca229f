#!/usr/bin/env python3
"""The queries of a suite in Flink: `flink.py queries.json --threads N --repeat N`; what it reads and prints is as in peers.py.

Flink comes from its Python package (`pip install apache-flink`), or from the folder of jars that FLINK_LIB names; the
sources beside it (flink/*.java) are compiled with the JDK at hand. Rows are in the JVM's memory before the clock starts.
"""
import argparse
import glob
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile

arguments = argparse.ArgumentParser()
arguments.add_argument("queries")
arguments.add_argument("--threads", type=int, default=1)
arguments.add_argument("--repeat", type=int, default=3)
arguments.add_argument("--engine")
given = arguments.parse_args()

HEAP = "8g"
# Names in the suites' queries that are reserved words in Flink.
RESERVED = re.compile(r"(?<!`)\b(dateTime|final|key|value|(?<=AS )(?:day|minute))\b(?!`)")
OPENED = ("lang", "util", "nio", "net", "util.concurrent")


def refuse(why):
    print(json.dumps(dict(missing=why)), flush=True)
    sys.exit(0)


def jars():
    folder = os.environ.get("FLINK_LIB")
    if not folder:
        try:
            import importlib.util
            folder = os.path.join(os.path.dirname(importlib.util.find_spec("pyflink").origin), "lib")
        except AttributeError:
            refuse("Flink is not there; pip install apache-flink, or name its folder of jars in FLINK_LIB")
    if not glob.glob(f"{folder}/flink-dist*.jar"):
        refuse(f"there is no flink-dist*.jar in {folder}")
    return folder


def export(table, folder):
    """Writes a table as lines for the JVM, and says how Flink is to declare it."""
    import pyarrow as pa
    import pyarrow.csv
    import pyarrow.parquet as pq
    rows = pq.read_table(table["path"])
    kinds, columns = "", []
    for index, field in enumerate(rows.schema):
        column = rows[field.name]
        if column.null_count:
            refuse(f"NULLs are not handed to Flink: {table['name']}.{field.name}")
        if pa.types.is_timestamp(field.type):
            kind, name, column = "t", "TIMESTAMP(3)", column.cast(pa.timestamp("ms")).cast(pa.int64())
        elif pa.types.is_integer(field.type):
            kind, name, column = "b", "BIGINT", column.cast(pa.int64())
        elif pa.types.is_string(field.type) or pa.types.is_large_string(field.type) or pa.types.is_string_view(field.type):
            kind, name, column = "s", "STRING", column.cast(pa.string())
        else:
            refuse(f"columns of type {field.type} are not handed to Flink: {table['name']}.{field.name}")
        rows = rows.set_column(index, field.name, column)
        kinds += kind
        columns.append(f"`{field.name}` {name}")
    if "dateTime" in rows.column_names:
        columns += ["WATERMARK FOR `dateTime` AS `dateTime` - INTERVAL '4' SECOND", "`proctime` AS PROCTIME()"]
    path = os.path.join(folder, table["name"] + ".rows")
    options = pa.csv.WriteOptions(include_header=False, delimiter="\x01", quoting_style="none")
    pa.csv.write_csv(rows, path, options)
    return dict(name=table["name"], kinds=kinds, rows=path, columns=", ".join(columns))


if not shutil.which("javac"):
    refuse("a JDK (javac) is not there")
try:
    import pyarrow  # noqa: F401
except ImportError:
    refuse("Python has no module pyarrow; pip install pyarrow")
lib = jars()
suite = json.load(open(given.queries))
here = os.path.dirname(os.path.abspath(__file__))
with tempfile.TemporaryDirectory() as folder:
    services = os.path.join(folder, "META-INF", "services")
    os.makedirs(services)
    with open(os.path.join(services, "org.apache.flink.table.factories.Factory"), "w") as file:
        file.write("Replay\nDigest\n")
    with open(os.path.join(folder, "log4j2.properties"), "w") as file:
        file.write("rootLogger.level = OFF\n")
    sources = sorted(glob.glob(os.path.join(here, "flink", "*.java")))
    subprocess.run(["javac", "-nowarn", "-cp", f"{lib}/*", "-d", folder, *sources], check=True)
    words = [(query["name"], query.get("flink") or query["sql"]) for query in suite["queries"]]
    queries = [dict(name=name, sql=RESERVED.sub(r"`\1`", sql)) for name, sql in words]
    tables = [export(table, folder) for table in suite["tables"]]
    told = os.path.join(folder, "queries.json")
    with open(told, "w") as file:
        json.dump(dict(tables=tables, queries=queries), file)
    opened = [f"--add-opens=java.base/java.{name}=ALL-UNNAMED" for name in OPENED]
    logs = f"-Dlog4j.configurationFile={folder}/log4j2.properties"
    command = ["java", f"-Xmx{HEAP}", "-XX:+UseParallelGC", f"-Djava.io.tmpdir={folder}", logs, *opened, "-cp", f"{folder}:{lib}/*", "Peer", told]
    sys.exit(subprocess.run([*command, str(given.threads), str(given.repeat)]).returncode)
