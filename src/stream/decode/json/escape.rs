//! Strings with escapes, made plain.

use super::cursor::Expected;

/// Appends what `text`, the inside of a JSON string whose escapes are well formed, stands for.
///
/// Failure: half a surrogate pair, which is no character.
pub fn unescape(text: &[u8], out: &mut Vec<u8>) -> Result<(), Expected> {
    let mut rest = text;
    while let Some(at) = memchr::memchr(b'\\', rest) {
        out.extend_from_slice(&rest[..at]);
        let plain = match rest.get(at + 1) {
            Some(b'n') => b'\n',
            Some(b't') => b'\t',
            Some(b'r') => b'\r',
            Some(b'b') => 8,
            Some(b'f') => 12,
            Some(b'u') => {
                let (character, length) = unicode(&rest[at..])?;
                out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
                rest = &rest[at + length..];
                continue;
            }
            Some(&itself) => itself,
            None => return Err("an escape of JSON"),
        };
        out.push(plain);
        rest = &rest[at + 2..];
    }
    out.extend_from_slice(rest);
    Ok(())
}

/// The character of `\uXXXX`, or of two of them, and how many bytes they take.
fn unicode(text: &[u8]) -> Result<(char, usize), Expected> {
    let first = unit(text)?;
    if let Some(character) = char::from_u32(first) {
        return Ok((character, 6));
    }
    let second = text.get(6..).map_or(Err("the other half of a surrogate pair"), unit)?;
    if first < 0xdc00 && (0xdc00..0xe000).contains(&second) {
        let code = 0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00);
        return char::from_u32(code).map(|character| (character, 12)).ok_or("a character");
    }
    Err("the other half of a surrogate pair")
}

fn unit(text: &[u8]) -> Result<u32, Expected> {
    let digits = text
        .strip_prefix(b"\\u")
        .and_then(|digits| digits.get(..4))
        .and_then(|digits| std::str::from_utf8(digits).ok());
    digits.and_then(|digits| u32::from_str_radix(digits, 16).ok()).ok_or("the other half of a surrogate pair")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, wanted: Option<&str>) {
        let mut out = Vec::new();
        let found = unescape(text.as_bytes(), &mut out).ok().map(|()| String::from_utf8(out).unwrap());
        assert_eq!(found.as_deref(), wanted, "{text}");
    }

    #[test]
    fn escapes_are_made_plain() {
        check(r#"a\"b\\c\/\b\f\n\r\t"#, Some("a\"b\\c/\u{8}\u{c}\n\r\t"));
        check(r"\u0041\u00e4\u20AC\u0000", Some("Aä€\0"));
        check(r"x\ud83d\ude00y", Some("x😀y"));
    }

    #[test]
    fn halves_of_characters_are_refused() {
        for text in [r"\ud83d", r"\ud83dx", r"\ud83d\n", r"\ud83d\u0041", r"\ude00", r"\ude00\ud83d", r"\ud83d\ud83d"] {
            check(text, None);
        }
    }
}
