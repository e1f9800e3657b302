use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::path::Path;
use std::sync::Arc;

use crate::arm::Arm;
use crate::config::Settings;
use crate::corpus::Corpus;
use crate::error::DemoError;
use crate::experiment::{Experiment, Length};
use crate::experiments::{ExperimentCli, Places, finished, preset};
use crate::job::{self, Listed};
use crate::origin::{Origin, machine};
use crate::progress::{Board, Display};
use crate::queue;
use crate::row::Row;
use crate::run::Context;
use crate::stop::Stop;
use crate::store::{self, Store};
use crate::unit::Unit;

/// An experiment as it is asked for.
#[derive(Clone, Debug)]
pub struct Campaign {
    /// Every run, those of one seed after those of the other.
    pub listed: Vec<Listed>,
    /// The text.
    corpus: Arc<Corpus>,
    /// Its fingerprint.
    text: String,
    /// The settings that all runs have in common.
    pub(super) settings: Settings,
}

impl Campaign {
    /// What the command line asks for of `experiment`.
    ///
    /// # Errors
    ///
    /// When a setting is wrong, an arm is not there or cannot be, or there is no text.
    pub fn of(experiment: &Experiment, cli: &ExperimentCli) -> Result<Self, DemoError> {
        let mut settings = experiment.settings(&Settings::default())?;
        if let Some(path) = &cli.config {
            let (place, preset) = (path.display().to_string(), preset(path)?);
            experiment.accept(&place, &preset)?;
            settings = settings.laid(&place, &preset)?;
        }
        settings.device = cli.device.unwrap_or(settings.device);
        settings.jobs = cli.jobs.or(settings.jobs);
        settings.validate()?;
        let length = match cli.short {
            true => Length::Short,
            false => Length::Full,
        };
        let seeds = match (&cli.seeds, length) {
            (Some(seeds), _) => seeds,
            (None, Length::Full) => &experiment.seeds,
            (None, Length::Short) => &experiment.seeds[..experiment.seeds.len().min(1)],
        };
        let arms: Vec<&Arm> = match &cli.arms {
            Some(names) => experiment.select(names)?,
            None => experiment.arms.iter().collect(),
        };
        let corpus = Corpus::load(settings.corpus.as_deref(), settings.context + 1)?;
        let text = corpus.fingerprint();
        let units = experiment.units(&arms, &settings, seeds, length)?;
        let listed = units.into_iter().map(|unit| listed(unit, &text));
        Ok(Self {
            listed: listed.collect::<Result<_, _>>()?,
            corpus: Arc::new(corpus),
            text,
            settings,
        })
    }

    /// Does what is not done yet, `workers` runs at once, and says whether all of it now is.
    ///
    /// # Errors
    ///
    /// When the rows cannot be read or written, the directory is in use, or a run fails.
    pub fn run(
        &self,
        places: &Places,
        workers: usize,
        stop: Arc<Stop>,
        display: Display,
    ) -> Result<bool, DemoError> {
        let _alone = lock(&places.work)?;
        let done = self.here(places)?;
        let mut due = BTreeSet::new();
        // Arms that come to the same run are one.
        let once = |listed: &&Listed| due.insert(listed.id.clone());
        let all: Vec<Listed> = self.listed.iter().filter(once).cloned().collect();
        let context = Context {
            corpus: self.corpus.clone(),
            store: Store::at(&places.work),
            stop,
            dashboard: false,
        };
        let jobs = job::jobs(&context.store, &self.text, &all, |listed| {
            !done.contains_key(&listed.id)
        })?;
        let width = jobs.iter().map(|job| job.listed.label.len()).max();
        let board = Board::new(display, width.unwrap_or_default());
        let left = all.iter().filter(|listed| !done.contains_key(&listed.id));
        board.say(&format!("{} runs, {} to do", all.len(), left.count()));
        let origin = Origin::here(self.settings.device);
        queue::run_all(&context, jobs, workers, &board, &|job, model, rows| {
            let row = finished::row(&job.listed, model, rows, &self.corpus, &origin)?;
            row.append(&places.results)
        })
    }

    /// The rows that this machine has made, by their runs.
    fn here(&self, places: &Places) -> Result<BTreeMap<String, Row>, DemoError> {
        let machine = machine(self.settings.device);
        let rows = Row::read_all(&places.results)?.into_iter();
        let here = rows.filter(|row| row.machine == machine);
        Ok(here.map(|row| (row.id.clone(), row)).collect())
    }

    /// The rows of its runs that are done on this machine, each with the arm as it is called here.
    ///
    /// # Errors
    ///
    /// When the rows cannot be read.
    pub fn rows(&self, places: &Places) -> Result<Vec<Row>, DemoError> {
        let rows = self.here(places)?;
        let mut found = Vec::new();
        for listed in &self.listed {
            if let Some(row) = rows.get(&listed.id) {
                found.push(Row {
                    arm: store::json(&places.results, &listed.unit.arm)?,
                    ..row.clone()
                });
            }
        }
        Ok(found)
    }

    /// The losses of its arms: every seed that is done, and their mean.
    pub(super) fn table(&self, places: &Places) -> Result<String, DemoError> {
        let rows = self.here(places)?;
        let mut losses: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
        let mut names: Vec<&str> = Vec::new();
        for listed in &self.listed {
            let name = listed.unit.arm.name.as_str();
            if !names.contains(&name) {
                names.push(name);
            }
            let found = rows.get(&listed.id);
            losses
                .entry(name)
                .or_default()
                .extend(found.map(|row| row.loss));
        }
        let width = names
            .iter()
            .map(|name| name.len())
            .max()
            .unwrap_or_default();
        let line = |name: &str| {
            let losses = losses.get(name).map(Vec::as_slice).unwrap_or_default();
            let each: String = losses.iter().map(|loss| format!("  {loss:.4}")).collect();
            let mean = losses.iter().sum::<f64>() / losses.len() as f64;
            match losses {
                [] => format!("{name:<width$}  not done\n"),
                [_] => format!("{name:<width$}{each}\n"),
                _ => format!("{name:<width$}{each}  mean {mean:.4}\n"),
            }
        };
        Ok(names.into_iter().map(line).collect())
    }

    /// Every run in a line, those that are done marked.
    pub(super) fn list(&self, places: &Places) -> Result<String, DemoError> {
        let done = self.here(places)?;
        let line = |listed: &Listed| {
            let unit = &listed.unit;
            let mark = match done.contains_key(&listed.id) {
                true => "done",
                false => "    ",
            };
            let (id, seed, steps) = (&listed.id, unit.settings.seed, unit.steps);
            format!(
                "{mark} {id} seed {seed} {steps:>6} steps {:.2e} FLOPs  {}\n",
                unit.flops(steps),
                unit.arm.name
            )
        };
        Ok(self.listed.iter().map(line).collect())
    }
}

fn listed(unit: Unit, text: &str) -> Result<Listed, DemoError> {
    let id = unit.identity(text).id()?;
    Ok(Listed {
        key: id.clone(),
        label: format!("{}, seed {}", unit.arm.name, unit.settings.seed),
        id,
        unit,
    })
}

/// Two processes in one directory would write over each other. Released with the file.
fn lock(folder: &Path) -> Result<File, DemoError> {
    let path = folder.join("lock");
    let unusable = |source| DemoError::File {
        path: path.clone(),
        source,
    };
    fs::create_dir_all(folder).map_err(unusable)?;
    let file = File::create(&path).map_err(unusable)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(fs::TryLockError::WouldBlock) => Err(DemoError::Busy {
            directory: folder.to_owned(),
        }),
        Err(fs::TryLockError::Error(source)) => Err(unusable(source)),
    }
}
