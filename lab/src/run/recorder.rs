//! What is written down while a run trains.

use core::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use burn::module::Module;
use burn_grow::Plan;
use burn_grow::moe::MoeTransformer;
use burn_grow::train::ExpansionReport;

use crate::log::{Epoch, Log, rounded};
use crate::measure::probe;
use crate::run::progress::Progress;
use crate::text::HeldOut;

/// The expansions that a [`Recorder`] measures.
#[derive(Clone)]
pub struct Expected {
    /// Optimizer steps before each of them, and its plan.
    pub stages: Vec<(usize, Plan)>,
    /// Text to measure them on.
    pub windows: HeldOut,
}

impl Expected {
    /// Gives the expansion after that step.
    fn at(&self, step: usize) -> Option<&Plan> {
        let (_, plan) = self.stages.iter().find(|(at, _)| *at == step)?;
        Some(plan)
    }

    /// Gives the last expansion before that step.
    fn before(&self, step: usize) -> Option<&Plan> {
        let (_, plan) = self.stages.iter().rev().find(|(at, _)| *at < step)?;
        Some(plan)
    }
}

/// Writes down what happens on the training thread of one run.
///
/// The model hands it every loss and every step; it decides nothing.
pub struct Recorder {
    /// A point is written every so many steps, which divide an epoch.
    every: usize,
    growth: Option<Expected>,
    progress: Arc<Progress>,
    state: Mutex<State>,
}

struct State {
    log: Log,
    step: usize,
    /// Losses since the last point.
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
    /// Makes a recorder that continues `log`.
    pub fn new(
        log: Log,
        every: usize,
        growth: Option<Expected>,
        progress: Arc<Progress>,
    ) -> Arc<Self> {
        let earlier = log.epochs.last().map_or(0.0, |epoch| epoch.wall_s);
        Arc::new(Self {
            every,
            growth,
            progress,
            state: Mutex::new(State {
                step: log.steps(),
                log,
                losses: (0.0, 0),
                narrow: None,
                report: None,
                earlier,
                start: Instant::now(),
                aside: Duration::ZERO,
            }),
        })
    }

    /// Makes a recorder for a model that is only looked at.
    pub fn idle() -> Arc<Self> {
        Self::new(Log::default(), 1, None, Arc::new(Progress::silent()))
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
            state.log.train.push((step, loss));
            self.progress.stepped(step, loss);
        }
        if let Some(plan) = growth.and_then(|growth| growth.before(step)) {
            match probe::copy_cosine(model, plan) {
                Ok(cosine) => {
                    let cosine = cosine.map(|cosine| (step, rounded(cosine)));
                    state.log.cosine.extend(cosine);
                }
                Err(error) => log::warn!("the copies cannot be compared: {error}"),
            }
        }
    }

    /// Takes the callback's report of an expansion.
    pub fn expanded(&self, report: &ExpansionReport) {
        self.state().report = Some(report.clone());
    }

    /// Ends an epoch: measures an expansion that fell on its end, and gives the log so far.
    pub fn epoch(&self, epoch: usize, val_loss: f64) -> Log {
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
                    state.log.cosine.extend(cosine);
                    state.log.expansions.push(expansion);
                }
                // The run itself would have failed on it.
                Err(error) => log::warn!("the expansion cannot be measured: {error}"),
            }
            state.aside += start.elapsed();
        }
        let end = Epoch {
            epoch,
            step: state.step,
            val_loss: rounded(val_loss),
            wall_s: state.wall(),
        };
        self.progress.epoch(step, end.val_loss, end.wall_s);
        state.log.epochs.push(end);
        state.log.clone()
    }

    /// Gives the log so far.
    pub fn log(&self) -> Log {
        self.state().log.clone()
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
