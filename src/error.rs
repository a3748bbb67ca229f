//! One error type for the whole engine: whose turn it is, what happened, and where in the SQL.
//!
//! Invariants  the kind says who can mend it; messages are lower case, fixed words first, values last, no full stop.

use std::any::Any;
use std::fmt;

/// Whose turn it is to act on an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The user's: their SQL, their data, their options.
    User,
    /// The outside's: a file, a pipe, the network.
    Outside,
    /// Ours: an invariant of the engine did not hold.
    Bug,
    /// Nobody's: the query was cancelled by its owner.
    Cancelled,
}

impl Kind {
    /// Exit code of the command line for this kind of error.
    pub fn exit_code(self) -> u8 {
        match self {
            Kind::User => 1,
            Kind::Outside => 2,
            Kind::Bug => 3,
            Kind::Cancelled => 130,
        }
    }
}

/// A place in a SQL text. Lines and columns count from 1, columns in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Place {
    pub line: u64,
    pub column: u64,
    /// How many characters the caret line covers, at least 1.
    pub width: u64,
}

/// The engine's only error type.
#[derive(Debug)]
pub struct Error(Box<Inner>);

#[derive(Debug)]
struct Inner {
    kind: Kind,
    message: String,
    context: Vec<String>,
    place: Option<Place>,
    excerpt: Option<String>,
    cause: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// Result with the engine's error.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    fn new(kind: Kind, message: impl Into<String>) -> Self {
        Error(Box::new(Inner {
            kind,
            message: message.into(),
            context: Vec::new(),
            place: None,
            excerpt: None,
            cause: None,
        }))
    }

    /// An error the user can mend.
    pub fn user(message: impl Into<String>) -> Self {
        Self::new(Kind::User, message)
    }

    /// An error of the outside world.
    pub fn outside(message: impl Into<String>) -> Self {
        Self::new(Kind::Outside, message)
    }

    /// An error of the engine itself.
    pub fn bug(message: impl Into<String>) -> Self {
        Self::new(Kind::Bug, message)
    }

    /// A part of the engine panicked; `panic` is what it left.
    pub(crate) fn panicked(who: &str, panic: &(dyn Any + Send)) -> Self {
        let text = panic.downcast_ref::<&str>().copied();
        let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message");
        Self::bug(format!("{who} panicked: {text}"))
    }

    /// A user's function panicked; `panic` is what it left.
    pub(crate) fn kernel_panicked(name: &str, panic: &(dyn Any + Send)) -> Self {
        let Inner { message, .. } = *Self::panicked(&format!("the function {name}"), panic).0;
        Self::user(message)
    }

    /// The owner of the query cancelled it.
    pub fn cancelled() -> Self {
        Self::new(Kind::Cancelled, "the query was cancelled")
    }

    /// Adds what was being done, outermost last.
    #[must_use]
    pub fn context(mut self, doing: impl Into<String>) -> Self {
        self.0.context.push(doing.into());
        self
    }

    /// Adds the place in the SQL text, unless one is known already.
    #[must_use]
    pub fn at(mut self, place: Option<Place>) -> Self {
        self.0.place = self.0.place.or(place);
        self
    }

    /// Draws the line of `sql` that the place points into, with a caret below it.
    #[must_use]
    pub fn in_text(mut self, sql: &str) -> Self {
        if let (Some(place), None) = (self.0.place, &self.0.excerpt) {
            self.0.excerpt = excerpt(sql, place);
        }
        self
    }

    /// Keeps the error that caused this one.
    #[must_use]
    pub fn caused_by(mut self, cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.0.cause = Some(cause.into());
        self
    }

    /// The same error once more, for someone else who meets it.
    #[must_use]
    pub fn again(&self) -> Self {
        Self::new(self.kind(), self.to_string())
    }

    pub fn kind(&self) -> Kind {
        self.0.kind
    }

    /// The message alone, without context, place or excerpt.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    pub fn place(&self) -> Option<Place> {
        self.0.place
    }
}

fn excerpt(sql: &str, place: Place) -> Option<String> {
    let line = sql.lines().nth(place.line.checked_sub(1)? as usize)?;
    let shown = line.replace('\t', " ");
    let before = place.column.saturating_sub(1) as usize;
    let room = shown.chars().count().saturating_sub(before).max(1);
    let width = (place.width.max(1) as usize).min(room);
    let number = place.line.to_string();
    let margin = " ".repeat(number.len());
    Some(format!("{number} | {shown}\n{margin} | {}{}", " ".repeat(before), "^".repeat(width)))
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for doing in self.0.context.iter().rev() {
            write!(f, "{doing}: ")?;
        }
        f.write_str(&self.0.message)?;
        if let Some(place) = self.0.place {
            write!(f, " (line {}, column {})", place.line, place.column)?;
        }
        if let Some(excerpt) = &self.0.excerpt {
            write!(f, "\n{excerpt}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.cause.as_ref().map(|cause| &**cause as _)
    }
}

impl From<arrow::error::ArrowError> for Error {
    fn from(error: arrow::error::ArrowError) -> Self {
        use arrow::error::ArrowError as E;
        let kind = match &error {
            E::IoError(..) => Kind::Outside,
            E::MemoryError(_) | E::CDataInterface(_) | E::SchemaError(_) => Kind::Bug,
            _ => Kind::User,
        };
        let message = match &error {
            E::DivideByZero => "division by zero; test the divisor first, or use nullif(divisor, 0)".to_string(),
            E::ArithmeticOverflow(what) => format!("arithmetic overflow: {what}"),
            E::ComputeError(m) | E::InvalidArgumentError(m) | E::CastError(m) | E::ParseError(m) => m.clone(),
            other => other.to_string(),
        };
        Error::new(kind, message).caused_by(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_a_caret_under_the_place() {
        let place = Place { line: 2, column: 8, width: 3 };
        let error = Error::user("column not found: foo").at(Some(place)).in_text("SELECT 1;\nSELECT foo FROM t");
        assert_eq!(
            error.to_string(),
            "column not found: foo (line 2, column 8)\n2 | SELECT foo FROM t\n  |        ^^^"
        );
    }
}
