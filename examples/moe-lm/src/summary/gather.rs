use std::collections::BTreeMap;
use std::path::Path;

use burn_grow::cost::training_flops;
use serde_json::Value;

use crate::config::Settings;
use crate::counted::multiply_adds;
use crate::error::DemoError;
use crate::experiment::{Experiment, Figure, Length};
use crate::row::Row;
use crate::store;
use crate::unit::Unit;

/// An arm and what its runs have to show.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    /// The name of the arm.
    pub(super) name: String,
    /// Whether it starts with the wide model.
    pub(super) wide: bool,
    /// What its last model costs from scratch on as many tokens, where it grows.
    pub(super) scratch: Option<Scratch>,
    /// What the paper reports.
    pub(super) figure: Option<Figure>,
    /// Its rows, one for each seed that is done, in the order of seeds.
    pub(super) rows: Vec<Row>,
}

/// The FLOPs of a run from scratch.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scratch {
    /// `6 N D`.
    pub(super) flops: f64,
    /// Counted.
    pub(super) counted: f64,
}

/// The arms of an experiment at full length under its own settings, each with its rows.
///
/// A run belongs to an arm if all that decides its numbers is equal but the seed, the text and the machine. Of
/// runs on several texts or machines those are shown that most of them, and then the latest one, are of: numbers of
/// different ones are not compared.
///
/// # Errors
///
/// When an arm of the experiment cannot be.
pub(super) fn entries(experiment: &Experiment, rows: &[Row]) -> Result<Vec<Entry>, DemoError> {
    let mut by_key: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (index, row) in rows.iter().enumerate() {
        let key = key(row.settings.clone());
        by_key.entry(key).or_default().push(index);
    }
    let settings = experiment.settings(&Settings::default())?;
    let mut found = Vec::new();
    for arm in &experiment.arms {
        let unit = experiment.unit(arm, &settings, Length::Full)?;
        let matching = by_key.get(&key(store::json(Path::new(&arm.name), &unit.identity(""))?));
        found.push((unit, matching.cloned().unwrap_or_default()));
    }
    let mut places: BTreeMap<Place<'_>, (usize, usize)> = BTreeMap::new();
    for index in found.iter().flat_map(|(_, matching)| matching) {
        let (count, latest) = places.entry(place(&rows[*index])).or_default();
        (*count, *latest) = (*count + 1, *index.max(latest));
    }
    let shown = places.into_iter().max_by_key(|(_, many)| *many);
    let shown = shown.map(|(place, _)| place);
    let entry = |(unit, matching): (Unit, Vec<usize>)| {
        let matching = matching.into_iter().map(|index| &rows[index]);
        let mut rows: Vec<Row> = matching
            .filter(|row| Some(place(row)) == shown)
            .cloned()
            .collect();
        rows.sort_by_key(|row| row.seed);
        Entry {
            wide: unit.arm.wide,
            scratch: scratch(&unit),
            figure: experiment.figures.get(&unit.arm.name).copied(),
            name: unit.arm.name,
            rows,
        }
    };
    Ok(found.into_iter().map(entry).collect())
}

/// The text and the machine, which rows that are compared share.
type Place<'a> = (Option<&'a str>, &'a str);

fn place(row: &Row) -> Place<'_> {
    (row.settings["text"].as_str(), &row.machine)
}

/// What decides the numbers but for the seed, the text and the machine.
fn key(mut identity: Value) -> String {
    if let Some(fields) = identity.as_object_mut() {
        for field in ["seed", "text", "device"] {
            fields.remove(field);
        }
    }
    identity.to_string()
}

fn scratch(unit: &Unit) -> Option<Scratch> {
    let last = unit.phases.last().filter(|_| unit.phases.len() > 1)?;
    let tokens = (unit.steps * unit.settings.step_tokens()) as f64;
    let context = unit.settings.context;
    Some(Scratch {
        flops: training_flops(last.size.active, tokens),
        counted: multiply_adds(&last.model, context).training_flops(tokens),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::row::tests::row;

    fn row_of(unit: &Unit, id: &str, text: &str) -> Row {
        let settings = store::json(Path::new("a row"), &unit.identity(text));
        Row {
            settings: settings.expect("a value"),
            seed: unit.settings.seed,
            ..row(id)
        }
    }

    #[test]
    fn rows_are_found_by_what_decides_their_numbers() {
        let experiment = Experiment::demo().expect("the demonstration");
        let unit = |arm: usize, seed| {
            let settings = Settings {
                seed,
                ..Settings::default()
            };
            let arm = &experiment.arms[arm];
            let unit = experiment.unit(arm, &settings, Length::Full);
            unit.expect("a unit")
        };
        let sparkling = experiment.arms.len() - 1;
        let mut other = unit(0, 0);
        other.steps += 1;
        let rows = [
            row_of(&unit(0, 0), "on another text", "elsewhere"),
            Row {
                machine: "another".into(),
                ..row_of(&unit(0, 0), "on another machine", "text")
            },
            row_of(&unit(0, 2), "b", "text"),
            row_of(&other, "longer", "text"),
            row_of(&unit(0, 1), "a", "text"),
            row_of(&unit(sparkling, 0), "c", "text"),
        ];
        let entries = entries(&experiment, &rows).expect("entries");
        let ids = |entry: &Entry| {
            let ids = entry.rows.iter().map(|row| row.id.clone());
            ids.collect::<Vec<_>>()
        };
        assert_eq!(ids(&entries[0]), ["a", "b"]);
        assert_eq!(ids(&entries[sparkling]), ["c"]);
        let all: usize = entries.iter().map(|entry| entry.rows.len()).sum();
        assert_eq!(all, 3);
        let scratch = entries[sparkling].scratch.expect("it grows");
        assert!(scratch.counted > scratch.flops);
        assert!(entries[0].scratch.is_none());
    }
}
