use std::collections::BTreeMap;

use crate::blueprint::{Shapes, Surveyed};
use crate::width::voted;
use crate::{Axis, Blueprint, GrowError, Growable, ParamBlueprint, Role, RoleMismatch};

/// Checks the axes of a model against the same model built at another width: every dimension must
/// have the size that its role says.
///
/// Build both from one configuration, differing only in the widths of the axes, and let no two axes
/// have the same pair of widths. Every dimension at fault is named with the axis that it seems to lie
/// on. The check is Microsoft's mup one: infer the infinite dimensions by comparing two widths.
///
/// # Errors
///
/// [`GrowError::Roles`] with every dimension without a role that changes, every one whose role says
/// another size, every parameter that only one model has, and the axes that change alike; otherwise what
/// [`Blueprint::of`] says of either.
pub fn two_width_check<G: Growable>(narrow: &G, wide: &G) -> Result<(), GrowError> {
    // Which widths a wrong role leads to is not known, so the majority of the dimensions decides.
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
    // What is left is nothing that comparing shapes can see.
    Blueprint::of(narrow)?;
    Blueprint::of(wide)?;
    Ok(())
}

type Widths = BTreeMap<Axis, usize>;

fn survey<G: Growable>(model: &G) -> Result<(Vec<ParamBlueprint>, Widths), GrowError> {
    let Surveyed { params, describe } = Surveyed::of(model, Shapes::Initialized)?;
    let widths = voted(&params, describe.widths.iter().chain(&describe.counts));
    Ok((params, widths))
}

struct Check {
    narrow: Widths,
    wide: Widths,
}

impl Check {
    /// Axes that the models do not tell apart.
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
            // A product of unknown axes is no mismatch: the blueprint says what it lacks.
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

    /// The axes, or multiples of them, that have these sizes.
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
