//! The check of a description against the same model at another width.

use std::collections::BTreeMap;

use super::mismatch::RoleMismatch;
use crate::describe::axis::Axis;
use crate::describe::blueprint::Blueprint;
use crate::describe::growable::Growable;
use crate::describe::param::ParamBlueprint;
use crate::describe::role::Role;
use crate::describe::survey::{Shapes, Survey};
use crate::describe::validate::Widths;
use crate::describe::width::voted;
use crate::error::GrowError;

/// Checks the roles of a model against the same model built at another width: every dimension must
/// have the size that its role gives it.
///
/// Build both from one configuration and change only the widths of the axes. No two axes may have
/// the same pair of widths. Every dimension at fault is named with the axis that it seems to lie
/// on. Mistakes that keep the size right show up in [`verify`](crate::verify::verify) at twice the
/// width. The method is [mup](https://github.com/microsoft/mup)'s, which infers infinite dimensions
/// from two widths.
///
/// ```
/// # use burn_core as burn;
/// # use burn::{module::Module, tensor::Device};
/// use burn_grow_core::verify::two_width_check;
/// # use burn_grow_core::GrowError;
/// # use burn_grow_derive::Growable;
/// # use burn_nn::{Linear, LinearConfig};
/// #[derive(Module, Growable, Debug)]
/// # #[grow(crate = burn_grow_core)]
/// struct Mlp {
///     #[grow(fan_out = "inner")]
///     up: Linear,
///     #[grow(skip)] // Wrong: it consumes the axis.
///     down: Linear,
/// }
///
/// # let device = Device::flex();
/// let mlp = |inner| Mlp {
///     up: LinearConfig::new(3, inner).init(&device),
///     down: LinearConfig::new(inner, 2).init(&device),
/// };
/// let error = two_width_check(&mlp(8), &mlp(16)).expect_err("a wrong role");
/// assert_eq!(
///     error.to_string(),
///     "parameter `down.weight`: dimension 0 has no role but changes 8 -> 16 as axis inner does"
/// );
/// ```
///
/// # Errors
///
/// Fails with [`GrowError::Roles`], which lists every dimension without a role that changes, every
/// one whose role gives it another size, every parameter that only one model has, and the axes that
/// change in the same way. Also fails as [`Blueprint::of`] does on either model.
pub fn two_width_check<G: Growable>(narrow: &G, wide: &G) -> Result<(), GrowError> {
    // Any role may be wrong, so the majority of the dimensions decides about a width.
    let (narrow_params, narrow_widths) = survey(narrow)?;
    let (wide_params, wide_widths) = survey(wide)?;
    let check = Check {
        narrow: narrow_widths,
        wide: wide_widths,
    };
    let mut others: BTreeMap<&str, &ParamBlueprint> = wide_params
        .iter()
        .map(|param| (param.path.as_str(), param))
        .collect();
    let mut mismatches = Vec::new();
    for param in &narrow_params {
        match others.remove(param.path.as_str()) {
            Some(other) if other.shape.len() == param.shape.len() => {
                mismatches.extend(check.param(param, other));
            }
            other => mismatches.push(RoleMismatch::Parameter {
                path: param.path.clone(),
                narrow: Some(param.shape.clone()),
                wide: other.map(|other| other.shape.clone()),
            }),
        }
    }
    mismatches.extend(others.into_values().map(|other| RoleMismatch::Parameter {
        path: other.path.clone(),
        narrow: None,
        wide: Some(other.shape.clone()),
    }));
    mismatches.extend(check.twins());
    if !mismatches.is_empty() {
        return Err(GrowError::Roles { mismatches });
    }
    // Every other mistake is one that comparing shapes cannot find.
    Blueprint::of(narrow)?;
    Blueprint::of(wide)?;
    Ok(())
}

fn survey<G: Growable>(model: &G) -> Result<(Vec<ParamBlueprint>, Widths), GrowError> {
    let Survey { params, describer } = Survey::of(model, Shapes::Initialized)?;
    let widths = voted(&params, describer.widths.iter().chain(&describer.counts));
    Ok((params, widths))
}

struct Check {
    narrow: Widths,
    wide: Widths,
}

impl Check {
    /// Lists the axes that change in the same way.
    fn twins(&self) -> impl Iterator<Item = RoleMismatch> {
        let mut axes: BTreeMap<(usize, usize), Vec<Axis>> = BTreeMap::new();
        for (axis, narrow) in &self.narrow {
            if let Some(wide) = self.wide.get(axis).filter(|wide| *wide != narrow) {
                axes.entry((*narrow, *wide)).or_default().push(axis.clone());
            }
        }
        let twins = axes.into_iter().filter(|(_, axes)| axes.len() > 1);
        twins.map(|(widths, axes)| RoleMismatch::Axes { axes, widths })
    }

    fn param<'a>(
        &'a self,
        param: &'a ParamBlueprint,
        other: &'a ParamBlueprint,
    ) -> impl Iterator<Item = RoleMismatch> + 'a {
        let expected = (param.shape_at(&self.narrow), param.shape_at(&self.wide));
        (0..param.shape.len()).filter_map(move |dim| {
            let sizes = (param.shape[dim], other.shape[dim]);
            let expected = (expected.0[dim], expected.1[dim]);
            // A product of unknown axes is not a mismatch: the blueprint reports it.
            let mut axes = param.roles[dim].iter().flat_map(Role::axes);
            let known = |axis| self.narrow.contains_key(axis) && self.wide.contains_key(axis);
            (axes.all(known) && sizes != expected).then(|| RoleMismatch::Dimension {
                path: param.path.clone(),
                dim,
                sizes,
                role: param.roles[dim].clone(),
                expected,
                alike: self.alike(sizes),
            })
        })
    }

    /// Lists the axes, or multiples of them, that have these sizes.
    fn alike(&self, sizes: (usize, usize)) -> Vec<String> {
        let axes = self.narrow.iter().filter_map(|(axis, narrow)| {
            let wide = self.wide.get(axis)?;
            let times = sizes.0.checked_div(*narrow)?;
            let multiple = narrow != wide && (times * narrow, times * wide) == sizes;
            multiple.then(|| match times {
                1 => axis.to_string(),
                _ => format!("{times} x {axis}"),
            })
        });
        axes.collect()
    }
}
