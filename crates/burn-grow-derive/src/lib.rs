//! `#[derive(Growable)]`: says once, on the fields, which dimension of which parameter lies on which
//! width axis.
//!
//! ```text
//! #[derive(Module, Growable, Debug)]
//! struct Expert {
//!     #[grow(fan_in = "hidden", gate = "inner")]
//!     gate: Linear,
//!     #[grow(fan_in = "hidden", fan_out = "inner")]
//!     up: Linear,
//!     #[grow(fan_in = "inner", fan_out = "hidden")]
//!     down: Linear,
//! }
//! ```
//!
//! # Attributes of a field
//!
//! | attribute | on | meaning |
//! |---|---|---|
//! | none | a module | descended into; it must be `Growable` itself |
//! | `fan_in = "axis"` | a layer | its input side consumes the axis |
//! | `fan_out = "axis"` | a layer | its output side makes the axis |
//! | `gate = "axis"` | a layer | the same, and multiplies another fan-out; never with `fan_out` |
//! | `gain = "axis"` | a layer | norm gains, biases and statistics that ride along |
//! | `vocab = "axis"` | a layer | the rows of an embedding, the outputs of a language-model head |
//! | `inner = "axis"` | a layer | a width of its own, between its input and its output |
//! | `heads = "axis"` | an attention layer | its heads |
//! | `concat(gate = "axis", fan_out = "axis", ..)` | a layer | what lies on one side of it, one after another; `fixed = expr` for a stretch that never grows |
//! | `dims(_, fan_in = "axis", ..)` | `Param<Tensor<D>>`, or an `Option` of one | one role a dimension, `_` never grows |
//! | `width = "axis"` | `usize` | stores the width of the axis |
//! | `count = "axis"` | `usize` | is an axis of its own, on which no parameter lies, such as the experts of a token |
//! | `frozen("axis", "reason")` | `usize` | stores a width that cannot grow: naming it in an expansion answers with the reason |
//! | `multiplier = "axis"` | `f64` | absorbs the fan-in factor of the axis (tied embeddings) |
//! | `skip` | a module or parameter | never grows |
//! | `with = path` | a foreign type | `path::describe(&T, &mut Describer)` and `path::update_constants(&mut T, &Constants)` |
//! | `active = path` | whatever holds parameters | `fn(&Self) -> ActiveFraction` (or `f64`), how much of them takes part in one token; combines with the others |
//!
//! Wherever a role is named, `role("axis", "axis inside it", .., groups = expr, unit = expr)` gives its
//! layout, `size = groups * width * .. * unit`, the last fastest; the expressions are of type `usize` and
//! may use `self`.
//!
//! A field with `#[module(skip)]` holds no parameters for Burn and is passed over.
//!
//! # Attributes of the type
//!
//! | attribute | meaning |
//! |---|---|
//! | `crate = path` | the crate that exports `Growable` and its companions; `::burn_grow` by default |
//!
//! # Types
//!
//! Structs of every shape, generic over types and constants, and enums whose variants hold at most
//! one field, whose attributes stand on that field: `Dense(#[grow(skip)] Linear)`. A field whose type
//! mentions a type parameter adds the bound it needs, and the type must be a `Module` then.

mod ast;
mod attr;
mod bound;
mod check;
mod error;
mod expand;

use proc_macro2::TokenStream;
use syn::DeriveInput;

use crate::error::Errors;

/// Derives `Growable`; the attributes are listed in the documentation of this crate.
#[proc_macro_derive(Growable, attributes(grow))]
pub fn growable(input: proc_macro::TokenStream) -> proc_macro::TokenStream {
    match syn::parse(input) {
        Ok(input) => derive(&input).into(),
        Err(error) => error.into_compile_error().into(),
    }
}

fn derive(input: &DeriveInput) -> TokenStream {
    let mut errors = Errors::default();
    let container = attr::container(&input.attrs, &mut errors);
    let body = ast::body(input, &mut errors).map(|body| check::body(body, &mut errors));
    let Some(messages) = errors.into_compile_error() else {
        return match (container, body) {
            (Some(container), Some(body)) => expand::growable(input, &container, &body),
            _ => TokenStream::new(),
        };
    };
    // Without an implementation every use of the type would be an error of its own. One that cannot
    // compile (no crate to name, no module to implement it for) would only add another.
    let fallback = match (container, body) {
        (Some(container), Some(_)) => expand::fallback(input, &container),
        _ => TokenStream::new(),
    };
    quote::quote!(#messages #fallback)
}

#[cfg(test)]
mod tests {
    use syn::parse_quote;

    use super::*;

    fn expanded(input: DeriveInput) -> String {
        derive(&input).to_string()
    }

    fn count(haystack: &str, needle: &str) -> usize {
        haystack.matches(needle).count()
    }

    #[test]
    fn every_mistake_is_reported_and_a_fallback_remains() {
        let code = expanded(parse_quote! {
            struct Bad {
                #[grow(fanin = "hidden", widht = "hidden")]
                first: Linear,
                #[grow(skip, fan_in = "")]
                second: Linear,
                #[grow(dims(_, fan_in, sideways = "x"))]
                third: Param<Tensor<2>>,
                #[grow()]
                fourth: Linear,
            }
        });
        assert_eq!(count(&code, "compile_error"), 6, "{code}");
        assert_eq!(count(&code, "Growable for Bad"), 1, "{code}");
    }

    #[test]
    fn a_mistake_about_the_crate_leaves_no_fallback() {
        let code = expanded(parse_quote! {
            #[grow(crat = burn_grow_core)]
            struct Bad;
        });
        assert!(code.contains("did you mean `crate`?"), "{code}");
        assert!(!code.contains("impl"), "{code}");
    }

    #[test]
    fn names_come_through_the_alias_of_the_crate() {
        let code = expanded(parse_quote! {
            #[grow(crate = some::path)]
            struct Good {
                #[grow(width = "hidden")]
                r#type: usize,
            }
        });
        assert!(code.contains("use some :: path as _grow ;"), "{code}");
        assert!(code.contains("\"type\""), "{code}");
        assert_eq!(count(&code, "burn"), 0, "{code}");
    }

    #[test]
    fn only_fields_that_mention_a_parameter_add_a_bound() {
        let code = expanded(parse_quote! {
            struct Generic<M, S, const N: usize> {
                child: Vec<M>,
                concrete: Child,
                #[grow(fan_in = "hidden")]
                layer: Layered<[M; N]>,
                #[module(skip)]
                skipped: S,
            }
        });
        assert!(code.contains("Vec < M > : _grow :: Growable"), "{code}");
        assert!(
            code.contains("Layered < [M ; N] > : _grow :: Layer"),
            "{code}"
        );
        assert_eq!(count(&code, "Child : _grow"), 0, "{code}");
        assert_eq!(count(&code, "S : _grow"), 0, "{code}");
        assert!(
            code.contains("Generic < M , S , N > : burn :: module :: Module"),
            "{code}"
        );
    }
}
