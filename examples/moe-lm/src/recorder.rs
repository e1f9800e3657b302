//! What is written down while an arm trains.

use core::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use burn::module::Module;
use burn_grow::Plan;
use burn_grow::moe::MoeTransformer;
use burn_grow::train::ExpansionReport;

use crate::loader::HeldOut;
use crate::probe;
use crate::progress::Progress;
use crate::store::{EpochRow, Rows};

/// The expansions that a [`Recorder`] looks at.
#[derive(Clone)]
pub struct Growth {
    /// The optimizer steps before each of them, and what it does.
    pub stages: Vec<(usize, Plan)>,
    /// The text they are looked at with.
    pub windows: HeldOut,
}

impl Growth {
    /// The expansion after that step.
    fn at(&self, step: usize) -> Option<&Plan> {
        let (_, plan) = self.stages.iter().find(|(at, _)| *at == step)?;
        Some(plan)
    }

    /// The last expansion before that step.
    fn before(&self, step: usize) -> Option<&Plan> {
        let (_, plan) = self.stages.iter().rev().find(|(at, _)| *at < step)?;
        Some(plan)
    }
}

/// Writes down what happens on the training thread of one arm.
///
/// The model hands it every loss and every step; nothing in it decides anything.
pub struct Recorder {
    /// A row is written every so many steps, which divide an epoch.
    every: usize,
    growth: Option<Growth>,
    progress: Arc<Progress>,
    state: Mutex<State>,
}

struct State {
    rows: Rows,
    step: usize,
    /// The losses since the last row.
    losses: (f64, usize),
    /// The model as it was before the expansion, until it has been looked at.
    narrow: Option<MoeTransformer>,
    report: Option<ExpansionReport>,
    /// The wall time of the steps before this process began.
    earlier: f64,
    start: Instant,
    /// Time that went into looking rather than training.
    aside: Duration,
}

impl Recorder {
    /// A recorder that goes on from `rows`.
    pub fn new(
        rows: Rows,
        every: usize,
        growth: Option<Growth>,
        progress: Arc<Progress>,
    ) -> Arc<Self> {
        let earlier = rows.epochs.last().map_or(0.0, |epoch| epoch.wall_s);
        Arc::new(Self {
            every,
            growth,
            progress,
            state: Mutex::new(State {
                step: rows.steps(),
                rows,
                losses: (0.0, 0),
                narrow: None,
                report: None,
                earlier,
                start: Instant::now(),
                aside: Duration::ZERO,
            }),
        })
    }

    /// A recorder for a model that is only looked at.
    pub fn idle() -> Arc<Self> {
        Self::new(Rows::default(), 1, None, Arc::new(Progress::silent()))
    }

    /// Takes the cross entropy of a training step.
    pub fn loss(&self, loss: f64) {
        let mut state = self.state();
        state.losses.0 += loss;
        state.losses.1 += 1;
    }

    /// Takes the model after an optimizer step, before any expansion that follows.
    pub fn stepped(&self, model: &MoeTransformer) {
        let mut state = self.state();
        state.step += 1;
        let step = state.step;
        let growth = self.growth.as_ref();
        if growth.is_some_and(|growth| growth.at(step).is_some()) {
            state.narrow = Some(model.clone());
        }
        if !step.is_multiple_of(self.every) {
            return;
        }
        let (sum, count) = std::mem::take(&mut state.losses);
        if count > 0 {
            let loss = rounded(sum / count as f64);
            state.rows.train.push((step, loss));
            self.progress.stepped(step, loss);
        }
        if let Some(plan) = growth.and_then(|growth| growth.before(step)) {
            match probe::copy_cosine(model, plan) {
                Ok(cosine) => {
                    let cosine = cosine.map(|cosine| (step, rounded(cosine)));
                    state.rows.cosine.extend(cosine);
                }
                Err(error) => log::warn!("the copies cannot be looked at: {error}"),
            }
        }
    }

    /// Takes the callback's report of an expansion.
    pub fn expanded(&self, report: &ExpansionReport) {
        self.state().report = Some(report.clone());
    }

    /// Ends an epoch: looks at an expansion that fell on its end, and gives the rows so far.
    pub fn epoch(&self, epoch: usize, val_loss: f64) -> Rows {
        let mut state = self.state();
        let step = state.step;
        if let Some(growth) = &self.growth
            && let Some(plan) = growth.at(step)
            && let Some(narrow) = state.narrow.take()
        {
            let start = Instant::now();
            match probe::expansion(narrow.valid(), plan, step, &growth.windows) {
                Ok(mut expansion) => {
                    if let Some(report) = &state.report {
                        expansion.seconds = report.elapsed.as_secs_f64();
                    }
                    let cosine = expansion.copy_cosine.map(|cosine| (step, cosine));
                    state.rows.cosine.extend(cosine);
                    state.rows.expanded(expansion);
                }
                // The run itself would have failed on it.
                Err(error) => log::warn!("the expansion cannot be looked at: {error}"),
            }
            state.aside += start.elapsed();
        }
        let row = EpochRow {
            epoch,
            step: state.step,
            val_loss: rounded(val_loss),
            wall_s: state.wall(),
        };
        state.rows.epochs.push(row);
        state.rows.clone()
    }

    /// The optimizer steps taken.
    pub fn steps(&self) -> usize {
        self.state().step
    }

    /// The rows so far.
    pub fn rows(&self) -> Rows {
        self.state().rows.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn wall(&self) -> f64 {
        self.earlier
            + self
                .start
                .elapsed()
                .saturating_sub(self.aside)
                .as_secs_f64()
    }
}

impl fmt::Debug for Recorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recorder")
            .field("every", &self.every)
            .finish_non_exhaustive()
    }
}

/// Six decimals: what a row holds survives being written and read.
pub(crate) fn rounded(value: f64) -> f64 {
    (value * 1e6).round() / 1e6
}
