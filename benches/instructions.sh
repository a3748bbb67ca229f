#!/usr/bin/env bash
# Counts the instructions of hot paths under callgrind and compares them with the recorded ones.
#
#   benches/instructions.sh            fails when a case takes over 3 % more than recorded
#   benches/instructions.sh --record   writes what it counts to benches/record/instructions.txt
#
# The engine is compiled as for speed, what it depends on as for tests: those are there already when tests have run. What
# threads wait for and how keys are hashed differs between runs by some ten thousand instructions: a case is run for so
# many rows that this is within one in a hundred, and twice, of which the fewer count.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

record=benches/record/instructions.txt
few=8 many=88 limit=3

if ! command -v valgrind >/dev/null; then
    { apt-get update && apt-get install -y --no-install-recommends valgrind; } >/dev/null 2>&1 || true
fi
if ! command -v valgrind >/dev/null; then
    echo "instructions are not counted: valgrind is not there and could not be installed" >&2
    exit 0
fi

export CARGO_PROFILE_DEV_OPT_LEVEL=3 CARGO_INCREMENTAL=0
program=$("${CARGO:-cargo}" build --bench instructions --locked --message-format=json 2>/dev/null |
    sed -n 's/.*"executable":"\([^"]*\/instructions-[^"]*\)".*/\1/p' | tail -1) || true
[ -n "$program" ] || { "${CARGO:-cargo}" build --bench instructions --locked; exit 1; }

count() { # case, batches
    local log; log=$(mktemp)
    for _ in 1 2; do
        valgrind --tool=callgrind --callgrind-out-file=/dev/null "$program" "$1" "$2" >/dev/null 2>>"$log" ||
            { cat "$log" >&2; return 1; }
    done
    awk '/Collected/ { if (!least || $NF < least) least = $NF } END { print least }' "$log"
    rm -f "$log"
}

cases=$("$program" list)
counted=$(for case in $cases; do
    fewer=$(count "$case" $few)
    more=$(count "$case" $many)
    # In hundredths: a few instructions are more than the limit of a cheap case.
    echo "$case $(((more - fewer) * 100 / (many - few) / 8192))" | awk '{ printf "%s %.2f\n", $1, $2 / 100 }'
done)

if [ "${1:-}" = --record ]; then
    { echo "# instructions per row, by case; rustc $(rustc --version | cut -d' ' -f2), SSE 4.2"; echo "$counted"; } >"$record"
fi
echo "$counted" | awk -v limit=$limit '
    NR == FNR { if ($1 != "#") known[$1] = $2; next }
    {
        change = known[$1] ? ($2 / known[$1] - 1) * 100 : 0
        note = !($1 in known) ? "not recorded yet" : change > limit ? "DEARER" : change < -limit ? "cheaper: record it" : ""
        printf "%-20s %8.2f recorded %8.2f  %+6.1f %%  %s\n", $1, $2, known[$1], change, note
        dearer += note == "DEARER"
    }
    END { exit dearer > 0 }' "$record" -
