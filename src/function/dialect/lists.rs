//! Places in lists, as PostgreSQL counts them.

use super::scalar;
use crate::function::custom::Scalar;

pub(super) fn functions() -> Vec<Scalar> {
    vec![scalar(
        "trimmed_length",
        trimmed_length,
        "How long a list of a length is without so many elements; an error where there are not as many.",
        "trimmed_length(5, 2)",
    )]
}

fn trimmed_length(length: i64, count: i64) -> Result<i64, String> {
    match count {
        0.. if count <= length => Ok(length - count),
        _ => Err(format!("the number of elements to trim must be between 0 and {length}, not {count}")),
    }
}

#[cfg(test)]
mod tests {
    use super::trimmed_length;

    #[test]
    fn no_more_is_trimmed_than_there_is() {
        assert_eq!((trimmed_length(3, 0), trimmed_length(3, 3)), (Ok(3), Ok(0)));
        assert!(
            trimmed_length(3, 4).is_err() && trimmed_length(3, -1).is_err() && trimmed_length(0, i64::MIN).is_err()
        );
    }
}
