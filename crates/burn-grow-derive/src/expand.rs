//! Writes the implementation. Every name comes through `_grow`, the alias of the facade or of the
//! crate that the type names.

use proc_macro2::{Delimiter, Group, Ident, Span, TokenStream, TokenTree};
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{DeriveInput, Generics, Path, Token};

use crate::ast::{Body, Variant};
use crate::attr::{self, Container, Dims, Role, RoleKind};
use crate::bound;
use crate::check::{Form, Part, Roles};

/// How the generated code reaches a field.
struct Access {
    /// A reference, mutable in `update_constants`.
    reference: TokenStream,
    value: TokenStream,
}

/// Writes what a method says about one field; `None` if it says nothing.
type Statement = fn(&Names, &Part, &Access) -> Option<TokenStream>;

/// Names of the generated code that expressions of the user cannot see.
struct Names {
    describe: Ident,
    constants: Ident,
    field: Ident,
    roles: Ident,
}

impl Names {
    fn new() -> Self {
        let name = |name| Ident::new(name, Span::mixed_site());
        Self {
            describe: name("describe"),
            constants: name("constants"),
            field: name("field"),
            roles: name("roles"),
        }
    }
}

pub(crate) fn growable(
    input: &DeriveInput,
    container: &Container,
    body: &Body<Part>,
) -> TokenStream {
    let names = Names::new();
    let generics = bound::growable(input, &body.fields());
    let describe = method(&names, body, None, describe);
    let mutable = Some(Token![mut](Span::call_site()));
    let update_constants = method(&names, body, mutable, update_constants);
    implementation(input, container, &generics, describe, update_constants)
}

/// Writes an implementation that says nothing, so that one error about the attributes stays one
/// error.
pub(crate) fn fallback(input: &DeriveInput, container: &Container) -> TokenStream {
    let generics = bound::module(input);
    implementation(input, container, &generics, None, None)
}

fn implementation(
    input: &DeriveInput,
    container: &Container,
    generics: &Generics,
    describe: Option<TokenStream>,
    update_constants: Option<TokenStream>,
) -> TokenStream {
    let names = Names::new();
    let krate = &container.krate;
    let ident = &input.ident;
    let (impl_generics, _, where_clause) = generics.split_for_impl();
    let (_, ty_generics, _) = input.generics.split_for_impl();
    // An unused argument has no name, so that no lint asks for one.
    let argument = |name: &Ident, body: &Option<TokenStream>| match body {
        Some(_) => quote!(#name),
        None => quote!(_),
    };
    let describe_argument = argument(&names.describe, &describe);
    let constants_argument = argument(&names.constants, &update_constants);
    quote! {
        const _: () = {
            use #krate as _grow;

            #[automatically_derived]
            impl #impl_generics _grow::Growable for #ident #ty_generics #where_clause {
                fn describe(&self, #describe_argument: &mut _grow::describe::Describer) {
                    #describe
                }

                fn update_constants(&mut self, #constants_argument: &_grow::describe::Constants<'_>) {
                    #update_constants
                }
            }
        };
    }
}

/// Writes the body of a method: what `statement` says about each field. `None` if it says nothing.
fn method(
    names: &Names,
    body: &Body<Part>,
    mutable: Option<Token![mut]>,
    statement: Statement,
) -> Option<TokenStream> {
    match body {
        Body::Struct(parts) => {
            let statements: Vec<_> = parts
                .iter()
                .filter_map(|part| {
                    let member = &part.field.member;
                    // What does not fit the type of the field is an error on the field.
                    let span = part.field.ty.span();
                    let access = Access {
                        reference: quote_spanned!(span=> &#mutable self.#member),
                        value: quote!(self.#member),
                    };
                    statement(names, part, &access)
                })
                .collect();
            (!statements.is_empty()).then(|| quote!(#(#statements)*))
        }
        Body::Enum(variants) => {
            let field = &names.field;
            let arms: Vec<_> = variants
                .iter()
                .filter_map(|Variant { ident, field: part }| {
                    // A statement may look at all of `self` before it borrows the field for a
                    // change.
                    let (pattern, reference) = match mutable {
                        Some(_) => (
                            quote!(..),
                            quote!(match self {
                                Self::#ident(#field) => #field,
                                #[allow(unreachable_patterns)]
                                _ => return,
                            }),
                        ),
                        None => (quote!(#field), quote!(#field)),
                    };
                    let access = Access {
                        reference,
                        value: quote!(*#field),
                    };
                    let statement = statement(names, part.as_ref()?, &access)?;
                    Some(quote!(Self::#ident(#pattern) => { #statement }))
                })
                .collect();
            let rest = (arms.len() < variants.len()).then(|| quote!(_ => {}));
            (!arms.is_empty()).then(|| quote!(match self { #(#arms)* #rest }))
        }
    }
}

fn describe(names: &Names, part: &Part, access: &Access) -> Option<TokenStream> {
    let Names { describe, .. } = names;
    let Access { reference, value } = access;
    let name = &part.field.name;
    let ty = part.field.ty;
    // `<Ty as Trait>::..` lets the compiler point at the whole type when the trait is missing.
    let statement = match &part.form {
        Form::Passed => return None,
        Form::Child => scope(
            describe,
            name,
            quote!(<#ty as _grow::Growable>::describe(#reference, #describe)),
        ),
        Form::Layer(layer) => {
            let roles = layer_roles(layer);
            scope(
                describe,
                name,
                quote!(<#ty as _grow::describe::Layer>::describe(#reference, &#roles, #describe)),
            )
        }
        Form::Param { dims, optional } => {
            let roles = dims_roles(dims);
            let statement = if *optional {
                let param = Ident::new("param", Span::mixed_site());
                quote! {
                    if let ::core::option::Option::Some(#param) = #reference {
                        #describe.param(#param, #roles);
                    }
                }
            } else {
                quote!(#describe.param(#reference, #roles))
            };
            scope(describe, name, statement)
        }
        Form::Width(axis) => quote!(#describe.width(#name, #axis, #value);),
        Form::Count(axis) => quote!(#describe.count(#name, #axis, #value);),
        Form::Frozen { axis, reason } => quote!(#describe.frozen(#axis, #reason);),
        Form::Multiplier(axis) => quote!(#describe.multiplier(#name, #axis, #value);),
        Form::Fixed => quote_spanned!(ty.span()=> #describe.fixed(#reference);),
        Form::With(path) => {
            let function = function_in(path, "describe");
            scope(describe, name, quote!(#function(#reference, #describe)))
        }
    };
    Some(match &part.active {
        Some(path) => {
            let fraction = quote_spanned!(path.span()=> #path(self));
            quote!(#describe.active(#fraction, |#describe| { #statement });)
        }
        None => statement,
    })
}

fn update_constants(names: &Names, part: &Part, access: &Access) -> Option<TokenStream> {
    let Names {
        constants, roles, ..
    } = names;
    let Access { reference, .. } = access;
    let ty = part.field.ty;
    match &part.form {
        Form::Passed | Form::Param { .. } | Form::Frozen { .. } | Form::Fixed => None,
        // The roles may name fields of `self`, so they come before the borrow.
        Form::Layer(layer) => {
            let made = layer_roles(layer);
            Some(quote! {
                let #roles = #made;
                <#ty as _grow::describe::Layer>::update_constants(#reference, &#roles, #constants);
            })
        }
        Form::Child => Some(quote! {
            <#ty as _grow::Growable>::update_constants(#reference, #constants);
        }),
        Form::Width(axis) | Form::Count(axis) => Some(quote!(#constants.width(#axis, #reference);)),
        Form::Multiplier(axis) => Some(quote!(#constants.multiplier(#axis, #reference);)),
        Form::With(path) => {
            let function = function_in(path, "update_constants");
            Some(quote!(#function(#reference, #constants);))
        }
    }
}

fn scope(describe: &Ident, name: &str, statement: TokenStream) -> TokenStream {
    quote!(#describe.scope(#name, |#describe| { #statement });)
}

fn layer_roles(roles: &Roles) -> TokenStream {
    let Roles {
        fan_in,
        fan_out,
        gain,
        vocab,
        inner,
        heads,
    } = roles;
    let named = [
        ("fan_in", fan_in),
        ("fan_out", fan_out),
        ("gain", gain),
        ("vocab", vocab),
        ("inner", inner),
        ("heads", heads),
    ];
    let fields = named.iter().filter_map(|(name, role)| {
        let name = Ident::new(name, Span::call_site());
        let role = role_expr(role.as_ref()?);
        Some(quote!(#name: ::core::option::Option::Some(#role)))
    });
    quote! {
        _grow::describe::LayerRoles {
            #(#fields,)*
            ..::core::default::Default::default()
        }
    }
}

/// Writes the array of roles with the span of the list of dimensions, where the compiler reports a
/// wrong number of them.
fn dims_roles(dims: &Dims) -> TokenTree {
    let roles = dims.roles.iter().map(|role| option(role.as_ref()));
    let mut array = Group::new(Delimiter::Bracket, quote!(#(#roles),*));
    array.set_span(dims.span);
    array.into()
}

fn option(role: Option<&Role>) -> TokenStream {
    match role.map(role_expr) {
        Some(role) => quote!(::core::option::Option::Some(#role)),
        None => quote!(::core::option::Option::None),
    }
}

fn role_expr(role: &Role) -> TokenStream {
    let mut parts = role.parts.iter().map(part_expr);
    let first = parts.next();
    let rest = parts.map(|part| quote!(.then(#part)));
    quote!(#first #(#rest)*)
}

fn part_expr(part: &attr::Part) -> TokenStream {
    let (kind, axes, groups, unit) = match part {
        attr::Part::Fixed(size) => return quote!(_grow::describe::Role::fixed(#size)),
        attr::Part::Axes {
            kind,
            axes,
            groups,
            unit,
        } => (kind, axes, groups, unit),
    };
    let constructor = match kind {
        RoleKind::FanIn => quote!(fan_in),
        // The layer itself assigns the roles of its inner widths.
        RoleKind::FanOut | RoleKind::Inner | RoleKind::Heads => quote!(fan_out),
        RoleKind::Gate => quote!(gate),
        RoleKind::Gain => quote!(gain),
        RoleKind::Vocab => quote!(vocab),
    };
    let (first, rest) = (axes.first(), axes.iter().skip(1));
    let groups = groups.iter().map(|groups| quote!(.with_groups(#groups)));
    let unit = unit.iter().map(|unit| quote!(.with_unit(#unit)));
    quote!(_grow::describe::Role::#constructor(#first) #(.and(#rest))* #(#groups)* #(#unit)*)
}

/// Writes `path::name`, so that a missing function is an error on `path`.
fn function_in(path: &Path, name: &str) -> TokenStream {
    let span = path
        .segments
        .last()
        .map_or_else(Span::call_site, |s| s.ident.span());
    let name = Ident::new(name, span);
    quote!(#path::#name)
}
