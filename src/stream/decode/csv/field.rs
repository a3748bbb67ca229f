//! One field that is not plain: quoted, escaped, empty, a null string.

use super::CsvOptions;
use super::quotes::closing;
use crate::stream::decode::fault::Reason;

/// What is between a field's quotes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unquoted {
    /// As it is, from this byte of the field to that one.
    Plain(usize, usize),
    /// Copied without the characters that only protect others.
    Copied,
}

/// Looks between the quotes of `field`, whose first byte is a quote. `copy` takes what is not there as it is.
#[inline]
pub fn unquote(field: &[u8], quote: u8, escape: Option<u8>, copy: &mut Vec<u8>) -> Result<Unquoted, Reason> {
    // Most have quotes at both ends and none between.
    if let ([_, inner @ .., last], None) = (field, escape)
        && *last == quote
        && memchr::memchr(quote, inner).is_none()
    {
        return Ok(Unquoted::Plain(1, field.len() - 1));
    }
    let close = closing(field, 0, quote, escape).ok_or(Reason::OpenQuote)?;
    if close + 1 != field.len() {
        return Err(Reason::AfterQuote);
    }
    let inner = &field[1..close];
    if memchr::memchr2(quote, escape.unwrap_or(quote), inner).is_none() {
        return Ok(Unquoted::Plain(1, close));
    }
    copy.clear();
    let mut rest = inner;
    while let Some(at) = memchr::memchr2(quote, escape.unwrap_or(quote), rest) {
        copy.extend_from_slice(&rest[..at]);
        copy.extend(rest.get(at + 1));
        rest = rest.get(at + 2..).unwrap_or_default();
    }
    copy.extend_from_slice(rest);
    Ok(Unquoted::Copied)
}

/// The fields of one line as text, for headers and samples. What is not UTF-8 is replaced; bad quotes are kept.
pub fn split(line: &[u8], options: &CsvOptions) -> Vec<String> {
    split_fields(line, options).into_iter().map(|(text, _)| text).collect()
}

/// The fields of one line, and whether each is quoted.
pub fn split_fields(line: &[u8], options: &CsvOptions) -> Vec<(String, bool)> {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let mut fields = Vec::new();
    let mut start = 0;
    let mut copy = Vec::new();
    loop {
        let mut end = start;
        if let Some(quote) = options.quote.filter(|quote| line.get(start) == Some(quote)) {
            end = closing(line, start, quote, options.escape).map_or(line.len(), |close| close + 1);
        }
        end += memchr::memchr(options.delimiter(), &line[end..]).unwrap_or(line.len() - end);
        let field = &line[start..end];
        let quoted = options.quote.filter(|quote| field.first() == Some(quote));
        let text = match quoted.map(|quote| unquote(field, quote, options.escape, &mut copy)) {
            Some(Ok(Unquoted::Plain(from, to))) => &field[from..to],
            Some(Ok(Unquoted::Copied)) => &copy[..],
            _ => field,
        };
        fields.push((String::from_utf8_lossy(text).into_owned(), quoted.is_some()));
        if end == line.len() {
            return fields;
        }
        start = end + 1;
    }
}
