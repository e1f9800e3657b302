//! The contents of `report.json`. Others read it: its fields keep their names.

use anyhow::Result;
use burn_grow::cost::training_flops;
use burn_grow::moe::MoeConfig;
use serde::{Deserialize, Serialize};

use crate::chart::palette::{FROM_SCRATCH, SPARKLING};
use crate::log::{Log, Rms};
use crate::report::Subject;
use crate::result::commit;
use crate::run::Run;

/// The most points a curve is written with.
const POINTS: usize = 400;

/// The contents of `report.json`. Losses are cross entropies in nats per byte.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// The version of this form: 1.
    pub schema: u32,
    /// The commit the program was run from, if that is known.
    pub git: Option<String>,
    /// All runs ended.
    pub finished: bool,
    /// The text.
    pub corpus: CorpusReport,
    /// The model.
    pub model: ModelReport,
    /// Which widths grow.
    pub axis: String,
    /// By how much.
    pub factor: f64,
    /// The peak of the re-warmup.
    pub rho: f64,
    /// The steps that it climbs.
    pub tau_steps: usize,
    /// The steps of a run at full length.
    pub steps: usize,
    /// The tokens of one step.
    pub step_tokens: usize,
    /// The steps before the expansion.
    pub expand_at: usize,
    /// The seed.
    pub seed: u64,
    #[serde(rename = "arms")]
    pub runs: Vec<RunReport>,
    /// What growing saves.
    pub saved: Saved,
}

/// The text of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CorpusReport {
    /// Its bytes.
    pub bytes: usize,
    /// Its files.
    pub files: usize,
}

/// The model of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModelReport {
    /// Before the expansion.
    pub narrow: MoeConfig,
    /// After it.
    pub wide: MoeConfig,
    /// The parameters that take part in one token, before and after.
    pub active_params: (f64, f64),
}

/// One run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunReport {
    /// Its name.
    pub name: String,
    /// What it is.
    pub about: String,
    /// The steps it has taken.
    pub steps: usize,
    /// The loss on the larger set of held-out windows; none before the end.
    pub val_loss: Option<f64>,
    /// Step and training loss.
    pub train_loss: Vec<(usize, f64)>,
    /// Step and held-out loss.
    pub val_curve: Vec<(usize, f64)>,
    /// What it cost so far, `6 N D`.
    pub flops: f64,
    /// The seconds of training, those of a shared first half included.
    pub wall_s: f64,
    /// The parameters of its last model.
    pub params: usize,
    /// Those that take part in one token.
    pub active_params: f64,
    /// Step and mean cosine between old units and their copies.
    pub cosine: Option<Vec<(usize, f64)>>,
    /// The expansion.
    pub expansion: Option<ExpansionReport>,
    /// Step, learning rate, and that of re-warmed coordinates.
    pub lr: Vec<(usize, f64, Option<f64>)>,
}

/// What an expansion did.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ExpansionReport {
    /// The steps before it.
    pub step: usize,
    /// The held-out loss of the narrow model.
    pub loss_before: f64,
    /// The held-out loss of the wide one.
    pub loss_after: f64,
    /// The largest change of a logit, relative to the largest logit.
    pub max_logit_diff: f64,
    /// How long expanding model and optimizer took.
    pub seconds: f64,
    /// The activations before and after.
    pub rms: Vec<Rms>,
}

/// What growing saves against the wide model from scratch on as many tokens.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Saved {
    /// The fraction of FLOPs.
    pub flops_vs_from_scratch_at_equal_tokens: f64,
    /// The fraction of wall time, at the wide model's measured pace; `None` unless both runs ended.
    pub wall: Option<f64>,
}

impl Report {
    /// Reports what is done so far.
    ///
    /// # Errors
    ///
    /// When the log of a run cannot be read.
    pub fn of(subject: &Subject<'_>) -> Result<Self> {
        let Subject {
            context,
            settings,
            grown,
            ..
        } = subject;
        let (narrow, wide) = (&grown.phases[0], grown.phase(grown.steps));
        let mut runs = Vec::new();
        let mut finished = true;
        for run in &subject.runs {
            let log = context.store.log(&run.key)?;
            finished &= log.end.is_some();
            runs.push(run_report(run, wide.begins, log));
        }
        let saved = Saved {
            flops_vs_from_scratch_at_equal_tokens: grown.saved(),
            wall: saved_wall(&runs, settings.steps),
        };
        Ok(Self {
            schema: 1,
            git: commit(),
            finished,
            corpus: CorpusReport {
                bytes: context.corpus.len(),
                files: context.corpus.files(),
            },
            model: ModelReport {
                narrow: narrow.model.clone(),
                wide: wide.model.clone(),
                active_params: (narrow.size.active, wide.size.active),
            },
            axis: settings.axis.name().into(),
            factor: settings.factor,
            rho: settings.rho,
            tau_steps: settings.rewarmup_steps(),
            steps: settings.steps,
            step_tokens: settings.step_tokens(),
            expand_at: wide.begins,
            seed: settings.seed,
            runs,
            saved,
        })
    }

    /// Computes what a run cost up to `step`.
    pub(super) fn flops(&self, run: &RunReport, step: f64) -> f64 {
        let tokens = self.step_tokens as f64;
        let (narrow, _) = self.model.active_params;
        let before = match &run.cosine {
            Some(_) => step.min(self.expand_at as f64),
            None => 0.0,
        };
        let after = training_flops(run.active_params, (step - before) * tokens);
        training_flops(narrow, before * tokens) + after
    }

    /// Finds the run of that name.
    pub fn run(&self, name: &str) -> Option<&RunReport> {
        self.runs.iter().find(|run| run.name == name)
    }
}

/// Reports one run; `at` is where runs grow, if they do.
fn run_report(run: &Run, at: usize, log: Log) -> RunReport {
    let steps = log.steps();
    let size = run.phase(steps).size;
    let wall_s = match (&log.end, log.epochs.last()) {
        (Some(end), _) => end.wall_s,
        (None, Some(epoch)) => epoch.wall_s,
        (None, None) => 0.0,
    };
    let val_curve: Vec<_> = log
        .epochs
        .iter()
        .map(|row| (row.step, row.val_loss))
        .collect();
    RunReport {
        name: run.spec.name.clone(),
        about: run.spec.about.clone(),
        steps,
        val_loss: log.end.map(|end| end.val_loss),
        train_loss: thinned(&log.train),
        val_curve: thinned(&val_curve),
        flops: run.flops(steps),
        wall_s,
        params: size.params,
        active_params: size.active,
        cosine: run.growth.as_ref().map(|_| thinned(&log.cosine)),
        expansion: log
            .expansions
            .into_iter()
            .next()
            .map(|expansion| ExpansionReport {
                step: expansion.step,
                loss_before: expansion.loss_before,
                loss_after: expansion.loss_after,
                max_logit_diff: expansion.max_logit_diff,
                seconds: expansion.seconds,
                rms: expansion.rms,
            }),
        lr: rates(run, at),
    }
}

/// Lists the learning rate of a run, and that of what it re-warms.
fn rates(run: &Run, at: usize) -> Vec<(usize, f64, Option<f64>)> {
    let schedule = run.schedule();
    let rewarmup = run
        .growth
        .as_ref()
        .and_then(|growing| growing.rewarmup.as_ref());
    let ramp = rewarmup.map(|rewarmup| rewarmup.ramp(at, schedule.total));
    let rate = |t: usize| {
        let base = schedule.rate(t);
        let age = t.checked_sub(at);
        let new = ramp
            .zip(age)
            .map(|(ramp, age)| ramp.rate(age, schedule.rate(at), base));
        (t, base, new)
    };
    let mut steps: Vec<usize> = (0..schedule.total).collect();
    // The corners of the curve stay, whatever is thinned out.
    let corners = [
        schedule.warmup - 1,
        at,
        at + run.settings.rewarmup_steps(),
        schedule.total - 1,
    ];
    let every = steps.len().div_ceil(POINTS - corners.len());
    steps.retain(|t| t % every == 0 || corners.contains(t));
    steps.into_iter().map(rate).collect()
}

/// Keeps at most [`POINTS`] of the points, the last one among them.
fn thinned<T: Copy>(points: &[T]) -> Vec<T> {
    let every = points.len().div_ceil(POINTS).max(1);
    let last = points.len().saturating_sub(1);
    let kept = points.iter().enumerate();
    kept.filter(|(index, _)| index % every == last % every)
        .map(|(_, point)| *point)
        .collect()
}

/// Computes what the method saves of the wall time that the wide model would take for all steps.
fn saved_wall(runs: &[RunReport], steps: usize) -> Option<f64> {
    let ended = |name: &str| {
        let run = runs.iter().find(|run| run.name == name)?;
        run.val_loss.map(|_| run)
    };
    let (grown, scratch) = (ended(SPARKLING)?, ended(FROM_SCRATCH)?);
    let pace = scratch.wall_s / scratch.steps as f64;
    Some(1.0 - grown.wall_s / (pace * steps as f64))
}
