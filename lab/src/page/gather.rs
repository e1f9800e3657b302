//! The results of an experiment: those of each run, over its seeds, and which are compared.

use std::collections::BTreeMap;

use anyhow::Result;
use burn_grow::cost::training_flops;
use serde_json::Value;

use crate::json::as_written;
use crate::measure::counted::multiply_adds;
use crate::result::{Kin, RunResult};
use crate::run::Run;
use crate::spec::{Experiment, Group, Length, Published, Settings, groups};

/// An experiment as its results show it.
#[derive(Clone, Debug)]
pub(super) struct Comparison {
    /// Name of the experiment.
    pub(super) name: String,
    /// Its runs.
    pub(super) compared: Vec<Results>,
    /// Which of them are compared with each other.
    pub(super) groups: Vec<Group>,
}

impl Comparison {
    /// Finds those of `all` results that belong to `experiment`.
    ///
    /// # Errors
    ///
    /// When a run of the experiment is impossible, or is compared with nothing.
    pub(super) fn of(name: &str, experiment: &Experiment, all: &[RunResult]) -> Result<Self> {
        let compared = compared(experiment, all)?;
        let names: Vec<&str> = compared.iter().map(|run| run.name.as_str()).collect();
        Ok(Self {
            name: name.to_owned(),
            groups: groups(experiment.reference.as_deref(), &names)?,
            compared,
        })
    }

    /// Names a group in tables of several experiments, as in `table1, axis=both`.
    pub(super) fn place(&self, group: &Group) -> String {
        let name = std::iter::once(self.name.as_str());
        let points = group.points.iter().map(String::as_str);
        name.chain(points).collect::<Vec<_>>().join(", ")
    }
}

/// The results of one run over its seeds.
#[derive(Clone, Debug)]
pub(super) struct Results {
    /// Name of the run.
    pub(super) name: String,
    /// It starts with the wide model.
    pub(super) wide: bool,
    /// What its last model costs from scratch on as many tokens, if it grows.
    pub(super) scratch: Option<Scratch>,
    /// What the paper reports.
    pub(super) published: Option<Published>,
    /// One result for each seed that is done, in the order of seeds.
    pub(super) seeds: Vec<RunResult>,
}

/// FLOPs of a run from scratch.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scratch {
    /// `6 N D`.
    pub(super) flops: f64,
    /// Counted.
    pub(super) counted: f64,
}

/// Lists the runs of an experiment at full length under its own settings, each with its results.
///
/// A result belongs to a run if all that decides its numbers is equal but the seed, the text and
/// the machine. If there are results on several texts, or machines that give different numbers,
/// those are shown that most of them, and then the latest one, are of: numbers of different ones are
/// not compared. A run of one seed that several machines of a kin have made is shown once.
fn compared(experiment: &Experiment, all: &[RunResult]) -> Result<Vec<Results>> {
    let mut by_key: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (index, result) in all.iter().enumerate() {
        let key = key(result.settings.clone());
        by_key.entry(key).or_default().push(index);
    }
    let settings = experiment.settings(&Settings::default())?;
    let mut found = Vec::new();
    for spec in &experiment.specs {
        let run = Run::of(experiment, spec, &settings, "", Length::Full)?;
        let matching = by_key.get(&key(as_written(&run.identity())?));
        found.push((run, matching.cloned().unwrap_or_default()));
    }
    let kin = Kin::of(all);
    let place = |result| place(result, &kin);
    let mut places: BTreeMap<Place<'_>, (usize, usize)> = BTreeMap::new();
    for index in found.iter().flat_map(|(_, matching)| matching) {
        let (count, latest) = places.entry(place(&all[*index])).or_default();
        (*count, *latest) = (*count + 1, *index.max(latest));
    }
    let shown = places.into_iter().max_by_key(|(_, many)| *many);
    let shown = shown.map(|(place, _)| place);
    let results = |(run, matching): (Run, Vec<usize>)| {
        let matching = matching.into_iter().map(|index| &all[index]);
        let mut seeds: Vec<RunResult> = matching
            .filter(|result| Some(place(result)) == shown)
            .cloned()
            .collect();
        seeds.sort_by_key(|result| result.seed);
        seeds.dedup_by_key(|result| result.seed);
        Results {
            wide: run.spec.wide,
            scratch: scratch(&run),
            published: experiment.figures.get(&run.spec.name).copied(),
            name: run.spec.name,
            seeds,
        }
    };
    Ok(found.into_iter().map(results).collect())
}

/// Text, and first of the kin of machines, which results that are compared share.
type Place<'a> = (Option<&'a str>, &'a str);

fn place<'a>(result: &'a RunResult, kin: &Kin<'a>) -> Place<'a> {
    (result.settings["text"].as_str(), kin.first(&result.machine))
}

/// Gives what decides the numbers, without the seed, the text and the machine.
fn key(mut identity: Value) -> String {
    if let Some(fields) = identity.as_object_mut() {
        for field in ["seed", "text", "device"] {
            fields.remove(field);
        }
    }
    identity.to_string()
}

fn scratch(run: &Run) -> Option<Scratch> {
    let last = run.phases.last().filter(|_| run.phases.len() > 1)?;
    let tokens = (run.steps * run.settings.step_tokens()) as f64;
    let context = run.settings.context;
    Some(Scratch {
        flops: training_flops(last.size.active, tokens),
        counted: multiply_adds(&last.model, context).training_flops(tokens),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::result::tests::result;

    fn result_of(run: &Run, id: &str) -> RunResult {
        RunResult {
            settings: as_written(&run.identity()).expect("a value"),
            seed: run.settings.seed,
            ..result(id)
        }
    }

    #[test]
    fn results_are_found_by_what_decides_their_numbers() {
        let experiment = Experiment::demo().expect("the demonstration");
        let run_on = |text, spec: usize, seed| {
            let settings = Settings {
                seed,
                ..Settings::default()
            };
            let spec = &experiment.specs[spec];
            Run::of(&experiment, spec, &settings, text, Length::Full).expect("a run")
        };
        let run = |spec, seed| run_on("text", spec, seed);
        let mut specs = experiment.specs.iter();
        let sparkling = specs.position(|spec| spec.name == "sparkling");
        let sparkling = sparkling.expect("a run");
        let mut other = run(0, 0);
        other.steps += 1;
        let all = [
            result_of(&run_on("elsewhere", 0, 0), "on another text"),
            RunResult {
                machine: "another".into(),
                ..result_of(&run(0, 0), "on another machine")
            },
            RunResult {
                machine: "another of the kin".into(),
                ..result_of(&run(0, 1), "a")
            },
            result_of(&run(0, 2), "b"),
            result_of(&other, "longer"),
            result_of(&run(0, 1), "a"),
            result_of(&run(sparkling, 0), "c"),
        ];
        let found = compared(&experiment, &all).expect("results");
        let ids = |results: &Results| {
            let ids = results.seeds.iter().map(|result| result.id.clone());
            ids.collect::<Vec<_>>()
        };
        assert_eq!(ids(&found[0]), ["a", "b"]);
        assert_eq!(ids(&found[sparkling]), ["c"]);
        let count: usize = found.iter().map(|results| results.seeds.len()).sum();
        assert_eq!(count, 3);
        let scratch = found[sparkling].scratch.expect("it grows");
        assert!(scratch.counted > scratch.flops);
        assert!(found[0].scratch.is_none());
    }
}
