//! Invariants of blueprints and plans.
//!
//! They are checked on construction and on deserialization, and the rest of the crate relies on
//! them.

use std::collections::BTreeMap;

use super::axis::Axis;
use super::constants::Constant;
use super::param::ParamBlueprint;
use super::role::Role;
use super::stack::Stack;
use super::together::Together;
use crate::error::{GrowError, StackFault};

/// The largest width of a planned axis, far more than any in use: a plan lists its units one by
/// one.
pub(crate) const MAX_WIDTH: usize = 1 << 24;

/// The largest number of elements of a model: what memory can address in double precision.
const MAX_ELEMENTS: usize = isize::MAX as usize / size_of::<f64>();

/// The width of every axis.
pub(crate) type Widths = BTreeMap<Axis, usize>;

/// Declares the serialized fields of a type, and deserializes the type through its `checked`
/// method.
macro_rules! deserialize_checked {
    ($fields:ident => $whole:ident { $($(#[$attr:meta])* $name:ident: $type:ty,)+ }) => {
        #[derive(Deserialize)]
        struct $fields {
            $($(#[$attr])* $name: $type,)+
        }

        impl TryFrom<$fields> for $whole {
            type Error = GrowError;

            fn try_from(fields: $fields) -> Result<Self, GrowError> {
                Self { $($name: fields.$name,)+ }.checked()
            }
        }
    };
}
pub(crate) use deserialize_checked;

/// Looks up the width of an axis that the model has to have.
pub(crate) fn known(widths: &Widths, axis: &Axis) -> Result<usize, GrowError> {
    widths
        .get(axis)
        .copied()
        .ok_or_else(|| GrowError::UnknownAxis {
            axis: axis.clone(),
            known: widths.keys().cloned().collect(),
        })
}

/// Checks the width that `path` states for `axis`.
pub(crate) fn width(
    widths: &Widths,
    axis: &Axis,
    path: &str,
    found: usize,
) -> Result<(), GrowError> {
    let expected = known(widths, axis)?;
    if found == expected {
        return Ok(());
    }
    Err(GrowError::WidthDisagreement {
        axis: axis.clone(),
        path: path.to_owned(),
        dim: None,
        found,
        other: "the widths".into(),
        other_dim: None,
        expected,
    })
}

/// Checks the width that a constant stores.
pub(crate) fn stored(widths: &Widths, constant: &Constant<usize>) -> Result<(), GrowError> {
    if let Some(axis) = constant.axis.single() {
        return width(widths, axis, &constant.path, constant.value);
    }
    for axis in constant.axis.axes() {
        known(widths, axis)?;
    }
    if constant.axis.size(|axis| widths[axis]) == constant.value {
        return Ok(());
    }
    Err(GrowError::StoredWidth {
        path: constant.path.clone(),
        found: constant.value,
        layout: constant.axis.to_string(),
    })
}

/// Checks that every dimension has the size that its role gives it.
pub(crate) fn sizes(
    path: &str,
    shape: &[usize],
    roles: &[Option<Role>],
    widths: &Widths,
) -> Result<(), GrowError> {
    if shape.len() != roles.len() {
        let found = format!("{shape:?}");
        let expected = format!("{} dimensions, one for each role", roles.len());
        return Err(inconsistent(
            &format!("parameter `{path}`"),
            expected,
            found,
        ));
    }
    for (dim, (size, role)) in shape.iter().zip(roles).enumerate() {
        let Some(role) = role else { continue };
        for axis in role.axes() {
            known(widths, axis)?;
        }
        if *size == 0 || role.size(|axis| widths[axis]) != *size {
            return Err(GrowError::Layout {
                path: path.into(),
                dim,
                size: *size,
                role: role.to_string(),
            });
        }
    }
    Ok(())
}

/// Checks that the elements of all parameters can be counted, along any of their dimensions.
pub(crate) fn elements<'a>(
    params: impl Iterator<Item = (&'a String, &'a Vec<usize>)>,
) -> Result<(), GrowError> {
    let mut total = 0_usize;
    for (path, shape) in params {
        let elements = shape.iter().fold(1_usize, |product, size| {
            product.saturating_mul((*size).max(1))
        });
        total = total.saturating_add(elements);
        if total > MAX_ELEMENTS {
            return Err(GrowError::TooLarge {
                path: path.clone(),
                shape: shape.clone(),
            });
        }
    }
    Ok(())
}

/// Checks the active fraction of a parameter.
pub(crate) fn active(path: &str, fraction: f64) -> Result<(), GrowError> {
    finite(fraction, || {
        format!("active fraction of parameter `{path}`")
    })
}

/// Checks scalars that depend on a width; `what` they are.
pub(crate) fn scalars(
    scalars: &[Constant<f64>],
    what: &str,
    widths: &Widths,
) -> Result<(), GrowError> {
    scalars.iter().try_for_each(|scalar| {
        for axis in scalar.axis.axes() {
            known(widths, axis)?;
        }
        finite(scalar.value, || format!("{what} `{}`", scalar.path))
    })
}

/// Checks the axes that grow together.
pub(crate) fn together(together: &[Together], widths: &Widths) -> Result<(), GrowError> {
    let axes = together.iter().flat_map(|together| &together.axes);
    axes.map(|axis| known(widths, axis))
        .try_for_each(|width| width.map(|_| ()))
}

/// The largest number of blocks of a planned stack, more than any in use: a plan lists the parameters
/// of each.
pub(crate) const MAX_BLOCKS: usize = 1 << 12;

/// Checks that a stack has an axis of its own, and the blocks that it says.
pub(crate) fn stack(
    stack: &Stack,
    params: &[ParamBlueprint],
    widths: &Widths,
) -> Result<(), GrowError> {
    width(widths, &stack.axis, &stack.path, stack.blocks)?;
    let inside = |path: &str| stack.block_of(path).map(|(block, _)| block);
    let mut blocks = params.iter().filter_map(|param| inside(&param.path));
    if let Some(block) = blocks.find(|block| *block >= stack.blocks) {
        let expected = format!("blocks below {}", stack.blocks);
        let what = format!("stack `{}`", stack.path);
        return Err(inconsistent(&what, expected, block.to_string()));
    }
    if let Some(prototype) = &stack.prototype {
        let mut blocks = prototype.params.iter().map(|param| inside(&param.path));
        let sound = stack.blocks == 0 && prototype.at <= params.len();
        if !sound || !stack.fresh || blocks.any(|block| block != Some(0)) {
            let what = format!("the fresh block of stack `{}`", stack.path);
            let expected = "an empty stack that it is the first of".into();
            return Err(inconsistent(&what, expected, "another".into()));
        }
    }
    for param in params {
        for (dim, role) in param.roles.iter().enumerate() {
            if role
                .iter()
                .flat_map(Role::axes)
                .any(|axis| *axis == stack.axis)
            {
                let param = param.path.clone();
                return Err(StackFault::Width { param, dim }.of(stack));
            }
        }
    }
    Ok(())
}

/// Checks that a number is neither NaN nor infinite.
pub(crate) fn finite(value: f64, what: impl Fn() -> String) -> Result<(), GrowError> {
    if value.is_finite() {
        return Ok(());
    }
    Err(GrowError::NotFinite {
        what: what(),
        value,
    })
}

/// Describes a part of a blueprint or plan that contradicts the rest.
pub(crate) fn inconsistent(what: &str, expected: String, found: String) -> GrowError {
    GrowError::Inconsistent {
        what: what.into(),
        expected,
        found,
    }
}
