//! `lab run`, `lab list` and `lab page`.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, anyhow};
use clap::Parser;

use crate::campaign::{Asked, Campaign, Places};
use crate::page;
use crate::run::{Display, Stop};
use crate::spec::{self, Backend, Experiment, Length, out_of_range};

/// Runs an experiment: every run for every seed. Runs that are done are not done again, whichever
/// experiment they were part of; those that were stopped go on
#[derive(Clone, Debug, Default, Parser)]
pub struct RunCli {
    /// The experiment: the name of a file in `lab/experiments`
    #[arg(required_unless_present = "list")]
    pub name: Option<String>,
    /// The seeds to run, instead of the experiment's
    #[arg(long, value_delimiter = ',', value_name = "N,N")]
    pub seeds: Option<Vec<u64>>,
    /// The runs to do; a name stands for all its points of a grid
    #[arg(long, value_delimiter = ',', value_name = "A,B")]
    pub runs: Option<Vec<String>>,
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
    /// The same runs in minutes, one seed; shows nothing about the method, and is written nowhere
    /// but in `target`
    #[arg(long)]
    pub short: bool,
    /// Print the experiments there are, or the runs of the one named, and stop
    #[arg(long)]
    pub list: bool,
}

/// Lists the experiments, or the runs of one of them
#[derive(Clone, Debug, Parser)]
pub struct ListCli {
    /// The experiment
    pub name: Option<String>,
}

impl RunCli {
    /// Runs an experiment of the workspace that is the working directory, and tells whether all of
    /// it is done.
    ///
    /// # Errors
    ///
    /// When there is no such experiment or run, a file or the text is wrong, or a run fails.
    pub fn run(&self) -> Result<bool> {
        let length = if self.short {
            Length::Short
        } else {
            Length::Full
        };
        let places = Places::of(Path::new(""), length);
        let Some(name) = &self.name else {
            print!("{}", experiments(&places.files)?);
            return Ok(true);
        };
        let asked = Asked {
            seeds: self.seeds.clone(),
            runs: self.runs.clone(),
            jobs: self.jobs,
            device: self.device,
            config: self.config.clone(),
            length,
        };
        let campaign = Campaign::of(&named(&places.files, name)?, &asked)?;
        if self.list {
            print!("{}", campaign.list(&places)?);
            return Ok(true);
        }
        let stop = Arc::new(Stop::default());
        stop.listen("the same command goes on")?;
        if let Some(minutes) = self.minutes {
            stop.after(minutes_of(minutes)?);
        }
        let outcome = campaign.run(&places, campaign.workers(), stop, Display::Bars);
        // Whatever ended it, what was done is published.
        let renewed = match length {
            Length::Full => page::renew(Path::new("")),
            Length::Short => Ok(()),
        };
        let finished = outcome?;
        renewed?;
        print!("{}", campaign.table(&places)?);
        Ok(finished)
    }
}

impl ListCli {
    /// Prints the list.
    ///
    /// # Errors
    ///
    /// When there is no such experiment, or a file is wrong.
    pub fn run(&self) -> Result<bool> {
        let list = RunCli {
            name: self.name.clone(),
            list: true,
            ..RunCli::default()
        };
        list.run()
    }
}

fn experiments(folder: &Path) -> Result<String> {
    let mut rows = Vec::new();
    for (name, path) in spec::files(folder)? {
        rows.push((name, Experiment::read(&path)?.about));
    }
    let width = rows.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    let line = |(name, about)| format!("{name:<width$}  {about}\n");
    Ok(rows.into_iter().map(line).collect())
}

/// Reads the experiment of that name.
fn named(folder: &Path, name: &str) -> Result<Experiment> {
    let files = spec::files(folder)?;
    let file = files.iter().find(|(known, _)| known == name);
    let (_, path) = file.ok_or_else(|| {
        let known: Vec<_> = files.iter().map(|(name, _)| name.as_str()).collect();
        let (folder, known) = (folder.display(), known.join(", "));
        anyhow!("there is no experiment `{name}` in {folder}: there are {known}")
    })?;
    Experiment::read(path)
}

fn minutes_of(minutes: f64) -> Result<Duration> {
    Duration::try_from_secs_f64(60.0 * minutes)
        .map_err(|_| out_of_range("minutes", minutes, "a number of minutes"))
}
