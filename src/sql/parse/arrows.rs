//! `->`: of a lambda, `x -> x + 1`, as an argument of a function that takes one; else a member of JSON, `j -> 'a'`.

use sqlparser::tokenizer::{Token, TokenWithSpan};

use super::dialect::JSON_MEMBER;
use super::tokens::word;

/// Functions that take lambdas.
const OF_LAMBDAS: &[&str] = &[
    "any_match",
    "array_any_match",
    "array_exists",
    "array_filter",
    "array_first",
    "array_transform",
    "filter",
    "list_any_match",
    "list_filter",
    "list_first",
    "list_transform",
    "transform",
];

/// Tells members of JSON from lambdas, which the parser would see in both.
pub(super) fn rewrite(mut tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    for at in 0..tokens.len() {
        if tokens[at].token == Token::Arrow && !is_lambda(&tokens, at) {
            tokens[at].token = Token::CustomBinaryOperator(JSON_MEMBER.to_string());
        }
    }
    tokens
}

/// Whether the `->` at a place stands behind the names of a lambda.
fn is_lambda(tokens: &[TokenWithSpan], at: usize) -> bool {
    let starts_argument = |at: usize| at > 0 && matches!(tokens[at - 1].token, Token::LParen | Token::Comma);
    let Some(before) = at.checked_sub(1) else { return false };
    let first = match tokens[before].token {
        Token::Word(_) => before,
        Token::RParen => match (0..before).rev().find(|&open| tokens[open].token == Token::LParen) {
            Some(open) => open,
            None => return false,
        },
        _ => return false,
    };
    if !starts_argument(first) {
        return false;
    }
    let mut depth = 0usize;
    for open in (0..first).rev() {
        match tokens[open].token {
            Token::RParen => depth += 1,
            Token::LParen if depth == 0 => {
                return open > 0 && word(&tokens[open - 1]).is_some_and(|name| OF_LAMBDAS.contains(&name.as_str()));
            }
            Token::LParen => depth -= 1,
            _ => {}
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::super::tokens::tokenize;
    use super::*;
    use crate::sql::plan::FUNCTIONS;

    #[test]
    fn lambdas_are_arguments_of_functions_that_take_them() {
        let members = |text: &str| {
            let tokens = rewrite(tokenize(text).expect("tokens"));
            tokens.iter().filter(|token| matches!(token.token, Token::CustomBinaryOperator(_))).count()
        };
        assert_eq!(members("array_transform([1], x -> x + 1)"), 0);
        assert_eq!(members("array_filter(f(a, b), (x, i) -> x > i)"), 0);
        assert_eq!(members("array_transform(js, x -> x -> 'a')"), 1);
        assert_eq!(members("SELECT j -> 'a', (j) -> 'a' -> 0, t.j -> 'b', lower(j -> 'c'), sum((j -> 'd')::INT)"), 6);
    }

    #[test]
    fn functions_that_take_lambdas_are_those_there_are() {
        assert_eq!(OF_LAMBDAS.to_vec(), FUNCTIONS.higher.keys().collect::<Vec<_>>());
    }
}
