//! `#[millstream::kernel]`.

use millstream::kernel;

use super::{engine, error, rows};

/// The distance of two points on the Earth, in kilometres.
#[kernel(cost = 40.0, example = "haversine_km(52.5, 13.4, 48.9, 2.4)")]
pub fn haversine_km(lat1: f64, lon1: f64, lat2: f64, lon2: f64) -> f64 {
    let (lat, lon) = ((lat2 - lat1).to_radians() / 2.0, (lon2 - lon1).to_radians() / 2.0);
    let a = lat.sin().powi(2) + lat1.to_radians().cos() * lat2.to_radians().cos() * lon.sin().powi(2);
    12_742.0 * a.sqrt().asin()
}

/// What stands before the `@`, if "anything" does.
#[kernel(strict, name = "mailbox")]
fn before_at(address: &str) -> Option<&str> {
    address.split_once('@').map(|(mailbox, _)| mailbox)
}

#[kernel]
fn scheme(url: &str) -> &str {
    url.split(':').next().unwrap_or(url)
}

#[kernel(volatile)]
fn digits(text: &str, base: Option<u32>) -> Result<i64, std::num::ParseIntError> {
    i64::from_str_radix(text, base.unwrap_or(10))
}

#[test]
fn a_function_becomes_a_value_to_register() {
    let engine = engine();
    engine.register(haversine_km).unwrap();
    engine.register(before_at).unwrap();
    engine.register(digits).unwrap();
    engine.register(scheme).unwrap();
    assert_eq!(rows(&engine, "SELECT scheme('https://example.org/a/long/path')"), ["https"]);
    let alone = haversine_km::call(52.5, 13.4, 48.9, 2.4);
    assert!((alone - 870.0).abs() < 5.0, "Berlin and Paris: {alone}");
    assert_eq!(rows(&engine, "SELECT haversine_km(52.5, 13.4, 48.9, 2.4)"), [format!("{alone:?}")]);
    let addresses = "(VALUES ('ada@example.org'), ('nobody'), (NULL)) AS t(a)";
    assert_eq!(rows(&engine, &format!("SELECT mailbox(a) FROM {addresses}")), ["ada", "NULL", "NULL"]);
    assert_eq!(rows(&engine, "SELECT digits('ff', 16), digits('12', NULL)"), ["255 12"]);
    assert!(error(&engine, "SELECT digits('x', 10)").contains("invalid digit"));
    let shown = rows(&engine, "SHOW FUNCTIONS");
    let line = shown.iter().find(|line| line.starts_with("haversine_km ")).unwrap();
    assert!(line.contains("(DOUBLE, DOUBLE, DOUBLE, DOUBLE) -> DOUBLE") && line.contains("in kilometres"), "{line}");
}
