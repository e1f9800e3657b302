//! Pieces that all attributes are made of.

use proc_macro2::{Span, TokenStream, TokenTree};
use syn::parse::{ParseBuffer, ParseStream};
use syn::{Ident, LitStr, Path, Token, parenthesized, token};

use crate::error::Errors;

pub(super) fn separated(
    input: ParseStream,
    errors: &mut Errors,
    mut parse: impl FnMut(ParseStream) -> syn::Result<()>,
) {
    while !input.is_empty() {
        let parsed = parse(input).and_then(|()| {
            if input.is_empty() {
                return Ok(());
            }
            input.parse::<Token![,]>().map(|_| ())
        });
        if let Err(error) = parsed {
            errors.push(error);
            skip_entry(input);
        }
    }
}

/// Skips the rest of an entry, including its comma.
fn skip_entry(input: ParseStream) {
    while !input.is_empty() {
        let comma = input.peek(Token![,]);
        if input.parse::<TokenTree>().is_err() || comma {
            return;
        }
    }
}

/// Parses `= _` if it comes next.
pub(super) fn nothing(input: ParseStream) -> syn::Result<bool> {
    let nothing = input.peek(Token![=]) && input.peek2(Token![_]);
    if nothing {
        input.parse::<Token![=]>()?;
        input.parse::<Token![_]>()?;
    }
    Ok(nothing)
}

/// Parses a list in parentheses, which is not empty. Returns its span.
pub(super) fn listed(
    input: ParseStream,
    key: &Ident,
    example: &str,
    parse: impl FnMut(ParseStream) -> syn::Result<()>,
) -> syn::Result<Span> {
    if !input.peek(token::Paren) {
        return Err(syn::Error::new(key.span(), format!("expected {example}")));
    }
    let content;
    let span = parenthesized!(content in input).span.join();
    if content.is_empty() {
        return Err(syn::Error::new(span, format!("expected {example}")));
    }
    let mut errors = Errors::default();
    separated(&content, &mut errors, parse);
    errors.into_error().map_or(Ok(span), Err)
}

/// Parses `= "axis"`.
pub(super) fn assigned_axis(input: ParseStream, key: &Ident) -> syn::Result<LitStr> {
    if !input.peek(Token![=]) {
        let message = format!("`{key}` takes the name of an axis: `{key} = \"axis\"`");
        return Err(syn::Error::new(key.span(), message));
    }
    input.parse::<Token![=]>()?;
    axis(input, key)
}

pub(super) fn axis(input: ParseStream, key: &Ident) -> syn::Result<LitStr> {
    let Ok(axis) = input.parse::<LitStr>() else {
        let message = format!("`{key}` takes the name of an axis as a string: `\"axis\"`");
        return Err(input.error(message));
    };
    if axis.value().trim().is_empty() {
        let message = "the name of an axis is empty";
        return Err(syn::Error::new(axis.span(), message));
    }
    Ok(axis)
}

/// Parses `= path`.
pub(super) fn path(input: ParseStream, key: &Ident) -> syn::Result<Path> {
    if !input.peek(Token![=]) {
        let message = format!("`{key}` takes a path: `{key} = path`");
        return Err(syn::Error::new(key.span(), message));
    }
    input.parse::<Token![=]>()?;
    if input.peek(LitStr) {
        let message = format!("`{key}` takes a path, without quotes");
        return Err(input.error(message));
    }
    input.parse()
}

/// Parses the contents of parentheses. After an error it consumes the rest, which syn would report
/// again.
pub(super) fn drained<'a, T>(
    content: &ParseBuffer<'a>,
    parse: impl FnOnce(&ParseBuffer<'a>) -> syn::Result<T>,
) -> syn::Result<T> {
    let parsed = parse(content);
    if parsed.is_err() {
        let _ = content.parse::<TokenStream>();
    }
    parsed
}
