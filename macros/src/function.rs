//! The parts of a function, as tokens.

use proc_macro::{Delimiter, Ident, Literal, Spacing, Span, TokenStream, TokenTree};

/// A function.
pub struct Function {
    /// Comments and other attributes.
    pub attributes: TokenStream,
    pub visibility: TokenStream,
    pub name: Ident,
    /// The group in parentheses.
    pub args: TokenTree,
    /// From the arrow on.
    pub result: TokenStream,
    pub body: TokenTree,
    /// The comments as text.
    pub doc: String,
}

/// What is wrong, and where.
pub struct Mistake {
    span: Span,
    message: String,
}

impl Mistake {
    pub fn new(span: Span, message: impl Into<String>) -> Mistake {
        Mistake { span, message: message.into() }
    }

    /// As an error of the compiler.
    pub fn into_tokens(self) -> TokenStream {
        let mut message = Literal::string(&self.message);
        message.set_span(self.span);
        let call: TokenStream = "::core::compile_error!".parse().expect("it is Rust");
        let group = proc_macro::Group::new(Delimiter::Brace, TokenTree::from(message).into());
        call.into_iter()
            .chain([TokenTree::Group(group)])
            .map(|mut token| {
                token.set_span(self.span);
                token
            })
            .collect()
    }
}

impl Function {
    /// Takes a function apart.
    pub fn read(item: TokenStream) -> Result<Function, Mistake> {
        let wrong =
            |span: Span| Mistake::new(span, "a kernel is a plain function: fn name(a: f64, ...) -> f64 { ... }");
        let mut tokens = item.into_iter().peekable();
        let (mut attributes, mut doc) = (TokenStream::new(), String::new());
        while matches!(tokens.peek(), Some(TokenTree::Punct(punct)) if punct.as_char() == '#') {
            let hash = tokens.next().expect("seen");
            let group = tokens.next().ok_or_else(|| wrong(hash.span()))?;
            doc += &comment(&group);
            attributes.extend([hash, group]);
        }
        let mut visibility = TokenStream::new();
        if is_word(tokens.peek(), "pub") {
            visibility.extend(tokens.next());
            let is_scope =
                matches!(tokens.peek(), Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Parenthesis);
            if is_scope {
                visibility.extend(tokens.next());
            }
        }
        if !is_word(tokens.peek(), "fn") {
            return Err(wrong(tokens.peek().map_or(Span::call_site(), TokenTree::span)));
        }
        let span = tokens.next().expect("seen").span();
        let Some(TokenTree::Ident(name)) = tokens.next() else { return Err(wrong(span)) };
        let args = match tokens.next() {
            Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Parenthesis => TokenTree::Group(group),
            _ => {
                return Err(Mistake::new(
                    name.span(),
                    "a kernel has no type parameters: its types are those of columns",
                ));
            }
        };
        let mut result = TokenStream::new();
        for token in tokens {
            match token {
                TokenTree::Group(group) if group.delimiter() == Delimiter::Brace => {
                    let doc = doc.trim().to_string();
                    let body = TokenTree::Group(group);
                    return Ok(Function { attributes, visibility, name, args, result, body, doc });
                }
                other => result.extend([other]),
            }
        }
        Err(wrong(name.span()))
    }

    /// The function, or a closure around it that writes what it returns, as Rust text.
    pub fn closure(&self, custom: &str) -> String {
        let name = &self.name;
        let result: String = self.result.to_string().chars().filter(|c| !c.is_whitespace()).collect();
        let result = result.replace("'static", "");
        let write = match result.as_str() {
            "->&str" => format!("out.push_str({name}::call({{}}))"),
            "->Option<&str>" => format!("{name}::call({{}}).map(|text| out.push_str(text))"),
            _ => return format!("{name}::call"),
        };
        let TokenTree::Group(group) = &self.args else { return String::new() };
        let args = split(group.stream());
        let names: Vec<String> = (0..args.len()).map(|index| format!("arg{index}")).collect();
        let typed: Vec<String> = args.iter().zip(&names).map(|(ty, name)| format!("{name}: {ty}")).collect();
        let body = write.replace("{}", &names.join(", "));
        format!("|{}, out: &mut {custom}::StringWriter| {body}", typed.join(", "))
    }
}

/// The types of arguments.
fn split(args: TokenStream) -> Vec<String> {
    let (mut types, mut depth, mut current) = (Vec::new(), 0, None::<TokenStream>);
    for token in args {
        if let TokenTree::Punct(punct) = &token {
            match punct.as_char() {
                '<' => depth += 1,
                '>' => depth -= 1,
                ',' if depth == 0 => {
                    types.extend(current.take().map(|tokens| tokens.to_string()));
                    continue;
                }
                ':' if current.is_none() && punct.spacing() == Spacing::Alone => {
                    current = Some(TokenStream::new());
                    continue;
                }
                _ => {}
            }
        }
        if let Some(current) = &mut current {
            current.extend([token]);
        }
    }
    types.extend(current.map(|tokens| tokens.to_string()));
    types
}

fn is_word(token: Option<&TokenTree>, word: &str) -> bool {
    matches!(token, Some(TokenTree::Ident(ident)) if ident.to_string() == word)
}

/// The text of `[doc = "..."]`; nothing of other attributes.
fn comment(group: &TokenTree) -> String {
    let TokenTree::Group(group) = group else { return String::new() };
    let mut tokens = group.stream().into_iter();
    if !is_word(tokens.next().as_ref(), "doc") {
        return String::new();
    }
    let Some(TokenTree::Literal(text)) = tokens.nth(1) else { return String::new() };
    let text = text.to_string();
    let inner = text.strip_prefix('"').and_then(|text| text.strip_suffix('"'));
    let inner = inner.or_else(|| text.trim_start_matches('r').trim_matches('#').strip_prefix('"')?.strip_suffix('"'));
    let plain = inner.unwrap_or_default().replace("\\\"", "\"").replace("\\'", "'").replace("\\\\", "\\");
    plain.trim_end().to_string() + "\n"
}
