//! The blueprint of a model in a folder.

use std::collections::{BTreeMap, BTreeSet};

use burn_grow_core::Blueprint;
use burn_grow_core::describe::{
    ActiveFraction, Axis, Constant, Description, Layout, ParamBlueprint, Role, RoleKind, Stack,
};

use super::params::{Model, Parameter};
use crate::error::Error;

impl Model {
    /// Describes the model as its file is: what is tied is one parameter.
    ///
    /// # Errors
    ///
    /// Fails when shapes and `config.json` disagree about a width.
    pub fn blueprint(&self) -> Result<Blueprint, Error> {
        self.described(&self.params_of_file()?)
    }

    /// Describes `params`.
    pub(super) fn described(&self, params: &[Parameter]) -> Result<Blueprint, Error> {
        let lies: BTreeSet<&Axis> = params
            .iter()
            .flat_map(|param| param.roles.iter().flatten())
            .flat_map(Role::axes)
            .collect();
        let (stacks, lengths) = self.stacks(params)?;
        let counted = self.family.active.values().flat_map(Layout::axes);
        let counted: BTreeSet<&Axis> = counted.chain(lengths.keys()).collect();
        let (mut widths, mut counts) = (Vec::new(), Vec::new());
        for number in &self.numbers {
            let layout = &number.key.layout;
            let constant = Constant {
                path: format!("config.json: {}", number.key.name),
                axis: layout.clone(),
                value: number.value,
            };
            if layout.axes().all(|axis| lies.contains(axis)) {
                widths.push(constant);
            } else if layout.axes().all(|axis| counted.contains(axis)) {
                counts.push(constant);
            }
        }
        let known = |axis: &Axis| lies.contains(axis) || counted.contains(axis);
        let frozen = self.family.frozen.iter().filter(|(axis, _)| known(axis));
        let together = self.family.together.iter();
        let together = together.filter(|together| together.axes.iter().all(known));
        let description = Description {
            params: params.iter().map(|param| self.param(param)).collect(),
            widths,
            counts,
            frozen: frozen
                .map(|(axis, reason)| (axis.clone(), reason.clone()))
                .collect(),
            together: together.cloned().collect(),
            stacks,
        };
        Ok(Blueprint::described(description)?)
    }

    fn param(&self, param: &Parameter) -> ParamBlueprint {
        // The units of one tensor of which some take part in a token, not the numbers that choose.
        let units = match param.roles.as_slice() {
            [Some(role), _, _, ..] => role.axes().next(),
            _ => None,
        };
        let units = units.filter(|axis| {
            param.roles.first() == Some(&Some(Role::new(RoleKind::Gain, (*axis).clone())))
        });
        let active = units.and_then(|axis| Some((axis, self.family.active.get(axis)?)));
        ParamBlueprint {
            path: param.path.clone(),
            shape: param.shape.clone(),
            roles: param.roles.clone(),
            active: match active {
                Some((axis, part)) => ActiveFraction::ratio(part.clone(), axis.clone()),
                None => ActiveFraction::default(),
            },
        }
    }

    /// The stacks of the model, and the length of each by its axis.
    fn stacks(&self, params: &[Parameter]) -> Result<(Vec<Stack>, BTreeMap<Axis, usize>), Error> {
        let mut found: BTreeMap<(&Axis, &str), usize> = BTreeMap::new();
        for (axis, stack, block) in params.iter().flat_map(|param| &param.blocks) {
            let blocks = found.entry((axis, stack)).or_default();
            *blocks = (*blocks).max(block + 1);
        }
        let mut lengths = BTreeMap::new();
        let mut stacks = Vec::new();
        for ((axis, path), blocks) in found {
            let stored = self.numbers.iter();
            let mut stored = stored.filter(|it| it.key.layout == Layout::of(axis.clone()));
            let said = stored.next().map_or(blocks, |number| number.value);
            if blocks < said {
                let number = format!("{path}.{}", blocks - 1);
                return Err(Error::Missing {
                    tensor: format!("{path}.{blocks}"),
                    other: format!("{number}, and config.json says {said} {axis}"),
                });
            }
            lengths.insert(axis.clone(), said);
            stacks.push(Stack::new(path, axis.clone(), said));
        }
        Ok((stacks, lengths))
    }
}
