//! Parses `#[grow(..)]`. After a mistake it goes on with the next entry, to report all of them.

use proc_macro2::{Span, TokenStream, TokenTree};
use syn::ext::IdentExt;
use syn::parse::{ParseBuffer, ParseStream, Parser};
use syn::{
    Attribute, Expr, Ident, LitStr, MacroDelimiter, Meta, Path, Token, parenthesized, parse_quote,
    token,
};

use crate::error::{Errors, unknown};

const FIELD: [&str; 16] = [
    "fan_in",
    "fan_out",
    "gate",
    "gain",
    "vocab",
    "inner",
    "heads",
    "concat",
    "dims",
    "width",
    "count",
    "multiplier",
    "frozen",
    "skip",
    "with",
    "active",
];
const CONTAINER: [&str; 1] = ["crate"];
const ROLES: [&str; 6] = ["fan_in", "fan_out", "gate", "gain", "vocab", "concat"];
const PARTS: [&str; 6] = ["fan_in", "fan_out", "gate", "gain", "vocab", "fixed"];
const LAYOUT: [&str; 2] = ["groups", "unit"];

/// The attributes of the type.
pub(crate) struct Container {
    pub(crate) krate: Path,
}

/// One entry of a field attribute, such as `fan_in = "hidden"`.
pub(crate) struct Entry {
    pub(crate) key: Ident,
    pub(crate) value: Value,
}

pub(crate) enum Value {
    Role(Role),
    Dims(Dims),
    Width(LitStr),
    Count(LitStr),
    Multiplier(LitStr),
    Frozen { axis: LitStr, reason: LitStr },
    Skip,
    With(Path),
    Active(Path),
}

#[derive(Clone, Copy, PartialEq)]
pub(crate) enum RoleKind {
    FanIn,
    FanOut,
    Gate,
    Gain,
    Vocab,
    Inner,
    Heads,
}

/// The parts along a dimension.
pub(crate) struct Role {
    pub(crate) parts: Vec<Part>,
}

pub(crate) enum Part {
    Axes {
        kind: RoleKind,
        axes: Vec<LitStr>,
        groups: Option<Box<Expr>>,
        unit: Option<Box<Expr>>,
    },
    Fixed(Box<Expr>),
}

impl Role {
    /// The kinds of the parts that have one.
    pub(crate) fn kinds(&self) -> impl Iterator<Item = RoleKind> + Clone {
        self.parts.iter().filter_map(|part| match part {
            Part::Axes { kind, .. } => Some(*kind),
            Part::Fixed(_) => None,
        })
    }
}

/// One role per dimension.
pub(crate) struct Dims {
    pub(crate) span: Span,
    pub(crate) roles: Vec<Option<Role>>,
}

/// Parses the attributes of the type. `None` if they are wrong.
pub(crate) fn container(attrs: &[Attribute], errors: &mut Errors) -> Option<Container> {
    let mut krate = None;
    let mut sound = true;
    for attr in grow(attrs) {
        entries(attr, errors, |input| {
            let path = Ident::parse_any(input).and_then(|key| match key.to_string().as_str() {
                "crate" => path(input, &key),
                name if FIELD.contains(&name) => {
                    let message = format!("`{name}` belongs on a field, not on the type");
                    Err(syn::Error::new(key.span(), message))
                }
                _ => Err(unknown(&key, "attribute", &CONTAINER)),
            });
            sound &= path.is_ok();
            let path = path?;
            if krate.is_some() {
                sound = false;
                return Err(syn::Error::new_spanned(path, "`crate` is given twice"));
            }
            krate = Some(path);
            Ok(())
        });
    }
    sound.then(|| Container {
        krate: krate.unwrap_or_else(|| parse_quote!(::burn_grow)),
    })
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

fn separated(
    input: ParseStream,
    errors: &mut Errors,
    mut parse: impl FnMut(ParseStream) -> syn::Result<()>,
) {
    while !input.is_empty() {
        let parsed = parse(input).and_then(|()| {
            if input.is_empty() {
                return Ok(());
            }
            input.parse::<Token![,]>().map(|_| ())
        });
        if let Err(error) = parsed {
            errors.push(error);
            skip_entry(input);
        }
    }
}

/// Skips the rest of an entry, including its comma.
fn skip_entry(input: ParseStream) {
    while !input.is_empty() {
        let comma = input.peek(Token![,]);
        if input.parse::<TokenTree>().is_err() || comma {
            return;
        }
    }
}

fn entry(input: ParseStream) -> syn::Result<Entry> {
    let key = Ident::parse_any(input)?;
    let name = key.to_string();
    let value = match name.as_str() {
        "dims" => Value::Dims(dims(input, &key)?),
        "width" => Value::Width(assigned_axis(input, &key)?),
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
        "crate" => {
            let message = "`crate` belongs on the type, not on a field";
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

/// Parses `= "axis"` or `("axis", .., groups = expr, unit = expr)` after the name of a role, or
/// `(part, ..)` after `concat`.
fn role(input: ParseStream, key: &Ident, what: &str, legal: &[&str]) -> syn::Result<Role> {
    if key == "concat" && legal.contains(&"concat") {
        return concat(input, key);
    }
    let part = part(input, key, what, legal)?;
    Ok(Role { parts: vec![part] })
}

fn part(input: ParseStream, key: &Ident, what: &str, legal: &[&str]) -> syn::Result<Part> {
    let name = key.to_string();
    let kind = match name.as_str() {
        "fan_in" => RoleKind::FanIn,
        "fan_out" => RoleKind::FanOut,
        "gate" => RoleKind::Gate,
        "gain" => RoleKind::Gain,
        "vocab" => RoleKind::Vocab,
        "inner" => RoleKind::Inner,
        "heads" => RoleKind::Heads,
        _ => return Err(unknown(key, what, legal)),
    };
    if !legal.contains(&name.as_str()) {
        return Err(unknown(key, what, legal));
    }
    let mut axes = Vec::new();
    let (mut groups, mut unit) = (None, None);
    if !input.peek(token::Paren) {
        axes.push(assigned_axis(input, key)?);
        return Ok(Part::Axes {
            kind,
            axes,
            groups,
            unit,
        });
    }
    let content;
    parenthesized!(content in input);
    drained(&content, |content| {
        axes.push(axis(content, key)?);
        while !content.is_empty() {
            content.parse::<Token![,]>()?;
            if content.is_empty() {
                break;
            }
            if content.peek(LitStr) {
                axes.push(axis(content, key)?);
                continue;
            }
            let name = Ident::parse_any(content)?;
            let slot = match name.to_string().as_str() {
                "groups" => &mut groups,
                "unit" => &mut unit,
                _ => return Err(unknown(&name, "layout", &LAYOUT)),
            };
            if slot.is_some() {
                let message = format!("`{name}` is given twice");
                return Err(syn::Error::new(name.span(), message));
            }
            content.parse::<Token![=]>()?;
            *slot = Some(content.parse()?);
        }
        Ok(Part::Axes {
            kind,
            axes,
            groups,
            unit,
        })
    })
}

/// Parses `(part, part, ..)`: the parts of a dimension, one after another.
fn concat(input: ParseStream, key: &Ident) -> syn::Result<Role> {
    let example = "`concat(gate = \"axis\", fan_out = \"axis\")`: what lies along one dimension, \
                   one after another; `fixed = size` where nothing grows";
    if !input.peek(token::Paren) {
        return Err(syn::Error::new(key.span(), format!("expected {example}")));
    }
    let content;
    let span = parenthesized!(content in input).span.join();
    let mut errors = Errors::default();
    let mut parts = Vec::new();
    separated(&content, &mut errors, |content| {
        let key = Ident::parse_any(content)?;
        if key == "fixed" {
            content.parse::<Token![=]>()?;
            parts.push(Part::Fixed(content.parse()?));
        } else {
            parts.push(part(content, &key, "part", &PARTS)?);
        }
        Ok(())
    });
    if let Some(error) = errors.into_error() {
        return Err(error);
    }
    let role = Role { parts };
    if role.kinds().next().is_none() {
        return Err(syn::Error::new(span, format!("expected {example}")));
    }
    Ok(role)
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

fn dims(input: ParseStream, key: &Ident) -> syn::Result<Dims> {
    let example = "`dims(_, fan_in = \"axis\")`: one role per dimension, `_` where nothing grows";
    if !input.peek(token::Paren) {
        return Err(syn::Error::new(key.span(), format!("expected {example}")));
    }
    let content;
    let span = parenthesized!(content in input).span.join();
    let mut errors = Errors::default();
    let mut roles = Vec::new();
    separated(&content, &mut errors, |content| {
        if content.parse::<Option<Token![_]>>()?.is_some() {
            roles.push(None);
            return Ok(());
        }
        let key = Ident::parse_any(content)?;
        roles.push(Some(role(content, &key, "role", &ROLES)?));
        Ok(())
    });
    if let Some(error) = errors.into_error() {
        return Err(error);
    }
    if roles.is_empty() {
        return Err(syn::Error::new(span, format!("expected {example}")));
    }
    Ok(Dims { span, roles })
}

/// Parses `= "axis"`.
fn assigned_axis(input: ParseStream, key: &Ident) -> syn::Result<LitStr> {
    if !input.peek(Token![=]) {
        let message = format!("`{key}` takes the name of an axis: `{key} = \"axis\"`");
        return Err(syn::Error::new(key.span(), message));
    }
    input.parse::<Token![=]>()?;
    axis(input, key)
}

fn axis(input: ParseStream, key: &Ident) -> syn::Result<LitStr> {
    let Ok(axis) = input.parse::<LitStr>() else {
        let message = format!("`{key}` takes the name of an axis as a string: `\"axis\"`");
        return Err(input.error(message));
    };
    if axis.value().trim().is_empty() {
        let message = "the name of an axis is empty";
        return Err(syn::Error::new(axis.span(), message));
    }
    Ok(axis)
}

/// Parses `= path`.
fn path(input: ParseStream, key: &Ident) -> syn::Result<Path> {
    if !input.peek(Token![=]) {
        let message = format!("`{key}` takes a path: `{key} = path`");
        return Err(syn::Error::new(key.span(), message));
    }
    input.parse::<Token![=]>()?;
    if input.peek(LitStr) {
        let message = format!("`{key}` takes a path, without quotes");
        return Err(input.error(message));
    }
    input.parse()
}

/// Parses the contents of parentheses. After an error it consumes the rest, which syn would report
/// again.
fn drained<'a, T>(
    content: &ParseBuffer<'a>,
    parse: impl FnOnce(&ParseBuffer<'a>) -> syn::Result<T>,
) -> syn::Result<T> {
    let parsed = parse(content);
    if parsed.is_err() {
        let _ = content.parse::<TokenStream>();
    }
    parsed
}
