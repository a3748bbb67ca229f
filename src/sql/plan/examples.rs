//! Calls of the library's functions, where the library shows none, or none that runs as it stands: a function's
//! reference shows these. The tests run all of them.

/// A query per function, by the name the function has in the library.
const EXAMPLES: &[(&str, &str)] = &[
    // Of values.
    ("arrow_metadata", "SELECT arrow_metadata(with_metadata(1, 'unit', 'ms'), 'unit')"),
    ("date_bin", "SELECT date_bin(INTERVAL '15 minutes', TIMESTAMP '2026-01-01 18:20:00')"),
    ("decode", "SELECT decode('aGVsbG8=', 'base64')"),
    ("encode", "SELECT encode('hello', 'base64')"),
    ("get_field", "SELECT get_field(named_struct('a', 1, 'b', 2), 'b')"),
    ("map", "SELECT map(['one', 'two'], [1, 2])"),
    ("named_struct", "SELECT named_struct('city', 'Berlin', 'people', 3.9)"),
    ("pi", "SELECT pi()"),
    ("current_watermark", "SELECT current_watermark(dateTime) FROM bid"),
    ("proctime", "SELECT proctime()"),
    ("sqrt", "SELECT sqrt(9)"),
    ("struct", "SELECT struct('Berlin', 3.9)"),
    // Of groups.
    ("any_value", "SELECT any_value(x) FROM (VALUES (7), (7)) AS t(x)"),
    ("approx_distinct", "SELECT approx_distinct(x) FROM (VALUES (1), (2), (2)) AS t(x)"),
    ("approx_median", "SELECT approx_median(x) FROM (VALUES (1), (2), (9)) AS t(x)"),
    (
        "approx_percentile_cont",
        "SELECT approx_percentile_cont(0.75) WITHIN GROUP (ORDER BY x) FROM (VALUES (1.0), (2.0), (9.0)) AS t(x)",
    ),
    (
        "approx_percentile_cont_with_weight",
        "SELECT approx_percentile_cont_with_weight(w, 0.9) WITHIN GROUP (ORDER BY x) FROM (VALUES (1.0, 3), (9.0, 1)) AS t(x, w)",
    ),
    ("array_agg", "SELECT array_agg(x ORDER BY x DESC) FROM (VALUES (1), (3), (2)) AS t(x)"),
    ("avg", "SELECT avg(x) FROM (VALUES (1), (2)) AS t(x)"),
    ("bit_and", "SELECT bit_and(x) FROM (VALUES (6), (3)) AS t(x)"),
    ("bit_or", "SELECT bit_or(x) FROM (VALUES (6), (3)) AS t(x)"),
    ("bit_xor", "SELECT bit_xor(x) FROM (VALUES (6), (3)) AS t(x)"),
    ("bool_and", "SELECT bool_and(x > 0) FROM (VALUES (1), (2)) AS t(x)"),
    ("bool_or", "SELECT bool_or(x > 1) FROM (VALUES (1), (2)) AS t(x)"),
    ("corr", "SELECT corr(y, x) FROM (VALUES (1, 2), (2, 3), (3, 7)) AS t(x, y)"),
    ("count", "SELECT count(x), count(*) FROM (VALUES (1), (NULL)) AS t(x)"),
    ("covar_pop", "SELECT covar_pop(y, x) FROM (VALUES (1, 2), (2, 3), (3, 7)) AS t(x, y)"),
    ("covar_samp", "SELECT covar_samp(y, x) FROM (VALUES (1, 2), (2, 3), (3, 7)) AS t(x, y)"),
    ("covar", "SELECT covar(y, x) FROM (VALUES (1, 2), (2, 3), (3, 7)) AS t(x, y)"),
    ("first_value", "SELECT first_value(x ORDER BY at) FROM (VALUES (7, 2), (5, 1)) AS t(x, at)"),
    ("grouping", "SELECT x, grouping(x), count(*) FROM (VALUES (1), (2)) AS t(x) GROUP BY GROUPING SETS ((x), ())"),
    ("last_value", "SELECT last_value(x ORDER BY at) FROM (VALUES (7, 2), (5, 1)) AS t(x, at)"),
    ("max", "SELECT max(x) FROM (VALUES (1), (2)) AS t(x)"),
    ("median", "SELECT median(x) FROM (VALUES (1), (2), (9)) AS t(x)"),
    ("min", "SELECT min(x) FROM (VALUES (1), (2)) AS t(x)"),
    ("nth_value", "SELECT x, nth_value(x, 2) OVER (ORDER BY x) FROM (VALUES (1), (2), (4)) AS t(x)"),
    (
        "percentile_cont",
        "SELECT percentile_cont(0.75) WITHIN GROUP (ORDER BY x) FROM (VALUES (1.0), (2.0), (9.0)) AS t(x)",
    ),
    ("regr_avgx", "SELECT regr_avgx(y, x) FROM (VALUES (1, 2), (2, 3), (3, 7)) AS t(x, y)"),
    ("regr_avgy", "SELECT regr_avgy(y, x) FROM (VALUES (1, 2), (2, 3), (3, 7)) AS t(x, y)"),
    ("regr_count", "SELECT regr_count(y, x) FROM (VALUES (1, 2), (2, 3), (3, NULL)) AS t(x, y)"),
    ("regr_intercept", "SELECT regr_intercept(y, x) FROM (VALUES (1, 2), (2, 3), (3, 7)) AS t(x, y)"),
    ("regr_r2", "SELECT regr_r2(y, x) FROM (VALUES (1, 2), (2, 3), (3, 7)) AS t(x, y)"),
    ("regr_slope", "SELECT regr_slope(y, x) FROM (VALUES (1, 2), (2, 3), (3, 7)) AS t(x, y)"),
    ("regr_sxx", "SELECT regr_sxx(y, x) FROM (VALUES (1, 2), (2, 3), (3, 7)) AS t(x, y)"),
    ("regr_sxy", "SELECT regr_sxy(y, x) FROM (VALUES (1, 2), (2, 3), (3, 7)) AS t(x, y)"),
    ("regr_syy", "SELECT regr_syy(y, x) FROM (VALUES (1, 2), (2, 3), (3, 7)) AS t(x, y)"),
    ("stddev", "SELECT stddev(x) FROM (VALUES (1), (2), (9)) AS t(x)"),
    ("stddev_pop", "SELECT stddev_pop(x) FROM (VALUES (1), (2), (9)) AS t(x)"),
    ("string_agg", "SELECT string_agg(x, ', ' ORDER BY x) FROM (VALUES ('b'), ('a')) AS t(x)"),
    ("sum", "SELECT sum(x) FROM (VALUES (1), (2)) AS t(x)"),
    ("var", "SELECT var(x) FROM (VALUES (1), (2), (9)) AS t(x)"),
    ("var_pop", "SELECT var_pop(x) FROM (VALUES (1), (2), (9)) AS t(x)"),
    // Of frames.
    ("cume_dist", "SELECT x, cume_dist() OVER (ORDER BY x) FROM (VALUES (1), (2), (2), (4)) AS t(x)"),
    ("dense_rank", "SELECT x, dense_rank() OVER (ORDER BY x) FROM (VALUES (1), (2), (2), (4)) AS t(x)"),
    ("lag", "SELECT x, lag(x, 1, 0) OVER (ORDER BY x) FROM (VALUES (1), (2), (4)) AS t(x)"),
    ("lead", "SELECT x, lead(x, 1, 0) OVER (ORDER BY x) FROM (VALUES (1), (2), (4)) AS t(x)"),
    ("ntile", "SELECT x, ntile(2) OVER (ORDER BY x) FROM (VALUES (1), (2), (4)) AS t(x)"),
    ("percent_rank", "SELECT x, percent_rank() OVER (ORDER BY x) FROM (VALUES (1), (2), (2), (4)) AS t(x)"),
    ("rank", "SELECT x, rank() OVER (ORDER BY x) FROM (VALUES (1), (2), (2), (4)) AS t(x)"),
    ("row_number", "SELECT x, row_number() OVER (ORDER BY x) FROM (VALUES (1), (2), (4)) AS t(x)"),
];

/// A call of a function of the library.
pub(super) fn example(name: &str) -> Option<&'static str> {
    EXAMPLES.iter().find(|(known, _)| *known == name).map(|(_, example)| *example)
}
