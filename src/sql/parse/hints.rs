//! Hints, `/*+ STATE_TTL('t' = '1h') */`: comments that mean something.

use sqlparser::tokenizer::{Token, TokenWithSpan, Tokenizer, Whitespace};

use super::tokens::{DIALECT, closing, is_word, split_commas, tokenize};
use super::window::nanoseconds;
use crate::error::{Error, Result};
use crate::sql::error;

/// How long state without a window is kept once no row of its group comes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StateTtl {
    /// A table, or `None` for all of them, and microseconds.
    pub of: Vec<(Option<String>, i64)>,
    /// What holds where neither a hint nor a table says so, in microseconds.
    pub otherwise: Option<i64>,
}

impl StateTtl {
    /// How long state over the rows of these tables is kept; `None`: for ever. A table's own counts before that of all;
    /// of several, the longest.
    pub fn over<'a>(&self, tables: impl Iterator<Item = &'a str>) -> Option<i64> {
        let tables: Vec<&str> = tables.collect();
        let named = self.of.iter().filter(|(name, _)| name.as_deref().is_some_and(|name| tables.contains(&name)));
        let of_all = self.of.iter().filter(|(name, _)| name.is_none());
        named.map(|(_, ttl)| *ttl).max().or(of_all.map(|(_, ttl)| *ttl).max())
    }
}

/// The hints in a statement's text.
///
/// Failure: a hint that is not known, or a duration that is none.
pub fn state_ttl(text: &str) -> Result<StateTtl> {
    let mut ttl = StateTtl::default();
    for token in Tokenizer::new(&DIALECT, text).tokenize().map_err(error::from_tokenizer)? {
        if let Token::Whitespace(Whitespace::MultiLineComment(comment)) = token
            && let Some(hints) = comment.strip_prefix('+')
        {
            read(&tokenize(hints)?, &mut ttl)?;
        }
    }
    Ok(ttl)
}

fn read(mut tokens: &[TokenWithSpan], ttl: &mut StateTtl) -> Result<()> {
    while let [name, rest @ ..] = tokens {
        if name.token == Token::Comma {
            tokens = rest;
            continue;
        }
        if !is_word(name, "STATE_TTL") || rest.first().is_none_or(|token| token.token != Token::LParen) {
            let message = format!("unknown hint: {}; there is STATE_TTL('table' = '1h')", name.token);
            return Err(Error::user(message));
        }
        let close = closing(rest, 0);
        for part in split_commas(&rest[1..close.min(rest.len())]) {
            ttl.of.push(entry(part)?);
        }
        tokens = &rest[(close + 1).min(rest.len())..];
    }
    Ok(())
}

fn entry(part: &[TokenWithSpan]) -> Result<(Option<String>, i64)> {
    let text = |token: &TokenWithSpan| match &token.token {
        Token::SingleQuotedString(text) => Some(text.clone()),
        Token::Word(word) if word.quote_style.is_some() => Some(word.value.clone()),
        Token::Word(word) => Some(word.value.to_lowercase()),
        _ => None,
    };
    let (table, duration) = match part {
        [duration] => (None, text(duration)),
        [table, eq, duration] if eq.token == Token::Eq => (text(table), text(duration)),
        _ => (None, None),
    };
    let micros = duration.as_deref().and_then(nanoseconds).map(|nanoseconds| nanoseconds / 1_000);
    match micros {
        Some(micros) if micros > 0 => Ok((table, micros)),
        _ => Err(Error::user("the hint STATE_TTL takes durations: STATE_TTL('1h') or STATE_TTL('table' = '1h')")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_hints() {
        let ttl = state_ttl("SELECT /*+ STATE_TTL('o' = '1h', P = '5s') */ 1 /* + nothing */ -- x").expect("hints");
        assert_eq!(ttl.over(["o", "x"].into_iter()), Some(3_600_000_000));
        assert_eq!((ttl.over(["p"].into_iter()), ttl.over(["x"].into_iter())), (Some(5_000_000), None));
        assert_eq!(
            state_ttl("SELECT /*+ STATE_TTL('2s') */ 1").expect("a hint").over(["x"].into_iter()),
            Some(2_000_000)
        );
        assert_eq!(state_ttl("SELECT 1").expect("none"), StateTtl::default());
        for bad in ["/*+ FAST */ SELECT 1", "/*+ STATE_TTL('soon') */ SELECT 1", "/*+ STATE_TTL */ SELECT 1"] {
            assert!(state_ttl(bad).is_err(), "{bad}");
        }
    }
}
