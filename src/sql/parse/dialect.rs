//! The dialect that everything is read in: that of sqlparser which knows most words, and lambdas, `x -> x + 1`, beside.
//! Where no lambda can stand, `->` is a member of JSON. What stands behind `IS [NOT] DISTINCT FROM` ends before AND and OR, as
//! behind any comparison; sqlparser takes all that follows.

use std::any::TypeId;

use sqlparser::ast::Expr;
use sqlparser::dialect::{Dialect, GenericDialect, Precedence};
use sqlparser::keywords::Keyword;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::Token;

/// How `->` is called where it is no lambda's.
pub(super) const JSON_MEMBER: &str = "->";

/// [`GenericDialect`], which it says it is, with lambdas.
#[derive(Debug)]
pub(crate) struct OwnDialect;

/// What the generic dialect says.
macro_rules! as_generic {
    ($($name:ident),+) => {
        $(fn $name(&self) -> bool {
            GenericDialect.$name()
        })+
    };
}

impl Dialect for OwnDialect {
    fn dialect(&self) -> TypeId {
        TypeId::of::<GenericDialect>()
    }

    fn is_delimited_identifier_start(&self, ch: char) -> bool {
        GenericDialect.is_delimited_identifier_start(ch)
    }

    fn is_identifier_start(&self, ch: char) -> bool {
        GenericDialect.is_identifier_start(ch)
    }

    fn is_identifier_part(&self, ch: char) -> bool {
        GenericDialect.is_identifier_part(ch)
    }

    fn supports_lambda_functions(&self) -> bool {
        true
    }

    /// `(x).*`
    fn supports_select_expr_star(&self) -> bool {
        true
    }

    fn supports_order_by_all(&self) -> bool {
        true
    }

    /// Members of JSON bind as `||` does, as in PostgreSQL.
    fn get_next_precedence(&self, parser: &Parser) -> Option<Result<u8, ParserError>> {
        let is_member = |token: &Token| match token {
            Token::LongArrow | Token::HashArrow | Token::HashLongArrow => true,
            Token::CustomBinaryOperator(operator) => operator == JSON_MEMBER,
            _ => false,
        };
        is_member(&parser.peek_token().token).then(|| Ok(self.prec_value(Precedence::MulDivModOp)))
    }

    fn parse_infix(&self, parser: &mut Parser, expr: &Expr, _precedence: u8) -> Option<Result<Expr, ParserError>> {
        let distinct: fn(Box<Expr>, Box<Expr>) -> Expr = match () {
            () if parser.parse_keywords(&[Keyword::IS, Keyword::DISTINCT, Keyword::FROM]) => Expr::IsDistinctFrom,
            () if parser.parse_keywords(&[Keyword::IS, Keyword::NOT, Keyword::DISTINCT, Keyword::FROM]) => {
                Expr::IsNotDistinctFrom
            }
            () => return None,
        };
        let right = parser.parse_subexpr(self.prec_value(Precedence::Is));
        Some(right.map(|right| distinct(Box::new(expr.clone()), Box::new(right))))
    }

    as_generic!(
        allow_extract_custom,
        allow_extract_single_quotes,
        support_map_literal_syntax,
        supports_array_join_syntax,
        supports_array_typedef_with_brackets,
        supports_asc_desc_in_column_definition,
        supports_bitwise_shift_operators,
        supports_comma_separated_set_assignments,
        supports_comma_separated_trim,
        supports_comment_on,
        supports_comment_optimizer_hint,
        supports_connect_by,
        supports_constraint_keyword_without_name,
        supports_create_index_with_clause,
        supports_create_view_comment_syntax,
        supports_cte_without_as,
        supports_data_type_signed_suffix,
        supports_detach,
        supports_dictionary_syntax,
        supports_empty_projections,
        supports_explain_with_utility_options,
        supports_extract_comma_syntax,
        supports_filter_during_aggregation,
        supports_from_first_select,
        supports_group_by_expr,
        supports_group_by_with_modifier,
        supports_install,
        supports_interpolate,
        supports_interval_options,
        supports_key_column_option,
        supports_left_associative_joins_without_parens,
        supports_limit_by,
        supports_limit_comma,
        supports_load_extension,
        supports_match_against,
        supports_match_recognize,
        supports_multiline_comment_hints,
        supports_named_fn_args_with_assignment_operator,
        supports_nested_comments,
        supports_optimize_table,
        supports_parens_around_table_factor,
        supports_parenthesized_set_variables,
        supports_partition_by_after_order_by,
        supports_pipe_operator,
        supports_prewhere,
        supports_projection_trailing_commas,
        supports_quote_delimited_string,
        supports_select_format,
        supports_select_item_multi_column_alias,
        supports_select_wildcard_except,
        supports_select_wildcard_exclude,
        supports_select_wildcard_ilike,
        supports_select_wildcard_rename,
        supports_select_wildcard_replace,
        supports_set_names,
        supports_settings,
        supports_start_transaction_modifier,
        supports_string_escape_constant,
        supports_struct_literal,
        supports_try_convert,
        supports_unicode_string_literal,
        supports_update_order_by,
        supports_user_host_grantee,
        supports_values_as_table_factor,
        supports_window_clause_named_window_reference,
        supports_window_function_null_treatment_arg,
        supports_with_fill,
        supports_xml_expressions
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use datafusion_sql::parser::DFParserBuilder;

    #[test]
    fn an_arrow_makes_a_lambda() {
        let sql = "SELECT transform(list, x -> x + 1), fold(list, (a, b) -> a)";
        let mut parser = DFParserBuilder::new(sql).with_dialect(&OwnDialect).build().expect("tokens");
        let read = parser.parse_statement().expect("a statement").to_string();
        assert_eq!(read, sql);
    }

    #[test]
    fn and_and_or_end_what_is_distinct_from() {
        let cases = [
            ("a IS NOT DISTINCT FROM b AND c", "(a IS NOT DISTINCT FROM b) AND c"),
            ("a IS DISTINCT FROM b OR c AND d", "(a IS DISTINCT FROM b) OR (c AND d)"),
            ("NOT a IS DISTINCT FROM b + 1 AND c", "(NOT (a IS DISTINCT FROM (b + 1))) AND c"),
            ("a IS DISTINCT FROM NOT b AND c", "(a IS DISTINCT FROM (NOT b)) AND c"),
            ("a IS DISTINCT FROM b = c OR d", "(a IS DISTINCT FROM (b = c)) OR d"),
            ("a IS DISTINCT FROM (b AND c) AND d", "(a IS DISTINCT FROM (b AND c)) AND d"),
            ("a IS DISTINCT FROM b IS NULL", "(a IS DISTINCT FROM b) IS NULL"),
            ("a BETWEEN 1 AND 2 IS NOT DISTINCT FROM b AND c", "((a BETWEEN 1 AND 2) IS NOT DISTINCT FROM b) AND c"),
        ];
        for (sql, expected) in cases {
            let tree = |sql: &str| {
                let mut parser = Parser::new(&OwnDialect).try_with_sql(sql).expect("tokens");
                without_brackets(parser.parse_expr().expect("an expression"))
            };
            assert_eq!(format!("{:?}", tree(sql)), format!("{:?}", tree(expected)), "{sql}");
        }
    }

    /// The tree without brackets and places.
    fn without_brackets(mut expr: Expr) -> Expr {
        let _ = sqlparser::ast::visit_expressions_mut(&mut expr, |part| {
            while let Expr::Nested(inner) = part {
                *part = inner.as_ref().clone();
            }
            match part {
                Expr::Identifier(ident) => ident.span = sqlparser::tokenizer::Span::empty(),
                Expr::Value(value) => value.span = sqlparser::tokenizer::Span::empty(),
                _ => {}
            }
            std::ops::ControlFlow::<()>::Continue(())
        });
        expr
    }
}
