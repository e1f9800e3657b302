//! Pieces of generated code: names, layouts, roles, and maps of axes.

use proc_macro2::{Delimiter, Group, Ident, Span, TokenStream, TokenTree};
use quote::quote;
use syn::Path;

use crate::attr::{self, Axes, Dims, Layout, Role, RoleKind};
use crate::check::{Roles, Slot};

/// How the generated code reaches a field.
pub(crate) struct Access {
    /// A reference, mutable in `update_constants`.
    pub(crate) reference: TokenStream,
    pub(crate) value: TokenStream,
}

/// Names of the generated code that expressions of the user cannot see.
pub(crate) struct Names {
    pub(crate) describe: Ident,
    pub(crate) constants: Ident,
    pub(crate) field: Ident,
    pub(crate) roles: Ident,
    pub(crate) map: Ident,
    pub(crate) index: Ident,
    pub(crate) count: Ident,
}

impl Names {
    pub(crate) fn new() -> Self {
        let name = |name| Ident::new(name, Span::mixed_site());
        Self {
            describe: name("describe"),
            constants: name("constants"),
            field: name("field"),
            roles: name("roles"),
            map: name("map"),
            index: name("index"),
            count: name("count"),
        }
    }
}

/// Runs `body` below a map of axes, if there is one. `receiver` is a `Describer` or `Constants`.
pub(crate) fn mapped(
    names: &Names,
    receiver: &Ident,
    axes: &Option<Axes>,
    body: TokenStream,
) -> TokenStream {
    let Some(axes) = axes else { return body };
    let map = &names.map;
    let entries = map_entries(axes);
    quote!({
        let #map = _grow::describe::AxisMap::new() #entries;
        #receiver.axes(&#map, |#receiver| { #body });
    })
}

pub(crate) fn map_entries(axes: &Axes) -> TokenStream {
    let entries = axes.entries.iter().map(|(name, layout)| match layout {
        Some(layout) => {
            let layout = layout_expr(layout);
            quote!(.with(#name, #layout))
        }
        None => quote!(.without(#name)),
    });
    quote!(#(#entries)*)
}

pub(crate) fn scope(describe: &Ident, name: &str, statement: TokenStream) -> TokenStream {
    quote!(#describe.scope(#name, |#describe| { #statement });)
}

pub(crate) fn slot_name(slot: Slot) -> Ident {
    let name = match slot {
        Slot::FanIn => "fan_in",
        Slot::FanOut => "fan_out",
        Slot::Gain => "gain",
        Slot::Vocab => "vocab",
        Slot::Inner => "inner",
        Slot::Heads => "heads",
    };
    Ident::new(name, Span::call_site())
}

pub(crate) fn layout_expr(layout: &Layout) -> TokenStream {
    let Layout { axes, groups, unit } = layout;
    if let ([axis], None, None) = (axes.as_slice(), groups, unit) {
        return quote!(#axis);
    }
    let (first, rest) = (axes.first(), axes.iter().skip(1));
    let suffix = layout_suffix(layout);
    quote!(_grow::describe::Layout::of(#first) #(.and(#rest))* #suffix)
}

fn layout_suffix(layout: &Layout) -> TokenStream {
    let groups = layout
        .groups
        .iter()
        .map(|groups| quote!(.with_groups(#groups)));
    let unit = layout.unit.iter().map(|unit| quote!(.with_unit(#unit)));
    quote!(#(#groups)* #(#unit)*)
}

pub(crate) fn layer_roles(roles: &Roles) -> TokenStream {
    let fields = roles.0.iter().map(|(slot, role)| {
        let (name, role) = (slot_name(*slot), role_expr(role));
        quote!(#name: ::core::option::Option::Some(#role))
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
pub(crate) fn dims_roles(dims: &Dims) -> TokenTree {
    let roles = dims.roles.iter().map(|role| option(role.as_ref()));
    let mut array = Group::new(Delimiter::Bracket, quote!(#(#roles),*));
    array.set_span(dims.span);
    array.into()
}

pub(crate) fn option(role: Option<&Role>) -> TokenStream {
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
    let (kind, layout) = match part {
        attr::Part::Fixed(size) => return quote!(_grow::describe::Role::fixed(#size)),
        attr::Part::Axes { kind, layout } => (kind, layout),
    };
    let constructor = match kind {
        RoleKind::FanIn => quote!(fan_in),
        // The layer itself assigns the roles of its inner widths.
        RoleKind::FanOut | RoleKind::Inner | RoleKind::Heads => quote!(fan_out),
        RoleKind::Gate => quote!(gate),
        RoleKind::Gain => quote!(gain),
        RoleKind::Vocab => quote!(vocab),
    };
    let (first, rest) = (layout.axes.first(), layout.axes.iter().skip(1));
    let suffix = layout_suffix(layout);
    quote!(_grow::describe::Role::#constructor(#first) #(.and(#rest))* #suffix)
}

/// Writes `path::name`, so that a missing function is an error on `path`.
pub(crate) fn function_in(path: &Path, name: &str) -> TokenStream {
    let span = path
        .segments
        .last()
        .map_or_else(Span::call_site, |s| s.ident.span());
    let name = Ident::new(name, span);
    quote!(#path::#name)
}
