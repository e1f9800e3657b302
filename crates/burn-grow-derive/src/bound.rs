//! The `where` clause of the implementation.

use proc_macro2::{Ident, TokenStream, TokenTree};
use quote::{ToTokens, quote};
use syn::{DeriveInput, Generics, WherePredicate, parse_quote};

use crate::check::{self, Form, Part};

/// Returns the bounds that the type declares, and that it is a module, which `Growable` requires.
///
/// `derive(Module)` bounds each type parameter by what its fields need. Naming the outcome instead
/// of repeating those rules keeps the two derives from disagreeing; the path is the one that
/// `derive(Module)` itself uses.
pub(crate) fn module(input: &DeriveInput) -> Generics {
    let mut generics = input.generics.clone();
    if generics.type_params().next().is_some() {
        let ident = &input.ident;
        let (_, ty_generics, _) = input.generics.split_for_impl();
        let predicate = parse_quote!(#ident #ty_generics: burn::module::Module);
        generics.make_where_clause().predicates.push(predicate);
    }
    generics
}

/// Adds the bounds of the fields whose type mentions a type parameter.
pub(crate) fn growable(input: &DeriveInput, parts: &[&Part]) -> Generics {
    let params: Vec<&Ident> = input.generics.type_params().map(|p| &p.ident).collect();
    let mut generics = module(input);
    for part in parts {
        let one_by_one = !part.places.is_empty() || part.depth.is_some();
        let element = check::element(part.field.ty).filter(|_| one_by_one);
        let ty = element.unwrap_or(part.field.ty);
        if !mentions(ty.to_token_stream(), &params) {
            continue;
        }
        let capability = match &part.form {
            Form::Child => quote!(_grow::Growable),
            Form::Layer(_) => quote!(_grow::describe::Layer),
            Form::Fixed => quote!(burn::module::Module),
            _ => continue,
        };
        let predicate: WherePredicate = parse_quote!(#ty: #capability);
        let predicates = &mut generics.make_where_clause().predicates;
        if !predicates.iter().any(|known| *known == predicate) {
            predicates.push(predicate);
        }
    }
    generics
}

fn mentions(tokens: TokenStream, params: &[&Ident]) -> bool {
    tokens.into_iter().any(|token| match token {
        TokenTree::Ident(ident) => params.contains(&&ident),
        TokenTree::Group(group) => mentions(group.stream(), params),
        TokenTree::Punct(_) | TokenTree::Literal(_) => false,
    })
}
