//! Decides what a field is, and rejects attributes that contradict each other or the type.

use proc_macro2::Ident;
use syn::{GenericArgument, LitStr, Path, PathArguments, Type};

use crate::ast::{Body, Field};
use crate::attr::{
    self, Axes, Dims, Entry, Function, Layout, Override, Place, Role, RoleKind, Stored, Value,
};
use crate::error::Errors;

/// A field, and its place in the description.
pub(crate) struct Part<'a> {
    pub(crate) field: Field<'a>,
    pub(crate) form: Form,
    /// Function that returns the fraction of the parameters that takes part in one token.
    pub(crate) active: Option<Path>,
    /// What the axes of the description are called here.
    pub(crate) axes: Option<Axes>,
    /// What elements of a stack have of their own.
    pub(crate) places: Vec<(Place, Overrides)>,
    /// The axis that is the number of elements.
    pub(crate) depth: Option<LitStr>,
    /// Function that makes a fresh element.
    pub(crate) fresh: Option<Path>,
}

/// What elements at one place have of their own.
pub(crate) enum Overrides {
    Roles(Vec<(Slot, Option<Role>)>),
    Axes(Axes),
}

/// A role of a layer.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Slot {
    FanIn,
    /// A fan-out or a gate.
    FanOut,
    Gain,
    Vocab,
    Inner,
    Heads,
}

/// The form of a field in the description.
pub(crate) enum Form {
    /// Holds no parameters for Burn, and nothing that is declared.
    Passed,
    /// Holds no parameters for Burn, and numbers that may differ.
    Free,
    Child,
    Layer(Roles),
    Param {
        dims: Dims,
        optional: bool,
    },
    Width(Layout),
    Widths(Vec<Stored>),
    Count(LitStr),
    Multiplier(LitStr),
    Function(Function),
    Frozen {
        axis: LitStr,
        reason: LitStr,
    },
    Fixed,
    With(Path),
}

/// The roles of a layer, side by side.
#[derive(Default)]
pub(crate) struct Roles(pub(crate) Vec<(Slot, Role)>);

pub(crate) fn body<'a>(body: Body<Field<'a>>, errors: &mut Errors) -> Body<Part<'a>> {
    body.map(|field| part(field, errors))
}

fn part<'a>(field: Field<'a>, errors: &mut Errors) -> Part<'a> {
    let mut part = Part {
        form: Form::Child,
        active: None,
        axes: None,
        places: Vec::new(),
        depth: None,
        fresh: None,
        field,
    };
    let skipped = attr::is_module_skip(part.field.attrs);
    if skipped {
        part.form = Form::Passed;
    }
    // The entry that decided the form, and those that came beside it.
    let mut decided: Option<Ident> = None;
    let mut active: Option<Ident> = None;
    let mut placed: Vec<Ident> = Vec::new();
    let mut deep: Option<Ident> = None;
    for Entry { key, value } in attr::field(part.field.attrs, errors) {
        if skipped && !fits_skipped(&value) {
            let message = format!(
                "`{key}` is for parameters, and a `#[module(skip)]` field holds none: it takes \
                 `width`, `widths`, `count`, `multiplier`, `recomputed`, `kept`, `frozen`, `skip` \
                 or `with`"
            );
            errors.at(key.span(), message);
            continue;
        }
        let value = match value {
            Value::Active(path) => {
                if part.active.is_some() {
                    twice(&key, errors);
                }
                part.active = Some(path);
                active = Some(key);
                continue;
            }
            Value::Depth(axis) => {
                if part.depth.is_some() {
                    twice(&key, errors);
                }
                part.depth = Some(axis);
                deep = Some(key);
                continue;
            }
            Value::Fresh(path) => {
                if part.fresh.is_some() {
                    twice(&key, errors);
                }
                part.fresh = Some(path);
                deep.get_or_insert(key);
                continue;
            }
            Value::Axes(axes) => {
                if part.axes.is_some() {
                    twice(&key, errors);
                }
                part.axes = Some(axes);
                continue;
            }
            Value::Place(place, overrides) => {
                if part.places.iter().any(|(other, _)| *other == place) {
                    twice(&key, errors);
                }
                part.places
                    .extend(overriding(&key, overrides, errors).map(|all| (place, all)));
                placed.push(key);
                continue;
            }
            value => value,
        };
        match (&mut part.form, value) {
            (Form::Layer(roles), Value::Role(role)) => add_role(roles, &key, role, errors),
            (Form::Passed, Value::Skip) => part.form = Form::Free,
            (form @ (Form::Child | Form::Passed), value) => {
                *form = first(part.field.ty, &key, value, errors);
            }
            (_, _) => match &decided {
                Some(other) if *other == key => twice(&key, errors),
                other => {
                    let other = other.as_ref().map_or_else(String::new, Ident::to_string);
                    let message = format!(
                        "`{key}` contradicts `{other}`: a field is a layer (`fan_in`, `fan_out`, \
                         `gate`, `gain`, `vocab`, `inner`, `heads`, `concat`), a parameter \
                         (`dims`), a constant (`width`, `widths`, `count`, `multiplier`, \
                         `recomputed`, `kept`, `frozen`), or described elsewhere (`axes`, `skip`, \
                         `with`)"
                    );
                    errors.at(key.span(), message);
                }
            },
        }
        decided.get_or_insert(key);
    }
    let constant = matches!(
        part.form,
        Form::Width(_)
            | Form::Widths(_)
            | Form::Count(_)
            | Form::Multiplier(_)
            | Form::Function(_)
            | Form::Frozen { .. }
    );
    if let (Some(key), true) = (active, constant) {
        let message = "`active` is the fraction of parameters that takes part in one token, and a \
                       constant holds none";
        errors.at(key.span(), message);
    }
    if let Some(axes) = &part.axes
        && !matches!(part.form, Form::Child | Form::With(_))
    {
        let message = "`axes` names the axes of a description from elsewhere, of a module of your \
                       own or `with` functions; here the attributes name them";
        errors.at(axes.span, message);
    }
    places(&part, &placed, errors);
    if let Some(key) = deep {
        depth(&part, &key, errors);
    }
    part.places.sort_by_key(|(place, _)| *place);
    part
}

/// Returns `true` if a field without parameters can have the attribute.
fn fits_skipped(value: &Value) -> bool {
    match value {
        Value::Width(_) | Value::Widths(_) | Value::Count(_) | Value::Multiplier(_) => true,
        Value::Function(_) | Value::Frozen { .. } | Value::Skip | Value::With(_) => true,
        Value::Role(_) | Value::Dims(_) | Value::Axes(_) | Value::Place(..) | Value::Active(_) => {
            false
        }
        Value::Depth(_) | Value::Fresh(_) => false,
    }
}

/// Checks that the number of elements of a field can be an axis.
fn depth(part: &Part, key: &Ident, errors: &mut Errors) {
    if part.depth.is_none() {
        let message = "`fresh` makes a block of a stack that grows: name its axis, \
                       `depth = \"layers\"`";
        return errors.at(key.span(), message);
    }
    if !matches!(part.form, Form::Child | Form::Layer(_)) {
        let message = "`depth` is the number of modules or layers in a field";
        return errors.at(key.span(), message);
    }
    if !part.places.is_empty() {
        let message = "`depth` makes any element the source of a new one, and `first`, `rest` and \
                       `last` make them different";
        return errors.at(key.span(), message);
    }
    let growing = element(part.field.ty).is_some()
        && last_segment(part.field.ty).is_some_and(|segment| segment.ident == "Vec");
    if !growing {
        let message = "`depth` is the number of elements in a `Vec`, which can grow";
        errors.push(syn::Error::new_spanned(part.field.ty, message));
    }
}

/// Sorts what elements at one place have of their own.
fn overriding(key: &Ident, overrides: Vec<Override>, errors: &mut Errors) -> Option<Overrides> {
    let mut roles = Vec::new();
    let mut all_axes = None;
    for entry in overrides {
        match entry {
            Override::Role(key, Some(role)) => {
                let slot = slot(&key, &role, errors)?;
                roles.push((slot, Some(role)));
            }
            Override::Role(key, None) => {
                let slot = match key.to_string().as_str() {
                    "fan_in" => Slot::FanIn,
                    "fan_out" | "gate" => Slot::FanOut,
                    "gain" => Slot::Gain,
                    "vocab" => Slot::Vocab,
                    "inner" => Slot::Inner,
                    "heads" => Slot::Heads,
                    _ => {
                        errors.at(key.span(), format!("`{key}` takes the parts of a side"));
                        return None;
                    }
                };
                roles.push((slot, None));
            }
            Override::Axes(axes) => all_axes = Some(axes),
        }
    }
    match all_axes {
        Some(_) if !roles.is_empty() => {
            let message = format!("`{key}` names either roles, of a layer, or `axes`, of a module");
            errors.at(key.span(), message);
            None
        }
        Some(axes) => Some(Overrides::Axes(axes)),
        None => Some(Overrides::Roles(roles)),
    }
}

/// Checks that what elements have of their own fits the field.
fn places(part: &Part, placed: &[Ident], errors: &mut Errors) {
    let Some(key) = placed.first() else { return };
    if element(part.field.ty).is_none() {
        let message = format!("`{key}` is for an element of a `Vec` or an array");
        return errors.push(syn::Error::new_spanned(part.field.ty, message));
    }
    for (_, overrides) in &part.places {
        match (overrides, &part.form) {
            (Overrides::Roles(_), Form::Layer(_)) | (Overrides::Axes(_), Form::Child) => {}
            (Overrides::Roles(_), _) => errors.at(
                key.span(),
                format!("the roles of `{key}` are those of a layer, and the field names none"),
            ),
            (Overrides::Axes(axes), _) => errors.at(
                axes.span,
                "`axes` names the axes of a description from elsewhere; here the attributes name \
                 them",
            ),
        }
    }
}

/// Returns the type of the elements of a `Vec` or an array.
pub(crate) fn element(ty: &Type) -> Option<&Type> {
    match ty {
        Type::Array(array) => Some(&array.elem),
        Type::Group(group) => element(&group.elem),
        Type::Paren(paren) => element(&paren.elem),
        _ => {
            let segment = last_segment(ty).filter(|segment| segment.ident == "Vec")?;
            let PathArguments::AngleBracketed(arguments) = &segment.arguments else {
                return None;
            };
            match arguments.args.first() {
                Some(GenericArgument::Type(ty)) => Some(ty),
                _ => None,
            }
        }
    }
}

/// Returns the form that the first entry gives the field.
fn first(ty: &Type, key: &Ident, value: Value, errors: &mut Errors) -> Form {
    match value {
        Value::Role(role) => {
            let mut roles = Roles::default();
            add_role(&mut roles, key, role, errors);
            Form::Layer(roles)
        }
        Value::Dims(dims) => Form::Param {
            dims,
            optional: is_option(ty),
        },
        Value::Width(axis) => {
            primitive(
                ty,
                "usize",
                "`width` marks a field that stores a width",
                errors,
            );
            Form::Width(axis)
        }
        Value::Widths(widths) => Form::Widths(widths),
        Value::Function(function) => Form::Function(function),
        Value::Count(axis) => {
            let what = "`count` marks a field that is an axis of its own";
            primitive(ty, "usize", what, errors);
            Form::Count(axis)
        }
        Value::Frozen { axis, reason } => {
            let what = "`frozen` marks a field that stores a width which cannot grow";
            primitive(ty, "usize", what, errors);
            Form::Frozen { axis, reason }
        }
        Value::Multiplier(axis) => {
            primitive(
                ty,
                "f64",
                "`multiplier` marks a field that scales an activation",
                errors,
            );
            Form::Multiplier(axis)
        }
        Value::Skip => Form::Fixed,
        Value::With(path) => Form::With(path),
        // Taken before the form is decided.
        Value::Active(_) | Value::Axes(_) | Value::Place(..) => Form::Child,
        Value::Depth(_) | Value::Fresh(_) => Form::Child,
    }
}

fn add_role(roles: &mut Roles, key: &Ident, role: Role, errors: &mut Errors) {
    let Some(slot) = slot(key, &role, errors) else {
        return;
    };
    match roles.0.iter().find(|(other, _)| *other == slot) {
        Some((_, other)) if other.kinds().eq(role.kinds()) => twice(key, errors),
        Some(_) => errors.at(
            key.span(),
            "`gate` and `fan_out` exclude each other: a gate is the fan-out that multiplies \
             another one; `concat` puts both into one dimension",
        ),
        None => roles.0.push((slot, role)),
    }
}

/// Returns the side that a role belongs to.
fn slot(key: &Ident, role: &Role, errors: &mut Errors) -> Option<Slot> {
    let slot = |kind| match kind {
        RoleKind::FanIn => Slot::FanIn,
        RoleKind::FanOut | RoleKind::Gate => Slot::FanOut,
        RoleKind::Gain => Slot::Gain,
        RoleKind::Vocab => Slot::Vocab,
        RoleKind::Inner => Slot::Inner,
        RoleKind::Heads => Slot::Heads,
    };
    let first = slot(role.kinds().next()?);
    if role.kinds().any(|kind| slot(kind) != first) {
        let message = "the parts of a layer's `concat` lie on one side: all `fan_in`, all \
                       `fan_out` or `gate`, or all `gain`";
        errors.at(key.span(), message);
        return None;
    }
    Some(first)
}

fn twice(key: &Ident, errors: &mut Errors) {
    errors.at(key.span(), format!("`{key}` is given twice"));
}

fn primitive(ty: &Type, expected: &str, what: &str, errors: &mut Errors) {
    let found = last_segment(ty).is_some_and(|segment| segment.ident == expected);
    if !found {
        errors.push(syn::Error::new_spanned(
            ty,
            format!("{what}: expected `{expected}`"),
        ));
    }
}

/// Returns `true` if `ty` is spelled as an `Option<_>`.
fn is_option(ty: &Type) -> bool {
    last_segment(ty).is_some_and(|segment| {
        segment.ident == "Option"
            && matches!(
                &segment.arguments,
                PathArguments::AngleBracketed(arguments)
                    if matches!(arguments.args.first(), Some(GenericArgument::Type(_)))
            )
    })
}

fn last_segment(ty: &Type) -> Option<&syn::PathSegment> {
    match ty {
        Type::Path(path) if path.qself.is_none() => path.path.segments.last(),
        // The form in which `macro_rules!` substitutes `$ty:ty`.
        Type::Group(group) => last_segment(&group.elem),
        Type::Paren(paren) => last_segment(&paren.elem),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use syn::parse_quote;

    use super::*;

    #[test]
    fn an_option_is_recognized_however_it_is_spelled() {
        for ty in [
            "Option<u8>",
            "core::option::Option<Param<Tensor<1>>>",
            "(Option<u8>)",
        ] {
            assert!(is_option(&syn::parse_str(ty).expect(ty)), "{ty}");
        }
        for ty in ["Vec<Option<u8>>", "Option", "[Option<u8>; 2]"] {
            assert!(!is_option(&syn::parse_str(ty).expect(ty)), "{ty}");
        }
    }

    #[test]
    fn a_constant_is_checked_by_its_last_segment() {
        let errors = |ty: Type| {
            let mut errors = Errors::default();
            primitive(&ty, "usize", "", &mut errors);
            errors.into_error().is_some()
        };
        assert!(!errors(parse_quote!(usize)));
        assert!(!errors(parse_quote!(core::primitive::usize)));
        assert!(errors(parse_quote!(u32)));
        assert!(errors(parse_quote!(Option<usize>)));
    }
}
