//! How a CSV file is written: delimiter, quote, header, null strings.

use crate::error::{Error, Result};
use crate::pipeline::options::{Options, boolean, character};

/// Whether the first line names the columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Header {
    Yes,
    No,
    /// Found out from a sample; without one, yes.
    Auto,
}

/// How a CSV file is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CsvOptions {
    /// `None`: found out from a sample; without one, a comma.
    pub delimiter: Option<u8>,
    pub header: Header,
    /// `None`: no quoting.
    pub quote: Option<u8>,
    /// The character before a quote, or itself, that takes its meaning away; `None`: only doubled quotes.
    pub escape: Option<u8>,
    /// Fields that mean NULL where they are not quoted.
    pub nulls: Vec<String>,
}

impl Default for CsvOptions {
    fn default() -> Self {
        CsvOptions { delimiter: None, header: Header::Yes, quote: Some(b'"'), escape: None, nulls: vec![String::new()] }
    }
}

impl CsvOptions {
    /// Takes its options: 'delimiter' (one character, `\t`, or 'auto'), 'header' (true, false, 'auto'), 'quote' and
    /// 'escape' (one character, or '' for none), 'null' (strings, separated by commas).
    pub fn take(options: &mut Options) -> Result<Self> {
        let mut taken = CsvOptions::default();
        let delimiter = |text: &str| if text == "auto" { Some(None) } else { character(text).map(Some) };
        if let Some(delimiter) = options.parse("delimiter", delimiter, "one ASCII character, '\\t' or 'auto'")? {
            taken.delimiter = delimiter;
        }
        let header = |text: &str| match boolean(text) {
            Some(true) => Some(Header::Yes),
            Some(false) => Some(Header::No),
            None => text.eq_ignore_ascii_case("auto").then_some(Header::Auto),
        };
        if let Some(header) = options.parse("header", header, "'true', 'false' or 'auto'")? {
            taken.header = header;
        }
        let optional = |text: &str| if text.is_empty() { Some(None) } else { character(text).map(Some) };
        if let Some(quote) = options.parse("quote", optional, "one ASCII character, or '' for none")? {
            taken.quote = quote;
        }
        if let Some(escape) = options.parse("escape", optional, "one ASCII character, or '' for none")? {
            taken.escape = escape.filter(|_| escape != taken.quote);
        }
        if let Some(nulls) = options.take("null") {
            taken.nulls = nulls.split(',').map(str::to_string).collect();
        }
        taken.check()?;
        Ok(taken)
    }

    /// The delimiter in force.
    pub fn delimiter(&self) -> u8 {
        self.delimiter.unwrap_or(b',')
    }

    /// Whether the first line is no row, as far as it is known.
    pub fn has_header(&self) -> bool {
        self.header != Header::No
    }

    fn check(&self) -> Result<()> {
        let delimiter = self.delimiter();
        let special = [Some(delimiter), self.quote, self.escape];
        if special.iter().flatten().any(|byte| matches!(byte, b'\n' | b'\r' | 0)) {
            return Err(Error::user("options 'delimiter', 'quote' and 'escape' cannot be line ends"));
        }
        if self.quote == Some(delimiter) || self.escape == Some(delimiter) {
            return Err(Error::user(format!("options 'delimiter' and 'quote' are the same: '{}'", delimiter as char)));
        }
        Ok(())
    }
}
