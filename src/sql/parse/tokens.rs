//! Tokens with their places in the text, and small looks at them.

use sqlparser::tokenizer::{Location, Span, Token, TokenWithSpan, Tokenizer};

use super::dialect::OwnDialect;
use crate::error::{Place, Result};
use crate::sql::error;

/// The dialect that everything is read in: close to PostgreSQL.
pub(crate) static DIALECT: OwnDialect = OwnDialect;

/// Cuts a text into tokens, leaving out blanks and comments.
pub(super) fn tokenize(text: &str) -> Result<Vec<TokenWithSpan>> {
    let mut tokens = Tokenizer::new(&DIALECT, text).tokenize_with_location().map_err(error::from_tokenizer)?;
    tokens.retain(|token| !matches!(token.token, Token::Whitespace(_)));
    Ok(tokens)
}

/// Whether the token is this word, unquoted, in whatever case.
pub(super) fn is_word(token: &TokenWithSpan, word: &str) -> bool {
    matches!(&token.token, Token::Word(w) if w.quote_style.is_none() && w.value.eq_ignore_ascii_case(word))
}

/// Whether the tokens start with these words, unquoted.
pub(super) fn starts_with(tokens: &[TokenWithSpan], words: &[&str]) -> bool {
    tokens.len() >= words.len() && words.iter().zip(tokens).all(|(word, token)| is_word(token, word))
}

/// The unquoted word at hand, in lower case.
pub(super) fn word(token: &TokenWithSpan) -> Option<String> {
    match &token.token {
        Token::Word(w) if w.quote_style.is_none() => Some(w.value.to_ascii_lowercase()),
        _ => None,
    }
}

/// A word made by us, at the place of what it stands for.
pub(super) fn make_word(word: &str, quote: Option<char>, span: Span) -> TokenWithSpan {
    TokenWithSpan::new(Token::make_word(word, quote), span)
}

/// The index of the parenthesis that closes the one at `open`, or the end.
pub(super) fn closing(tokens: &[TokenWithSpan], open: usize) -> usize {
    let mut depth = 0usize;
    for (at, token) in tokens.iter().enumerate().skip(open) {
        match token.token {
            Token::LParen => depth += 1,
            Token::RParen => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return at;
        }
    }
    tokens.len()
}

/// Cuts a list at its outermost commas.
pub(super) fn split_commas(tokens: &[TokenWithSpan]) -> Vec<&[TokenWithSpan]> {
    let mut parts = Vec::new();
    let (mut depth, mut start) = (0usize, 0);
    for (at, token) in tokens.iter().enumerate() {
        match token.token {
            Token::LParen | Token::LBracket => depth += 1,
            Token::RParen | Token::RBracket => depth = depth.saturating_sub(1),
            Token::Comma if depth == 0 => {
                parts.push(&tokens[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    if !tokens.is_empty() {
        parts.push(&tokens[start..]);
    }
    parts
}

/// Where a span points to; `None` for the empty span of tokens nobody wrote.
pub(crate) fn place(span: Span) -> Option<Place> {
    let Span { start, end } = span;
    if start.line == 0 {
        return None;
    }
    let width = if end.line == start.line { end.column.saturating_sub(start.column).max(1) } else { 1 };
    Some(Place { line: start.line, column: start.column, width })
}

/// Where these tokens stand; the width is the first line's share.
pub(super) fn place_of(tokens: &[TokenWithSpan]) -> Option<Place> {
    let (first, last) = (tokens.first()?, tokens.last()?);
    place(Span::new(first.span.start, last.span.end))
}

/// Where these words first stand in a text, side by side.
pub(crate) fn place_of_words(text: &str, words: &[&str]) -> Option<Place> {
    let tokens = tokenize(text).ok()?;
    let at = (0..tokens.len()).find(|&at| starts_with(&tokens[at..], words))?;
    place_of(&tokens[at..at + words.len()])
}

/// The byte that a location stands for.
pub(super) fn offset(text: &str, location: Location) -> usize {
    let mut line_start = 0;
    for _ in 1..location.line {
        line_start += text[line_start..].find('\n').map_or(text.len() - line_start, |at| at + 1);
    }
    let line = &text[line_start..];
    let column = location.column.saturating_sub(1) as usize;
    line_start + line.char_indices().nth(column).map_or(line.len(), |(at, _)| at)
}
