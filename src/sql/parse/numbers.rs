//! Numbers with underscores: `10_000` is ten thousand, and `10_sum`, which would be read as `10 AS _sum`, is a mistake.

use sqlparser::tokenizer::{Span, Token, TokenWithSpan};

use super::tokens::place_of;
use crate::error::{Error, Result};

/// Joins the digits of such numbers.
///
/// Failure: an underscore behind a number with no digits behind it.
pub(super) fn join(tokens: Vec<TokenWithSpan>) -> Result<Vec<TokenWithSpan>> {
    let mut joined: Vec<TokenWithSpan> = Vec::with_capacity(tokens.len());
    for token in tokens {
        let Some(before) = joined.last_mut() else {
            joined.push(token);
            continue;
        };
        let touches = before.span.end == token.span.start && before.span != token.span;
        let (Token::Number(digits, false), Token::Word(word)) = (&mut before.token, &token.token) else {
            joined.push(token);
            continue;
        };
        if !touches || word.quote_style.is_some() || !word.value.starts_with('_') {
            joined.push(token);
            continue;
        }
        let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        if !is_digits(digits) || !word.value[1..].split('_').all(is_digits) {
            let message =
                format!("a number ends where a name begins: {digits}{}; set them apart, or quote the name", word.value);
            return Err(Error::user(message).at(place_of(&[before.clone(), token])));
        }
        digits.push_str(&word.value.replace('_', ""));
        before.span = Span::new(before.span.start, token.span.end);
    }
    Ok(joined)
}
