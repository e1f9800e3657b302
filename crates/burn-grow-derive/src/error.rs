//! Collecting errors, and what they have in common.

use proc_macro2::{Ident, Span, TokenStream};

/// Every error of one derive.
#[derive(Default)]
pub(crate) struct Errors(Option<syn::Error>);

impl Errors {
    pub(crate) fn push(&mut self, error: syn::Error) {
        match &mut self.0 {
            Some(errors) => errors.combine(error),
            None => self.0 = Some(error),
        }
    }

    pub(crate) fn at(&mut self, span: Span, message: impl core::fmt::Display) {
        self.push(syn::Error::new(span, message));
    }

    pub(crate) fn into_error(self) -> Option<syn::Error> {
        self.0
    }

    pub(crate) fn into_compile_error(self) -> Option<TokenStream> {
        self.0.map(syn::Error::into_compile_error)
    }
}

/// Reports an unknown name, with the nearest legal one and all of them.
pub(crate) fn unknown(name: &Ident, what: &str, legal: &[&str]) -> syn::Error {
    let text = name.to_string();
    let nearest = legal
        .iter()
        .map(|legal| (strsim::jaro_winkler(&text, legal), legal))
        .filter(|(similarity, _)| *similarity > 0.8)
        .max_by(|(a, _), (b, _)| a.total_cmp(b));
    let suggestion = match nearest {
        Some((_, legal)) => format!("; did you mean `{legal}`?"),
        None => String::new(),
    };
    let legal = list(legal);
    syn::Error::new(
        name.span(),
        format!("unknown {what} `{text}`{suggestion}\nexpected {legal}"),
    )
}

/// Formats the legal names: one of `a`, `b`, `c`, or the only one.
fn list(names: &[&str]) -> String {
    let quoted: Vec<_> = names.iter().map(|name| format!("`{name}`")).collect();
    match quoted.len() {
        1 => quoted.concat(),
        _ => format!("one of {}", quoted.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(name: &str) -> String {
        let legal = ["fan_in", "fan_out", "width"];
        unknown(&Ident::new(name, Span::call_site()), "role", &legal).to_string()
    }

    #[test]
    fn a_near_name_is_suggested() {
        assert_eq!(
            message("fan_int"),
            "unknown role `fan_int`; did you mean `fan_in`?\n\
             expected one of `fan_in`, `fan_out`, `width`"
        );
        assert!(message("witdh").contains("did you mean `width`?"));
    }

    #[test]
    fn a_far_name_is_not_suggested() {
        assert!(!message("height").contains("did you mean"));
    }
}
