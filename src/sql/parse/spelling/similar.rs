//! `x LIKE 'pattern' ESCAPE 'c'`, whose patterns are written with the escape that LIKE has anyway, and `x SIMILAR TO 'pattern'`, whose patterns are those of LIKE with alternatives and repeats, as a regular expression.

use std::str::Chars;

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
        (Value::SingleQuotedString(written), _) => Ok(nested(binary(of.clone(), op, text(&regex(written, escape)?)))),
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
///
/// Failure: a class that is not closed, or a repeat of nothing.
fn regex(pattern: &str, escape: Option<char>) -> Result<String> {
    let mut regex = String::from("^(?s:");
    let mut rest = Rest { pattern, letters: pattern.chars(), escape };
    let mut can_repeat = false;
    while let Some(letter) = rest.letters.next() {
        let is_operator = matches!(letter, '*' | '+' | '?');
        if is_operator && !can_repeat && Some(letter) != escape {
            return Err(Error::user(format!(
                "nothing stands before {letter} in the pattern of SIMILAR TO: '{pattern}'"
            )));
        }
        can_repeat = Some(letter) == escape || !matches!(letter, '(' | '|');
        match letter {
            letter if Some(letter) == escape => {
                if let Some(next) = rest.letters.next() {
                    regex.push_str(&regex_syntax(next));
                }
            }
            '[' => regex.push_str(&rest.class()?),
            '%' => regex.push_str(".*"),
            '_' => regex.push('.'),
            '{' => regex.push_str(&rest.count().unwrap_or_else(|| regex_syntax('{'))),
            '|' | '*' | '+' | '?' | '(' | ')' => regex.push(letter),
            other => regex.push_str(&regex_syntax(other)),
        }
    }
    Ok(regex + ")$")
}

/// What is left of a pattern.
struct Rest<'a> {
    /// All of it, for errors.
    pattern: &'a str,
    letters: Chars<'a>,
    escape: Option<char>,
}

impl Rest<'_> {
    /// How often, of a brace that has been opened: `2}`, `2,}`, `2,3}`; `None`: the brace stands for itself.
    fn count(&mut self) -> Option<String> {
        let (count, behind) = self.letters.as_str().split_once('}')?;
        let (least, most) = count.split_once(',').unwrap_or((count, ""));
        let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if least.is_empty() || !is_number(least) || !is_number(most) {
            return None;
        }
        self.letters = behind.chars();
        Some(format!("{{{count}}}"))
    }

    /// A class of letters that has been opened, each of them written so that it stands for itself.
    fn class(&mut self) -> Result<String> {
        let mut class = String::from("[");
        if self.skip('^') {
            class.push('^');
        }
        let mut is_first = true;
        loop {
            let letter = self.within()?;
            match letter {
                ']' if !is_first => return Ok(class + "]"),
                '[' if self.letters.as_str().starts_with(':') => class.push_str(&self.named_class()?),
                '[' if self.letters.as_str().starts_with(['.', '=']) => {
                    return Err(self.wrong("has a class that is not known"));
                }
                letter => class.push_str(&self.range(letter)?),
            }
            is_first = false;
        }
    }

    /// A letter of a class, or a range that begins with it.
    fn range(&mut self, letter: char) -> Result<String> {
        let first = self.member(letter)?;
        let behind = self.letters.as_str();
        if !behind.starts_with('-') || behind.starts_with("-]") {
            return Ok(regex_syntax(first));
        }
        self.skip('-');
        let next = self.within()?;
        let last = self.member(next)?;
        match first <= last {
            true => Ok(format!("{}-{}", regex_syntax(first), regex_syntax(last))),
            false => Err(self.wrong(&format!("has a range the wrong way round, {first}-{last}"))),
        }
    }

    /// The letter itself, or what an escape stands before.
    fn member(&mut self, letter: char) -> Result<char> {
        if Some(letter) == self.escape { self.within() } else { Ok(letter) }
    }

    /// `[:alpha:]` and its kin, whose bracket has been read.
    fn named_class(&mut self) -> Result<String> {
        const NAMES: &[&str] = &[
            "alnum", "alpha", "ascii", "blank", "cntrl", "digit", "graph", "lower", "print", "punct", "space", "upper",
            "word", "xdigit",
        ];
        let behind = &self.letters.as_str()[1..];
        let name = behind.split_once(":]").map_or("", |(name, _)| name);
        if !NAMES.contains(&name) {
            return Err(self.wrong("has a class that is not known"));
        }
        self.letters = behind[name.len() + 2..].chars();
        Ok(format!("[:{name}:]"))
    }

    /// The next letter of a class.
    fn within(&mut self) -> Result<char> {
        let next = self.letters.next();
        next.ok_or_else(|| self.wrong("has a [ that is not closed"))
    }

    fn skip(&mut self, letter: char) -> bool {
        let is_next = self.letters.as_str().starts_with(letter);
        if is_next {
            self.letters.next();
        }
        is_next
    }

    fn wrong(&self, what: &str) -> Error {
        Error::user(format!("the pattern of SIMILAR TO {what}: '{}'", self.pattern))
    }
}

/// A letter that stands for itself.
fn regex_syntax(letter: char) -> String {
    let is_syntax = r"\.+*?()|[]{}^$#&-~".contains(letter);
    if is_syntax { format!("\\{letter}") } else { letter.to_string() }
}

#[cfg(test)]
mod tests {
    use super::regex;

    #[test]
    fn patterns_cover_the_whole_text() {
        let escaped = |pattern| regex(pattern, Some('\\')).expect("a pattern");
        assert_eq!(escaped("(a|b)%"), "^(?s:(a|b).*)$");
        assert_eq!(escaped("a_c.d"), r"^(?s:a.c\.d)$");
        assert_eq!(escaped(r"100\%"), "^(?s:100%)$");
        assert_eq!(escaped("a{2,3}b{2}c{2,}d{,2}{"), r"^(?s:a{2,3}b{2}c{2,}d\{,2\}\{)$");
        assert_eq!(regex("a#|b", Some('#')).expect("a pattern"), r"^(?s:a\|b)$");
        assert_eq!(regex(r"a\b", None).expect("a pattern"), r"^(?s:a\\b)$");
    }

    #[test]
    fn letters_of_a_class_stand_for_themselves() {
        let escaped = |pattern| regex(pattern, Some('\\')).expect("a pattern");
        assert_eq!(escaped("[%_a-c]+"), "^(?s:[%_a-c]+)$");
        assert_eq!(escaped("[[]|[]a]|[^]a^]"), r"^(?s:[\[]|[\]a]|[^\]a\^])$");
        assert_eq!(escaped("[a&&b]|[a~~b-]|[-a]"), r"^(?s:[a\&\&b]|[a\~\~b\-]|[\-a])$");
        assert_eq!(escaped(r"[\]x\-z]|[[:alpha:]_]"), r"^(?s:[\]x\-z]|[[:alpha:]_])$");
    }

    #[test]
    fn what_is_no_pattern_is_refused() {
        for pattern in ["(?i)a", "*a", "a|+", "[a", "[]", "[^]", "[c-a]", "[a--c]", "[[:foo:]]", "[[=a=]]", r"[a\"] {
            assert!(regex(pattern, Some('\\')).is_err(), "{pattern}");
        }
    }
}
