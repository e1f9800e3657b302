//! The input of the derive: fields, each of which is one segment of a parameter path.

use proc_macro2::Span;
use syn::ext::IdentExt;
use syn::spanned::Spanned;
use syn::{Attribute, Data, DeriveInput, Fields, Ident, Index, Member, Type};

use crate::error::Errors;

/// The fields of a type, at any stage of the pipeline.
pub(crate) enum Body<F> {
    Struct(Vec<F>),
    Enum(Vec<Variant<F>>),
}

/// A variant of an enum, which holds at most one field.
pub(crate) struct Variant<F> {
    pub(crate) ident: Ident,
    pub(crate) field: Option<F>,
}

pub(crate) struct Field<'a> {
    /// Name or index of the field in `self`; meaningless in a variant.
    pub(crate) member: Member,
    /// Path segment that Burn enters before it visits the field.
    pub(crate) name: String,
    pub(crate) ty: &'a Type,
    pub(crate) attrs: &'a [Attribute],
}

impl<F> Body<F> {
    pub(crate) fn map<G>(self, mut map: impl FnMut(F) -> G) -> Body<G> {
        match self {
            Self::Struct(fields) => Body::Struct(fields.into_iter().map(map).collect()),
            Self::Enum(variants) => Body::Enum(
                variants
                    .into_iter()
                    .map(|variant| Variant {
                        ident: variant.ident,
                        field: variant.field.map(&mut map),
                    })
                    .collect(),
            ),
        }
    }

    pub(crate) fn fields(&self) -> Vec<&F> {
        match self {
            Self::Struct(fields) => fields.iter().collect(),
            Self::Enum(variants) => variants.iter().filter_map(|v| v.field.as_ref()).collect(),
        }
    }
}

/// Collects the fields of `input`. `None` if a type of its kind cannot be a module, so that no
/// implementation could compile.
pub(crate) fn body<'a>(input: &'a DeriveInput, errors: &mut Errors) -> Option<Body<Field<'a>>> {
    let lifetimes: Vec<_> = input.generics.lifetimes().collect();
    for lifetime in &lifetimes {
        errors.at(
            lifetime.span(),
            "a growable module owns its parameters and cannot be generic over a lifetime",
        );
    }
    if !lifetimes.is_empty() {
        return None;
    }
    match &input.data {
        Data::Struct(data) => {
            let fields = data.fields.iter().enumerate();
            let fields = fields.map(|(index, field)| member(index, field));
            Some(Body::Struct(fields.collect()))
        }
        Data::Enum(data) => {
            // Look at every variant, to report all that Burn rejects.
            let variants: Vec<_> = data.variants.iter().map(|v| variant(v, errors)).collect();
            let variants = variants.into_iter().collect::<Option<_>>();
            variants.map(Body::Enum)
        }
        Data::Union(data) => {
            errors.at(
                data.union_token.span,
                "`Growable` is derived for structs and enums: a union is not a module",
            );
            None
        }
    }
}

fn member(index: usize, field: &syn::Field) -> Field<'_> {
    let (member, name) = match &field.ident {
        Some(ident) => (Member::Named(ident.clone()), ident.unraw().to_string()),
        None => (
            Member::Unnamed(Index {
                index: index as u32,
                span: field.ty.span(),
            }),
            index.to_string(),
        ),
    };
    Field {
        member,
        name,
        ty: &field.ty,
        attrs: &field.attrs,
    }
}

/// Parses a variant. `None` if it has a shape that Burn rejects.
fn variant<'a>(variant: &'a syn::Variant, errors: &mut Errors) -> Option<Variant<Field<'a>>> {
    for attr in &variant.attrs {
        if attr.path().is_ident("grow") {
            errors.push(syn::Error::new_spanned(
                attr,
                format!(
                    "the attribute belongs on the field of the variant: `{}(#[grow(..)] ..)`",
                    variant.ident
                ),
            ));
        }
    }
    let field = match &variant.fields {
        Fields::Unit => None,
        Fields::Unnamed(fields) if fields.unnamed.len() == 1 => fields.unnamed.first(),
        Fields::Unnamed(_) | Fields::Named(_) => {
            errors.push(syn::Error::new_spanned(
                &variant.fields,
                "a variant of a module holds exactly one unnamed field, as Burn's `Module` \
                 requires: move these into a struct of their own",
            ));
            return None;
        }
    };
    Some(Variant {
        ident: variant.ident.clone(),
        field: field.map(|field| Field {
            member: Member::Unnamed(Index {
                index: 0,
                span: Span::call_site(),
            }),
            name: variant.ident.unraw().to_string(),
            ty: &field.ty,
            attrs: &field.attrs,
        }),
    })
}
