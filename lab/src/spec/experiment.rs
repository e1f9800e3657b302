//! An experiment file: specifications, the settings and grids they share, and what the paper
//! reports.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use serde::{Deserialize, Serialize};

use crate::files;
use crate::json::{self, Overlay, paths};
use crate::spec::{Budget, Grid, Settings, Spec, grid, groups};

/// An experiment: runs under settings, for every seed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Experiment {
    /// The question it asks.
    pub about: String,
    /// Where the paper asks it, if it does.
    #[serde(default)]
    pub paper: String,
    /// Seeds of initial models and data orders: every run is done once for each.
    pub seeds: Vec<u64>,
    /// The settings that its own are laid over, by the name of a file in `lab/baselines`; absent, the
    /// defaults.
    #[serde(default)]
    pub baseline: Option<String>,
    /// Settings of all runs, where they differ from the baseline's.
    #[serde(default)]
    pub settings: Overlay,
    /// Values to try in turn, by their path in a specification: every run for each of them, or for
    /// each combination.
    #[serde(default)]
    pub grid: Grid,
    /// What is run, in the order in which it runs and is shown.
    #[serde(rename = "runs")]
    pub specs: Vec<Spec>,
    /// The run that others are compared with, without the points of grids that they share with it.
    #[serde(default)]
    pub reference: Option<String>,
    /// What the paper reports, by the whole name of a run.
    #[serde(default)]
    pub figures: BTreeMap<String, Published>,
}

/// What the paper reports of a run.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Published {
    /// Loss, in nats per token of its text.
    pub loss: f64,
    /// Fraction of the FLOPs that growing saves.
    #[serde(default)]
    pub saved: Option<f64>,
    /// How many times as fast growing is.
    #[serde(default)]
    pub speed: Option<f64>,
}

/// How much of an experiment is run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Length {
    /// All of it.
    #[default]
    Full,
    /// The same runs, cut down to seconds each.
    Short,
}

/// Settings that all runs share: the text and how it is cut.
const SHARED: [&str; 2] = ["corpus", "context"];

/// Settings that an experiment file may not set.
const OUTSIDE: [&str; 5] = ["runs", "device", "jobs", "out", "seed"];

impl Experiment {
    /// Gives the demonstration, which the program carries with it.
    ///
    /// # Errors
    ///
    /// None in practice: a test reads the file.
    pub fn demo() -> Result<Self> {
        let path = Path::new("lab/experiments/demo.toml");
        Self::parse(path, include_str!("../../experiments/demo.toml"))
    }

    /// Reads an experiment file.
    ///
    /// # Errors
    ///
    /// When the file cannot be read or makes no sense as an experiment.
    pub fn read(path: &Path) -> Result<Self> {
        Self::parse(path, &files::text(path)?)
    }

    fn parse(path: &Path, text: &str) -> Result<Self> {
        let mut experiment: Self = files::parse_toml(path, text)?;
        if let Some(name) = &experiment.baseline {
            let folder = path.with_file_name("../baselines");
            let mut settings: Overlay = files::toml(&folder.join(format!("{name}.toml")))?;
            json::lay_over(&mut settings, &experiment.settings);
            experiment.settings = settings;
        }
        let grid = std::mem::take(&mut experiment.grid);
        experiment.specs = grid::spread(&grid, &experiment.specs)?;
        experiment.check()?;
        Ok(experiment)
    }

    fn check(&self) -> Result<()> {
        reject("the experiment", &self.settings, &OUTSIDE)?;
        let names = self.names();
        groups(self.reference.as_deref(), &names)?;
        for name in self.figures.keys() {
            if !names.contains(&name.as_str()) {
                return Err(self.unknown(name));
            }
        }
        for (index, spec) in self.specs.iter().enumerate() {
            let name = &spec.name;
            reject(
                &format!("run `{name}`"),
                &spec.settings,
                &[&OUTSIDE[..], &SHARED].concat(),
            )?;
            let twice = self.specs[..index].iter().any(|other| other.name == *name);
            ensure!(!twice, "two runs are called `{name}`");
            ensure!(
                spec.growth.is_none() || spec.budget == Budget::Steps,
                "run `{name}`: one that grows trains for all steps, and has no other budget"
            );
        }
        Ok(())
    }

    /// Finds the specifications by these names, in the order of the experiment. A name without its
    /// point of a grid stands for all of them.
    ///
    /// # Errors
    ///
    /// When there is no such run.
    pub fn select(&self, names: &[String]) -> Result<Vec<&Spec>> {
        for name in names {
            self.spec(name)?;
        }
        let wanted = |spec: &&Spec| names.iter().any(|name| spec.is_called(name));
        Ok(self.specs.iter().filter(wanted).collect())
    }

    /// Finds the first specification of that name.
    ///
    /// # Errors
    ///
    /// When there is none.
    pub fn spec(&self, name: &str) -> Result<&Spec> {
        let spec = self.specs.iter().find(|spec| spec.is_called(name));
        spec.ok_or_else(|| self.unknown(name))
    }

    fn unknown(&self, name: &str) -> anyhow::Error {
        let known = self.names().join(", ");
        anyhow::anyhow!("there is no run `{name}`: the runs are {known}")
    }

    fn names(&self) -> Vec<&str> {
        self.specs.iter().map(|spec| spec.name.as_str()).collect()
    }

    /// Gives the settings that all runs have in common: the experiment's own laid over `settings`.
    ///
    /// # Errors
    ///
    /// When a value does not fit.
    pub fn settings(&self, settings: &Settings) -> Result<Settings> {
        settings.laid("the experiment", &self.settings)
    }

    /// Checks that `over`, the settings of a machine, leaves alone what the experiment itself
    /// compares or fixes.
    ///
    /// # Errors
    ///
    /// Names the first setting that both have.
    pub fn accept(&self, place: &str, over: &Overlay) -> Result<()> {
        let own = self.specs.iter().map(|spec| &spec.settings);
        let own: BTreeSet<String> = own.chain([&self.settings]).flat_map(paths).collect();
        if let Some(setting) = paths(over).into_iter().find(|path| own.contains(path)) {
            bail!("settings of {place}: `{setting}` is what the experiment compares or fixes");
        }
        Ok(())
    }
}

/// Rejects settings of `place` that have one of these names.
///
/// # Errors
///
/// Names the first one found.
pub fn reject(place: &str, settings: &Overlay, names: &[&str]) -> Result<()> {
    if let Some(name) = names.iter().find(|name| settings.contains_key(**name)) {
        bail!("settings of {place}: `{name}` may not be set there");
    }
    Ok(())
}

/// Lists the experiment files of a folder: name and path, sorted by name.
///
/// # Errors
///
/// When the folder cannot be read.
pub fn files(folder: &Path) -> Result<Vec<(String, PathBuf)>> {
    std::fs::metadata(folder).with_context(|| folder.display().to_string())?;
    let names = files::names(folder, "toml")?.into_iter();
    let file = |name: String| {
        let path = folder.join(&name);
        (name.trim_end_matches(".toml").to_owned(), path)
    };
    Ok(names.map(file).collect())
}
