//! Pieces of syntax trees made by hand: calls, casts, literals.

use sqlparser::ast::helpers::attached_token::AttachedToken;
use sqlparser::ast::{
    BinaryOperator, CaseWhen, CastKind, DataType, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgumentList,
    FunctionArguments, Ident, ObjectName, OrderByExpr, Value, WindowSpec, WindowType,
};
use sqlparser::tokenizer::Span;

/// A call of a function by its name.
pub(super) fn function(name: ObjectName, args: Vec<Expr>) -> Function {
    let args = args.into_iter().map(|arg| FunctionArg::Unnamed(FunctionArgExpr::Expr(arg))).collect();
    Function {
        name,
        uses_odbc_syntax: false,
        parameters: FunctionArguments::None,
        args: FunctionArguments::List(FunctionArgumentList { duplicate_treatment: None, args, clauses: Vec::new() }),
        filter: None,
        null_treatment: None,
        over: None,
        within_group: Vec::new(),
    }
}

/// A call of a function of ours in the place of what stands at `span`.
pub(super) fn call_of(name: &str, args: Vec<Expr>, span: Span) -> Expr {
    let ident = Ident { value: name.to_string(), quote_style: None, span };
    Expr::Function(function(ObjectName::from(vec![ident]), args))
}

/// `name() OVER (PARTITION BY keys ORDER BY order)`.
pub(super) fn over(name: &str, partition_by: Vec<Expr>, order_by: Vec<OrderByExpr>) -> Expr {
    let mut call = function(ObjectName::from(vec![Ident::new(name)]), Vec::new());
    let window = WindowSpec { window_name: None, partition_by, order_by, window_frame: None };
    call.over = Some(WindowType::WindowSpec(window));
    Expr::Function(call)
}

/// The arguments of a call that are expressions; empty where there is another kind among them.
pub(super) fn plain_args(call: &Function) -> Vec<Expr> {
    let FunctionArguments::List(list) = &call.args else { return Vec::new() };
    let expr = |arg: &FunctionArg| match arg {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr.clone()),
        _ => None,
    };
    list.args.iter().map(expr).collect::<Option<Vec<_>>>().unwrap_or_default()
}

pub(super) fn cast(kind: CastKind, expr: Expr, data_type: DataType) -> Expr {
    Expr::Cast { kind, expr: Box::new(expr), data_type, array: false, format: None }
}

pub(super) fn cast_to(expr: Expr, data_type: DataType) -> Expr {
    cast(CastKind::Cast, expr, data_type)
}

pub(super) fn binary(left: Expr, op: BinaryOperator, right: Expr) -> Expr {
    Expr::BinaryOp { left: Box::new(left), op, right: Box::new(right) }
}

/// `CASE WHEN condition THEN result ELSE otherwise END`.
pub(super) fn when(condition: Expr, result: Expr, otherwise: Option<Expr>) -> Expr {
    Expr::Case {
        case_token: AttachedToken::empty(),
        end_token: AttachedToken::empty(),
        operand: None,
        conditions: vec![CaseWhen { condition, result }],
        else_result: otherwise.map(Box::new),
    }
}

pub(super) fn nested(expr: Expr) -> Expr {
    Expr::Nested(Box::new(expr))
}

pub(super) fn text(text: &str) -> Expr {
    Expr::value(Value::SingleQuotedString(text.to_string()))
}

pub(super) fn number(value: i64) -> Expr {
    Expr::value(Value::Number(value.to_string(), false))
}
