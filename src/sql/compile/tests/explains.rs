//! Golden pipelines.

use super::compiled;
use crate::pipeline::explain;

#[test]
fn pipelines_as_text() {
    let sqls = [
        "SELECT k, j + 1 AS x FROM s WHERE upper(k) = 'A' AND j > 3",
        "SELECT window_start, window_end, k, count(*) AS n, sum(j) FROM s_tumbled WHERE j > 3 GROUP BY window_start, window_end, k",
        "SELECT k, count(*) FROM s GROUP BY k",
        "SELECT DISTINCT k FROM t ORDER BY k DESC LIMIT 3",
        "SELECT j FROM t LIMIT 2",
    ];
    let text: Vec<String> = sqls.iter().map(|sql| format!("{sql}\n{}", explain(&compiled(sql)))).collect();
    println!("{}", text.join("\n"));
}
