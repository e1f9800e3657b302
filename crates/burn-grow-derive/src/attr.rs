//! Parses `#[grow(..)]`. After a mistake it goes on with the next entry, to report all of them.

use proc_macro2::{Span, TokenStream, TokenTree};
use syn::ext::IdentExt;
use syn::parse::{ParseBuffer, ParseStream, Parser};
use syn::{
    Attribute, Expr, Ident, LitStr, MacroDelimiter, Meta, Path, Token, parenthesized, parse_quote,
    token,
};

use crate::error::{Errors, unknown};

const FIELD: [&str; 23] = [
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
];
const CONTAINER: [&str; 3] = ["crate", "axes", "together"];
/// What an element of a stack may have of its own.
const ELEMENT: [&str; 9] = [
    "fan_in", "fan_out", "gate", "gain", "vocab", "inner", "heads", "concat", "axes",
];
const ROLES: [&str; 6] = ["fan_in", "fan_out", "gate", "gain", "vocab", "concat"];
const PARTS: [&str; 6] = ["fan_in", "fan_out", "gate", "gain", "vocab", "fixed"];
const LAYOUT: [&str; 2] = ["groups", "unit"];

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
}

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
    let layout = layout(input, key)?;
    Ok(Part::Axes { kind, layout })
}

/// Parses `= "axis"` or `("axis", .., groups = expr, unit = expr)` after a name.
fn layout(input: ParseStream, key: &Ident) -> syn::Result<Layout> {
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
fn function(input: ParseStream, key: &Ident, kept: bool) -> syn::Result<Function> {
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
fn map(input: ParseStream, key: &Ident) -> syn::Result<Axes> {
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
        let layout = if nothing(content)? {
            None
        } else {
            Some(layout(content, &key)?)
        };
        entries.push((name, layout));
        Ok(())
    })?;
    Ok(Axes { span, entries })
}

/// Parses `(role = "axis", role = _, axes(..))`.
fn overrides(input: ParseStream, key: &Ident) -> syn::Result<Vec<Override>> {
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

/// Parses `(name = "axis", name.inner("axis", "axis"), name = _)`.
fn widths(input: ParseStream, key: &Ident) -> syn::Result<Vec<Stored>> {
    let example = "`widths(name = \"axis\")`: the widths that the field holds, by their names in \
                   it, `_` for a number that may differ";
    let mut widths = Vec::new();
    listed(input, key, example, |content| {
        let key = Ident::parse_any(content)?;
        let mut path = vec![key.clone()];
        while content.parse::<Option<Token![.]>>()?.is_some() {
            path.push(Ident::parse_any(content)?);
        }
        let layout = if nothing(content)? {
            None
        } else {
            Some(layout(content, &key)?)
        };
        widths.push(Stored { path, layout });
        Ok(())
    })?;
    Ok(widths)
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

/// Parses `= _` if it comes next.
fn nothing(input: ParseStream) -> syn::Result<bool> {
    let nothing = input.peek(Token![=]) && input.peek2(Token![_]);
    if nothing {
        input.parse::<Token![=]>()?;
        input.parse::<Token![_]>()?;
    }
    Ok(nothing)
}

/// Parses a list in parentheses, which is not empty. Returns its span.
fn listed(
    input: ParseStream,
    key: &Ident,
    example: &str,
    parse: impl FnMut(ParseStream) -> syn::Result<()>,
) -> syn::Result<Span> {
    if !input.peek(token::Paren) {
        return Err(syn::Error::new(key.span(), format!("expected {example}")));
    }
    let content;
    let span = parenthesized!(content in input).span.join();
    if content.is_empty() {
        return Err(syn::Error::new(span, format!("expected {example}")));
    }
    let mut errors = Errors::default();
    separated(&content, &mut errors, parse);
    errors.into_error().map_or(Ok(span), Err)
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
