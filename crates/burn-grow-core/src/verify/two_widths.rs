//! The check of a description against the same model at another width.

use std::collections::BTreeMap;

use super::common_blocks::CommonBlocks;
use super::mismatch::{RoleMismatch, RoleWarning};
use super::numbers;
use crate::describe::axis::Axis;
use crate::describe::blueprint::Blueprint;
use crate::describe::describer::UnusedNames;
use crate::describe::growable::Growable;
use crate::describe::param::ParamBlueprint;
use crate::describe::role::Role;
use crate::describe::survey::Survey;
use crate::describe::validate::Widths;
use crate::describe::width::voted;
use crate::error::GrowError;

/// Checks the description of a model against the same model built at another width: every dimension
/// must have the size that its role gives it, and every number that changes must be declared.
///
/// Build both from one configuration and change only the widths of the axes, each in its own way. Of
/// stacks of two lengths the blocks that both have are compared.
/// Every dimension at fault is named with the axis that it seems to lie on. Mistakes that keep the
/// size right show up in [`verify`](crate::verify::verify) at twice the width. The method is
/// [mup](https://github.com/microsoft/mup)'s, which infers infinite dimensions from two widths.
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
///     inner: usize, // Wrong: it would stay what it is.
/// }
///
/// # let device = Device::flex();
/// let mlp = |inner| Mlp {
///     up: LinearConfig::new(3, inner).init(&device),
///     down: LinearConfig::new(inner, 2).init(&device),
///     inner,
/// };
/// let error = two_width_check(&mlp(8), &mlp(16)).expect_err("two mistakes");
/// assert_eq!(
///     error.to_string(),
///     "parameter `down.weight`: dimension 0 has no role but changes 8 -> 16 as axis inner does\n\
///      `inner` changes 8 -> 16 as axis inner does and is not declared: \
///      `#[grow(width = \"inner\")]`"
/// );
/// ```
///
/// The numbers that are looked at: fields without an attribute, the shapes of tensors that are no
/// parameters, and whatever stands in the `Debug` text of a field that Burn skips. `skip` on a
/// field says that it may differ.
///
/// Returns what is no mistake in itself, such as axes that cannot be told apart.
///
/// # Errors
///
/// Fails with [`GrowError::Roles`], which lists every dimension without a role that changes, every
/// one whose role gives it another size, every parameter that only one model has, every undeclared
/// number that changes, and every constant that is not the function that it is declared to be. Also
/// fails as [`Blueprint::of`] does on either model.
pub fn two_width_check<G: Growable>(narrow: &G, wide: &G) -> Result<Vec<RoleWarning>, GrowError> {
    // Any role may be wrong, so the majority of the dimensions decides about a width.
    let (narrow_survey, wide_survey) = (Survey::observing(narrow)?, Survey::observing(wide)?);
    let check = Check {
        narrow: widths(&narrow_survey),
        wide: widths(&wide_survey),
    };
    let common = CommonBlocks::of(&narrow_survey.describer, &wide_survey.describer);
    let mut mismatches = check.params(&narrow_survey.params, &wide_survey.params, &common);
    mismatches.extend(numbers::undeclared(
        &check.narrow,
        &check.wide,
        &narrow_survey.describer,
        &wide_survey.describer,
        &common,
    ));
    mismatches.extend(numbers::functions(&check.narrow, &narrow_survey.describer));
    mismatches.extend(numbers::functions(&check.wide, &wide_survey.describer));
    if !mismatches.is_empty() {
        return Err(GrowError::Roles { mismatches });
    }
    // Every other mistake is one that comparing shapes cannot find.
    Blueprint::of(narrow)?;
    Blueprint::of(wide)?;
    Ok(check.warnings(narrow_survey.describer.unused))
}

fn widths(survey: &Survey) -> Widths {
    let describer = &survey.describer;
    voted(
        &survey.params,
        describer.widths.iter().chain(&describer.counts),
    )
}

struct Check {
    narrow: Widths,
    wide: Widths,
}

impl Check {
    /// Lists what is no mistake in itself: axes that change in the same way, and names that a map of
    /// axes has for nothing.
    fn warnings(&self, unused: Vec<UnusedNames>) -> Vec<RoleWarning> {
        let mut axes: BTreeMap<(usize, usize), Vec<Axis>> = BTreeMap::new();
        for (axis, narrow) in &self.narrow {
            if let Some(wide) = self.wide.get(axis).filter(|wide| *wide != narrow) {
                axes.entry((*narrow, *wide)).or_default().push(axis.clone());
            }
        }
        let alike = axes.into_iter().filter(|(_, axes)| axes.len() > 1);
        let alike = alike.map(|(widths, axes)| RoleWarning::Alike { axes, widths });
        let unused = unused.into_iter().map(|names| RoleWarning::Unused {
            path: names.path,
            unused: names.unused,
            used: names.used,
        });
        alike.chain(unused).collect()
    }

    /// Compares all parameters.
    fn params(
        &self,
        narrow: &[ParamBlueprint],
        wide: &[ParamBlueprint],
        common: &CommonBlocks,
    ) -> Vec<RoleMismatch> {
        let mut others: BTreeMap<&str, &ParamBlueprint> = wide
            .iter()
            .map(|param| (param.path.as_str(), param))
            .filter(|(path, _)| common.has(path))
            .collect();
        let mut mismatches = Vec::new();
        for param in narrow.iter().filter(|param| common.has(&param.path)) {
            match others.remove(param.path.as_str()) {
                Some(other) if other.shape.len() == param.shape.len() => {
                    mismatches.extend(self.param(param, other));
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
        mismatches
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
