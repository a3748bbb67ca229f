//! Keys in the order of the last row: the next key is compared with the one expected here, and only looked up when it
//! is another one.

use std::collections::HashMap;

use arrow::datatypes::FieldRef;

/// Keys remembered at most; files with more kinds of rows than that are looked up key by key.
const STEPS_MAX: usize = 256;

/// A key as it is expected: `"name":`.
#[derive(Debug)]
struct Step {
    /// The first bytes, up to 16, as a word; the mask says how many.
    head: u128,
    mask: u128,
    /// All of them.
    text: Vec<u8>,
    column: Option<usize>,
}

/// The keys of the last rows, and all columns by name.
#[derive(Debug)]
pub struct Keys {
    steps: Vec<Step>,
    exact: HashMap<Vec<u8>, usize>,
    /// In lower case, for columns whose name is not also another one's in another case.
    folded: HashMap<Vec<u8>, usize>,
}

impl Keys {
    pub fn new(fields: &[FieldRef]) -> Self {
        let mut keys = Keys { steps: Vec::new(), exact: HashMap::new(), folded: HashMap::new() };
        for (column, field) in fields.iter().enumerate() {
            keys.exact.insert(field.name().clone().into_bytes(), column);
            keys.folded.entry(field.name().to_ascii_lowercase().into_bytes()).or_insert(column);
        }
        keys
    }

    /// If the key that step `step` expects is at `at`: its column, and how long the text up to behind the colon is.
    #[inline(always)]
    pub fn expected(&self, step: usize, bytes: &[u8], at: usize) -> Option<(Option<usize>, usize)> {
        let step = self.steps.get(step)?;
        let head = u128::from_le_bytes(*bytes.get(at..)?.first_chunk()?);
        let is_here = (head ^ step.head) & step.mask == 0
            && (step.text.len() <= 16 || bytes.get(at + 16..at + step.text.len()) == Some(&step.text[16..]));
        is_here.then_some((step.column, step.text.len()))
    }

    /// The column of a key.
    pub fn column(&self, name: &[u8]) -> Option<usize> {
        let folded = || self.folded.get(&name.to_ascii_lowercase());
        self.exact.get(name).or_else(folded).copied()
    }

    /// The column of a key that was not expected, and the step behind it. `text` is the key with quotes and colon, if
    /// it is written without blanks and escapes, `name` what it stands for.
    #[cold]
    pub fn look_up(&mut self, step: usize, text: Option<&[u8]>, name: &[u8]) -> (Option<usize>, usize) {
        if let Some(text) = text
            && let Some(ahead) = self.steps.iter().skip(step).position(|step| step.text == text)
        {
            return (self.steps[step + ahead].column, step + ahead + 1);
        }
        let column = self.column(name);
        let Some(text) = text.filter(|_| step < STEPS_MAX) else { return (column, step) };
        let mut head = [0; 16];
        let length = text.len().min(16);
        head[..length].copy_from_slice(&text[..length]);
        let mask = if length == 16 { !0 } else { (1 << (8 * length)) - 1 };
        let step = step.min(self.steps.len());
        self.steps.insert(step, Step { head: u128::from_le_bytes(head), mask, text: text.to_vec(), column });
        self.steps.truncate(STEPS_MAX);
        (column, step + 1)
    }
}
