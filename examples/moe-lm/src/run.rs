//! One run.

use std::collections::BTreeSet;
use std::sync::{Arc, OnceLock};

use burn::train::checkpoint::{CheckpointingAction, CheckpointingStrategy};
use burn::train::metric::LossMetric;
use burn::train::metric::store::{Aggregate, EventStoreClient, Split};
use burn::train::{Interrupter, Learner, SupervisedTraining};
use burn_grow::moe::{ExpertEntropyMetric, MaxExpertShareMetric};
use burn_grow::train::{Event, WidthExpansionBuilder};
use burn_grow::{At, Blueprint, Plan, TrainError, WidthExpansionCallback};

use crate::config::Settings;
use crate::corpus::Corpus;
use crate::error::DemoError;
use crate::job::{Job, Listed};
use crate::language_model::{LanguageModel, initial};
use crate::loader::{HeldOut, TrainLoader};
use crate::probe;
use crate::progress::Progress;
use crate::queue::Ended;
use crate::recorder::{Growth, Recorder, rounded};
use crate::silent::Silent;
use crate::stop::Stop;
use crate::store::{End, Rows, Store};
use crate::unit::{Growing, Unit};

/// What all runs share.
pub struct Context {
    /// The text.
    pub corpus: Arc<Corpus>,
    /// Where everything is written.
    pub store: Store,
    /// What stops every run.
    pub stop: Arc<Stop>,
    /// Whether a run shows itself on Burn's terminal dashboard.
    pub dashboard: bool,
}

/// Keeps the last two checkpoints, and those that others branch from.
struct Keep(BTreeSet<usize>);

impl CheckpointingStrategy for Keep {
    fn checkpointing(&mut self, epoch: usize, _: &EventStoreClient) -> Vec<CheckpointingAction> {
        let mut actions = vec![CheckpointingAction::Save];
        match epoch.checked_sub(2) {
            Some(old) if old > 0 && !self.0.contains(&old) => {
                actions.push(CheckpointingAction::Delete(old));
            }
            _ => {}
        }
        actions
    }
}

/// Does `job` to its end, from its last good checkpoint if it has one, and says whether it got there.
///
/// `epoch_done` hears of every epoch whose rows are written, `ended` of the end.
///
/// # Errors
///
/// When the run cannot be set up, fails on its way, or `ended` does.
pub fn run(
    context: &Context,
    job: &Job,
    progress: Arc<Progress>,
    epoch_done: impl Fn(usize) + Send + Sync + 'static,
    ended: &Ended<'_>,
) -> Result<bool, DemoError> {
    let Listed {
        unit, key, label, ..
    } = &job.listed;
    let settings = &unit.settings;
    let device = settings.device.open()?;
    let held_out = |windows| HeldOut::new(context.corpus.clone(), settings, windows, &device);
    let trained = |source: TrainError| DemoError::Train {
        arm: label.clone(),
        source: Box::new(source),
    };

    // A checkpoint is checked before anything runs: Burn's own loading panics on a damaged one.
    let mut model = LanguageModel {
        model: initial(unit)?,
        recorder: Recorder::idle(),
    };
    let plain = callback(unit).build(&model).map_err(trained)?;
    let (epoch, rows) = last_good(context, job, &plain, &model)?;
    let valid = held_out(settings.valid_windows);
    let growth = match &unit.growth {
        Some(growing) => Some(Growth {
            stages: plans(growing, Blueprint::of(&model.model)?)?,
            windows: valid.clone(),
        }),
        None => None,
    };
    progress.begin(rows.steps());
    let every = row_every(settings);
    let recorder = Recorder::new(rows, every, growth, progress.clone());
    model.recorder = recorder.clone();

    let failure: Arc<OnceLock<DemoError>> = Arc::default();
    let callback = callback(unit)
        .on_expand({
            let recorder = recorder.clone();
            move |report| recorder.expanded(report)
        })
        .on_event({
            let (recorder, store) = (recorder.clone(), context.store.clone());
            let (failure, stop, key) = (failure.clone(), context.stop.clone(), key.clone());
            move |event| {
                let Event::Epoch { epoch, metrics } = event else {
                    return;
                };
                let loss = metrics.find_metric("Loss", *epoch, Aggregate::Mean, &Split::Valid);
                let rows = recorder.epoch(*epoch, loss.unwrap_or(f64::NAN));
                match store.write_rows(&key, &rows) {
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
    let train = TrainLoader::new(
        context.corpus.clone(),
        settings,
        unit.steps,
        epoch.unwrap_or(0),
        &device,
    );
    let mut training =
        SupervisedTraining::new(context.store.run(key), Arc::new(train), Arc::new(valid))
            .metric_train_numeric(LossMetric::new())
            .metric_valid_numeric(LossMetric::new())
            .metric_valid_numeric(ExpertEntropyMetric::new())
            .metric_valid_numeric(MaxExpertShareMetric::new())
            .with_default_checkpointers()
            .with_checkpointing_strategy(Keep(job.keep.clone()))
            .with_application_logger(None)
            .with_interrupter(interrupter)
            .label(label)
            .num_epochs(job.epochs());
    if !context.dashboard {
        training = training.renderer(Box::new(Silent));
    }
    if let Some(epoch) = epoch {
        training = training.checkpoint(epoch);
    }
    let optim = unit.optimizer.build();
    let learner = Learner::new(callback.wrap(model), optim, unit.schedule());
    let result = callback.attach(training).launch(learner);

    if let Some(error) = Arc::into_inner(failure).and_then(OnceLock::into_inner) {
        return Err(error);
    }
    let failed = |message: String| DemoError::Arm {
        arm: label.clone(),
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
    if job.until.is_some() {
        progress.part();
        return Ok(true);
    }
    let mut rows = recorder.rows();
    let wall_s = rows.steady_seconds();
    let model = result.model.into_inner().model;
    let end = End {
        val_loss: rounded(probe::evaluate(&model, &held_out(settings.final_windows))),
        wall_s,
    };
    rows.end = Some(end);
    ended(job, &model, &rows)?;
    context.store.write_rows(key, &rows)?;
    progress.end(end.val_loss, end.wall_s);
    Ok(true)
}

/// What grows when, before anyone listens.
pub fn callback(unit: &Unit) -> WidthExpansionBuilder {
    let mut builder = WidthExpansionCallback::builder(unit.steps);
    if let Some(growing) = &unit.growth {
        for (at, expansion) in &growing.stages {
            let growth = burn_grow::Growth {
                expansion: expansion.clone(),
                state: growing.state.into(),
                rewarmup: growing.rewarmup.clone(),
            };
            builder = builder.expand(At::step(*at), growth);
        }
    }
    builder
}

/// What each expansion does, the first one to a model like `blueprint`.
fn plans(growing: &Growing, mut blueprint: Blueprint) -> Result<Vec<(usize, Plan)>, DemoError> {
    let mut plans = Vec::new();
    for (at, expansion) in &growing.stages {
        let plan = Plan::new(&blueprint, expansion)?;
        blueprint = blueprint.expanded(&plan);
        plans.push((*at, plan));
    }
    Ok(plans)
}

/// The last epoch whose checkpoint is whole, and the rows up to there.
///
/// A run that has not begun goes on from another one, if that got there.
fn last_good(
    context: &Context,
    job: &Job,
    callback: &WidthExpansionCallback,
    model: &LanguageModel,
) -> Result<(Option<usize>, Rows), DemoError> {
    let (store, key) = (&context.store, &job.listed.key);
    let directory = store.run(key);
    let good = |epoch: usize| callback.check_checkpoint(&directory, epoch, model);
    let rows = store.rows(key)?;
    for row in rows.epochs.iter().rev() {
        if good(row.epoch).is_ok() {
            return Ok((Some(row.epoch), rows.up_to(row.epoch)));
        }
    }
    store.clear(key)?;
    if let Some((from, epoch)) = &job.branch
        && store.reached(from, *epoch)?
    {
        let rows = store.branch(from, key, *epoch)?;
        good(*epoch).map_err(|source| DemoError::Train {
            arm: job.listed.label.clone(),
            source: Box::new(source),
        })?;
        return Ok((Some(*epoch), rows));
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
