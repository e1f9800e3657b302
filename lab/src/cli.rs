//! The command line.

use std::path::PathBuf;

use clap::Parser;

use crate::config::{Growth, Settings};
use crate::device::Backend;
use crate::error::DemoError;
use crate::optimizer::{AgeSetting, OptimizerKind};

/// Trains a byte-level mixture-of-experts language model that widens mid-run, beside the runs it has to
/// be compared with, and writes report.json and report.html.
#[derive(Clone, Debug, Default, Parser)]
#[command(name = "moe-lm", version)]
pub struct Cli {
    /// Optimizer steps of a run at full length; rounded up to whole epochs
    #[arg(long, value_name = "N")]
    pub steps: Option<usize>,
    /// Which widths grow
    #[arg(long, value_enum)]
    pub axis: Option<Growth>,
    /// Peak of the re-warmup, as a multiple of the rate at the expansion
    #[arg(long)]
    pub rho: Option<f64>,
    /// Length of the re-warmup's climb, as a fraction of the steps
    #[arg(long)]
    pub tau: Option<f64>,
    /// What moves the projections of attention and experts; AdamW moves all else
    #[arg(long, value_enum)]
    pub optimizer: Option<OptimizerKind>,
    /// Whether the bias correction of new coordinates starts anew
    #[arg(long, value_enum)]
    pub age: Option<AgeSetting>,
    /// The arms to run
    #[arg(long, value_delimiter = ',', value_name = "A,B")]
    pub arms: Option<Vec<String>>,
    /// What the initial model and the data order are drawn with
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
    /// Burn's terminal dashboard instead of progress bars, one arm after the other
    #[arg(long)]
    pub tui: bool,
    /// Where the tensors live
    #[arg(long, value_enum)]
    pub device: Option<Backend>,
    /// How many arms run at once
    #[arg(long, value_name = "N")]
    pub jobs: Option<usize>,
    /// Print every setting as a settings file, and stop
    #[arg(long)]
    pub print_config: bool,
}

impl Cli {
    /// The settings: the defaults, or the quick ones; then the file; then the command line.
    ///
    /// # Errors
    ///
    /// When the file cannot be read, or a setting is out of its range.
    pub fn settings(&self) -> Result<Settings, DemoError> {
        let mut settings = match (&self.config, self.quick) {
            (Some(path), _) => Settings::read(path)?,
            (None, true) => Settings::quick(),
            (None, false) => Settings::default(),
        };
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
        settings.arms = self.arms.clone().or(settings.arms);
        settings.validate()?;
        if self.tui && !cfg!(feature = "tui") {
            return Err(DemoError::Dashboard);
        }
        Ok(settings)
    }
}

fn set<T: Clone>(setting: &mut T, given: &Option<T>) {
    if let Some(given) = given {
        *setting = given.clone();
    }
}
