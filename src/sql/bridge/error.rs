//! What DataFusion reports, in our words.

use datafusion_common::DataFusionError;

use crate::error::Error;

/// Turns an error of DataFusion into ours: the innermost cause decides whose turn it is.
pub fn foreign(error: DataFusionError) -> Error {
    match error {
        DataFusionError::ArrowError(cause, _) => Error::from(*cause),
        DataFusionError::Context(_, inner) | DataFusionError::Diagnostic(_, inner) => foreign(*inner),
        DataFusionError::IoError(cause) => Error::outside(cause.to_string()).caused_by(cause),
        DataFusionError::Internal(message) => Error::bug(format!("a DataFusion function failed: {message}")),
        DataFusionError::External(cause) => match cause.downcast::<Error>() {
            Ok(ours) => *ours,
            Err(cause) => Error::user(cause.to_string()).caused_by(cause),
        },
        DataFusionError::Execution(message)
        | DataFusionError::Plan(message)
        | DataFusionError::NotImplemented(message)
        | DataFusionError::ResourcesExhausted(message) => Error::user(plain(&message)),
        other => {
            let message = other.strip_backtrace();
            Error::user(plain(&message)).caused_by(other)
        }
    }
}

/// A message in the house's form: first letter small, no full stop.
fn plain(message: &str) -> String {
    let message = message.trim().trim_end_matches('.');
    let mut letters = message.chars();
    match (letters.next(), letters.next()) {
        (Some(first), Some(second)) if first.is_uppercase() && !second.is_uppercase() => {
            first.to_lowercase().chain(message.chars().skip(1)).collect()
        }
        _ => message.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;

    #[test]
    fn keeps_whose_turn_it_is() {
        let error = foreign(DataFusionError::Execution("Invalid pattern.".to_string()));
        assert_eq!((error.kind(), error.message()), (Kind::User, "invalid pattern"));
        let ours = DataFusionError::External(Box::new(Error::outside("gone")));
        assert_eq!(foreign(ours).kind(), Kind::Outside);
        assert_eq!(foreign(DataFusionError::Internal("x".to_string())).kind(), Kind::Bug);
    }
}
