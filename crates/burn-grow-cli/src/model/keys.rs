//! The widths that a `config.json` stores, before and after an expansion.

use std::collections::BTreeMap;

use burn_grow_core::describe::{Axis, Layout};

use crate::error::Error;
use crate::family::{Expression, Family, Key, Rule};
use crate::folder::config::Config;

/// A key that stores widths, with its value.
#[derive(Clone, Debug)]
pub(super) struct Number {
    pub(super) key: Key,
    pub(super) value: usize,
    /// True if the file has the key.
    pub(super) written: bool,
}

/// Reads every key of the family that the file has, or that follows from others.
pub(super) fn read(family: &Family, config: &Config) -> Result<Vec<Number>, Error> {
    let mut numbers = Vec::new();
    for key in &family.keys {
        let written = match key.rule {
            Rule::Always(_) => None,
            _ => config.size(&key.name)?,
        };
        let value = match (written, &key.rule) {
            (Some(value), _) => Some(value),
            (None, Rule::Stored) => None,
            (None, Rule::Default(rule) | Rule::Always(rule)) => follow(family, config, rule, 0)?,
        };
        // A key that no tensor needs may be missing: that of an axis that lies on none.
        if let Some(value) = value {
            numbers.push(Number {
                key: key.clone(),
                value,
                written: written.is_some(),
            });
        }
    }
    Ok(numbers)
}

/// Computes a number from keys, which may follow from others themselves.
fn follow(
    family: &Family,
    config: &Config,
    rule: &Expression,
    depth: usize,
) -> Result<Option<usize>, Error> {
    let value = |name: &str| -> Result<usize, Option<Error>> {
        if let Some(value) = config.size(name).map_err(Some)? {
            return Ok(value);
        }
        let key = family.keys.iter().find(|key| key.name == name);
        match key.map(|key| &key.rule) {
            // As many keys as there are cannot follow from each other in turn.
            Some(Rule::Default(rule) | Rule::Always(rule)) if depth < family.keys.len() => {
                let value = follow(family, config, rule, depth + 1).map_err(Some)?;
                value.ok_or(None)
            }
            _ => Err(None),
        }
    };
    match rule.value(value) {
        Ok(value) => Ok(value),
        Err(None) => Ok(None),
        Err(Some(error)) => Err(error),
    }
}

/// The keys with their values after an expansion to `widths`: those that change, and those that
/// have to be written because they no longer follow from others.
pub(super) fn changed(
    family: &Family,
    numbers: &[Number],
    widths: &BTreeMap<Axis, usize>,
) -> Result<BTreeMap<String, usize>, Error> {
    let width = |axis: &Axis| widths.get(axis).copied();
    let size = |layout: &Layout| -> Option<usize> {
        layout.axes().all(|axis| width(axis).is_some()).then(|| {
            let width = |axis: &Axis| width(axis).unwrap_or_default();
            layout.size(width)
        })
    };
    let new = |number: &Number| size(&number.key.layout).unwrap_or(number.value);
    let all: BTreeMap<&str, usize> = numbers
        .iter()
        .map(|number| (number.key.name.as_str(), new(number)))
        .collect();
    let mut changed = BTreeMap::new();
    for number in numbers {
        let value = new(number);
        let given = |rule: &Expression| {
            let key = |name: &str| all.get(name).copied().ok_or(());
            rule.value(key).ok().flatten()
        };
        let name = number.key.name.clone();
        match &number.key.rule {
            Rule::Always(rule) if given(rule) != Some(value) => {
                return Err(inexpressible(family, number, rule, value, given(rule)));
            }
            Rule::Always(_) => {}
            _ if number.written && value != number.value => {
                changed.insert(name, value);
            }
            Rule::Default(rule) if !number.written && given(rule) != Some(value) => {
                changed.insert(name, value);
            }
            _ => {}
        }
    }
    Ok(changed)
}

fn inexpressible(
    family: &Family,
    number: &Number,
    rule: &Expression,
    value: usize,
    given: Option<usize>,
) -> Error {
    let keys = family.keys.iter();
    let of_rule = keys.filter(|key| rule.keys().any(|name| name == key.name));
    let mut axes: Vec<String> = of_rule
        .flat_map(|key| key.layout.axes())
        .map(|axis| format!("`{axis}`"))
        .collect();
    axes.dedup();
    let given = given.map_or_else(|| "no whole number".into(), |given| given.to_string());
    Error::Inexpressible {
        family: family.name.clone(),
        key: number.key.name.clone(),
        found: value,
        rule: format!("`{}` is {given}", rule.text()),
        axes: axes.join(" and "),
    }
}
