//! Writes the implementation. Every name comes through `_grow`, the alias of the facade or of the
//! crate that the type names.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::ext::IdentExt;
use syn::spanned::Spanned;
use syn::{DeriveInput, Generics, Token};

use crate::ast::{Body, Variant};
use crate::attr::{self, Container, Stored};
use crate::bound;
use crate::check::{Form, Part};
use crate::elements::{describe_stack, each, update_stack};
use crate::tokens::{
    Access, Names, dims_roles, function_in, layer_roles, layout_expr, mapped, scope,
};

/// Writes what a method says about one field; `None` if it says nothing.
type Statement = fn(&Names, &Part, &Access) -> Option<TokenStream>;

pub(crate) fn growable(
    input: &DeriveInput,
    container: &Container,
    body: &Body<Part>,
) -> TokenStream {
    let names = Names::new();
    let generics = bound::growable(input, &body.fields());
    let describe = method(&names, body, None, describe);
    let together = together(&names, container);
    let describe = match together {
        Some(together) => Some(quote!(#together #describe)),
        None => describe,
    };
    let describe = describe.map(|body| mapped(&names, &names.describe, &container.axes, body));
    let mutable = Some(Token![mut](Span::call_site()));
    let update_constants = method(&names, body, mutable, update_constants);
    let update_constants =
        update_constants.map(|body| mapped(&names, &names.constants, &container.axes, body));
    let observes = body
        .fields()
        .iter()
        .any(|part| matches!(part.form, Form::Passed | Form::Widths(_)));
    let traits = observes.then(|| {
        quote! {
            #[allow(unused_imports)]
            use _grow::describe::{
                ObserveDebug as _, ObserveNothing as _, ObserveTensor as _,
            };
        }
    });
    implementation(
        input,
        container,
        &generics,
        traits,
        describe,
        update_constants,
    )
}

/// Writes an implementation that says nothing, so that one error about the attributes stays one
/// error.
pub(crate) fn fallback(input: &DeriveInput, container: &Container) -> TokenStream {
    let generics = bound::module(input);
    implementation(input, container, &generics, None, None, None)
}

fn implementation(
    input: &DeriveInput,
    container: &Container,
    generics: &Generics,
    traits: Option<TokenStream>,
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
            #traits

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
            // A fresh block is made by numbers of the module that are updated before.
            let (fresh, others): (Vec<&Part>, Vec<&Part>) = parts
                .iter()
                .partition(|part| mutable.is_some() && part.fresh.is_some());
            let statements: Vec<_> = others
                .into_iter()
                .chain(fresh)
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
        Form::Free => return None,
        Form::Passed => scope(describe, name, observe(describe, reference)),
        Form::Child | Form::Layer(_) if part.depth.is_some() => describe_stack(names, part, access),
        Form::Child if part.places.is_empty() => {
            let child = quote!(<#ty as _grow::Growable>::describe(#reference, #describe));
            scope(describe, name, mapped(names, describe, &part.axes, child))
        }
        Form::Layer(layer) if part.places.is_empty() => {
            let roles = layer_roles(layer);
            let names = &names.roles;
            let layer = quote! {
                #describe.with_roles(&#roles, |#names, #describe| {
                    <#ty as _grow::describe::Layer>::describe(#reference, #names, #describe)
                })
            };
            scope(describe, name, layer)
        }
        Form::Child | Form::Layer(_) => scope(describe, name, each(names, part, access, false)),
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
        Form::Width(layout) => {
            let layout = layout_expr(layout);
            quote!(#describe.width(#name, #layout, #value);)
        }
        Form::Widths(widths) => {
            let widths = widths.iter().map(|Stored { path, layout }| {
                let segments: Vec<_> = path.iter().map(|name| name.unraw().to_string()).collect();
                let name = segments.join(".");
                match layout {
                    Some(layout) => {
                        let layout = layout_expr(layout);
                        quote!(#describe.width(#name, #layout, (#reference).#(#path).*);)
                    }
                    None => quote!(#describe.free(#name);),
                }
            });
            let observe = observe(describe, reference);
            scope(describe, name, quote!(#(#widths)* #observe))
        }
        Form::Count(axis) => quote!(#describe.count(#name, #axis, #value);),
        Form::Frozen { axis, reason } => quote!(#describe.frozen(#axis, #reason);),
        Form::Multiplier(axis) => quote!(#describe.multiplier(#name, #axis, #value);),
        Form::Function(function) => {
            let path = &function.function;
            let method = if function.kept {
                quote!(kept)
            } else {
                quote!(recomputed)
            };
            let layout = layout_expr(&function.layout);
            quote!(#describe.#method(#name, #layout, #value, #path);)
        }
        Form::Fixed => quote_spanned!(ty.span()=> #describe.fixed(#reference);),
        Form::With(path) => {
            let function = function_in(path, "describe");
            let child = quote!(#function(#reference, #describe));
            scope(describe, name, mapped(names, describe, &part.axes, child))
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
        Form::Passed | Form::Free | Form::Param { .. } | Form::Frozen { .. } | Form::Fixed => None,
        Form::Child | Form::Layer(_) if part.depth.is_some() => {
            Some(update_stack(names, part, access))
        }
        Form::Layer(layer) if part.places.is_empty() => {
            // The roles may name fields of `self`, so they come before the borrow.
            let made = layer_roles(layer);
            Some(quote! {
                #constants.with_roles(&#made, |#roles, #constants| {
                    <#ty as _grow::describe::Layer>::update_constants(
                        #reference, #roles, #constants,
                    )
                });
            })
        }
        Form::Child if part.places.is_empty() => {
            let child = quote!(<#ty as _grow::Growable>::update_constants(#reference, #constants));
            let child = mapped(names, constants, &part.axes, child);
            Some(quote!(#child;))
        }
        Form::Child | Form::Layer(_) => {
            let each = each(names, part, access, true);
            Some(quote!({ #each }))
        }
        Form::Width(layout) => {
            let layout = layout_expr(layout);
            Some(quote!(#constants.width(#layout, #reference);))
        }
        Form::Widths(widths) => {
            let widths = widths.iter().filter_map(|Stored { path, layout }| {
                let layout = layout_expr(layout.as_ref()?);
                Some(quote!(#constants.width(#layout, &mut (#reference).#(#path).*);))
            });
            let widths: Vec<_> = widths.collect();
            (!widths.is_empty()).then(|| quote!(#(#widths)*))
        }
        Form::Count(axis) => Some(quote!(#constants.width(#axis, #reference);)),
        Form::Multiplier(axis) => Some(quote!(#constants.multiplier(#axis, #reference);)),
        Form::Function(function) if function.kept => None,
        Form::Function(function) => {
            let path = &function.function;
            let layout = layout_expr(&function.layout);
            Some(quote!(#constants.recomputed(#layout, #reference, #path);))
        }
        Form::With(path) => {
            let function = function_in(path, "update_constants");
            let child = quote!(#function(#reference, #constants));
            let child = mapped(names, constants, &part.axes, child);
            Some(quote!(#child;))
        }
    }
}

/// Looks at a field of any type.
fn observe(describe: &Ident, reference: &TokenStream) -> TokenStream {
    quote!((&&&_grow::describe::Observe(#reference)).observe(#describe);)
}

/// Says which axes grow together.
fn together(names: &Names, container: &Container) -> Option<TokenStream> {
    let describe = &names.describe;
    let together = container.together.iter().map(|together| {
        let attr::Together { axes, reason } = together;
        quote!(#describe.together(&[#(#axes),*], #reason);)
    });
    (!container.together.is_empty()).then(|| quote!(#(#together)*))
}
