//! Roles of dimensions, and of the elements of a stack.

use proc_macro2::Span;
use syn::ext::IdentExt;
use syn::parse::ParseStream;
use syn::{Expr, Ident, Token};

use super::layout::{Axes, Layout, layout, map};
use super::syntax::{listed, nothing};
use crate::error::unknown;

/// What an element of a stack may have of its own.
const ELEMENT: [&str; 9] = [
    "fan_in", "fan_out", "gate", "gain", "vocab", "inner", "heads", "concat", "axes",
];
const ROLES: [&str; 6] = ["fan_in", "fan_out", "gate", "gain", "vocab", "concat"];
const PARTS: [&str; 6] = ["fan_in", "fan_out", "gate", "gain", "vocab", "fixed"];

/// Elements of a stack, in the order in which what they have of their own is applied.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Place {
    First,
    Rest,
    Last,
}

/// What elements at one place have of their own.
pub(crate) enum Override {
    /// A role; `None` never grows.
    Role(Ident, Option<Role>),
    Axes(Axes),
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
    Axes { kind: RoleKind, layout: Layout },
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

/// Parses `= "axis"` or `("axis", .., groups = expr, unit = expr)` after the name of a role, or
/// `(part, ..)` after `concat`.
pub(super) fn role(
    input: ParseStream,
    key: &Ident,
    what: &str,
    legal: &[&str],
) -> syn::Result<Role> {
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
    let layout = layout(input, key)?;
    Ok(Part::Axes { kind, layout })
}

/// Parses `(role = "axis", role = _, axes(..))`.
pub(super) fn overrides(input: ParseStream, key: &Ident) -> syn::Result<Vec<Override>> {
    let example = format!(
        "`{key}(fan_in = \"axis\")` or `{key}(axes(name = \"axis\"))`: what these elements have of \
         their own, `_` where nothing grows"
    );
    let mut overrides = Vec::new();
    listed(input, key, &example, |content| {
        let key = Ident::parse_any(content)?;
        if key == "axes" {
            overrides.push(Override::Axes(map(content, &key)?));
        } else if ELEMENT.contains(&key.to_string().as_str()) && nothing(content)? {
            overrides.push(Override::Role(key, None));
        } else {
            let role = role(content, &key, "attribute", &ELEMENT)?;
            overrides.push(Override::Role(key, Some(role)));
        }
        Ok(())
    })?;
    Ok(overrides)
}

/// Parses `(part, part, ..)`: the parts of a dimension, one after another.
pub(super) fn concat(input: ParseStream, key: &Ident) -> syn::Result<Role> {
    let example = "`concat(gate = \"axis\", fan_out = \"axis\")`: what lies along one dimension, \
                   one after another; `fixed = size` where nothing grows";
    let mut parts = Vec::new();
    let span = listed(input, key, example, |content| {
        let key = Ident::parse_any(content)?;
        if key == "fixed" {
            content.parse::<Token![=]>()?;
            parts.push(Part::Fixed(content.parse()?));
        } else {
            parts.push(part(content, &key, "part", &PARTS)?);
        }
        Ok(())
    })?;
    let role = Role { parts };
    if role.kinds().next().is_none() {
        return Err(syn::Error::new(span, format!("expected {example}")));
    }
    Ok(role)
}

pub(super) fn dims(input: ParseStream, key: &Ident) -> syn::Result<Dims> {
    let example = "`dims(_, fan_in = \"axis\")`: one role per dimension, `_` where nothing grows";
    let mut roles = Vec::new();
    let span = listed(input, key, example, |content| {
        if content.parse::<Option<Token![_]>>()?.is_some() {
            roles.push(None);
            return Ok(());
        }
        let key = Ident::parse_any(content)?;
        roles.push(Some(role(content, &key, "role", &ROLES)?));
        Ok(())
    })?;
    Ok(Dims { span, roles })
}
