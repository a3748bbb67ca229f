//! `x LIKE 'pattern' ESCAPE 'c'`, whose patterns are written with the escape that LIKE has anyway, and `x SIMILAR TO 'pattern'`, whose patterns are those of LIKE with alternatives and repeats, as a regular expression.

use sqlparser::ast::{BinaryOperator, Expr, Value, ValueWithSpan};

use crate::error::{Error, Result};
use crate::sql::tree::{binary, nested, text};

/// The match that stands for it.
pub(super) fn pattern(of: &Expr, pattern: &Expr, escape: Option<&ValueWithSpan>, negated: bool) -> Result<Expr> {
    let escape = match escape.map(|escape| &escape.value) {
        None => Some('\\'),
        Some(Value::SingleQuotedString(escape)) if escape.chars().count() <= 1 => escape.chars().next(),
        Some(other) => return Err(Error::user(format!("ESCAPE takes one character, not {other}"))),
    };
    let op = if negated { BinaryOperator::PGRegexNotMatch } else { BinaryOperator::PGRegexMatch };
    let written = match pattern {
        Expr::Value(literal) => &literal.value,
        _ => &Value::Null,
    };
    match (written, pattern) {
        (Value::SingleQuotedString(written), _) => Ok(nested(binary(of.clone(), op, text(&regex(written, escape))))),
        // NULL is like nothing.
        (Value::Null, Expr::Value(_)) => Ok(nested(binary(of.clone(), op, pattern.clone()))),
        _ => Err(Error::user(
            "SIMILAR TO takes a pattern that is written in the query; for one of a column use ~ and a regular expression",
        )),
    }
}

/// Writes a pattern of LIKE that is given with its escape with the usual one; none at all is the empty text.
pub(super) fn escape(pattern: &mut Expr, escape: &mut Option<ValueWithSpan>) -> Result<()> {
    let (Expr::Value(literal), Some(Value::SingleQuotedString(by))) =
        (&mut *pattern, escape.as_ref().map(|by| &by.value))
    else {
        return Ok(());
    };
    let Value::SingleQuotedString(written) = &mut literal.value else { return Ok(()) };
    let mut letters = by.chars();
    let (by, None) = (letters.next(), letters.next()) else { return Ok(()) };
    let (mut plain, mut letters) = (String::new(), written.chars());
    while let Some(letter) = letters.next() {
        if Some(letter) == by {
            let next = letters.next();
            let next = next.ok_or_else(|| Error::user("a pattern of LIKE must not end with its escape character"))?;
            plain.extend(['\\', next]);
        } else if letter == '\\' {
            plain.push_str("\\\\");
        } else {
            plain.push(letter);
        }
    }
    *written = plain;
    *escape = None;
    Ok(())
}

/// The same as a regular expression of the whole text.
fn regex(pattern: &str, escape: Option<char>) -> String {
    let mut regex = String::from("^(?s:");
    let (mut letters, mut in_class) = (pattern.chars(), false);
    while let Some(letter) = letters.next() {
        match letter {
            letter if Some(letter) == escape => {
                if let Some(next) = letters.next() {
                    regex.push_str(&regex_syntax(next));
                }
            }
            ']' => {
                in_class = false;
                regex.push(']');
            }
            letter if in_class => regex.push(letter),
            '[' => {
                in_class = true;
                regex.push('[');
            }
            '%' => regex.push_str(".*"),
            '_' => regex.push('.'),
            '|' | '*' | '+' | '?' | '{' | '}' | '(' | ')' => regex.push(letter),
            other => regex.push_str(&regex_syntax(other)),
        }
    }
    regex + ")$"
}

/// A letter that stands for itself.
fn regex_syntax(letter: char) -> String {
    match letter {
        letter if letter.is_alphanumeric() || letter.is_whitespace() || !letter.is_ascii() => letter.to_string(),
        other => format!("\\{other}"),
    }
}

#[cfg(test)]
mod tests {
    use super::regex;

    #[test]
    fn patterns_cover_the_whole_text() {
        let escaped = |pattern| regex(pattern, Some('\\'));
        assert_eq!(escaped("(a|b)%"), "^(?s:(a|b).*)$");
        assert_eq!(escaped("a_c.d"), r"^(?s:a.c\.d)$");
        assert_eq!(escaped(r"100\%"), r"^(?s:100\%)$");
        assert_eq!(escaped("[%_a-c]+"), "^(?s:[%_a-c]+)$");
        assert_eq!(regex("a#|b", Some('#')), r"^(?s:a\|b)$");
        assert_eq!(regex(r"a\b", None), r"^(?s:a\\b)$");
    }
}
