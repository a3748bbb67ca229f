#!/usr/bin/env python3
"""Records the answers of a benchmark's queries, for runs without another engine beside.

    millstream bench tpch --against duckdb --json tpch.json && compare/answers.py tpch.json ...

Takes the answers that DuckDB has given too ("as duckdb" in the report) and writes them, by scale, into the `-- answers`
sections of benches/query/SUITE/*.bench. `millstream bench` compares with them where no other engine runs.
"""

import json
import pathlib
import sys

QUERIES = pathlib.Path(__file__).resolve().parent.parent / "benches" / "query"


def record(path, scale, digest):
    """Puts the answer at a scale into a file, in place of the one that was there."""
    text = path.read_text()
    body, _, known = text.partition("\n-- answers\n")
    lines = {float(line.split(" ", 1)[0]): line for line in known.strip().splitlines()}
    lines[scale] = f"{scale:g} {digest}" if scale < 1e6 else f"{scale:.0f} {digest}"
    answers = "\n".join(lines[scale] for scale in sorted(lines))
    path.write_text(f"{body.rstrip()}\n\n-- answers\n{answers}\n")


def main(reports):
    if not reports:
        sys.exit(__doc__)
    for report in reports:
        results = json.loads(pathlib.Path(report).read_text())
        folder = QUERIES / results["suite"]
        kept = [query for query in results["millstream"] if query["answer"].split(",")[0] == "as duckdb"]
        for query in kept:
            record(folder / f"{query['query']}.bench", float(results["scale"]), query["digest"])
        print(f"{report}: {len(kept)} of {len(results['millstream'])} answers recorded")


if __name__ == "__main__":
    main(sys.argv[1:])
