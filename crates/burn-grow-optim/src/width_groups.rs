//! The parameters of a model in groups of those that follow its widths alike.

use std::collections::BTreeMap;

use burn_core::module::ParamGroup;
use burn_grow_core::parametrization::{ParamWidths, Parametrized};

use crate::OptimError;

/// Parameters that follow the widths of a model alike.
pub(crate) struct WidthGroup {
    /// How they follow it.
    pub(crate) widths: ParamWidths,
    /// All other parameters of the model: Burn's groups can leave out others, and have no
    /// intersection.
    pub(crate) others: ParamGroup,
}

/// Sorts the parameters of `model` that follow a width.
///
/// # Errors
///
/// When parameters of one family follow widths in several ways, or a path makes no pattern.
pub(crate) fn width_groups(model: &Parametrized) -> Result<Vec<WidthGroup>, OptimError> {
    let mut families: BTreeMap<&str, &ParamWidths> = BTreeMap::new();
    for param in model.params() {
        let known = *families.entry(&param.family).or_insert(&param.widths);
        if *known != param.widths {
            let path = param.path.clone();
            return Err(OptimError::Blocks { path });
        }
    }
    let mut distinct: Vec<&ParamWidths> = Vec::new();
    for widths in families.values() {
        if !widths.is_empty() && !distinct.contains(widths) {
            distinct.push(widths);
        }
    }
    let group = |widths: &ParamWidths| {
        let others = families.iter().filter(|(_, other)| **other != widths);
        let others: Vec<_> = others.map(|(family, _)| pattern(family)).collect();
        Ok(WidthGroup {
            widths: widths.clone(),
            others: any_of(&others)?,
        })
    };
    distinct.into_iter().map(group).collect()
}

/// The group of the paths that match a pattern.
fn any_of(patterns: &[String]) -> Result<ParamGroup, OptimError> {
    let pattern = format!("^(?:{})$", patterns.join("|"));
    ParamGroup::from_regex(&pattern).map_err(|_| OptimError::Pattern { pattern })
}

/// The pattern of the paths of a family: any number for `*`.
fn pattern(family: &str) -> String {
    family.replace('.', r"\.").replace('*', "[0-9]+")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_family_matches_its_members_only() {
        let group =
            any_of(&[pattern("blocks.*.up.weight"), pattern("head.weight")]).expect("a group");
        let matches = |path| group.matches(&0.into(), Some(path));
        assert!(matches("blocks.0.up.weight") && matches("blocks.12.up.weight"));
        assert!(matches("head.weight"));
        for other in ["blocks.0.up.weights", "blocks.a.up.weight", "headXweight"] {
            assert!(!matches(other), "{other}");
        }
        let none = any_of(&[]).expect("a group");
        assert!(!none.matches(&0.into(), Some("head.weight")));
    }
}
