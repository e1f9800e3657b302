//! Decides what a field is, and rejects attributes that contradict each other or the type.

use proc_macro2::Ident;
use syn::{GenericArgument, LitStr, Path, PathArguments, Type};

use crate::ast::{Body, Field};
use crate::attr::{self, Dims, Entry, Role, RoleKind, Value};
use crate::error::Errors;

/// A field, and its place in the description.
pub(crate) struct Part<'a> {
    pub(crate) field: Field<'a>,
    pub(crate) form: Form,
    /// Function that returns the fraction of the parameters that takes part in one token.
    pub(crate) active: Option<Path>,
}

/// The form of a field in the description.
pub(crate) enum Form {
    /// Holds no parameters for Burn.
    Passed,
    Child,
    Layer(Roles),
    Param {
        dims: Dims,
        optional: bool,
    },
    Width(LitStr),
    Count(LitStr),
    Multiplier(LitStr),
    Frozen {
        axis: LitStr,
        reason: LitStr,
    },
    Fixed,
    With(Path),
}

/// The roles of a layer, side by side.
#[derive(Default)]
pub(crate) struct Roles {
    pub(crate) fan_in: Option<Role>,
    /// A fan-out or a gate.
    pub(crate) fan_out: Option<Role>,
    pub(crate) gain: Option<Role>,
    pub(crate) vocab: Option<Role>,
    pub(crate) inner: Option<Role>,
    pub(crate) heads: Option<Role>,
}

pub(crate) fn body<'a>(body: Body<Field<'a>>, errors: &mut Errors) -> Body<Part<'a>> {
    body.map(|field| part(field, errors))
}

fn part<'a>(field: Field<'a>, errors: &mut Errors) -> Part<'a> {
    let mut part = Part {
        form: Form::Child,
        active: None,
        field,
    };
    if attr::is_module_skip(part.field.attrs) {
        part.form = Form::Passed;
        for attr in attr::grow(part.field.attrs) {
            let message = "`#[module(skip)]` fields hold no parameters and are passed over: \
                           remove one of the two attributes";
            errors.push(syn::Error::new_spanned(attr, message));
        }
        return part;
    }
    // The entry that decided the form, and one that came with `active`.
    let mut decided: Option<Ident> = None;
    let mut active: Option<Ident> = None;
    for Entry { key, value } in attr::field(part.field.attrs, errors) {
        let value = match value {
            Value::Active(path) => {
                if part.active.is_some() {
                    twice(&key, errors);
                }
                part.active = Some(path);
                active = Some(key);
                continue;
            }
            value => value,
        };
        match (&mut part.form, value) {
            (Form::Layer(roles), Value::Role(role)) => add_role(roles, &key, role, errors),
            (form @ Form::Child, value) => *form = first(part.field.ty, &key, value, errors),
            (_, _) => match &decided {
                Some(other) if *other == key => twice(&key, errors),
                other => {
                    let other = other.as_ref().map_or_else(String::new, Ident::to_string);
                    let message = format!(
                        "`{key}` contradicts `{other}`: a field is a layer (`fan_in`, `fan_out`, \
                         `gate`, `gain`, `vocab`, `inner`, `heads`, `concat`), a parameter \
                         (`dims`), a constant (`width`, `count`, `multiplier`, `frozen`), or \
                         described elsewhere (`skip`, `with`)"
                    );
                    errors.at(key.span(), message);
                }
            },
        }
        decided.get_or_insert(key);
    }
    let constant = matches!(
        part.form,
        Form::Width(_) | Form::Count(_) | Form::Multiplier(_) | Form::Frozen { .. }
    );
    if let (Some(key), true) = (active, constant) {
        let message = "`active` is the fraction of parameters that takes part in one token, and a \
                       constant holds none";
        errors.at(key.span(), message);
    }
    part
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
        Value::Active(_) => Form::Child,
    }
}

fn add_role(roles: &mut Roles, key: &Ident, role: Role, errors: &mut Errors) {
    // A gate is on the output side.
    let side = |kind| match kind {
        RoleKind::Gate => RoleKind::FanOut,
        kind => kind,
    };
    let Some(first) = role.kinds().next() else {
        return;
    };
    if role.kinds().any(|kind| side(kind) != side(first)) {
        let message = "the parts of a layer's `concat` lie on one side: all `fan_in`, all \
                       `fan_out` or `gate`, or all `gain`";
        return errors.at(key.span(), message);
    }
    let slot = match first {
        RoleKind::FanIn => &mut roles.fan_in,
        RoleKind::FanOut | RoleKind::Gate => &mut roles.fan_out,
        RoleKind::Gain => &mut roles.gain,
        RoleKind::Vocab => &mut roles.vocab,
        RoleKind::Inner => &mut roles.inner,
        RoleKind::Heads => &mut roles.heads,
    };
    match slot {
        Some(other) if other.kinds().eq(role.kinds()) => twice(key, errors),
        Some(_) => errors.at(
            key.span(),
            "`gate` and `fan_out` exclude each other: a gate is the fan-out that multiplies \
             another one; `concat` puts both into one dimension",
        ),
        None => *slot = Some(role),
    }
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
