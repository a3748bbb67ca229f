//! Functions of angles that the library does not have, and whether a float is infinite.

use super::scalar;
use crate::function::custom::Scalar;

pub(super) fn functions() -> Vec<Scalar> {
    let of = |name: &str, function: fn(f64) -> f64, what: &str| {
        scalar(name, function, &format!("The {what}."), &format!("{name}(0.6)")).infallible()
    };
    vec![
        of("sec", |x| 1.0 / x.cos(), "secant of an angle in radians"),
        of("csc", |x| 1.0 / x.sin(), "cosecant of an angle in radians"),
        of("sech", |x| 1.0 / x.cosh(), "hyperbolic secant of a number"),
        of("csch", |x| 1.0 / x.sinh(), "hyperbolic cosecant of a number"),
        of("coth", |x| 1.0 / x.tanh(), "hyperbolic cotangent of a number"),
        scalar("is_inf", f64::is_infinite, "Whether a float is infinite.", "is_inf(DOUBLE '-inf')").infallible(),
    ]
}
