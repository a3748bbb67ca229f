//! `SET name = value`: settings for the statements that follow.

use sqlparser::tokenizer::{Token, TokenWithSpan};

use super::tokens::{is_word, place_of};
use super::window::nanoseconds;
use crate::error::{Error, Result};

/// A setting with its new value; `None`: what it was in the beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Setting {
    /// Whether queries are refused whose state grows for as long as their input comes.
    Strict(Option<bool>),
    /// How long groups without a window are kept, in microseconds; 0: for ever.
    StateTtl(Option<i64>),
    /// How long input without an end may gather, in microseconds.
    Linger(Option<i64>),
}

impl Setting {
    /// Its name in SQL.
    pub fn name(self) -> &'static str {
        match self {
            Setting::Strict(_) => "strict",
            Setting::StateTtl(_) => "state_ttl",
            Setting::Linger(_) => "linger",
        }
    }
}

/// Reads `SET name = value`, `SET name TO value`; DEFAULT is what the setting was in the beginning.
pub(super) fn parse(tokens: &[TokenWithSpan]) -> Result<Setting> {
    let usage = "SET takes a setting and a value: SET strict = true, SET state_ttl = '1h', SET linger = '1ms'";
    let [_, name, sign, value] = tokens else { return Err(Error::user(usage).at(place_of(tokens))) };
    if sign.token != Token::Eq && !is_word(sign, "TO") {
        return Err(Error::user(usage).at(place_of(tokens)));
    }
    let text = match &value.token {
        Token::SingleQuotedString(text) => text.clone(),
        Token::Word(word) => word.value.clone(),
        other => other.to_string(),
    };
    let is_default = is_word(value, "DEFAULT");
    let wrong = |what: &str| Error::user(format!("{what}: {}", value.token)).at(place_of(std::slice::from_ref(value)));
    let duration = || match (is_default, nanoseconds(&text)) {
        (true, _) => Ok(None),
        (false, Some(nanoseconds)) if nanoseconds >= 0 => Ok(Some(nanoseconds / 1_000)),
        _ => Err(wrong("this setting takes a duration such as '5s'")),
    };
    match () {
        _ if is_word(name, "STRICT") => match text.to_lowercase().as_str() {
            _ if is_default => Ok(Setting::Strict(None)),
            "true" | "on" => Ok(Setting::Strict(Some(true))),
            "false" | "off" => Ok(Setting::Strict(Some(false))),
            _ => Err(wrong("this setting is true or false")),
        },
        _ if is_word(name, "STATE_TTL") => Ok(Setting::StateTtl(duration()?)),
        _ if is_word(name, "LINGER") => Ok(Setting::Linger(duration()?)),
        _ => {
            let message = format!("unknown setting: {}; there are strict, state_ttl and linger", name.token);
            Err(Error::user(message).at(place_of(std::slice::from_ref(name))))
        }
    }
}
