//! The listings that docs/kernels.md counts beside those for other engines: ours run, and say what those for DataFusion say.

#[path = "../../compare/kernels/datafusion/ewma.rs"]
mod datafusion_ewma;
#[path = "../../compare/kernels/datafusion/haversine.rs"]
mod datafusion_haversine;
#[path = "../../compare/kernels/millstream/ewma.rs"]
mod ewma;
#[path = "../../compare/kernels/millstream/haversine.rs"]
mod haversine;
#[path = "../../compare/kernels/millstream/plugin.rs"]
mod plugin;

use super::{engine_of, rows};

#[test]
fn what_is_counted_runs_and_says_the_same() {
    let (ours, theirs) = (engine_of(16, 2), engine_of(16, 2));
    haversine::register(&ours).unwrap();
    ewma::register(&ours).unwrap();
    theirs.register_udf(datafusion_haversine::haversine_km());
    theirs.register_udaf(datafusion_ewma::ewma());
    let row = |i: i64| {
        let number = |by: i64, of: i64| if (i + by) % 11 == 0 { "NULL".into() } else { format!("{}.5", i * by % of) };
        let at = format!("TIMESTAMP '2026-01-01 00:00:00' + INTERVAL '{}' SECOND", i * 7 % 300);
        format!("({}, {}, {}, {}, {}, {at})", i % 3, number(7, 80), number(31, 170), number(13, 80), number(5, 170))
    };
    let values: Vec<String> = (0..200).map(row).collect();
    let table = format!("(VALUES {}) AS t(k, a, b, c, d, at)", values.join(", "));
    for sql in [
        format!("SELECT round(haversine_km(a, b, c, d), 6) FROM {table} ORDER BY 1"),
        "SELECT haversine_km(52.5, 13.4, 48.9, 2.4), haversine_km(NULL, 0, 0, 0)".to_string(),
        format!("SELECT k, round(ewma(a, at), 9), ewma(a, at) FILTER (WHERE a < 0) FROM {table} GROUP BY k ORDER BY k"),
    ] {
        assert_eq!(rows(&ours, &sql), rows(&theirs, &sql), "{sql}");
    }
    let distance = plugin::haversine_km(52.5, 13.4, 48.9, 2.4);
    assert_eq!(rows(&ours, "SELECT haversine_km(52.5, 13.4, 48.9, 2.4)"), [distance.to_string()]);
    assert!((870.0..880.0).contains(&distance), "Berlin is so far from Paris: {distance}");
}
