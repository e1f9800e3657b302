//! The directory of a run.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

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
    /// The expansion, or the first of several.
    pub expansion: Option<Expansion>,
    /// Those after it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub later: Vec<Expansion>,
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
    /// The mean cosine between old units and their copies, if there are copies.
    pub copy_cosine: Option<f64>,
    /// The activations before and after.
    pub rms: Vec<Rms>,
}

/// The end of an arm.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct End {
    /// The loss on the larger set of held-out windows.
    pub val_loss: f64,
    /// The seconds of training, at its usual pace.
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
        let mut rows = Self {
            epochs,
            train: until(&self.train),
            cosine: until(&self.cosine),
            ..Self::default()
        };
        for expansion in self.expansions().filter(|expansion| expansion.step <= step) {
            rows.expanded(expansion.clone());
        }
        rows
    }

    /// The expansions, in order.
    pub fn expansions(&self) -> impl Iterator<Item = &Expansion> {
        self.expansion.iter().chain(&self.later)
    }

    /// Adds an expansion.
    pub fn expanded(&mut self, expansion: Expansion) {
        match self.expansion {
            None => self.expansion = Some(expansion),
            Some(_) => self.later.push(expansion),
        }
    }

    /// The seconds of training at its usual pace: each epoch counts as the median one of its width, so that a
    /// machine that stood still, or was busy, for a while does not count. Expansions take theirs on top.
    pub fn steady_seconds(&self) -> f64 {
        let mut paces: BTreeMap<usize, Vec<f64>> = BTreeMap::new();
        let mut before = 0.0;
        for row in &self.epochs {
            let width = self.expansions().filter(|at| at.step < row.step).count();
            paces.entry(width).or_default().push(row.wall_s - before);
            before = row.wall_s;
        }
        let phases = paces.into_values().map(|mut epochs| {
            epochs.sort_by(f64::total_cmp);
            epochs.len() as f64 * epochs[epochs.len() / 2]
        });
        let expanding = self.expansions().map(|expansion| expansion.seconds);
        phases.chain(expanding).sum()
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
        let store = Self::at(&settings.out);
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
        let out = root.to_owned();
        Ok((Self::at(root), Settings { out, ..settings }))
    }

    /// The directory at `root`, whatever runs it holds.
    pub fn at(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// The directory.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The directory of a run, as given to the training.
    pub fn run(&self, key: &str) -> PathBuf {
        self.root.join("arms").join(key)
    }

    /// The rows of a run, none if it has not begun.
    ///
    /// # Errors
    ///
    /// When the file is there and cannot be read.
    pub fn rows(&self, key: &str) -> Result<Rows, DemoError> {
        Ok(read(&self.run(key).join("rows.json"))?.unwrap_or_default())
    }

    /// Replaces the rows of a run.
    ///
    /// # Errors
    ///
    /// When the file cannot be written; the old one is then still there.
    pub fn write_rows(&self, key: &str, rows: &Rows) -> Result<(), DemoError> {
        self.write(&self.run(key).join("rows.json"), rows)
    }

    /// Forgets a run.
    ///
    /// # Errors
    ///
    /// When its directory cannot be removed.
    pub fn clear(&self, key: &str) -> Result<(), DemoError> {
        remove(&self.run(key))
    }

    /// Whether other runs can go on from the end of `epoch` of this one.
    ///
    /// # Errors
    ///
    /// When its rows cannot be read.
    pub fn reached(&self, key: &str, epoch: usize) -> Result<bool, DemoError> {
        let rows = self.rows(key)?;
        let written = rows.epochs.iter().any(|row| row.epoch == epoch);
        let saved = || self.checkpoint(key, epoch).iter().all(|path| path.exists());
        Ok(written && saved())
    }

    /// The files of a checkpoint.
    fn checkpoint(&self, key: &str, epoch: usize) -> [PathBuf; 3] {
        let folder = self.run(key).join("checkpoint");
        ["model", "optim", "scheduler"].map(|part| folder.join(format!("{part}-{epoch}.bpk")))
    }

    /// Lets run `to` go on from where `from` was at the end of `epoch`.
    ///
    /// # Errors
    ///
    /// When a file cannot be copied.
    pub fn branch(&self, from: &str, to: &str, epoch: usize) -> Result<Rows, DemoError> {
        let target = self.run(to).join("checkpoint");
        fs::create_dir_all(&target).map_err(file(&target))?;
        let files = self.checkpoint(from, epoch).into_iter();
        for (source, target) in files.zip(self.checkpoint(to, epoch)) {
            fs::copy(&source, target).map_err(file(&source))?;
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

/// A value as JSON, with the numbers that it is written with; `path` is where it belongs.
pub(crate) fn json(path: &Path, value: &impl Serialize) -> Result<serde_json::Value, DemoError> {
    let text = serde_json::to_vec(value);
    text.and_then(|text| serde_json::from_slice(&text))
        .map_err(|source| DemoError::Json {
            path: path.to_owned(),
            source,
        })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_epoch_that_took_long_counts_as_the_median_one_of_its_width() {
        let epoch = |(index, wall_s): (usize, f64)| EpochRow {
            epoch: index + 1,
            step: 10 * (index + 1),
            val_loss: 1.0,
            wall_s,
        };
        // Narrow: 2, 2, 300 and 2 seconds; wide: 5, 100 and 5; expanding: half a second.
        let walls = [2.0, 4.0, 304.0, 306.0, 311.0, 411.0, 416.0];
        let mut rows = Rows {
            epochs: walls.into_iter().enumerate().map(epoch).collect(),
            ..Rows::default()
        };
        rows.expanded(Expansion {
            step: 40,
            loss_before: 1.0,
            loss_after: 1.0,
            max_logit_diff: 0.0,
            seconds: 0.5,
            copy_cosine: None,
            rms: Vec::new(),
        });
        assert_eq!(rows.steady_seconds(), 4.0 * 2.0 + 3.0 * 5.0 + 0.5);
        assert_eq!(Rows::default().steady_seconds(), 0.0);
    }
}
