//! One arm.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use burn::train::checkpoint::{CheckpointingAction, CheckpointingStrategy};
use burn::train::metric::LossMetric;
use burn::train::metric::store::{Aggregate, EventStoreClient, Split};
use burn::train::{Interrupter, Learner, SupervisedTraining};
use burn_grow::moe::{ExpertEntropyMetric, MaxExpertShareMetric};
use burn_grow::{
    At, Blueprint, Event, Plan, TrainError, WidthExpansionBuilder, WidthExpansionCallback,
};

use crate::arm::{Arm, ArmName, Sizes};
use crate::config::Settings;
use crate::corpus::Corpus;
use crate::error::DemoError;
use crate::language_model::{LanguageModel, initial};
use crate::loader::{HeldOut, TrainLoader};
use crate::probe;
use crate::progress::Progress;
use crate::recorder::{Growth, Recorder, rounded};
use crate::silent::Silent;
use crate::store::{End, Rows, Store};

/// What all arms of a run share.
pub struct Context {
    /// The settings.
    pub settings: Settings,
    /// The sizes of the models.
    pub sizes: Sizes,
    /// The text.
    pub corpus: Arc<Corpus>,
    /// Where everything is written.
    pub store: Store,
    /// What stops every arm.
    pub stop: Arc<Stop>,
    /// Whether an arm shows itself on Burn's terminal dashboard.
    pub dashboard: bool,
}

/// Stops every arm of a run.
#[derive(Default)]
pub struct Stop {
    stopped: AtomicBool,
    running: Mutex<Vec<Interrupter>>,
}

impl Stop {
    /// Stops what runs, and what would begin.
    pub fn stop(&self) {
        self.stopped.store(true, Ordering::SeqCst);
        for interrupter in self.running().iter() {
            interrupter.stop(Some("stopped by the user"));
        }
    }

    /// Whether it was called.
    pub fn stopped(&self) -> bool {
        self.stopped.load(Ordering::SeqCst)
    }

    fn watch(&self, interrupter: Interrupter) {
        if self.stopped() {
            interrupter.stop(Some("stopped by the user"));
        }
        self.running().push(interrupter);
    }

    fn running(&self) -> std::sync::MutexGuard<'_, Vec<Interrupter>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Keeps the last two checkpoints, and one that others branch from.
struct Keep {
    branch: usize,
}

impl CheckpointingStrategy for Keep {
    fn checkpointing(&mut self, epoch: usize, _: &EventStoreClient) -> Vec<CheckpointingAction> {
        let mut actions = vec![CheckpointingAction::Save];
        match epoch.checked_sub(2) {
            Some(old) if old > 0 && old != self.branch => {
                actions.push(CheckpointingAction::Delete(old));
            }
            _ => {}
        }
        actions
    }
}

/// Runs `arm` to its end, from its last good checkpoint if it has one, and says whether it got there.
///
/// `epoch_done` hears of every epoch whose rows are written.
///
/// # Errors
///
/// When the arm cannot be set up, or fails on its way.
pub fn run(
    context: &Context,
    arm: &'static Arm,
    progress: Arc<Progress>,
    epoch_done: impl Fn(usize) + Send + Sync + 'static,
) -> Result<bool, DemoError> {
    let Context {
        settings, sizes, ..
    } = context;
    let device = settings.device.open()?;
    let held_out = |windows| HeldOut::new(context.corpus.clone(), settings, windows, &device);
    let trained = |source: TrainError| DemoError::Train {
        arm: arm.name,
        source,
    };

    // A checkpoint is checked before anything runs: Burn's own loading panics on a damaged one.
    let mut model = LanguageModel {
        model: initial(settings, arm.wide)?,
        recorder: Recorder::idle(),
    };
    let plain = callback(settings, sizes, arm)
        .build(&model)
        .map_err(trained)?;
    let (epoch, rows) = last_good(context, arm, &plain, &model)?;
    let valid = held_out(settings.valid_windows);
    let growth = match arm.expansion(settings) {
        Some(expansion) => Some(Growth {
            at: settings.expand_at(),
            plan: Plan::new(&Blueprint::of(&model.model)?, &expansion)?,
            windows: valid.clone(),
        }),
        None => None,
    };
    progress.begin(rows.steps());
    let every = row_every(settings);
    let recorder = Recorder::new(rows, every, growth, progress.clone());
    model.recorder = recorder.clone();

    let failure: Arc<OnceLock<DemoError>> = Arc::default();
    let callback = callback(settings, sizes, arm)
        .on_expand({
            let recorder = recorder.clone();
            move |report| recorder.expanded(report)
        })
        .on_event({
            let (recorder, store) = (recorder.clone(), context.store.clone());
            let (failure, stop) = (failure.clone(), context.stop.clone());
            move |event| {
                let Event::Epoch { epoch, metrics } = event else {
                    return;
                };
                let loss = metrics.find_metric("Loss", *epoch, Aggregate::Mean, &Split::Valid);
                let rows = recorder.epoch(*epoch, loss.unwrap_or(f64::NAN));
                match store.write_rows(arm.name, &rows) {
                    Ok(()) => epoch_done(*epoch),
                    Err(error) => {
                        let _ = failure.set(error);
                        stop.stop();
                    }
                }
            }
        })
        .build(&model)
        .map_err(trained)?;

    let interrupter = Interrupter::new();
    context.stop.watch(interrupter.clone());
    let steps = arm.steps(settings, sizes);
    let train = TrainLoader::new(
        context.corpus.clone(),
        settings,
        steps,
        epoch.unwrap_or(0),
        &device,
    );
    let mut training = SupervisedTraining::new(
        context.store.arm(arm.name),
        Arc::new(train),
        Arc::new(valid),
    )
    .metric_train_numeric(LossMetric::new())
    .metric_valid_numeric(LossMetric::new())
    .metric_valid_numeric(ExpertEntropyMetric::new())
    .metric_valid_numeric(MaxExpertShareMetric::new())
    .with_default_checkpointers()
    .with_checkpointing_strategy(Keep {
        branch: settings.shared_epochs(),
    })
    .with_application_logger(None)
    .with_interrupter(interrupter)
    .label(arm.name.as_str())
    .num_epochs(arm.epochs(settings, sizes));
    if !context.dashboard {
        training = training.renderer(Box::new(Silent));
    }
    if let Some(epoch) = epoch {
        training = training.checkpoint(epoch);
    }
    let optim = settings.optimizer.build();
    let schedule = arm.schedule(settings, sizes);
    let learner = Learner::new(callback.progressive(model), optim, schedule);
    let result = callback.attach(training).launch(learner);

    if let Some(error) = Arc::into_inner(failure).and_then(OnceLock::into_inner) {
        return Err(error);
    }
    let failed = |message: String| DemoError::Arm {
        arm: arm.name,
        message,
    };
    if let Some(error) = callback.failure() {
        return Err(failed(error.to_string()));
    }
    if let Some(error) = result.error {
        return Err(failed(error.to_string()));
    }
    if result.interrupted.is_some() {
        // The dashboard stops one arm, and means the run.
        context.stop.stop();
        progress.stop();
        return Ok(false);
    }
    let wall_s = recorder.wall();
    let model = result.model.into_inner().model;
    let end = End {
        val_loss: rounded(probe::evaluate(&model, &held_out(settings.final_windows))),
        wall_s,
    };
    let mut rows = recorder.rows();
    rows.end = Some(end);
    context.store.write_rows(arm.name, &rows)?;
    progress.end(end.val_loss, end.wall_s);
    Ok(true)
}

/// What grows when, before anyone listens.
pub(crate) fn callback(settings: &Settings, sizes: &Sizes, arm: &Arm) -> WidthExpansionBuilder {
    let mut builder = WidthExpansionCallback::builder(arm.steps(settings, sizes));
    if let (Some(grown), Some(expansion)) = (&arm.growth, arm.expansion(settings)) {
        builder = builder
            .expand(At::step(settings.expand_at()), expansion)
            .state(grown.state);
        if let Some(rewarmup) = grown.rewarmup(settings, &arm.schedule(settings, sizes)) {
            builder = builder.rewarmup(rewarmup);
        }
    }
    builder
}

/// The last epoch whose checkpoint is whole, and the rows up to there.
///
/// An arm that grows and has not begun goes on from the small one, if that is part of the run.
fn last_good(
    context: &Context,
    arm: &Arm,
    callback: &WidthExpansionCallback,
    model: &LanguageModel,
) -> Result<(Option<usize>, Rows), DemoError> {
    let Context {
        settings, store, ..
    } = context;
    let directory = store.arm(arm.name);
    let good = |epoch: usize| callback.check_checkpoint(&directory, epoch, model);
    let rows = store.rows(arm.name)?;
    for row in rows.epochs.iter().rev() {
        if good(row.epoch).is_ok() {
            return Ok((Some(row.epoch), rows.up_to(row.epoch)));
        }
    }
    store.clear(arm.name)?;
    if arm.growth.is_some() && settings.arms.contains(&ArmName::Small) {
        let epoch = settings.shared_epochs();
        let rows = store.branch(ArmName::Small, arm.name, epoch)?;
        good(epoch).map_err(|source| DemoError::Train {
            arm: arm.name,
            source,
        })?;
        return Ok((Some(epoch), rows));
    }
    Ok((None, Rows::default()))
}

/// The steps between two rows: few enough rows to draw, and a divisor of an epoch, so that a resumed run
/// writes the same ones.
fn row_every(settings: &Settings) -> usize {
    let epoch = settings.epoch_steps();
    let enough = settings.steps.div_ceil(400);
    (enough..=epoch)
        .find(|every| epoch.is_multiple_of(*every))
        .unwrap_or(epoch)
}
