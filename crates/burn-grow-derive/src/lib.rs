//! `#[derive(Growable)]`: marks, on the fields of a module, which dimension of which parameter lies
//! on which width axis.
//!
//! The attributes are listed at the macro, [`Growable`].

mod ast;
mod attr;
mod bound;
mod check;
mod elements;
mod error;
mod expand;
mod tokens;

use proc_macro2::TokenStream;
use syn::DeriveInput;

use crate::error::Errors;

/// Derives `Growable` for a module, from attributes on its fields.
///
/// ```
/// # mod burn_grow {
/// #     // The shape of the real crate, which this one does not depend on.
/// #     pub use burn_grow_derive::Growable;
/// #     pub trait Growable {
/// #         fn describe(&self, describer: &mut describe::Describer);
/// #         fn update_constants(&mut self, constants: &describe::Constants<'_>);
/// #     }
/// #     pub mod describe {
/// #         #[derive(Default)]
/// #         pub struct Describer(pub Vec<String>);
/// #         pub struct Constants<'a>(pub &'a ());
/// #         #[derive(Clone)]
/// #         pub struct Role(&'static str, &'static str);
/// #         #[derive(Clone, Default)]
/// #         pub struct LayerRoles { pub fan_in: Option<Role>, pub fan_out: Option<Role> }
/// #         impl Role {
/// #             pub fn fan_in(axis: &'static str) -> Self { Self("fan_in", axis) }
/// #             pub fn fan_out(axis: &'static str) -> Self { Self("fan_out", axis) }
/// #             pub fn gate(axis: &'static str) -> Self { Self("gate", axis) }
/// #         }
/// #         impl Describer {
/// #             pub fn scope(&mut self, name: &str, describe: impl FnOnce(&mut Self)) {
/// #                 self.0.push(name.into());
/// #                 describe(self);
/// #             }
/// #             pub fn with_roles(
/// #                 &mut self,
/// #                 roles: &LayerRoles,
/// #                 describe: impl FnOnce(&LayerRoles, &mut Self),
/// #             ) {
/// #                 describe(roles, self);
/// #             }
/// #         }
/// #         impl Constants<'_> {
/// #             pub fn with_roles(
/// #                 &self,
/// #                 roles: &LayerRoles,
/// #                 update: impl FnOnce(&LayerRoles, &Constants<'_>),
/// #             ) {
/// #                 update(roles, self);
/// #             }
/// #         }
/// #         pub trait Layer {
/// #             fn describe(&self, roles: &LayerRoles, describer: &mut Describer);
/// #             fn update_constants(&mut self, _: &LayerRoles, _: &Constants<'_>) {}
/// #         }
/// #         impl Layer for super::super::Linear {
/// #             fn describe(&self, roles: &LayerRoles, describer: &mut Describer) {
/// #                 for Role(kind, axis) in roles.fan_in.iter().chain(&roles.fan_out) {
/// #                     describer.0.push(format!("{kind}({axis})"));
/// #                 }
/// #             }
/// #         }
/// #     }
/// # }
/// # struct Linear;
/// use burn_grow::Growable;
///
/// #[derive(Growable)] // Beside Burn's `Module`.
/// # #[grow(crate = burn_grow)]
/// struct Expert {
///     #[grow(fan_in = "hidden", gate = "inner")]
///     gate: Linear,
///     #[grow(fan_in = "hidden", fan_out = "inner")]
///     up: Linear,
///     #[grow(fan_in = "inner", fan_out = "hidden")]
///     down: Linear,
/// }
/// # fn main() {
/// #     let expert = Expert { gate: Linear, up: Linear, down: Linear };
/// #     let mut describer = burn_grow::describe::Describer::default();
/// #     expert.describe(&mut describer);
/// #     let expected = "gate fan_in(hidden) gate(inner) up fan_in(hidden) fan_out(inner) \
/// #                     down fan_in(inner) fan_out(hidden)";
/// #     assert_eq!(describer.0.join(" "), expected);
/// # }
/// ```
///
/// `Expansion::by("inner", 2.0)` then doubles the outputs of `gate` and `up` and the inputs of `down`.
///
/// # Attributes of a field
///
/// | attribute | on | meaning |
/// |---|---|---|
/// | none | a module | a child that is `Growable` itself |
/// | `fan_in = "axis"` | a layer | its input side consumes the axis |
/// | `fan_out = "axis"` | a layer | its output side makes the axis |
/// | `gate = "axis"` | a layer | a fan-out that multiplies another one; never with `fan_out` |
/// | `gain = "axis"` | a layer | norm gains, biases and statistics, which go along |
/// | `vocab = "axis"` | a layer | rows of an embedding, outputs of a language-model head |
/// | `inner = "axis"` | a layer | a width of its own, between input and output |
/// | `heads = "axis"` | an attention layer | its heads |
/// | `concat(..)` | a layer | several parts on one side, one after another (see below) |
/// | `dims(_, fan_in = "axis", ..)` | a bare parameter | one role per dimension; `_` never grows |
/// | `axes(name = "axis", ..)` | a module, or `with` | what its axes are called here (see below) |
/// | `first(..)`, `rest(..)`, `last(..)` | a `Vec` or array | what these elements have of their own |
/// | `width = "axis"` | `usize` | stores the width of the axis, or a product: `width("a", "b")` |
/// | `widths(name = "axis", ..)` | any struct | the widths that it stores, by their names in it |
/// | `count = "axis"` | `usize` | an axis without parameters, such as experts per token |
/// | `frozen("axis", "reason")` | `usize` | stores a width that cannot grow, and says why |
/// | `multiplier = "axis"` | `f64` | absorbs the fan-in factor of the axis (tied embeddings) |
/// | `recomputed("axis", with = path)` | a number | `path(width)`, computed anew after an expansion |
/// | `kept("axis", with = path)` | a number | `path(width)` when built, left alone by an expansion |
/// | `skip` | a module, parameter or number | never grows, and may differ between widths |
/// | `with = path` | a foreign type | described by functions of yours (see below) |
/// | `depth = "axis"` | a `Vec` of modules or layers | its length is the axis |
/// | `fresh = path` | beside `depth` | makes a new element (see below) |
/// | `active = path` | parameters | how much of them takes part in one token (see below) |
///
/// - **Layout.** Wherever a role is named,
///   `role("axis", "axis inside it", .., groups = expr, unit = expr)` gives the layout of the
///   dimension: `size = groups * width * .. * unit`, the last factor fastest. The expressions have
///   type `usize` and may use `self`.
/// - **`axes(input = "hidden", output("heads", unit = self.d_k), image = _)`** says what the names in
///   the description of a child stand for here: another axis, a product, or `_`, a width that never
///   grows. It holds for roles, constants and active fractions, and maps nest. On the type it names
///   layouts once for all fields.
/// - **`first(..)`, `rest(..)`, `last(..)`** take roles, `fan_in = "pixels"` or `fan_out = _`, on a
///   stack of layers, and `axes(..)` on a stack of modules. They replace what the field says, for
///   the first element, for all behind it, and for the last one, in this order.
/// - **`widths(hidden_size = "hidden", rope.dim("heads", unit = 2), seed = _)`** marks numbers inside
///   a configuration that the module keeps; `_` one that may differ.
/// - **`concat(gate = "axis", fan_out = "axis", ..)`** names what lies along one dimension, part by
///   part, as in a fused matrix; `fixed = expr` is a part that never grows.
/// - **`with = path`** calls `path::describe(&T, &mut Describer)` and
///   `path::update_constants(&mut T, &Constants)`.
/// - **`active = path`** calls `fn(&Self) -> ActiveFraction` (or `f64`), and goes with any other
///   attribute of a field that holds parameters.
/// - **`fresh = path`** calls `fn(&Self) -> Block`, at an expansion that asks for blocks of the module's
///   own initialization, or grows an empty stack. The numbers of the module are those after the
///   expansion, its parameters still those before.
/// - A bare parameter is a `Param<Tensor<D>>` or an `Option` of one.
/// - A field with `#[module(skip)]` holds no parameters for Burn. It takes the attributes of
///   constants, `skip` and `with`.
/// - Numbers in fields without an attribute are looked at by the check of two widths, which reports
///   those that change.
///
/// # Attributes of the type
///
/// | attribute | meaning |
/// |---|---|
/// | `crate = path` | the crate that exports `Growable` and `describe`; `::burn_grow` by default |
/// | `axes(name("axis", unit = expr), ..)` | a map of axes around all fields |
/// | `together("axis", "axis", .., "reason")` | axes that one expansion grows all or none of |
///
/// # Types
///
/// Structs of every shape, generic over types and constants. Enums whose variants hold at most one
/// field, with the attributes on that field: `Dense(#[grow(skip)] Linear)`. A field whose type
/// mentions a type parameter adds the bound it needs, and the type must be a `Module` then.
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
    // Without an implementation every use of the type would be an error of its own. An
    // implementation that cannot compile, for want of a crate or a module, would only add another.
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
            code.contains("Layered < [M ; N] > : _grow :: describe :: Layer"),
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
