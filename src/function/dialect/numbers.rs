//! Functions of angles that the library does not have, whether a float is infinite, and rounding of halves to even.

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
        of("sind", |x| of_degrees(x, f64::sin), "sine of an angle in degrees"),
        of("cosd", |x| of_degrees(90.0 - x, f64::sin), "cosine of an angle in degrees"),
        of("tand", |x| of_degrees(x, f64::sin) / of_degrees(90.0 - x, f64::sin), "tangent of an angle in degrees"),
        of("cotd", |x| of_degrees(90.0 - x, f64::sin) / of_degrees(x, f64::sin), "cotangent of an angle in degrees"),
        of("asind", |x| in_degrees(x.asin()), "angle in degrees of a sine"),
        of("acosd", |x| in_degrees(x.acos()), "angle in degrees of a cosine"),
        of("atand", |x| in_degrees(x.atan()), "angle in degrees of a tangent"),
        scalar("atan2d", |y: f64, x: f64| in_degrees(y.atan2(x)), "The angle in degrees of a point.", "atan2d(1, 1)")
            .infallible(),
        scalar(
            "bround",
            |value: f64, places: i64| bround(value, places),
            "A number rounded to so many places behind the point, a half to the even neighbour: halves as the number is written.",
            "bround(2.5, 0)",
        )
        .infallible(),
        scalar("bround", |value: f64| bround(value, 0), "A number rounded, a half to the even neighbour.", "bround(2.5)")
            .infallible(),
        scalar("is_inf", f64::is_infinite, "Whether a float is infinite.", "is_inf(DOUBLE '-inf')").infallible(),
    ]
}

/// A function of an angle in degrees, exact where a sine is 0, a half or 1.
fn of_degrees(degrees: f64, function: fn(f64) -> f64) -> f64 {
    let turned = degrees.rem_euclid(360.0);
    let known =
        [(0.0, 0.0), (30.0, 0.5), (90.0, 1.0), (150.0, 0.5), (180.0, 0.0), (210.0, -0.5), (270.0, -1.0), (330.0, -0.5)];
    let found = known.iter().find(|(angle, _)| *angle == turned);
    found.map_or_else(|| function(turned.to_radians()), |(_, value)| *value)
}

/// Radians as degrees, whole ones where they are nearly that.
fn in_degrees(radians: f64) -> f64 {
    let degrees = radians.to_degrees();
    if (degrees - degrees.round()).abs() < 1e-12 { degrees.round() } else { degrees }
}

/// Rounds what the float is written as, so that 1.15 is a half of a tenth.
fn bround(value: f64, places: i64) -> f64 {
    // All digits of it, and the power of ten of the last one.
    let text = format!("{:e}", value.abs());
    let (Some((digits, exponent)), true) = (text.split_once('e'), value.is_finite()) else { return value };
    let mut digits: Vec<u8> = digits.bytes().filter(u8::is_ascii_digit).map(|digit| digit - b'0').collect();
    let Ok(exponent) = exponent.parse::<i64>() else { return value };
    // Of the digits so many stay.
    let kept = exponent.saturating_add(places).saturating_add(1);
    if kept >= digits.len() as i64 {
        return value;
    }
    if kept < 0 {
        return 0.0_f64.copysign(value);
    }
    let rest = digits.split_off(kept as usize);
    let is_half = rest[0] == 5 && rest[1..].iter().all(|digit| *digit == 0);
    let is_odd = digits.last().is_some_and(|digit| digit % 2 == 1);
    let mut number = digits.iter().fold(0u128, |number, digit| number * 10 + u128::from(*digit));
    number += u128::from(if is_half { is_odd } else { rest[0] >= 5 });
    let rounded: f64 = format!("{number}e{}", -places).parse().unwrap_or(value.abs());
    rounded.copysign(value)
}

#[cfg(test)]
mod tests {
    use super::bround;

    #[test]
    fn halves_become_even() {
        assert_eq!([1.123, 1.15, 1.25, 1.55].map(|value| bround(value, 1)), [1.1, 1.2, 1.2, 1.6]);
        assert_eq!([11.15, 15.25, 25.55, 5.0, 15.0].map(|value| bround(value, -1)), [10.0, 20.0, 30.0, 0.0, 20.0]);
        assert_eq!([0.5, 1.5, -2.5, 0.51, 0.05].map(|value| bround(value, 0)), [0.0, 2.0, -2.0, 1.0, 0.0]);
        assert_eq!((bround(11.0, -4), bround(1e300, 2), bround(f64::INFINITY, 0)), (0.0, 1e300, f64::INFINITY));
        assert!(bround(f64::NAN, 0).is_nan() && bround(7.0, i64::MIN) == 0.0 && bround(7.0, i64::MAX) == 7.0);
    }
}
