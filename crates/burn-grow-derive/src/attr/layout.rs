//! Products of axes, and what is written with them: stored widths, functions of a width, maps.

use proc_macro2::Span;
use syn::ext::IdentExt;
use syn::parse::ParseStream;
use syn::{Expr, Ident, LitStr, Path, Token, parenthesized, token};

use super::syntax::{assigned_axis, axis, drained, listed, nothing, path};
use crate::error::unknown;

pub(super) const LAYOUT: [&str; 2] = ["groups", "unit"];

/// A product of axes: `"axis", "axis inside it", .., groups = expr, unit = expr`.
pub(crate) struct Layout {
    pub(crate) axes: Vec<LitStr>,
    pub(crate) groups: Option<Box<Expr>>,
    pub(crate) unit: Option<Box<Expr>>,
}

/// What the names of axes stand for; `None` never grows.
pub(crate) struct Axes {
    pub(crate) span: Span,
    pub(crate) entries: Vec<(LitStr, Option<Layout>)>,
}

/// A width inside a field, as in `config.hidden_size`; without a layout it may differ.
pub(crate) struct Stored {
    pub(crate) path: Vec<Ident>,
    pub(crate) layout: Option<Layout>,
}

/// A constant that is a function of a width.
pub(crate) struct Function {
    pub(crate) layout: Layout,
    pub(crate) function: Path,
    pub(crate) kept: bool,
}

/// Parses `= "axis"` or `("axis", .., groups = expr, unit = expr)` after a name.
pub(super) fn layout(input: ParseStream, key: &Ident) -> syn::Result<Layout> {
    if !input.peek(token::Paren) {
        return Ok(Layout {
            axes: vec![assigned_axis(input, key)?],
            groups: None,
            unit: None,
        });
    }
    let content;
    parenthesized!(content in input);
    drained(&content, |content| {
        let (layout, function) = layout_entries(content, key, false)?;
        debug_assert!(function.is_none(), "only allowed where it is asked for");
        Ok(layout)
    })
}

/// Parses a layout, or `= _` for none.
fn layout_or_nothing(input: ParseStream, key: &Ident) -> syn::Result<Option<Layout>> {
    if nothing(input)? {
        return Ok(None);
    }
    layout(input, key).map(Some)
}

/// Parses `"axis", .., groups = expr, unit = expr`, and `with = path` if there may be a function.
fn layout_entries(
    content: ParseStream,
    key: &Ident,
    function: bool,
) -> syn::Result<(Layout, Option<Path>)> {
    let mut layout = Layout {
        axes: vec![axis(content, key)?],
        groups: None,
        unit: None,
    };
    let mut with = None;
    while !content.is_empty() {
        content.parse::<Token![,]>()?;
        if content.is_empty() {
            break;
        }
        if content.peek(LitStr) {
            layout.axes.push(axis(content, key)?);
            continue;
        }
        let name = Ident::parse_any(content)?;
        let twice = match name.to_string().as_str() {
            "groups" => assigned(content, &mut layout.groups)?,
            "unit" => assigned(content, &mut layout.unit)?,
            "with" if function => {
                let twice = with.is_some();
                with = Some(path(content, &name)?);
                twice
            }
            _ if function => return Err(unknown(&name, "layout", &["groups", "unit", "with"])),
            _ => return Err(unknown(&name, "layout", &LAYOUT)),
        };
        if twice {
            let message = format!("`{name}` is given twice");
            return Err(syn::Error::new(name.span(), message));
        }
    }
    Ok((layout, with))
}

/// Parses `= expr`. Returns `true` if there was one already.
fn assigned(content: ParseStream, slot: &mut Option<Box<Expr>>) -> syn::Result<bool> {
    if slot.is_some() {
        return Ok(true);
    }
    content.parse::<Token![=]>()?;
    *slot = Some(Box::new(content.parse()?));
    Ok(false)
}

/// Parses `("axis", .., with = path)`.
pub(super) fn function(input: ParseStream, key: &Ident, kept: bool) -> syn::Result<Function> {
    let message = format!("expected `{key}(\"axis\", with = function_of_the_width)`");
    if !input.peek(token::Paren) {
        return Err(syn::Error::new(key.span(), message));
    }
    let content;
    parenthesized!(content in input);
    drained(&content, |content| {
        let (layout, function) = layout_entries(content, key, true)?;
        let function = function.ok_or_else(|| syn::Error::new(key.span(), message))?;
        Ok(Function {
            layout,
            function,
            kept,
        })
    })
}

/// Parses `(name = "axis", name("axis", unit = expr), name = _)`.
pub(super) fn map(input: ParseStream, key: &Ident) -> syn::Result<Axes> {
    let example = "`axes(name = \"axis\")`: what an axis of the description is called here, `_` if \
                   it never grows";
    let mut entries: Vec<(LitStr, Option<Layout>)> = Vec::new();
    let span = listed(input, key, example, |content| {
        let (name, key) = if content.peek(LitStr) {
            let name = axis(content, key)?;
            let key = Ident::new("axes", name.span());
            (name, key)
        } else {
            let key = Ident::parse_any(content)?;
            (LitStr::new(&key.unraw().to_string(), key.span()), key)
        };
        if entries
            .iter()
            .any(|(other, _)| other.value() == name.value())
        {
            let message = format!("`{}` is given twice", name.value());
            return Err(syn::Error::new(name.span(), message));
        }
        let layout = layout_or_nothing(content, &key)?;
        entries.push((name, layout));
        Ok(())
    })?;
    Ok(Axes { span, entries })
}

/// Parses `(name = "axis", name.inner("axis", "axis"), name = _)`.
pub(super) fn widths(input: ParseStream, key: &Ident) -> syn::Result<Vec<Stored>> {
    let example = "`widths(name = \"axis\")`: the widths that the field holds, by their names in \
                   it, `_` for a number that may differ";
    let mut widths = Vec::new();
    listed(input, key, example, |content| {
        let key = Ident::parse_any(content)?;
        let mut path = vec![key.clone()];
        while content.parse::<Option<Token![.]>>()?.is_some() {
            path.push(Ident::parse_any(content)?);
        }
        let layout = layout_or_nothing(content, &key)?;
        widths.push(Stored { path, layout });
        Ok(())
    })?;
    Ok(widths)
}
