//! The code for a container that is described element by element: a stack whose length is an axis, or
//! one whose ends differ.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;

use crate::attr::Place;
use crate::check::{self, Form, Overrides, Part};
use crate::tokens::{Access, Names, layer_roles, map_entries, mapped, option, scope, slot_name};

/// Describes the elements of a stack, and its length.
pub(crate) fn describe_stack(names: &Names, part: &Part, access: &Access) -> TokenStream {
    let Names {
        describe,
        field,
        roles,
        index,
        ..
    } = names;
    let Access { reference, .. } = access;
    let (name, axis) = (&part.field.name, &part.depth);
    let element = check::element(part.field.ty);
    let one = match &part.form {
        Form::Layer(layer) => {
            let made = layer_roles(layer);
            quote!(#describe.with_roles(&#made, |#roles, #describe| {
                <#element as _grow::describe::Layer>::describe(#field, #roles, #describe)
            }))
        }
        _ => {
            let child = quote!(<#element as _grow::Growable>::describe(#field, #describe));
            mapped(names, describe, &part.axes, child)
        }
    };
    let declared = match &part.fresh {
        Some(path) => {
            let fresh = quote_spanned!(path.span()=> || #path(self));
            quote!(#describe.stack_with(#name, #axis, (#reference).len(), #fresh, |#field, #describe| {
                #one
            });)
        }
        None => quote!(#describe.stack(#name, #axis, (#reference).len());),
    };
    let elements = scope(
        describe,
        name,
        quote! {
            for (#index, #field) in (#reference).iter().enumerate() {
                #describe.element(#index, |#describe| { #one });
            }
        },
    );
    quote!(#elements #declared)
}

/// Rebuilds a stack, and updates the constants of its elements.
pub(crate) fn update_stack(names: &Names, part: &Part, access: &Access) -> TokenStream {
    let Names {
        constants,
        field,
        roles,
        index,
        ..
    } = names;
    let Access { reference, .. } = access;
    let axis = &part.depth;
    let element = check::element(part.field.ty);
    let (made, one) = match &part.form {
        Form::Layer(layer) => {
            // The roles may name fields of `self`, so they come before the borrow.
            let made = layer_roles(layer);
            let one = quote!(#constants.with_roles(&#roles, |#roles, #constants| {
                <#element as _grow::describe::Layer>::update_constants(#field, #roles, #constants)
            }));
            (Some(quote!(let #roles = #made;)), one)
        }
        _ => {
            let child = quote!(<#element as _grow::Growable>::update_constants(#field, #constants));
            (None, mapped(names, constants, &part.axes, child))
        }
    };
    let fresh = match &part.fresh {
        Some(path) => {
            let fresh = quote_spanned!(path.span()=> || #path(&*self));
            quote!(#constants.fresh_blocks(#axis, #fresh))
        }
        None => quote!(::std::vec::Vec::new()),
    };
    quote!({
        #made
        let #index = #fresh;
        #constants.stack(#axis, #reference, #index, |#field, #constants| { #one });
    })
}

/// Goes through the elements of a stack, some of which have roles or axes of their own.
pub(crate) fn each(names: &Names, part: &Part, access: &Access, update: bool) -> TokenStream {
    let Names {
        describe,
        constants,
        roles,
        map,
        index,
        count,
        ..
    } = names;
    let Access { reference, .. } = access;
    let places = part.places.iter().map(|(place, overrides)| {
        let condition = match place {
            Place::First => quote!(#index == 0),
            Place::Rest => quote!(#index > 0),
            Place::Last => quote!(#index + 1 == #count),
        };
        let overrides = match overrides {
            Overrides::Roles(all) => {
                let all = all.iter().map(|(slot, role)| {
                    let (slot, role) = (slot_name(*slot), option(role.as_ref()));
                    quote!(#roles.#slot = #role;)
                });
                quote!(#(#all)*)
            }
            Overrides::Axes(axes) => {
                let entries = map_entries(axes);
                quote!(#map = #map #entries;)
            }
        };
        quote!(if #condition { #overrides })
    });
    let (context, visit) = match &part.form {
        Form::Layer(layer) => {
            let made = layer_roles(layer);
            let visit = if update {
                quote!(#constants.layer(&mut (#reference)[#index], &#roles);)
            } else {
                quote!(#describe.layer(&#index.to_string(), &(#reference)[#index], &#roles);)
            };
            (quote!(let mut #roles = #made;), visit)
        }
        _ => {
            let entries = part.axes.as_ref().map(map_entries);
            let made = quote!(let mut #map = _grow::describe::AxisMap::new() #entries;);
            let visit = if update {
                quote!(#constants.axes(&#map, |#constants| {
                    _grow::Growable::update_constants(&mut (#reference)[#index], #constants)
                });)
            } else {
                quote!(#describe.scope(&#index.to_string(), |#describe| {
                    #describe.axes(&#map, |#describe| {
                        _grow::Growable::describe(&(#reference)[#index], #describe)
                    })
                });)
            };
            (made, visit)
        }
    };
    quote! {
        let #count = (#reference).len();
        for #index in 0..#count {
            #context
            #(#places)*
            #visit
        }
    }
}
