//! `#[millstream::kernel]`: a plain function as a kernel to be registered with an engine.
//!
//! Written on the compiler's own tokens: what it reads is one function, and parsers for all of Rust cost more to build
//! than the rest of this crate.

mod function; // the parts of a function

use proc_macro::{Delimiter, Group, TokenStream, TokenTree};

use function::{Function, Mistake};

/// Makes a function a kernel: a value of the function's name, to be given to `Engine::register`.
///
/// ```ignore
/// /// The distance of two points on the Earth, in kilometres.
/// #[millstream::kernel(cost = 40.0)]
/// fn haversine_km(lat1: f64, lon1: f64, lat2: f64, lon2: f64) -> f64 { ... }
///
/// engine.register(haversine_km)?;
/// let alone = haversine_km::call(52.5, 13.4, 48.9, 2.4);
/// ```
///
/// In parentheses may stand `strict`, `volatile`, `infallible`, `monotonic`, `cost = nanoseconds`, `name = "name in SQL"`
/// and `example = "SQL"`; the comment above the function is its description. A function that returns `&str` or
/// `Option<&str>` allocates nothing.
#[proc_macro_attribute]
pub fn kernel(attributes: TokenStream, item: TokenStream) -> TokenStream {
    match Function::read(item).and_then(|function| expand(attributes, &function)) {
        Ok(tokens) => tokens,
        Err(mistake) => mistake.into_tokens(),
    }
}

fn expand(attributes: TokenStream, function: &Function) -> Result<TokenStream, Mistake> {
    let settings = settings(attributes, function)?;
    let name = &function.name;
    let mut out = TokenStream::new();
    out.extend(function.attributes.clone());
    out.extend(parsed("#[allow(non_camel_case_types, reason = \"it is called as the function it stands for\")]"));
    out.extend(parsed("#[derive(Debug, Clone, Copy)]"));
    out.extend(function.visibility.clone());
    out.extend(parsed(&format!("struct {name};")));
    // The function itself, as `name::call`.
    let mut inside = parsed("/// The plain function.\n#[inline(always)]");
    inside.extend(parsed("pub fn call"));
    inside.extend([function.args.clone()]);
    inside.extend(function.result.clone());
    inside.extend([function.body.clone()]);
    out.extend(parsed(&format!("impl {name}")));
    out.extend([TokenTree::Group(Group::new(Delimiter::Brace, inside))]);
    // What the engine takes.
    let custom = "::millstream::function::custom";
    let closure = function.closure(custom);
    let body = format!(
        "fn from(_: {name}) -> {custom}::Function {{ {custom}::Scalar::new({sql:?}, {closure}){rest}.into() }}",
        sql = settings.name,
        rest = settings.calls,
    );
    out.extend(parsed(&format!("impl ::core::convert::From<{name}> for {custom}::Function {{ {body} }}")));
    Ok(out)
}

/// What stands in the attribute's parentheses.
struct Settings {
    name: String,
    /// As calls of the builder.
    calls: String,
}

fn settings(attributes: TokenStream, function: &Function) -> Result<Settings, Mistake> {
    let mut settings = Settings { name: function.name.to_string(), calls: format!(".doc({:?})", function.doc) };
    let mut tokens = attributes.into_iter().peekable();
    while let Some(token) = tokens.next() {
        let word = token.to_string();
        let mut value = None;
        if matches!(tokens.peek(), Some(TokenTree::Punct(punct)) if punct.as_char() == '=') {
            tokens.next();
            value = tokens.next().map(|value| value.to_string());
        }
        match (word.as_str(), value) {
            ("strict" | "volatile" | "infallible" | "monotonic", None) => settings.calls += &format!(".{word}()"),
            ("deterministic", None) => {}
            ("cost", Some(value)) => settings.calls += &format!(".cost({value} as f64)"),
            ("example", Some(value)) => settings.calls += &format!(".example({value})"),
            ("name", Some(value)) => settings.name = value.trim_matches('"').to_string(),
            _ => {
                let known = "strict, volatile, infallible, monotonic, cost = .., name = \"..\", example = \"..\"";
                return Err(Mistake::new(
                    token.span(),
                    format!("no such attribute of a kernel: {word}; there are {known}"),
                ));
            }
        }
        match tokens.next() {
            None => break,
            Some(TokenTree::Punct(punct)) if punct.as_char() == ',' => {}
            Some(other) => return Err(Mistake::new(other.span(), "a comma is expected here")),
        }
    }
    Ok(settings)
}

/// Rust text as tokens.
fn parsed(text: &str) -> TokenStream {
    text.parse().expect("made of whole parts above")
}
