//! Booleans, in the spellings that PostgreSQL and DuckDB take.

/// `true t yes y 1` and `false f no n 0`, in any case.
pub fn boolean(bytes: &[u8]) -> Option<bool> {
    const TRUE: [&[u8]; 5] = [b"true", b"t", b"yes", b"y", b"1"];
    const FALSE: [&[u8]; 5] = [b"false", b"f", b"no", b"n", b"0"];
    if TRUE.iter().any(|word| bytes.eq_ignore_ascii_case(word)) {
        return Some(true);
    }
    FALSE.iter().any(|word| bytes.eq_ignore_ascii_case(word)).then_some(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_the_usual_spellings_only() {
        assert_eq!(["TRUE", "t", "Yes", "1"].map(|text| boolean(text.as_bytes())), [Some(true); 4]);
        assert_eq!(["false", "F", "no", "0"].map(|text| boolean(text.as_bytes())), [Some(false); 4]);
        assert_eq!(["", "tr", "2", "on", "true "].map(|text| boolean(text.as_bytes())), [None; 5]);
    }
}
