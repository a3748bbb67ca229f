//! Golden pipelines.

use super::compiled;
use crate::pipeline::explain;

fn check(sql: &str, expected: &str) {
    let expected = expected.strip_prefix('\n').unwrap_or(expected);
    assert_eq!(explain(&compiled(sql)), expected, "{sql}");
}

#[test]
fn rows_one_by_one() {
    check(
        "SELECT k, j + 1 AS x FROM s WHERE reverse(k) = 'A' AND j > 3",
        "
Project: k, (CAST(j AS Int64) + 1) AS x [append, unbounded]
  Filter: (j > 3) AND (reverse(k) = 'A') [append, unbounded] foreign: reverse
    Project: k, j [append, unbounded]
      Scan: s (memory), columns k j ts, may skip unless j > 3, watermark (ts - INTERVAL '5s') [append, time ts, unbounded]
",
    );
    check(
        "SELECT j FROM t LIMIT 2",
        "
Limit: first 2 [append, bounded]
  Scan: t (memory), columns j, at most 2 rows [append, bounded]
runs on one partition: the answer depends on the order of the input
",
    );
}

#[test]
fn windows_and_groups() {
    check(
        "SELECT window_start, window_end, k, count(*) AS n, sum(j) AS total \
         FROM TUMBLE(TABLE s, DESCRIPTOR(ts), INTERVAL '10' SECOND) \
         WHERE j > 3 GROUP BY window_start, window_end, k",
        "
Project: window_start, window_end, k, count(*) AS n, sum(j) AS total [append, time window_end, unbounded]
  Aggregate: by k in tumble(10s) of ts, count(*) of sum(j), sum(j), when the window closes [append, time window_end, unbounded] state: panes x groups, bounded by the watermark
    Project: k, j, ts [append, time ts, unbounded]
      Filter: (j > 3) [append, time ts, unbounded]
        Scan: s (memory), columns k j ts, may skip unless j > 3, watermark (ts - INTERVAL '5s') [append, time ts, unbounded]
",
    );
    check(
        "SELECT k, count(f), avg(f), sum(f), stddev(f), max(f), avg(i), count(i), sum(i) FILTER (WHERE b), count(*) \
         FROM t GROUP BY k",
        "
Aggregate: by k, count(f) of stddev(f), avg(f) of stddev(f), sum(f) of stddev(f), stddev(f), max(f), avg(i), count(i) of avg(i), sum(i) FILTER (WHERE b), count(*), when the input ends [append, bounded] state: grows with distinct keys
  Scan: t (memory), columns k i f b [append, bounded]
",
    );
    check(
        "SELECT k, x, count(*) AS n FROM (SELECT k, max(j) AS x FROM t GROUP BY k) AS g GROUP BY k, x",
        "
Aggregate: by k, x, count(*), when the input ends, rows parted by k before [append, bounded] state: grows with distinct keys
  Aggregate: by k, max(j), when the input ends [append, bounded] state: grows with distinct keys
    Scan: t (memory), columns k j [append, bounded]
",
    );
    check(
        "SELECT k, covar_pop(j, f) FROM s GROUP BY k",
        "
Aggregate: by k, covar_pop(j, f), after each batch [updating, unbounded] state: grows with distinct keys: add a window or STATE_TTL foreign: covar_pop
  Project: k, j, f [append, unbounded]
    Scan: s (memory), columns k j f ts, watermark (ts - INTERVAL '5s') [append, time ts, unbounded]
",
    );
    check(
        "SELECT DISTINCT k FROM t ORDER BY k DESC LIMIT 3",
        "
Sort: k DESC, first 3 [append, bounded] state: first rows, bounded
  Aggregate: by k, when the input ends [append, bounded] state: grows with distinct keys
    Scan: t (memory), columns k [append, bounded]
",
    );
}
