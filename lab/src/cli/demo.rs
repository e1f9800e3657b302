//! `lab demo`.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Result, bail};
use clap::Parser;

use crate::demo::perform;
use crate::files;
use crate::json::Overlay;
use crate::report;
use crate::run::{Display, Stop};
use crate::spec::{AgeSetting, Backend, OptimizerKind, Settings, WidthAxis};

/// Trains a byte-level mixture-of-experts language model that widens mid-run, beside the runs it
/// has to be compared with, and writes report.json and report.html
#[derive(Clone, Debug, Default, Parser)]
pub struct DemoCli {
    /// Optimizer steps of a run at full length; rounded up to whole epochs
    #[arg(long, value_name = "N")]
    pub steps: Option<usize>,
    /// Four times as many steps as by default, where the small model has little left to learn
    #[arg(long, conflicts_with_all = ["steps", "quick"])]
    pub long: bool,
    /// Which widths grow
    #[arg(long, value_enum)]
    pub axis: Option<WidthAxis>,
    /// Peak of the re-warmup, as a multiple of the learning rate at the expansion
    #[arg(long)]
    pub rho: Option<f64>,
    /// Length of the re-warmup's climb, as a fraction of the steps
    #[arg(long)]
    pub tau: Option<f64>,
    /// Optimizer of the projections of attention and experts; AdamW does the rest
    #[arg(long, value_enum)]
    pub optimizer: Option<OptimizerKind>,
    /// Bias correction of new coordinates: shared with the old ones, or of their own age
    #[arg(long, value_enum)]
    pub age: Option<AgeSetting>,
    /// The runs to do
    #[arg(long, value_delimiter = ',', value_name = "A,B")]
    pub runs: Option<Vec<String>>,
    /// Seed of the initial model and of the data order
    #[arg(long)]
    pub seed: Option<u64>,
    /// A text of your own, file or directory, instead of the sources of Burn
    #[arg(long, value_name = "FILE|DIR")]
    pub corpus: Option<PathBuf>,
    /// A file of settings (TOML); the command line goes before it
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Where everything is written
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Go on with the run in that directory
    #[arg(long)]
    pub resume: bool,
    /// A run of seconds, which shows nothing about the method
    #[arg(long, conflicts_with = "config")]
    pub quick: bool,
    /// Burn's terminal dashboard instead of progress bars, one run after the other
    #[arg(long)]
    pub tui: bool,
    /// Where the tensors live
    #[arg(long, value_enum)]
    pub device: Option<Backend>,
    /// How many runs go on at once
    #[arg(long, value_name = "N")]
    pub jobs: Option<usize>,
    /// Print every setting as a settings file, and stop
    #[arg(long)]
    pub print_config: bool,
}

impl DemoCli {
    /// Gives the settings: the defaults, or the quick ones; then the file; then the command line.
    ///
    /// # Errors
    ///
    /// When the file cannot be read, or a setting is out of its range.
    pub fn settings(&self) -> Result<Settings> {
        let mut settings = match (&self.config, self.quick) {
            (Some(path), _) => {
                let over: Overlay = files::toml(path)?;
                Settings::default().laid(&path.display().to_string(), &over)?
            }
            (None, true) => Settings::quick(),
            (None, false) => Settings::default(),
        };
        if self.long {
            settings.steps *= 4;
        }
        if let Some(steps) = self.steps {
            settings.steps = steps.next_multiple_of(settings.epochs.max(1));
        }
        set(&mut settings.axis, &self.axis);
        set(&mut settings.rho, &self.rho);
        set(&mut settings.tau, &self.tau);
        set(&mut settings.optimizer.kind, &self.optimizer);
        set(&mut settings.optimizer.age, &self.age);
        set(&mut settings.seed, &self.seed);
        set(&mut settings.out, &self.out);
        set(&mut settings.device, &self.device);
        settings.corpus = self.corpus.clone().or(settings.corpus);
        settings.jobs = self.jobs.or(settings.jobs);
        settings.runs = self.runs.clone().or(settings.runs);
        settings.validate()?;
        if self.tui && !cfg!(feature = "tui") {
            bail!("the terminal dashboard is not compiled in: build with `--features tui`");
        }
        Ok(settings)
    }

    /// Runs the demonstration to its report, and tells whether all of it ended.
    ///
    /// # Errors
    ///
    /// When a setting, the corpus or the directory is wrong, or a run fails.
    pub fn run(&self) -> Result<bool> {
        let settings = self.settings()?;
        if self.print_config {
            print!("{}", toml::to_string(&settings)?);
            return Ok(true);
        }
        let stop = Arc::new(Stop::default());
        stop.listen("the report will hold what is done, `--resume` goes on")?;
        let display = if self.tui {
            Display::Dashboard
        } else {
            Display::Bars
        };
        let report = perform(settings, self.resume, stop, display)?;
        println!("{}", report::table(&report));
        Ok(report.finished)
    }
}

fn set<T: Clone>(setting: &mut T, given: &Option<T>) {
    if let Some(given) = given {
        *setting = given.clone();
    }
}
