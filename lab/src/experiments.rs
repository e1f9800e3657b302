//! What `cargo xtask experiment` runs.

mod campaign;
mod finished;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::Parser;

pub use campaign::Campaign;

use crate::config::Overlay;
use crate::device::Backend;
use crate::error::DemoError;
use crate::experiment::{self, Experiment, Length};
use crate::progress::Display;
use crate::stop::Stop;
use crate::summary;

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
