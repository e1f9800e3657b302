//! What `cargo xtask experiment` runs.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use burn_grow::moe::MoeTransformer;
use clap::Parser;

use crate::arm::Arm;
use crate::campaign;
use crate::config::{Overlay, Settings};
use crate::corpus::Corpus;
use crate::counted::multiply_adds;
use crate::device::Backend;
use crate::error::DemoError;
use crate::experiment::{self, Experiment, Length};
use crate::job::{self, Listed};
use crate::loader::HeldOut;
use crate::origin;
use crate::progress::{Board, Display};
use crate::row::{Row, RowExpansion};
use crate::run::Context;
use crate::scores::scores;
use crate::stop::Stop;
use crate::store::{self, Rows, Store};
use crate::summary;
use crate::unit::{Phase, Unit};

/// Runs an experiment: every arm for every seed. Runs that are done are not run again, whichever experiment
/// they were part of; those that were stopped go on.
#[derive(Clone, Debug, Default, Parser)]
#[command(name = "cargo xtask experiment", version)]
pub struct ExperimentCli {
    /// The experiment: the name of a file in `experiments`
    #[arg(required_unless_present = "list")]
    pub name: Option<String>,
    /// The seeds to run, instead of the experiment's
    #[arg(long, value_delimiter = ',', value_name = "N,N")]
    pub seeds: Option<Vec<u64>>,
    /// The arms to run; a name stands for all its points of a grid
    #[arg(long, value_delimiter = ',', value_name = "A,B")]
    pub arms: Option<Vec<String>>,
    /// How many runs go on at once; one for each core up to two, if not given
    #[arg(long, value_name = "N")]
    pub jobs: Option<usize>,
    /// Stop after so many minutes; the same command goes on
    #[arg(long, value_name = "M")]
    pub minutes: Option<f64>,
    /// Where the tensors live
    #[arg(long, value_enum)]
    pub device: Option<Backend>,
    /// A file of settings (TOML) to lay over the experiment's, for another machine
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The same arms in minutes, one seed; shows nothing about the method, and is written nowhere but in `target`
    #[arg(long)]
    pub short: bool,
    /// Print the experiments there are, or the runs of the one named, and stop
    #[arg(long)]
    pub list: bool,
}

/// Where experiments are, and where what they make goes.
#[derive(Clone, Debug)]
pub struct Places {
    /// The experiment files.
    pub files: PathBuf,
    /// The rows of finished runs.
    pub results: PathBuf,
    /// The runs that go on.
    pub work: PathBuf,
}

impl Places {
    /// Those of a workspace.
    pub fn of(workspace: &Path, length: Length) -> Self {
        let files = workspace.join("experiments");
        let (results, work) = match length {
            Length::Full => (files.clone(), workspace.join("target/experiments")),
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
    settings: Settings,
}

/// Runs an experiment from its command line, in the workspace that is the working directory, and says
/// whether all of it is done.
///
/// # Errors
///
/// When there is no such experiment or arm, a file or the text is wrong, or a run fails.
pub fn experiment(cli: &ExperimentCli) -> Result<bool, DemoError> {
    let length = match cli.short {
        true => Length::Short,
        false => Length::Full,
    };
    let places = Places::of(Path::new(""), length);
    let Some(name) = &cli.name else {
        for (name, path) in experiment::files(&places.files)? {
            let experiment = Experiment::read(&path)?;
            println!("{name:<12} {}", experiment.about);
        }
        return Ok(true);
    };
    let campaign = Campaign::of(&named(&places.files, name)?, cli)?;
    if cli.list {
        print!("{}", campaign.list(&places)?);
        return Ok(true);
    }
    let stop = Arc::new(Stop::default());
    stop.listen("the same command goes on")?;
    if let Some(minutes) = cli.minutes {
        stop.after(minutes_of(minutes)?);
    }
    let workers = campaign.settings.workers();
    let outcome = campaign.run(&places, workers, stop, Display::Bars);
    // Whatever ended it, what was done is reported.
    let renewed = match length {
        Length::Full => summary::renew(Path::new("")),
        Length::Short => Ok(()),
    };
    let finished = outcome?;
    renewed?;
    print!("{}", campaign.table(&places)?);
    Ok(finished)
}

/// The experiment of that name.
fn named(folder: &Path, name: &str) -> Result<Experiment, DemoError> {
    let files = experiment::files(folder)?;
    match files.iter().find(|(known, _)| known == name) {
        Some((_, path)) => Experiment::read(path),
        None => {
            let known: Vec<_> = files.into_iter().map(|(name, _)| name).collect();
            Err(DemoError::UnknownExperiment {
                name: name.to_owned(),
                folder: folder.to_owned(),
                known: known.join(", "),
            })
        }
    }
}

fn minutes_of(minutes: f64) -> Result<Duration, DemoError> {
    Duration::try_from_secs_f64(60.0 * minutes).map_err(|_| DemoError::Setting {
        name: "minutes",
        value: minutes.to_string(),
        expected: "a number of minutes".into(),
    })
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
            settings = settings.laid(&path.display().to_string(), &preset(path)?)?;
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
        let done = done(&places.results)?;
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
            !done.contains(&listed.id)
        })?;
        let width = jobs.iter().map(|job| job.listed.label.len()).max();
        let board = Board::new(display, width.unwrap_or_default());
        let left = all.iter().filter(|listed| !done.contains(&listed.id));
        board.say(&format!("{} runs, {} to do", all.len(), left.count()));
        let commit = origin::commit().unwrap_or_default();
        let machine = origin::machine(self.settings.device);
        campaign::run_all(&context, jobs, workers, &board, &|job, model, rows| {
            let row = self.row(&job.listed, model, rows, &commit, &machine)?;
            row.append(&places.results)
        })
    }

    /// The rows of its runs that are done, each with the arm as it is called here.
    ///
    /// # Errors
    ///
    /// When the rows cannot be read.
    pub fn rows(&self, places: &Places) -> Result<Vec<Row>, DemoError> {
        let rows = Row::read_all(&places.results)?;
        let mut found = Vec::new();
        for listed in &self.listed {
            if let Some(row) = rows.iter().find(|row| row.id == listed.id) {
                found.push(Row {
                    arm: store::json(&places.results, &listed.unit.arm)?,
                    ..row.clone()
                });
            }
        }
        Ok(found)
    }

    /// The losses of its arms: every seed that is done, and their mean.
    fn table(&self, places: &Places) -> Result<String, DemoError> {
        let rows = Row::read_all(&places.results)?;
        let mut losses: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
        let mut names: Vec<&str> = Vec::new();
        for listed in &self.listed {
            let name = listed.unit.arm.name.as_str();
            if !names.contains(&name) {
                names.push(name);
            }
            let found = rows.iter().find(|row| row.id == listed.id);
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
    fn list(&self, places: &Places) -> Result<String, DemoError> {
        let done = done(&places.results)?;
        let line = |listed: &Listed| {
            let unit = &listed.unit;
            let mark = match done.contains(&listed.id) {
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

    /// What a finished run has to show.
    fn row(
        &self,
        listed: &Listed,
        model: &MoeTransformer,
        rows: &Rows,
        commit: &str,
        machine: &str,
    ) -> Result<Row, DemoError> {
        let unit = &listed.unit;
        let settings = &unit.settings;
        let device = settings.device.open()?;
        let windows = HeldOut::new(
            self.corpus.clone(),
            settings,
            settings.final_windows,
            &device,
        );
        let size = unit.phase(unit.steps).size;
        let end = rows.end.ok_or_else(|| DemoError::Arm {
            arm: listed.label.clone(),
            message: "it ended without a loss".into(),
        })?;
        let place = Path::new(&listed.label);
        let expansions = rows.expansions().map(|expansion| RowExpansion {
            step: expansion.step,
            loss_before: expansion.loss_before,
            loss_after: expansion.loss_after,
            max_logit_diff: expansion.max_logit_diff,
            copy_cosine: expansion.copy_cosine,
        });
        Ok(Row {
            id: listed.id.clone(),
            arm: store::json(place, &unit.arm)?,
            settings: store::json(place, &unit.identity(&self.text))?,
            seed: settings.seed,
            commit: commit.to_owned(),
            machine: machine.to_owned(),
            steps: unit.steps,
            tokens: (unit.steps * settings.step_tokens()) as u64,
            params: size.params,
            active: size.active,
            flops: unit.flops(unit.steps),
            flops_counted: counted_flops(unit),
            loss: end.val_loss,
            scores: scores(model, &windows),
            wall_s: end.wall_s,
            expansions: expansions.collect(),
            cosine: rows.cosine.last().map(|(_, cosine)| *cosine),
            curve: rows
                .epochs
                .iter()
                .map(|row| (row.step, row.val_loss))
                .collect(),
        })
    }
}

/// The FLOPs of training, from the multiply-adds of a forward pass.
fn counted_flops(unit: &Unit) -> f64 {
    let cost = |(phase, tokens): &(&Phase, f64)| {
        let forward = multiply_adds(&phase.model, unit.settings.context);
        forward.training_flops(*tokens)
    };
    unit.segments(unit.steps).iter().map(cost).sum()
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

fn done(results: &Path) -> Result<BTreeSet<String>, DemoError> {
    let rows = Row::read_all(results)?;
    Ok(rows.into_iter().map(|row| row.id).collect())
}

/// Settings of a machine: of all but which runs there are, and where they go.
fn preset(path: &Path) -> Result<Overlay, DemoError> {
    let text = fs::read_to_string(path).map_err(|source| DemoError::File {
        path: path.to_owned(),
        source,
    })?;
    let settings = toml::from_str(&text).map_err(|source| DemoError::SettingsFile {
        path: path.to_owned(),
        source: Box::new(source),
    })?;
    experiment::refuse(
        &path.display().to_string(),
        &settings,
        &["arms", "out", "seed"],
    )?;
    Ok(settings)
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
