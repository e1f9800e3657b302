//! Parses `#[grow(..)]`. After a mistake it goes on with the next entry, to report all of them.

mod layout;
mod role;
mod syntax;

use syn::ext::IdentExt;
use syn::parse::{ParseStream, Parser};
use syn::{
    Attribute, Ident, LitStr, MacroDelimiter, Meta, Path, Token, parenthesized, parse_quote, token,
};

pub(crate) use self::layout::{Axes, Function, Layout, Stored};
use self::layout::{LAYOUT, function, layout, map, widths};
pub(crate) use self::role::{Dims, Override, Part, Place, Role, RoleKind};
use self::role::{dims, overrides, role};
use self::syntax::{assigned_axis, axis, drained, listed, path, separated};
use crate::error::{Errors, unknown};

const FIELD: [&str; 25] = [
    "fan_in",
    "fan_out",
    "gate",
    "gain",
    "vocab",
    "inner",
    "heads",
    "concat",
    "dims",
    "axes",
    "first",
    "rest",
    "last",
    "width",
    "widths",
    "count",
    "multiplier",
    "recomputed",
    "kept",
    "frozen",
    "skip",
    "with",
    "active",
    "depth",
    "fresh",
];
const CONTAINER: [&str; 3] = ["crate", "axes", "together"];

/// The attributes of the type.
pub(crate) struct Container {
    pub(crate) krate: Path,
    pub(crate) axes: Option<Axes>,
    pub(crate) together: Vec<Together>,
}

/// Axes that grow together, and why.
pub(crate) struct Together {
    pub(crate) axes: Vec<LitStr>,
    pub(crate) reason: LitStr,
}

/// One entry of a field attribute, such as `fan_in = "hidden"`.
pub(crate) struct Entry {
    pub(crate) key: Ident,
    pub(crate) value: Value,
}

pub(crate) enum Value {
    Role(Role),
    Dims(Dims),
    Axes(Axes),
    Place(Place, Vec<Override>),
    Width(Layout),
    Widths(Vec<Stored>),
    Count(LitStr),
    Multiplier(LitStr),
    Function(Function),
    Frozen { axis: LitStr, reason: LitStr },
    Skip,
    With(Path),
    Active(Path),
    Depth(LitStr),
    Fresh(Path),
}

/// Parses the attributes of the type. `None` if they are wrong.
pub(crate) fn container(attrs: &[Attribute], errors: &mut Errors) -> Option<Container> {
    let mut krate = None;
    let mut axes = None;
    let mut together = Vec::new();
    let mut sound = true;
    for attr in grow(attrs) {
        entries(attr, errors, |input| {
            let parsed = container_entry(input, &mut krate, &mut axes, &mut together);
            sound &= parsed.is_ok();
            parsed
        });
    }
    sound.then(|| Container {
        krate: krate.unwrap_or_else(|| parse_quote!(::burn_grow)),
        axes,
        together,
    })
}

fn container_entry(
    input: ParseStream,
    krate: &mut Option<Path>,
    axes: &mut Option<Axes>,
    all_together: &mut Vec<Together>,
) -> syn::Result<()> {
    let key = Ident::parse_any(input)?;
    match key.to_string().as_str() {
        "crate" => {
            let path = path(input, &key)?;
            if krate.is_some() {
                return Err(syn::Error::new_spanned(path, "`crate` is given twice"));
            }
            *krate = Some(path);
        }
        "axes" => {
            if axes.is_some() {
                return Err(syn::Error::new(key.span(), "`axes` is given twice"));
            }
            *axes = Some(map(input, &key)?);
        }
        "together" => all_together.push(together(input, &key)?),
        name if FIELD.contains(&name) => {
            let message = format!("`{name}` belongs on a field, not on the type");
            return Err(syn::Error::new(key.span(), message));
        }
        _ => return Err(unknown(&key, "attribute", &CONTAINER)),
    }
    Ok(())
}

/// Parses the entries of all attributes of a field.
pub(crate) fn field(attrs: &[Attribute], errors: &mut Errors) -> Vec<Entry> {
    let mut found = Vec::new();
    for attr in grow(attrs) {
        entries(attr, errors, |input| {
            found.push(entry(input)?);
            Ok(())
        });
    }
    found
}

pub(crate) fn grow(attrs: &[Attribute]) -> impl Iterator<Item = &Attribute> {
    attrs.iter().filter(|attr| attr.path().is_ident("grow"))
}

/// Returns `true` if Burn passes the field over.
pub(crate) fn is_module_skip(attrs: &[Attribute]) -> bool {
    let mut skip = false;
    for attr in attrs.iter().filter(|attr| attr.path().is_ident("module")) {
        // `derive(Module)` reports other mistakes in the attribute.
        let _ = attr.parse_nested_meta(|meta| {
            skip |= meta.path.is_ident("skip");
            Ok(())
        });
    }
    skip
}

/// Parses the entries of `attr`, going on after a wrong one.
fn entries(
    attr: &Attribute,
    errors: &mut Errors,
    mut parse: impl FnMut(ParseStream) -> syn::Result<()>,
) {
    let list = match &attr.meta {
        Meta::List(list) if matches!(list.delimiter, MacroDelimiter::Paren(_)) => list,
        other => {
            let message = "expected parentheses: `#[grow(..)]`";
            return errors.push(syn::Error::new_spanned(other, message));
        }
    };
    if list.tokens.is_empty() {
        let message = "`#[grow()]` says nothing: name a role, `skip` the field, \
                       or leave the attribute out to descend into a module";
        return errors.push(syn::Error::new_spanned(&attr.meta, message));
    }
    let parser = |input: ParseStream| {
        separated(input, errors, &mut parse);
        Ok(())
    };
    if let Err(error) = parser.parse2(list.tokens.clone()) {
        errors.push(error);
    }
}

fn entry(input: ParseStream) -> syn::Result<Entry> {
    let key = Ident::parse_any(input)?;
    let name = key.to_string();
    let value = match name.as_str() {
        "dims" => Value::Dims(dims(input, &key)?),
        "axes" => Value::Axes(map(input, &key)?),
        "first" => Value::Place(Place::First, overrides(input, &key)?),
        "rest" => Value::Place(Place::Rest, overrides(input, &key)?),
        "last" => Value::Place(Place::Last, overrides(input, &key)?),
        "width" => Value::Width(layout(input, &key)?),
        "widths" => Value::Widths(widths(input, &key)?),
        "recomputed" => Value::Function(function(input, &key, false)?),
        "kept" => Value::Function(function(input, &key, true)?),
        "count" => Value::Count(assigned_axis(input, &key)?),
        "frozen" => frozen(input, &key)?,
        "multiplier" => Value::Multiplier(assigned_axis(input, &key)?),
        "skip" => {
            if input.peek(Token![=]) || input.peek(token::Paren) {
                return Err(input.error("`skip` takes no value"));
            }
            Value::Skip
        }
        "with" => Value::With(path(input, &key)?),
        "active" => Value::Active(path(input, &key)?),
        "depth" => Value::Depth(assigned_axis(input, &key)?),
        "fresh" => Value::Fresh(path(input, &key)?),
        "crate" | "together" => {
            let message = format!("`{name}` belongs on the type, not on a field");
            return Err(syn::Error::new(key.span(), message));
        }
        layout if LAYOUT.contains(&layout) => {
            let message =
                format!("`{layout}` is the layout of one role: `fan_out(\"axis\", {layout} = ..)`");
            return Err(syn::Error::new(key.span(), message));
        }
        _ => Value::Role(role(input, &key, "attribute", &FIELD)?),
    };
    Ok(Entry { key, value })
}

/// Parses `("axis", "axis", .., "reason")`.
fn together(input: ParseStream, key: &Ident) -> syn::Result<Together> {
    let example = "`together(\"axis\", \"axis\", \"why they grow together\")`";
    let mut texts = Vec::new();
    let span = listed(input, key, example, |content| {
        texts.push(content.parse::<LitStr>()?);
        Ok(())
    })?;
    let reason = texts.pop().filter(|_| texts.len() > 1);
    let Some(reason) = reason else {
        return Err(syn::Error::new(span, format!("expected {example}")));
    };
    Ok(Together {
        axes: texts,
        reason,
    })
}

/// Parses `("axis", "reason")`.
fn frozen(input: ParseStream, key: &Ident) -> syn::Result<Value> {
    if !input.peek(token::Paren) {
        let message = "expected `frozen(\"axis\", \"why it cannot grow\")`";
        return Err(syn::Error::new(key.span(), message));
    }
    let content;
    parenthesized!(content in input);
    drained(&content, |content| {
        let axis = axis(content, key)?;
        content.parse::<Token![,]>()?;
        let reason = content.parse()?;
        content.parse::<Option<Token![,]>>()?;
        if !content.is_empty() {
            return Err(content.error("expected nothing after the reason"));
        }
        Ok(Value::Frozen { axis, reason })
    })
}
