//! The directory of runs: a log and checkpoints for each.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::files;
use crate::json;
use crate::log::Log;
use crate::spec::Settings;

/// A directory of runs.
#[derive(Clone, Debug)]
pub struct Store {
    root: PathBuf,
}

impl Store {
    /// Opens the directory of `settings`, to resume what is there or to replace it with new runs.
    ///
    /// # Errors
    ///
    /// When a resumed run had other settings, or the directory cannot be used.
    pub fn open(settings: &Settings, resume: bool) -> Result<Self> {
        let store = Self::at(&settings.out);
        let file = store.root.join("settings.json");
        let stored: Option<serde_json::Value> = files::json(&file)?;
        let given = settings.identity();
        let differs = |stored| json::difference(stored, &given);
        if !resume {
            // Without settings the directory is not known to be ours.
            if stored.is_some() {
                files::remove_folder(&store.root.join("runs"))?;
            }
        } else if let Some((field, stored, given)) = stored.as_ref().and_then(differs) {
            bail!(
                "{} holds a run with {field} = {stored}, not {given}: resume with the settings it was \
                 started with, or start afresh without `--resume`",
                store.root.display()
            );
        }
        files::write_json(&file, &given)?;
        Ok(store)
    }

    /// Opens a directory of finished or stopped runs, and reads the settings that decided their
    /// numbers.
    ///
    /// # Errors
    ///
    /// When there is none, or its settings cannot be read.
    pub fn read(root: &Path) -> Result<(Self, Settings)> {
        let file = root.join("settings.json");
        let stored: Option<Settings> = files::json(&file)?;
        let none = || format!("{}: no such file, so no run", file.display());
        let settings = stored.with_context(none)?;
        let out = root.to_owned();
        Ok((Self::at(root), Settings { out, ..settings }))
    }

    /// Takes the directory at `root`, whatever runs it holds.
    pub fn at(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// Gives the directory.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Gives the directory of a run, as `SupervisedTraining` takes it.
    pub fn run(&self, key: &str) -> PathBuf {
        self.root.join("runs").join(key)
    }

    /// Reads the log of a run; empty if it has not begun.
    ///
    /// # Errors
    ///
    /// When the file is there and cannot be read.
    pub fn log(&self, key: &str) -> Result<Log> {
        Ok(files::json(&self.run(key).join("log.json"))?.unwrap_or_default())
    }

    /// Replaces the log of a run.
    ///
    /// # Errors
    ///
    /// When the file cannot be written; the old one is then still there.
    pub fn write_log(&self, key: &str, log: &Log) -> Result<()> {
        files::write_json(&self.run(key).join("log.json"), log)
    }

    /// Forgets a run.
    ///
    /// # Errors
    ///
    /// When its directory cannot be removed.
    pub fn clear(&self, key: &str) -> Result<()> {
        files::remove_folder(&self.run(key))
    }

    /// Tells whether other runs can go on from the end of `epoch` of this one.
    ///
    /// # Errors
    ///
    /// When its log cannot be read.
    pub fn reached(&self, key: &str, epoch: usize) -> Result<bool> {
        let log = self.log(key)?;
        let written = log.epochs.iter().any(|row| row.epoch == epoch);
        let saved = || self.checkpoint(key, epoch).iter().all(|path| path.exists());
        Ok(written && saved())
    }

    /// Gives the files of a checkpoint.
    fn checkpoint(&self, key: &str, epoch: usize) -> [PathBuf; 3] {
        let folder = self.run(key).join("checkpoint");
        ["model", "optim", "scheduler"].map(|part| folder.join(format!("{part}-{epoch}.bpk")))
    }

    /// Lets run `to` go on from where `from` was at the end of `epoch`.
    ///
    /// # Errors
    ///
    /// When a file cannot be copied.
    pub fn branch(&self, from: &str, to: &str, epoch: usize) -> Result<Log> {
        let target = self.run(to).join("checkpoint");
        fs::create_dir_all(&target).with_context(|| target.display().to_string())?;
        let files = self.checkpoint(from, epoch).into_iter();
        for (source, target) in files.zip(self.checkpoint(to, epoch)) {
            fs::copy(&source, target).with_context(|| source.display().to_string())?;
        }
        let log = self.log(from)?.up_to(epoch);
        self.write_log(to, &log)?;
        Ok(log)
    }
}
