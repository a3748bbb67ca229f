#!/usr/bin/env python3
"""What the engine aims at, line by line, on the machine at hand: docs/benchmarks.md says what each line is.

    python3 -m venv /tmp/peers && /tmp/peers/bin/pip install duckdb polars datafusion pyarrow numpy
    /tmp/peers/bin/python compare/reach.py --page benches/record/MACHINE/DATE-reach.md

Builds and runs `benches/reach.rs`, `decode.rs` and `growth.rs`, the test of allocations and `millstream bench latency`, all with
`--profile quick` unless another is given, and asks DuckDB, DataFusion and Polars the same queries over the same rows in memory
(`compare/peers.py`; those that are not installed are left out). Their answers must be those of Millstream: an answer that differs
makes the exit code 1. Writes a Markdown page to standard output, or to `--page`. `--short` takes a fraction of the rows, to
see that all of it runs. Wants an idle machine, and ten minutes.
"""

import argparse
import datetime
import hashlib
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
CARGO = os.environ.get("CARGO", "cargo")
PEERS = ["duckdb", "datafusion", "polars"]

# What is aimed at, in nanoseconds a row.
AIMS = {
    "compare": 0.09, "sum": 0.08, "fused": 0.14, "pane-one": 0.13, "pane": 0.4, "group-dense": 1.5, "group-1k": 4.0, "group-1m": 30.0,
    "group-string": 7.5, "tumble-1k": 5.0, "tumble-100k": 21.0, "hop10-1k": 5.0, "hop10-100k": 14.0, "bid/json": 75.0,
}
HOP_AIM, LATENCY_AIM_MS, SCALE_AIM = 1.3, 5.0, 1.8
# Rows and runs that callgrind counts.
COUNTED = {"group-1k": 300_000, "group-1m": 1_000_000, "tumble-1k": 300_000}
COUNTED_RUNS = (1, 3)


def note(text):
    print(text, file=sys.stderr, flush=True)


def cargo(*words, env=None):
    done = subprocess.run([CARGO, *words], cwd=ROOT, stdout=subprocess.PIPE, text=True, env={**os.environ, **(env or {})})
    if done.returncode:
        sys.exit(f"failed: cargo {' '.join(words)}\n{done.stdout[-2000:]}")
    return done.stdout


def lines(text):
    return [json.loads(line) for line in text.splitlines() if line.startswith("{")]


def bench(options, name, *arguments, env=None):
    note(f"bench {name}")
    return lines(cargo("bench", "--profile", options.profile, "--bench", name, "--", *arguments, env=env))


def programs(options):
    """Builds everything; the paths of the binary and of the bench of queries."""
    note("building")
    built = {}
    wanted = [["build"], ["bench", "--no-run", "--bench", "reach", "--bench", "decode", "--bench", "growth"]]
    for words in wanted:
        for message in lines(cargo(*words, "--profile", options.profile, "--message-format=json")):
            if message.get("executable"):
                built[message["target"]["name"]] = message["executable"]
    return built["millstream"], built["reach"]


def machine(profile):
    about = pathlib.Path("/proc/cpuinfo").read_text()
    field = lambda name: next((line.split(":", 1)[1].strip() for line in about.splitlines() if line.startswith(name)), "?")
    git = lambda *words: subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True).stdout.strip()
    changed = ", changed" if git("status", "--porcelain", "--untracked-files=no") else ""
    load = os.getloadavg()[0]
    return (f"Profile `{profile}`, {field('model name')} (family {field('cpu family')}, model {field('model')}), {os.cpu_count()} cores, load {load:.1f} at "
            f"the start; commit {git('rev-parse', '--short', 'HEAD')}{changed}")


def plain_sql(plain):
    """The query folded, in the words of an engine without windows."""
    def multiples(found):
        count, step = int(found[1]), int(found[2])
        return "(" + " UNION ALL ".join(f"SELECT {step * at} AS r" for at in range(count)) + ") AS m"
    inner = re.sub(r"panes\((\d+), (\d+)\)", multiples, plain)
    return f"SELECT count(*) AS n, CAST(sum(c) AS BIGINT) AS c, CAST(sum(s) AS BIGINT) AS s FROM ({inner}) AS q"


def hashed(answer):
    """The hash that `peers.py` makes of the one row of an answer."""
    text = "".join(f"|{value}" for value in answer)
    return str(int.from_bytes(hashlib.md5(text.encode()).digest()[8:], "little"))


def ask_peers(cases, folder, repeat):
    """For each query the seconds of each engine; and what differs."""
    asked = {case["name"]: case for case in cases if case.get("plain")}
    queries = [{"name": name, "sql": plain_sql(case["plain"])} for name, case in asked.items()]
    tables = [{"name": name, "path": os.path.join(folder, f"{name}.parquet")} for name in ("g", "w")]
    path = os.path.join(folder, "queries.json")
    pathlib.Path(path).write_text(json.dumps({"tables": tables, "queries": queries, "in_memory": True}))
    seconds, wrong, versions = {name: {} for name in asked}, [], []
    for engine in PEERS:
        note(f"{engine}")
        command = [sys.executable, str(ROOT / "compare" / "peers.py"), path, "--engine", engine, "--threads", "1", "--repeat", str(repeat)]
        for got in lines(subprocess.run(command, stdout=subprocess.PIPE, text=True).stdout):
            if "missing" in got:
                note(got["missing"])
                continue
            name = got["query"]
            version = f"{engine} {got['version']}"
            versions += [version] if version not in versions else []
            if "error" in got:
                note(f"{engine} {name}: {got['error']}")
            elif got["digest"]["hash"] != hashed(asked[name]["answer"]):
                wrong.append(f"{engine} gives another answer to {name}")
            else:
                seconds[name][engine] = got["wall"]
    return seconds, wrong, versions


def latency(binary, folder):
    note("latency")
    path = os.path.join(folder, "latency.json")
    command = [binary, "bench", "latency", "--query", "filter,running", "--partitions", "1", "--linger", "1ms", "--json", path]
    subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    results = json.loads(pathlib.Path(path).read_text())["results"]
    return {result["query"]: result["p99_ns"] / 1e6 for result in results if result["load_percent"] == 50}


def allocations(options):
    """Whether a batch allocates in steady state: the test fails where one does."""
    note("allocations")
    cargo("test", "--profile", options.profile, "--test", "allocations")
    return "0"


def instructions(program, short):
    """Instructions a row of queries with one partition and with two, as callgrind counts them."""
    if subprocess.run(["sh", "-c", "command -v valgrind"], stdout=subprocess.DEVNULL).returncode:
        note("valgrind is not there: instructions are not counted")
        return {}
    counted = {}
    for name, rows in COUNTED.items():
        rows = rows // 10 if short else rows
        for partitions in (1, 2):
            note(f"instructions of {name}, {partitions}")
            totals = []
            for times in COUNTED_RUNS:
                command = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", program, name, str(partitions), str(rows), str(times)]
                told = subprocess.run(command, capture_output=True, text=True).stderr
                totals.append(int(re.search(r"Collected : (\d+)", told)[1]))
            counted[name, partitions] = (totals[1] - totals[0]) / (COUNTED_RUNS[1] - COUNTED_RUNS[0]) / rows
    return counted


def number(value):
    return "" if value is None else f"{value:.2f}" if value < 10 else f"{value:.1f}"


def row(work, aim, here, peer=None, there=None):
    """A line of the table."""
    beside = f"{peer} {number(there)}" if there else ""
    ratio = f"{there / here:.1f}" if there else ""
    return f"| {work} | {number(aim)} | {number(here)} | {beside} | {ratio} |"


def kernel_rows(measured):
    return [row(line["work"], AIMS.get(line["name"]), line["here"], line["peer"], line["there"]) for line in measured if "peer" in line]


def query_rows(cases, seconds):
    rows = []
    for case in cases:
        times = {engine: wall * 1e9 / case["rows"] for engine, wall in seconds.get(case["name"], {}).items()}
        peer = min(times, key=times.get, default=None)
        rows.append(row(case["work"], AIMS.get(case["name"]), case["here"], peer, times.get(peer)))
    here = {case["name"]: case["here"] for case in cases}
    return rows + [row("hop 60 s by 1 s, times what hop by 30 s takes", HOP_AIM, here["hop1-1k"] / here["hop30-1k"])]


def scaling_table(cases, counted):
    rows = ["| query | one, ns/row | two, ns/row | times | instructions a row, one | two | two by one |", "|---|---|---|---|---|---|---|"]
    for case in cases:
        if "two" not in case:
            continue
        one, two = counted.get((case["name"], 1)), counted.get((case["name"], 2))
        by = f"{one:.0f} | {two:.0f} | {two / one:.2f}" if one and two else "| |"
        rows.append(f"| {case['work']} | {number(case['here'])} | {number(case['two'])} | {case['here'] / case['two']:.2f} | {by} |")
    return rows


def growth_table(grown):
    rows = ["| keys | groups | ns/row | half | 99 % | 99.9 % | at most |", "|---|---|---|---|---|---|---|"]
    for line in grown:
        shares = " | ".join(number(line[share]) for share in ("half", "p99", "p999", "most"))
        rows.append(f"| {line['keys']} | {line['groups']:,} | {number(line['row'])} | {shares} |")
    return rows


def page(about, versions, tables):
    head = "| work | reach | here | peer here | ratio |\n|---|---|---|---|---|\n"
    rows, scaling, growth, seconds = tables
    day = datetime.date.today().isoformat()
    return f"""# {day}: what is aimed at, on this machine

{about}.
`compare/reach.py`, {seconds:.0f} s in all. Beside: arrow-rs and DataFusion's functions as the engine links them,
{', '.join(versions) or 'no other engine'}, one thread each, rows in memory, answers equal. Arrow's readers of text
are compiled for size there, arrow-rs for any x86-64.

Nanoseconds a row of one core, the least of several runs; reach is what is aimed at, and the ratio the peer's time by that here: above
1 Millstream is faster. Of several peers the fastest stands there. Of queries, wall time of the whole: planning, and the rows that leave.

{head}{chr(10).join(rows)}

## Two partitions

Wall time of the same queries, from rows in memory; aimed at are {SCALE_AIM} times. Instructions as callgrind counts them, so those of AVX2.

{chr(10).join(scaling)}

## While a table grows

Milliseconds that a batch of 8,192 new keys takes, with a count and a sum for each, without the time that the thread waited for a CPU.

{chr(10).join(growth)}
"""


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--profile", default="quick")
    arguments.add_argument("--page", help="where the page goes; standard output, unless given")
    arguments.add_argument("--short", action="store_true", help="few rows: to see that it runs")
    arguments.add_argument("--without", default="", help="parts to leave out: peers, latency, allocations, growth, decode, instructions")
    options = arguments.parse_args()
    without = options.without.split(",")
    started, about = datetime.datetime.now(), machine(options.profile)
    binary, program = programs(options)
    rows, groups, texts = ("400000", "400000", "100000") if options.short else ("8000000", "20000000", "1000000")
    with tempfile.TemporaryDirectory() as folder:
        measured = bench(options, "reach", env={"MILLSTREAM_BENCH_ROWS": rows, "MILLSTREAM_REACH_DATA": folder})
        cases = [line for line in measured if "peer" not in line]
        seconds, wrong, versions = ({}, [], []) if "peers" in without else ask_peers(cases, folder, 1 if options.short else 3)
        times = {} if "latency" in without else latency(binary, folder)
    decoded = [] if "decode" in without else bench(options, "decode", texts, "--json")
    grown = [] if "growth" in without else bench(options, "growth", "--json", env={"MILLSTREAM_BENCH_GROUPS": groups})
    table = kernel_rows(measured) + query_rows(cases, seconds)
    table += [row(f"{line['work']}: a line of text to columns", AIMS.get(line["work"]), line["here"], "arrow-rs", line["there"]) for line in decoded]
    table += [row(f"{query}: ms of 99 in 100 events at half load, 1 ms linger", LATENCY_AIM_MS, time) for query, time in times.items()]
    if "allocations" not in without:
        table.append(f"| allocations a batch in steady state | 0 | {allocations(options)} | | |")
    counted = {} if "instructions" in without else instructions(program, options.short)
    took = (datetime.datetime.now() - started).total_seconds()
    text = page(about, versions, (table, scaling_table(cases, counted), growth_table(grown), took))
    if options.page:
        pathlib.Path(options.page).write_text(text)
    else:
        print(text)
    for difference in wrong:
        note(difference)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
