#!/usr/bin/env python3
"""The queries of a suite in another engine: `peers.py queries.json --engine duckdb|polars|datafusion|chdb`.

The file has tables (name, Parquet path), queries (name, SQL, and DuckDB's words for it where they differ), and whether
tables are to be read into memory first. A line of JSON per query goes to stdout: the least wall and CPU seconds, the most
memory, and a digest of the answer, by which `millstream bench` compares it with its own.
"""
import argparse
import json
import os
import resource
import sys
import time

arguments = argparse.ArgumentParser()
arguments.add_argument("queries")
arguments.add_argument("--engine", required=True)
arguments.add_argument("--threads", type=int, default=1)
arguments.add_argument("--repeat", type=int, default=3)
given = arguments.parse_args()
for variable in ("POLARS_MAX_THREADS", "TOKIO_WORKER_THREADS", "RAYON_NUM_THREADS"):
    os.environ[variable] = str(given.threads)


def say(**fields):
    print(json.dumps(fields), flush=True)


try:
    import duckdb
    import pyarrow as pa
    import pyarrow.parquet as pq
    engine = __import__(given.engine)
except ImportError as missing:
    say(missing=f"Python has no module {missing.name}; pip install duckdb pyarrow {given.engine}")
    sys.exit(0)

suite = json.load(open(given.queries))
paths = {table["name"]: table["path"] for table in suite["tables"]}


def load(path):
    """A table in memory, strings in the form that every engine takes."""
    table = pq.read_table(path)
    for index, field in enumerate(table.schema):
        if pa.types.is_string_view(field.type):
            table = table.set_column(index, field.name, table[field.name].cast(pa.string()))
    return table


def open_duckdb():
    connection = duckdb.connect(config={"threads": given.threads})
    kind = "TABLE" if suite["in_memory"] else "VIEW"
    for name, path in paths.items():
        connection.execute(f"CREATE {kind} {name} AS SELECT * FROM read_parquet('{path}')")
    return lambda sql: connection.sql(sql).to_arrow_table()


def open_datafusion():
    context = engine.SessionContext(engine.SessionConfig().with_target_partitions(given.threads))
    for name, path in paths.items():
        if suite["in_memory"]:
            batches = load(path).combine_chunks().to_batches(max_chunksize=8192)
            share = -(-len(batches) // given.threads)
            context.register_record_batches(name, [batches[at:at + share] for at in range(0, len(batches), share)])
        else:
            context.register_parquet(name, path)

    def run(sql):
        frame = context.sql(sql)
        batches = frame.collect()
        # An answer without rows has no batch to tell its columns.
        return pa.Table.from_batches(batches, batches[0].schema if batches else frame.schema())
    return run


def open_polars():
    context = engine.SQLContext()
    for name, path in paths.items():
        frame = engine.from_arrow(load(path)).lazy() if suite["in_memory"] else engine.scan_parquet(path)
        context.register(name, frame)
    return lambda sql: context.execute(sql).collect(engine="streaming").to_arrow()


def open_chdb():
    from chdb import session
    state = session.Session()
    for name, path in paths.items():
        source = f"file('{path}', Parquet)"
        settings = "SETTINGS schema_inference_make_columns_nullable = 0"
        if suite["in_memory"]:
            state.query(f"CREATE TABLE {name} ENGINE = Memory AS SELECT * FROM {source} {settings}")
        else:
            state.query(f"CREATE VIEW {name} AS SELECT * FROM {source}")
    settings = f" SETTINGS max_threads = {given.threads}"

    def run(sql):
        answer = state.query(sql.strip().rstrip(";") + settings, "ArrowStream").bytes()
        return pa.ipc.open_stream(answer).read_all() if answer else pa.table({})
    return run


def digest(answer):
    """Rows, hashes added up, and sums of rounded columns; as `src/command/bench/digest.rs` has it."""
    oracle = duckdb.connect()
    names = [f"c{index}" for index in range(answer.num_columns)]
    answer = answer.rename_columns(names)
    for index, field in enumerate(answer.schema):
        if pa.types.is_string_view(field.type) or pa.types.is_dictionary(field.type):
            answer = answer.set_column(index, field.name, answer[field.name].cast(pa.string()))
    oracle.register("answer", answer)
    cells, sums = [], []
    for name, kind in zip(names, answer.schema.types):
        if pa.types.is_floating(kind) or pa.types.is_decimal(kind) and kind.scale > 0:
            sums.append(f"coalesce(sum({name}::DOUBLE) FILTER (NOT isnan({name}::DOUBLE)), 0)")
            continue
        sums.append("0.0")
        if pa.types.is_timestamp(kind):
            name = f"epoch_us({name})"
        elif pa.types.is_date(kind):
            name = f"(epoch_us({name}) // 86400000000)"
        cells.append(f"coalesce({name}::VARCHAR, '~')")
    text = " || ".join(f"'|' || {cell}" for cell in cells) or "''"
    hashed = f"coalesce(sum(md5_number_lower({text})::HUGEINT) % 18446744073709551616::HUGEINT, 0)::VARCHAR"
    row = oracle.execute(f"SELECT count(*), {hashed}, {', '.join(sums) or '0.0'} FROM answer").fetchall()[0]
    return dict(rows=row[0], hash=row[1], sums=[float(value) for value in row[2:]] if sums else [])


run = {"duckdb": open_duckdb, "datafusion": open_datafusion, "polars": open_polars, "chdb": open_chdb}[given.engine]()
for query in suite["queries"]:
    sql = query["duckdb"] if given.engine == "duckdb" and query.get("duckdb") else query["sql"]
    about = dict(engine=given.engine, version=engine.__version__, query=query["name"], threads=given.threads)
    try:
        answer, walls, cpus = None, [], []
        for _ in range(given.repeat + 1):  # the first run warms up
            answer = None
            cpu, wall = time.process_time(), time.perf_counter()
            answer = run(sql)
            walls.append(time.perf_counter() - wall)
            cpus.append(time.process_time() - cpu)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        say(**about, wall=min(walls), cpu=min(cpus), peak_bytes=peak, digest=digest(answer))
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # an engine that cannot is told apart from one that is slow
        say(**about, error=str(error).split("\n")[0][:200])
