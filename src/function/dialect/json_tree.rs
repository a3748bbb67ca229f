//! JSON as a tree whose numbers are digits: they come out with every digit that they came in with.
//!
//! Source      RFC 8259 for what is read; what is written is PostgreSQL's JSONB, whose numbers have no exponents.

use std::collections::BTreeMap;

/// How many lists and objects may stand one in another.
const DEPTH_MAX: usize = 128;
/// How many digits an exponent may make of a number before its point and behind it, as in PostgreSQL's NUMERIC.
const WHOLE_MAX: i64 = 131_072;
const FRACTION_MAX: i64 = 16_383;

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Json {
    Null,
    Bool(bool),
    /// Digits, with a point or not, and without an exponent.
    Number(String),
    Text(String),
    List(Vec<Json>),
    /// By their names; of equal ones the last.
    Object(BTreeMap<String, Json>),
}

/// Reads a text.
pub(super) fn parsed(text: &str) -> Result<Json, String> {
    let mut reader = Reader { rest: text, depth: 0 };
    let value = reader.value().and_then(|value| reader.end().map(|()| value));
    value.map_err(|wrong| format!("not JSON: {wrong} at character {}: {text}", reader.at(text)))
}

impl Json {
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Json::Null => "null",
            Json::Bool(_) => "boolean",
            Json::Number(_) => "number",
            Json::Text(_) => "string",
            Json::List(_) => "array",
            Json::Object(_) => "object",
        }
    }

    /// In the form of JSONB.
    pub(super) fn spaced(&self) -> String {
        let mut text = String::new();
        self.write(&mut text);
        text
    }

    fn write(&self, out: &mut String) {
        match self {
            Json::Null => out.push_str("null"),
            Json::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
            Json::Number(digits) => out.push_str(digits),
            Json::Text(text) => quote(text, out),
            Json::List(list) => {
                out.push('[');
                for (at, element) in list.iter().enumerate() {
                    out.push_str(if at > 0 { ", " } else { "" });
                    element.write(out);
                }
                out.push(']');
            }
            Json::Object(members) => {
                out.push('{');
                for (at, (name, value)) in members.iter().enumerate() {
                    out.push_str(if at > 0 { ", " } else { "" });
                    quote(name, out);
                    out.push_str(": ");
                    value.write(out);
                }
                out.push('}');
            }
        }
    }
}

fn quote(text: &str, out: &mut String) {
    out.push_str(&serde_json::Value::from(text).to_string());
}

/// Reads a text from its beginning.
struct Reader<'a> {
    rest: &'a str,
    depth: usize,
}

impl<'a> Reader<'a> {
    fn value(&mut self) -> Result<Json, String> {
        self.skip_blanks();
        match self.rest.bytes().next() {
            Some(b'{') => self.nested(Reader::object),
            Some(b'[') => self.nested(Reader::list),
            Some(b'"') => self.text().map(Json::Text),
            Some(b'-' | b'0'..=b'9') => self.number().map(Json::Number),
            Some(_) => self.word(),
            None => Err("a value is missing".to_string()),
        }
    }

    fn nested(&mut self, read: fn(&mut Self) -> Result<Json, String>) -> Result<Json, String> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err("it is nested too deep".to_string());
        }
        self.take(1);
        let value = read(self);
        self.depth -= 1;
        value
    }

    fn list(&mut self) -> Result<Json, String> {
        let mut list = Vec::new();
        if self.has(']') {
            return Ok(Json::List(list));
        }
        loop {
            list.push(self.value()?);
            if !self.goes_on(']')? {
                return Ok(Json::List(list));
            }
        }
    }

    fn object(&mut self) -> Result<Json, String> {
        let mut members = BTreeMap::new();
        if self.has('}') {
            return Ok(Json::Object(members));
        }
        loop {
            self.skip_blanks();
            if !self.rest.starts_with('"') {
                return Err("the name of a member is missing".to_string());
            }
            let name = self.text()?;
            if !self.has(':') {
                return Err("a colon is missing".to_string());
            }
            let value = self.value()?;
            members.insert(name, value);
            if !self.goes_on('}')? {
                return Ok(Json::Object(members));
            }
        }
    }

    /// Whether a comma comes next, and not the end.
    fn goes_on(&mut self, end: char) -> Result<bool, String> {
        match self.has(',') {
            true => Ok(true),
            false if self.has(end) => Ok(false),
            false => Err(format!("a comma or {end} is missing")),
        }
    }

    /// A text in quotes, which the library reads.
    fn text(&mut self) -> Result<String, String> {
        let mut is_escaped = false;
        let close = self.rest.bytes().skip(1).position(|byte| {
            let is_close = byte == b'"' && !is_escaped;
            is_escaped = byte == b'\\' && !is_escaped;
            is_close
        });
        let close = close.ok_or_else(|| "a text is not closed".to_string())?;
        let text = serde_json::from_str(&self.rest[..close + 2]).map_err(|_| "a text cannot be read".to_string())?;
        self.take(close + 2);
        Ok(text)
    }

    fn number(&mut self) -> Result<String, String> {
        let is_part = |byte: u8| byte.is_ascii_digit() || matches!(byte, b'-' | b'+' | b'.' | b'e' | b'E');
        let length = self.rest.bytes().position(|byte| !is_part(byte)).unwrap_or(self.rest.len());
        let digits = plain_number(&self.rest[..length])?;
        self.take(length);
        Ok(digits)
    }

    fn word(&mut self) -> Result<Json, String> {
        let words = [("null", Json::Null), ("true", Json::Bool(true)), ("false", Json::Bool(false))];
        let found = words.into_iter().find(|(word, _)| self.rest.starts_with(word));
        let (word, value) = found.ok_or_else(|| "no value".to_string())?;
        self.take(word.len());
        Ok(value)
    }

    fn end(&mut self) -> Result<(), String> {
        self.skip_blanks();
        if self.rest.is_empty() { Ok(()) } else { Err("something stands behind the value".to_string()) }
    }

    /// Takes a letter behind blanks, if it is there.
    fn has(&mut self, letter: char) -> bool {
        self.skip_blanks();
        let is_next = self.rest.starts_with(letter);
        if is_next {
            self.take(letter.len_utf8());
        }
        is_next
    }

    fn skip_blanks(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\t', '\n', '\r']);
    }

    fn take(&mut self, bytes: usize) {
        self.rest = &self.rest[bytes..];
    }

    /// Where it is in the text, counted from 1.
    fn at(&self, text: &str) -> usize {
        text[..text.len() - self.rest.len()].chars().count() + 1
    }
}

/// A number without its exponent, `1.50e1` as `15.0`; zero has no sign.
fn plain_number(written: &str) -> Result<String, String> {
    let wrong = || format!("no number: {written}");
    let (sign, unsigned) = match written.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", written),
    };
    let (mantissa, exponent) = unsigned.split_once(['e', 'E']).unwrap_or((unsigned, "0"));
    let (whole, fraction) = match mantissa.split_once('.') {
        Some((_, "")) => return Err(wrong()),
        Some(parts) => parts,
        None => (mantissa, ""),
    };
    let is_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let starts_well = !whole.is_empty() && (whole == "0" || !whole.starts_with('0'));
    let unsigned_exponent = exponent.strip_prefix(['-', '+']).unwrap_or(exponent);
    if !starts_well
        || !is_digits(whole)
        || !is_digits(fraction)
        || !is_digits(unsigned_exponent)
        || unsigned_exponent.is_empty()
    {
        return Err(wrong());
    }
    let digits = format!("{whole}{fraction}");
    let is_zero = digits.bytes().all(|digit| digit == b'0');
    // What does not fit is too large in any case.
    let exponent: i64 = exponent.parse::<i64>().unwrap_or(i64::MAX).clamp(-1_000_000_000, 1_000_000_000);
    let point = whole.len() as i64 + exponent;
    let scale = (fraction.len() as i64 - exponent).max(0);
    if exponent != 0 && (scale > FRACTION_MAX || point > WHOLE_MAX && !is_zero) {
        return Err(format!("a number with more digits than there can be: {written}"));
    }
    Ok(shifted(sign, &digits, point, scale, is_zero))
}

/// Digits with their point at a place, which may lie outside of them.
fn shifted(sign: &str, digits: &str, point: i64, scale: i64, is_zero: bool) -> String {
    let scale = scale as usize;
    if is_zero {
        let zeros = "0".repeat(scale);
        return if scale > 0 { format!("0.{zeros}") } else { "0".to_string() };
    }
    let padded = match usize::try_from(point) {
        Ok(point) => format!("{digits}{}", "0".repeat(point.saturating_sub(digits.len()))),
        Err(_) => format!("{}{digits}", "0".repeat(point.unsigned_abs() as usize)),
    };
    let (whole, fraction) = padded.split_at(point.max(0) as usize);
    let whole = whole.trim_start_matches('0');
    let whole = if whole.is_empty() { "0" } else { whole };
    if fraction.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_has_one_form() {
        let form = |text: &str| parsed(text).map(|json| json.spaced());
        let text = "{\"b\":[1,2.50,\"\\u00e9\\\"\"],\"a\":null,\"c\":{},\"a\":true}";
        assert_eq!(form(text).as_deref(), Ok("{\"a\": true, \"b\": [1, 2.50, \"é\\\"\"], \"c\": {}}"));
        assert_eq!(form(" [ ]\n").as_deref(), Ok("[]"));
        assert_eq!(form("[1, x]"), Err("not JSON: no value at character 5: [1, x]".to_string()));
        let wrong = [
            "",
            " ",
            "{a: 1}",
            "[1,]",
            "[1",
            "{\"a\"}",
            "{\"a\": 1,}",
            "{1: 2}",
            "\"x",
            "\"\\x\"",
            "nul",
            "nulll",
            "1 2",
            "[1 2]",
            "01",
            "1.",
            ".5",
            "+1",
            "1e",
            "-",
            "1e+",
            "1.5.2",
            "--1",
            "1e1.5",
            "NaN",
        ];
        for text in wrong {
            assert!(form(text).is_err(), "{text}");
            assert!(serde_json::from_str::<serde_json::Value>(text).is_err(), "{text}");
        }
    }

    #[test]
    fn numbers_keep_their_digits() {
        let cases = [
            ("12345678901234567890123", "12345678901234567890123"),
            ("0.10", "0.10"),
            ("-1.50e1", "-15.0"),
            ("1e2", "100"),
            ("1.5E-3", "0.0015"),
            ("12.5e+1", "125"),
            ("0.05e1", "0.5"),
            ("-0", "0"),
            ("-0.0", "0.0"),
            ("0e5", "0"),
            ("0e-5", "0.00000"),
            ("0e999999999999", "0"),
        ];
        for (written, expected) in cases {
            assert_eq!(plain_number(written).as_deref(), Ok(expected), "{written}");
        }
        let length = |written: &str| plain_number(written).map(|digits| digits.len());
        assert_eq!((length("1e400"), length("1e131071"), length("1e-16383")), (Ok(401), Ok(131_072), Ok(16_385)));
        assert!(
            length("1e131072").is_err() && length("1e-16384").is_err() && length("1e99999999999999999999").is_err()
        );
    }

    #[test]
    fn depth_has_a_bound() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(parsed(&nested(DEPTH_MAX)).is_ok() && parsed(&nested(DEPTH_MAX + 1)).is_err());
        assert!(parsed(&"[".repeat(1_000_000)).is_err());
    }
}
