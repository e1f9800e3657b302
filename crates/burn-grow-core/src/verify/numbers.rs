//! Numbers beside the parameters, compared between a model and the same one at another width.

use std::collections::{BTreeMap, BTreeSet};

use super::common_blocks::CommonBlocks;
use super::mismatch::{Quantity, RoleMismatch};
use crate::describe::axis::Axis;
use crate::describe::describer::Describer;
use crate::describe::layout::Layout;
use crate::describe::observations::{Observation, Observations, Value};
use crate::describe::validate::Widths;

/// Lists the numbers that change and are not declared.
pub(super) fn undeclared(
    narrow_widths: &Widths,
    wide_widths: &Widths,
    narrow: &Describer,
    wide: &Describer,
    common: &CommonBlocks,
) -> Vec<RoleMismatch> {
    let [narrow, wide] = [narrow, wide].map(|describer| {
        let mut observed = observed(describer);
        observed.retain(|number| common.has(&number.path));
        observed
    });
    let mut others: BTreeMap<_, _> = wide.iter().map(|number| (number.key(), number)).collect();
    let alike = |values| alike(narrow_widths, wide_widths, values);
    let mut mismatches = Vec::new();
    let mut lists: Vec<(&str, Option<usize>)> = Vec::new();
    for number in &narrow {
        let Some(other) = others.remove(&number.key()) else {
            lists.push((list(&number.path), number.skipped));
            continue;
        };
        let values = (number.number(), other.number());
        if values.0 != values.1 {
            mismatches.push(RoleMismatch::Undeclared {
                path: number.path.clone(),
                skipped: number.skipped,
                quantity: number.quantity(),
                values,
                alike: alike(values),
            });
        }
    }
    lists.extend(
        others
            .values()
            .map(|number| (list(&number.path), number.skipped)),
    );
    let mut seen = BTreeSet::new();
    lists.retain(|(path, _)| seen.insert(*path));
    mismatches.extend(lists.into_iter().map(|(path, skipped)| {
        let count = |numbers: &[&Observation]| {
            let inside = numbers.iter().filter(|number| list(&number.path) == path);
            inside.count() as f64
        };
        let values = (count(&narrow), count(&wide));
        RoleMismatch::Undeclared {
            path: path.to_owned(),
            skipped,
            quantity: Quantity::Length,
            values,
            alike: alike(values),
        }
    }));
    mismatches
}

/// Lists the constants that are not what their function says.
pub(super) fn functions(widths: &Widths, describer: &Describer) -> Vec<RoleMismatch> {
    let functions = describer.functions.iter();
    functions
        .filter_map(|function| {
            let error = function.mismatch(widths)?;
            Some(RoleMismatch::Function {
                path: function.constant.path.clone(),
                layout: function.constant.axis.clone(),
                width: error.width,
                found: function.constant.value,
                expected: error.expected,
            })
        })
        .collect()
}

/// Returns the numbers that are not declared after all, by a path inside a field.
fn observed(describer: &Describer) -> Vec<&Observation> {
    let declared: BTreeSet<&str> = describer.declared().collect();
    let observations = describer.observations.iter();
    observations
        .flat_map(|Observations(all)| all)
        .filter(|number| !declared.contains(number.path.as_str()))
        .collect()
}

/// Returns the path of the list that a number is an element of.
fn list(path: &str) -> &str {
    path.rsplit_once('.').map_or(path, |(list, _)| list)
}

impl Observation {
    fn key(&self) -> (&str, usize) {
        match self.value {
            Value::Number(_) => (&self.path, 0),
            Value::Dimension(dim, _) => (&self.path, dim),
        }
    }

    fn number(&self) -> f64 {
        match self.value {
            Value::Number(number) => number,
            Value::Dimension(_, size) => size as f64,
        }
    }

    fn quantity(&self) -> Quantity {
        match self.value {
            Value::Number(_) => Quantity::Number,
            Value::Dimension(dim, _) => Quantity::Dimension(dim),
        }
    }
}

/// Lists the layouts that have these widths: axes, or else products of two, or else multiples.
fn alike(narrow: &Widths, wide: &Widths, values: (f64, f64)) -> Vec<Layout> {
    let axes: Vec<(&Axis, usize, usize)> = narrow
        .iter()
        .filter_map(|(axis, width)| Some((axis, *width, *wide.get(axis)?)))
        .collect();
    let changing = || axes.iter().filter(|(_, narrow, wide)| narrow != wide);
    let has = |narrow: usize, wide: usize| (narrow as f64, wide as f64) == values;
    let single: Vec<_> = changing()
        .filter(|(_, narrow, wide)| has(*narrow, *wide))
        .map(|(axis, ..)| Layout::of((*axis).clone()))
        .collect();
    if !single.is_empty() {
        return single;
    }
    let mut products = Vec::new();
    for (index, first) in axes.iter().enumerate() {
        for second in &axes[index + 1..] {
            let changes = first.1 != first.2 || second.1 != second.2;
            if changes && has(first.1 * second.1, first.2 * second.2) {
                products.push(Layout::of(first.0.clone()).and(second.0.clone()));
            }
        }
    }
    if !products.is_empty() {
        return products;
    }
    let multiples = changing().filter_map(|(axis, narrow, wide)| {
        let times = values.0 / *narrow as f64;
        let whole = times >= 1.0 && times.fract() == 0.0 && times * *wide as f64 == values.1;
        whole.then(|| Layout::of((*axis).clone()).with_unit(times as usize))
    });
    multiples.collect()
}
