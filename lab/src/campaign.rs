//! An experiment as it is asked for: its runs, what is done of them, and doing the rest.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, Result, bail};

use crate::files;
use crate::json::{Overlay, as_written};
use crate::log::Store;
use crate::result::{Kin, Origin, RunResult, finished};
use crate::run::{Board, Context, Display, Run, Stop, run_all, shared};
use crate::spec::{Backend, Experiment, Length, Settings, Spec, reject};
use crate::table;
use crate::text::Corpus;

/// Which part of an experiment is asked for, and on which machine.
#[derive(Clone, Debug, Default)]
pub struct Asked {
    /// Seeds, instead of the experiment's.
    pub seeds: Option<Vec<u64>>,
    /// Names of runs; absent, all of them.
    pub runs: Option<Vec<String>>,
    /// How many runs go on at once.
    pub jobs: Option<usize>,
    pub device: Option<Backend>,
    /// A file of settings for another machine.
    pub config: Option<PathBuf>,
    pub length: Length,
}

/// An experiment as it is asked for.
#[derive(Clone, Debug)]
pub struct Campaign {
    /// All runs, one seed after the other.
    pub runs: Vec<Run>,
    corpus: Arc<Corpus>,
    /// The settings that all runs have in common.
    settings: Settings,
}

/// Where experiments are, and where what they make goes.
#[derive(Clone, Debug)]
pub struct Places {
    /// The experiment files.
    pub files: PathBuf,
    /// The results of finished runs.
    pub results: PathBuf,
    /// The runs that go on.
    pub work: PathBuf,
}

impl Places {
    /// Gives the places of a workspace.
    pub fn of(workspace: &Path, length: Length) -> Self {
        let lab = workspace.join("lab");
        let files = lab.join("experiments");
        let (results, work) = match length {
            Length::Full => (lab, workspace.join("target/experiments")),
            Length::Short => {
                let work = workspace.join("target/experiments-short");
                (work.clone(), work)
            }
        };
        Self {
            files,
            results: results.join("results.jsonl"),
            work,
        }
    }
}

impl Campaign {
    /// Works out what is asked for of `experiment`.
    ///
    /// # Errors
    ///
    /// When a setting is wrong, a run does not exist or is impossible, or there is no text.
    pub fn of(experiment: &Experiment, asked: &Asked) -> Result<Self> {
        let mut settings = experiment.settings(&Settings::default())?;
        if let Some(path) = &asked.config {
            let (place, preset) = (path.display().to_string(), preset(path)?);
            experiment.accept(&place, &preset)?;
            settings = settings.laid(&place, &preset)?;
        }
        settings.device = asked.device.unwrap_or(settings.device);
        settings.jobs = asked.jobs.or(settings.jobs);
        settings.validate()?;
        let seeds = match (&asked.seeds, asked.length) {
            (Some(seeds), _) => seeds,
            (None, Length::Full) => &experiment.seeds,
            (None, Length::Short) => &experiment.seeds[..experiment.seeds.len().min(1)],
        };
        let specs: Vec<&Spec> = match &asked.runs {
            Some(names) => experiment.select(names)?,
            None => experiment.specs.iter().collect(),
        };
        let corpus = Corpus::load(settings.corpus.as_deref(), settings.context + 1)?;
        let text = corpus.fingerprint();
        Ok(Self {
            runs: Run::all(experiment, &specs, &settings, seeds, &text, asked.length)?,
            corpus: Arc::new(corpus),
            settings,
        })
    }

    /// Gives how many runs go on at once.
    pub fn workers(&self) -> usize {
        self.settings.workers()
    }

    /// Does what is not done yet, `workers` runs at once, and tells whether all of it now is.
    ///
    /// # Errors
    ///
    /// When the results cannot be read or written, the directory is in use, or a run fails.
    pub fn run(
        &self,
        places: &Places,
        workers: usize,
        stop: Arc<Stop>,
        display: Display,
    ) -> Result<bool> {
        let _alone = lock(&places.work)?;
        let done = self.here(places)?;
        let mut due = BTreeSet::new();
        // Runs that come to the same numbers are one.
        let once = |run: &&Run| due.insert(run.key.clone());
        let all: Vec<Run> = self.runs.iter().filter(once).cloned().collect();
        let context = Context {
            corpus: self.corpus.clone(),
            store: Store::at(&places.work),
            stop,
            dashboard: false,
        };
        let open = |run: &Run| !done.contains_key(&run.key);
        let runs = shared(&context.store, &all, open)?;
        let width = runs.iter().map(|run| run.label.len()).max();
        let board = Board::new(display, width.unwrap_or_default());
        let left = all.iter().filter(|run| open(run)).count();
        board.say(&format!("{} runs, {left} to do", all.len()));
        let origin = Origin::here(self.settings.device);
        run_all(&context, runs, workers, &board, &|run, model, log| {
            let result = finished(run, model, log, &self.corpus, &origin)?;
            result.append(&places.results)
        })
    }

    /// Finds the results that this machine or one of its kin has made, by the keys of their runs.
    fn here(&self, places: &Places) -> Result<BTreeMap<String, RunResult>> {
        let machine = Origin::here(self.settings.device).machine;
        let results = RunResult::read_all(&places.results)?;
        let kin = Kin::of(&results);
        let here = |result: &&RunResult| kin.first(&result.machine) == kin.first(&machine);
        let here = results.iter().filter(here);
        Ok(here
            .map(|result| (result.id.clone(), result.clone()))
            .collect())
    }

    /// Lists the results of its runs that this machine or one of its kin has done, each with its
    /// specification as it is called here.
    ///
    /// # Errors
    ///
    /// When the results cannot be read.
    pub fn results(&self, places: &Places) -> Result<Vec<RunResult>> {
        let done = self.here(places)?;
        let mut found = Vec::new();
        for run in &self.runs {
            if let Some(result) = done.get(&run.key) {
                found.push(RunResult {
                    spec: as_written(&run.spec)?,
                    ..result.clone()
                });
            }
        }
        Ok(found)
    }

    /// Tabulates the losses of its runs: every seed that is done, and their mean.
    ///
    /// # Errors
    ///
    /// When the results cannot be read.
    pub fn table(&self, places: &Places) -> Result<String> {
        let done = self.here(places)?;
        let mut losses: Vec<(&str, Vec<f64>)> = Vec::new();
        for run in &self.runs {
            let name = run.spec.name.as_str();
            let loss = done.get(&run.key).map(|result| result.loss);
            match losses.iter_mut().find(|(known, _)| *known == name) {
                Some((_, losses)) => losses.extend(loss),
                None => losses.push((name, loss.into_iter().collect())),
            }
        }
        let rows = losses.into_iter().map(|(name, losses)| {
            let each: Vec<String> = losses.iter().map(|loss| format!("{loss:.4}")).collect();
            let mean = losses.iter().sum::<f64>() / losses.len() as f64;
            let (each, mean) = match losses.len() {
                0 => ("not done".to_owned(), String::new()),
                1 => (each.join("  "), String::new()),
                _ => (each.join("  "), format!("{mean:.4}")),
            };
            vec![name.to_owned(), each, mean]
        });
        Ok(table::terminal(
            &["run", "losses", "mean"],
            &rows.collect::<Vec<_>>(),
        ))
    }

    /// Lists every run in a line, those that are done marked.
    ///
    /// # Errors
    ///
    /// When the results cannot be read.
    pub fn list(&self, places: &Places) -> Result<String> {
        let done = self.here(places)?;
        let row = |run: &Run| {
            let mark = done.get(&run.key).map_or("", |_| "done");
            vec![
                mark.to_owned(),
                run.key.clone(),
                run.settings.seed.to_string(),
                run.steps.to_string(),
                format!("{:.2e}", run.flops(run.steps)),
                run.spec.name.clone(),
            ]
        };
        let rows: Vec<_> = self.runs.iter().map(row).collect();
        Ok(table::terminal(
            &["", "id", "seed", "steps", "FLOPs", "run"],
            &rows,
        ))
    }
}

/// Reads settings of a machine: all but which runs there are, and where they go.
fn preset(path: &Path) -> Result<Overlay> {
    let settings = files::toml(path)?;
    let place = path.display().to_string();
    reject(&place, &settings, &["runs", "out", "seed"])?;
    Ok(settings)
}

/// Locks a directory: two processes in one would write over each other. Released with the file.
fn lock(folder: &Path) -> Result<File> {
    let path = folder.join("lock");
    let place = || path.display().to_string();
    fs::create_dir_all(folder).with_context(place)?;
    let file = File::create(&path).with_context(place)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(fs::TryLockError::WouldBlock) => bail!(
            "{}: another process runs experiments there",
            folder.display()
        ),
        Err(fs::TryLockError::Error(error)) => Err(error).with_context(place),
    }
}
