//! What is compared with what: an experiment, as data.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::arm::{Arm, Budget};
use crate::config::{Overlay, Settings};
use crate::error::DemoError;
use crate::grid::{self, Grid};
use crate::summary;
use crate::unit::Unit;

/// An experiment: arms under settings, for every seed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Experiment {
    /// What it asks.
    pub about: String,
    /// Where the paper asks it, if it does.
    #[serde(default)]
    pub paper: String,
    /// What the initial models and the data orders are drawn with: one run of every arm for each.
    pub seeds: Vec<u64>,
    /// The settings of all arms, where they are not the demonstration's.
    #[serde(default)]
    pub settings: Overlay,
    /// Values to try in turn, by their path in an arm: every arm for each of them, or for each combination.
    #[serde(default)]
    pub grid: Grid,
    /// The arms, in the order in which they run and are shown.
    pub arms: Vec<Arm>,
    /// The arm that others are compared with, without the points of grids that they share with it.
    #[serde(default)]
    pub reference: Option<String>,
    /// What the paper reports, by the whole name of an arm.
    #[serde(default)]
    pub figures: BTreeMap<String, Figure>,
}

/// What the paper reports of an arm.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Figure {
    /// The loss, in nats per token of its text.
    pub loss: f64,
    /// The fraction of the FLOPs that growing saves.
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
    /// The same arms, cut down to seconds each.
    Short,
}

/// Settings that are not an arm's, as the text and the machine are those of all arms.
const SHARED: [&str; 2] = ["corpus", "context"];

/// Settings that are not an experiment's.
const OUTSIDE: [&str; 5] = ["arms", "device", "jobs", "out", "seed"];

impl Experiment {
    /// The demonstration.
    ///
    /// # Errors
    ///
    /// None, as its file is tested.
    pub fn demo() -> Result<Self, DemoError> {
        let path = Path::new("experiments/demo.toml");
        Self::parse(path, include_str!("../../../experiments/demo.toml"))
    }

    /// Reads an experiment file.
    ///
    /// # Errors
    ///
    /// When it cannot be read, or says what no experiment does.
    pub fn read(path: &Path) -> Result<Self, DemoError> {
        let text = fs::read_to_string(path).map_err(|source| DemoError::File {
            path: path.to_owned(),
            source,
        })?;
        Self::parse(path, &text)
    }

    fn parse(path: &Path, text: &str) -> Result<Self, DemoError> {
        let wrong = |source| DemoError::SettingsFile {
            path: path.to_owned(),
            source: Box::new(source),
        };
        let mut experiment: Self = toml::from_str(text).map_err(wrong)?;
        let grid = std::mem::take(&mut experiment.grid);
        experiment.arms = grid::spread(&grid, &experiment.arms)?;
        experiment.check()?;
        Ok(experiment)
    }

    fn check(&self) -> Result<(), DemoError> {
        refuse("the experiment", &self.settings, &OUTSIDE)?;
        summary::groups(self.reference.as_deref(), &self.names())?;
        if let Some(name) = self
            .figures
            .keys()
            .find(|name| !self.names().contains(&name.as_str()))
        {
            return Err(DemoError::UnknownArm {
                name: name.clone(),
                known: self.names().join(", "),
            });
        }
        for (index, arm) in self.arms.iter().enumerate() {
            let place = format!("arm `{}`", arm.name);
            refuse(&place, &arm.settings, &[&OUTSIDE[..], &SHARED].concat())?;
            if self.arms[..index]
                .iter()
                .any(|other| other.name == arm.name)
            {
                return Err(DemoError::ArmTwice {
                    arm: arm.name.clone(),
                });
            }
            if arm.growth.is_some() && arm.budget != Budget::Steps {
                return Err(DemoError::GrownBudget {
                    arm: arm.name.clone(),
                });
            }
        }
        Ok(())
    }

    /// The arms by these names, in the order of the experiment. A name without its point of a grid is
    /// that of all of them.
    ///
    /// # Errors
    ///
    /// When there is no such arm.
    pub fn select(&self, names: &[String]) -> Result<Vec<&Arm>, DemoError> {
        for name in names {
            self.arm(name)?;
        }
        let wanted = |arm: &&Arm| names.iter().any(|name| is_called(arm, name));
        Ok(self.arms.iter().filter(wanted).collect())
    }

    /// The first arm of that name.
    ///
    /// # Errors
    ///
    /// When there is none.
    pub fn arm(&self, name: &str) -> Result<&Arm, DemoError> {
        let arm = self.arms.iter().find(|arm| is_called(arm, name));
        arm.ok_or_else(|| DemoError::UnknownArm {
            name: name.to_owned(),
            known: self.names().join(", "),
        })
    }

    fn names(&self) -> Vec<&str> {
        self.arms.iter().map(|arm| arm.name.as_str()).collect()
    }

    /// The settings that all arms have in common, the experiment's own laid over `settings`.
    ///
    /// # Errors
    ///
    /// When a value does not fit.
    pub fn settings(&self, settings: &Settings) -> Result<Settings, DemoError> {
        settings.laid("the experiment", &self.settings)
    }

    /// Checks that `over`, the settings of a machine, leaves alone what the experiment itself compares or fixes.
    ///
    /// # Errors
    ///
    /// Names the first setting that both have.
    pub fn accept(&self, place: &str, over: &Overlay) -> Result<(), DemoError> {
        let own = self.arms.iter().map(|arm| &arm.settings);
        let own: BTreeSet<String> = own.chain([&self.settings]).flat_map(paths).collect();
        match paths(over).into_iter().find(|path| own.contains(path)) {
            Some(setting) => Err(DemoError::SettingTwice {
                place: place.to_owned(),
                setting,
            }),
            None => Ok(()),
        }
    }

    /// What `arm` does under `settings`, with its seed.
    ///
    /// # Errors
    ///
    /// When its settings are out of their range, its model cannot be built or cannot grow that way, or it
    /// costs what an arm costs that is not there.
    pub fn unit(&self, arm: &Arm, settings: &Settings, length: Length) -> Result<Unit, DemoError> {
        let mut own = settings.laid(&format!("arm `{}`", arm.name), &arm.settings)?;
        if length == Length::Short {
            own = own.shortened();
        }
        let flops = match &arm.budget {
            Budget::Steps => None,
            Budget::FlopsOf(other) => {
                let other = self.arm(other)?;
                if other.budget != Budget::Steps {
                    return Err(DemoError::BudgetOfBudget {
                        arm: arm.name.clone(),
                        other: other.name.clone(),
                    });
                }
                let other = self.unit(other, settings, length)?;
                Some(other.flops(other.steps))
            }
        };
        Unit::new(arm.clone(), own, flops)
    }

    /// Every run: `arms` for each of the seeds, a seed after the other.
    ///
    /// # Errors
    ///
    /// As [`unit`](Self::unit).
    pub fn units(
        &self,
        arms: &[&Arm],
        settings: &Settings,
        seeds: &[u64],
        length: Length,
    ) -> Result<Vec<Unit>, DemoError> {
        let mut units = Vec::new();
        for seed in seeds {
            let settings = Settings {
                seed: *seed,
                ..settings.clone()
            };
            for arm in arms {
                units.push(self.unit(arm, &settings, length)?);
            }
        }
        Ok(units)
    }
}

/// Refuses settings of `place` that have one of these names.
pub(crate) fn refuse(place: &str, settings: &Overlay, names: &[&str]) -> Result<(), DemoError> {
    match names.iter().find(|name| settings.contains_key(**name)) {
        Some(name) => Err(DemoError::ForeignSetting {
            place: place.to_owned(),
            name: (*name).to_owned(),
        }),
        None => Ok(()),
    }
}

/// The settings that an overlay has, as in `model.inner`.
fn paths(overlay: &Overlay) -> Vec<String> {
    let below = |(name, value): (&String, &Value)| match value {
        Value::Object(fields) => {
            let paths = paths(fields).into_iter();
            paths.map(|path| format!("{name}.{path}")).collect()
        }
        _ => vec![name.clone()],
    };
    overlay.iter().flat_map(below).collect()
}

fn is_called(arm: &Arm, name: &str) -> bool {
    let rest = arm.name.strip_prefix(name);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// The experiment files of a folder: name and path, sorted by name.
///
/// # Errors
///
/// When the folder cannot be read.
pub fn files(folder: &Path) -> Result<Vec<(String, PathBuf)>, DemoError> {
    let unreadable = |source| DemoError::File {
        path: folder.to_owned(),
        source,
    };
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        if path
            .extension()
            .is_some_and(|extension| extension == "toml")
            && let Some(name) = path.file_stem().and_then(|name| name.to_str())
        {
            files.push((name.to_owned(), path));
        }
    }
    files.sort();
    Ok(files)
}
