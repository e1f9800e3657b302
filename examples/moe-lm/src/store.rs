//! The directory of a run.

use std::fs;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::arm::ArmName;
use crate::config::Settings;
use crate::error::DemoError;
use crate::probe::Rms;

/// What one arm has to show so far. Losses are cross entropies in nats per byte.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rows {
    /// The ends of its epochs.
    pub epochs: Vec<EpochRow>,
    /// The training loss: the step, and the mean since the row before.
    pub train: Vec<(usize, f64)>,
    /// How much copies still are copies: the step, and the mean cosine.
    pub cosine: Vec<(usize, f64)>,
    /// The expansion.
    pub expansion: Option<Expansion>,
    /// The end, once it is there.
    pub end: Option<End>,
}

/// The end of an epoch.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EpochRow {
    /// The epoch, from 1.
    pub epoch: usize,
    /// The optimizer steps taken.
    pub step: usize,
    /// The held-out loss.
    pub val_loss: f64,
    /// The seconds of training so far.
    pub wall_s: f64,
}

/// What an expansion did.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expansion {
    /// The optimizer steps taken before.
    pub step: usize,
    /// The held-out loss of the narrow model.
    pub loss_before: f64,
    /// The held-out loss of the wide one.
    pub loss_after: f64,
    /// The largest change of a logit, relative to the largest logit.
    pub max_logit_diff: f64,
    /// How long expanding model and optimizer took.
    pub seconds: f64,
    /// The mean cosine between old units and their copies.
    pub copy_cosine: f64,
    /// The activations before and after.
    pub rms: Vec<Rms>,
}

/// The end of an arm.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct End {
    /// The loss on the larger set of held-out windows.
    pub val_loss: f64,
    /// The seconds of training.
    pub wall_s: f64,
}

impl Rows {
    /// What was written down up to the end of `epoch`, from which a run goes on.
    pub fn up_to(&self, epoch: usize) -> Self {
        let epochs: Vec<_> = self
            .epochs
            .iter()
            .filter(|row| row.epoch <= epoch)
            .copied()
            .collect();
        let step = epochs.last().map_or(0, |row| row.step);
        let until =
            |rows: &[(usize, f64)]| rows.iter().filter(|row| row.0 <= step).copied().collect();
        Self {
            epochs,
            train: until(&self.train),
            cosine: until(&self.cosine),
            expansion: self
                .expansion
                .clone()
                .filter(|expansion| expansion.step <= step),
            end: None,
        }
    }

    /// The steps taken at the last epoch's end.
    pub fn steps(&self) -> usize {
        self.epochs.last().map_or(0, |row| row.step)
    }
}

/// The directory of a run.
#[derive(Clone, Debug)]
pub struct Store {
    root: PathBuf,
}

impl Store {
    /// Opens the directory of `settings`: that of a run to be resumed, or for a new one, which replaces
    /// what an earlier one left there.
    ///
    /// # Errors
    ///
    /// When a resumed run had other settings, or the directory cannot be used.
    pub fn open(settings: &Settings, resume: bool) -> Result<Self, DemoError> {
        let store = Self {
            root: settings.out.clone(),
        };
        let file = store.root.join("settings.json");
        let stored: Option<serde_json::Value> = read(&file)?;
        let given = settings.identity();
        match stored {
            Some(stored) if resume => store.same(&stored, &given)?,
            Some(_) => remove(&store.root.join("arms"))?,
            None => {}
        }
        store.write(&file, &given)?;
        Ok(store)
    }

    /// The run in a directory, and the settings that decided its numbers.
    ///
    /// # Errors
    ///
    /// When there is none, or its settings cannot be read.
    pub fn read(root: &Path) -> Result<(Self, Settings), DemoError> {
        let file = root.join("settings.json");
        let stored: Option<Settings> = read(&file)?;
        let settings = stored.ok_or_else(|| DemoError::NoRun { path: file })?;
        let root = root.to_owned();
        let settings = Settings {
            out: root.clone(),
            ..settings
        };
        Ok((Self { root }, settings))
    }

    /// The directory.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The directory of an arm, as given to the training.
    pub fn arm(&self, arm: ArmName) -> PathBuf {
        self.root.join("arms").join(arm.as_str())
    }

    /// The rows of an arm, none if it has not begun.
    ///
    /// # Errors
    ///
    /// When the file is there and cannot be read.
    pub fn rows(&self, arm: ArmName) -> Result<Rows, DemoError> {
        Ok(read(&self.arm(arm).join("rows.json"))?.unwrap_or_default())
    }

    /// Replaces the rows of an arm.
    ///
    /// # Errors
    ///
    /// When the file cannot be written; the old one is then still there.
    pub fn write_rows(&self, arm: ArmName, rows: &Rows) -> Result<(), DemoError> {
        self.write(&self.arm(arm).join("rows.json"), rows)
    }

    /// Forgets an arm.
    ///
    /// # Errors
    ///
    /// When its directory cannot be removed.
    pub fn clear(&self, arm: ArmName) -> Result<(), DemoError> {
        remove(&self.arm(arm))
    }

    /// Lets arm `to` go on from where `from` was at the end of `epoch`.
    ///
    /// # Errors
    ///
    /// When a file cannot be copied.
    pub fn branch(&self, from: ArmName, to: ArmName, epoch: usize) -> Result<Rows, DemoError> {
        let target = self.arm(to).join("checkpoint");
        fs::create_dir_all(&target).map_err(file(&target))?;
        for part in ["model", "optim", "scheduler"] {
            let name = format!("{part}-{epoch}.bpk");
            let source = self.arm(from).join("checkpoint").join(&name);
            fs::copy(&source, target.join(&name)).map_err(file(&source))?;
        }
        let rows = self.rows(from)?.up_to(epoch);
        self.write_rows(to, &rows)?;
        Ok(rows)
    }

    /// Writes a file of the run in one go: either the old or the new one is there.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub fn write(&self, path: &Path, value: &impl Serialize) -> Result<(), DemoError> {
        let text = serde_json::to_vec_pretty(value).map_err(|source| DemoError::Json {
            path: path.to_owned(),
            source,
        })?;
        write(path, &text)
    }

    fn same(&self, stored: &serde_json::Value, given: &serde_json::Value) -> Result<(), DemoError> {
        match difference("", stored, given) {
            Some((field, stored, given)) => Err(DemoError::OtherRun {
                directory: self.root.clone(),
                field,
                stored,
                given,
            }),
            None => Ok(()),
        }
    }
}

/// Writes beside the file, then moves into place.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<(), DemoError> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(file(folder))?;
    }
    let beside = path.with_extension("part");
    fs::write(&beside, bytes).map_err(file(&beside))?;
    fs::rename(&beside, path).map_err(file(path))
}

fn read<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, DemoError> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(file(path)(error)),
    };
    let value = serde_json::from_slice(&bytes).map_err(|source| DemoError::Json {
        path: path.to_owned(),
        source,
    })?;
    Ok(Some(value))
}

fn remove(folder: &Path) -> Result<(), DemoError> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(file(folder)(error)),
        _ => Ok(()),
    }
}

fn file(path: &Path) -> impl FnOnce(std::io::Error) -> DemoError + use<> {
    let path = path.to_owned();
    |source| DemoError::File { path, source }
}

/// The first setting that differs: its name and both values.
fn difference(
    name: &str,
    stored: &serde_json::Value,
    given: &serde_json::Value,
) -> Option<(String, String, String)> {
    match (stored.as_object(), given.as_object()) {
        (Some(stored), Some(given)) => {
            let names: std::collections::BTreeSet<_> = stored.keys().chain(given.keys()).collect();
            let none = serde_json::Value::Null;
            names.into_iter().find_map(|key| {
                let name = match name {
                    "" => key.clone(),
                    name => format!("{name}.{key}"),
                };
                let value = |of: &serde_json::Map<_, _>| of.get(key).unwrap_or(&none).clone();
                difference(&name, &value(stored), &value(given))
            })
        }
        _ if stored == given => None,
        _ => Some((name.to_owned(), stored.to_string(), given.to_string())),
    }
}
