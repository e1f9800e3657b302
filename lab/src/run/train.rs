//! Trains one run from its last good checkpoint to its end.

use std::collections::BTreeSet;
use std::sync::{Arc, OnceLock};

use anyhow::{Context as _, Error, Result, anyhow};
use burn::train::checkpoint::{CheckpointingAction, CheckpointingStrategy};
use burn::train::metric::LossMetric;
use burn::train::metric::store::{Aggregate, EventStoreClient, Split};
use burn::train::{Interrupter, Learner, SupervisedTraining};
use burn_grow::Blueprint;
use burn_grow::moe::{ExpertEntropyMetric, MaxExpertShareMetric, MoeTransformer};
use burn_grow::train::{Event, Growing, WidthExpansionBuilder};

use crate::log::{End, Log, Store, rounded};
use crate::measure::probe;
use crate::run::callback::{callback, plans};
use crate::run::language_model::{LanguageModel, initial};
use crate::run::progress::Progress;
use crate::run::recorder::{Expected, Recorder};
use crate::run::silent::Silent;
use crate::run::{Run, Stop};
use crate::spec::Settings;
use crate::text::{Corpus, HeldOut, TrainLoader};

/// What all runs have in common.
pub struct Context {
    pub corpus: Arc<Corpus>,
    /// Where everything is written.
    pub store: Store,
    /// What stops all runs.
    pub stop: Arc<Stop>,
    /// Show runs on Burn's terminal dashboard.
    pub dashboard: bool,
}

/// Hears of every run that ended: its last model, and its log.
pub type Ended<'a> = dyn Fn(&Run, &MoeTransformer, &Log) -> Result<()> + Sync + 'a;

/// Keeps the last two checkpoints, and those that other runs continue from.
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

/// Trains `run` to its end, from its last good checkpoint if it has one, and tells whether it got
/// there.
///
/// `epoch_done` hears of every epoch whose log is written, `ended` of the end.
///
/// # Errors
///
/// When the run cannot be set up, fails on its way, or `ended` does.
pub(super) fn train(
    context: &Context,
    run: &Run,
    progress: Arc<Progress>,
    epoch_done: impl Fn(usize) + Send + Sync + 'static,
    ended: &Ended<'_>,
) -> Result<bool> {
    let named = || format!("run `{}`", run.label);
    // Checkpoints are checked before anything runs: Burn's own loading panics on a damaged one.
    let model = initial(run)?;
    let (epoch, log) = last_good(context, run, &model).with_context(named)?;
    progress.begin(log.steps());
    let recorder = recorder(context, run, &model, log, &progress)?;
    let model = LanguageModel {
        model,
        recorder: recorder.clone(),
    };
    let failure: Arc<OnceLock<Error>> = Arc::default();
    let callback = listen(context, run, &recorder, &failure, epoch_done)
        .build(&model)
        .with_context(named)?;
    let training = training(context, run, epoch)?;
    let optimizer = run.optimizer.build(&Blueprint::of(&model)?);
    let optimizer = optimizer.with_context(named)?;
    let learner = Learner::new(callback.wrap(model), optimizer, run.schedule());
    let result = callback.attach(training).launch(learner);

    if let Some(error) = Arc::into_inner(failure).and_then(OnceLock::into_inner) {
        return Err(error);
    }
    let failed = |error: &dyn std::fmt::Display| anyhow!("run `{}` failed: {error}", run.label);
    if let Some(error) = callback.failure() {
        return Err(failed(&error));
    }
    if let Some(error) = result.error {
        return Err(failed(&error));
    }
    if result.interrupted.is_some() {
        // The dashboard stops one run, and means all of them.
        context.stop.stop();
        progress.stop();
        return Ok(false);
    }
    if run.share.until.is_some() {
        progress.part();
        return Ok(true);
    }
    let model = result.model.into_inner().model;
    let end = finish(context, run, &model, recorder.log(), ended)?;
    progress.end(end.val_loss, end.wall_s);
    Ok(true)
}

/// Finds the last epoch whose checkpoint is whole, and the log up to there.
///
/// A run that has not begun continues from another one, if that one got far enough.
fn last_good(context: &Context, run: &Run, model: &MoeTransformer) -> Result<(Option<usize>, Log)> {
    let (store, key) = (&context.store, &run.key);
    let directory = store.run(key);
    let model = LanguageModel {
        model: model.clone(),
        recorder: Recorder::idle(),
    };
    let callback = callback(run).build(&model)?;
    let check = |epoch: usize| callback.check_checkpoint(&directory, epoch, &model);
    let log = store.log(key)?;
    for end in log.epochs.iter().rev() {
        if check(end.epoch).is_ok() {
            return Ok((Some(end.epoch), log.up_to(end.epoch)));
        }
    }
    store.clear(key)?;
    if let Some((from, epoch)) = &run.share.from
        && store.reached(from, *epoch)?
    {
        let log = store.branch(from, key, *epoch)?;
        check(*epoch)?;
        return Ok((Some(*epoch), log));
    }
    Ok((None, Log::default()))
}

/// Makes the recorder of a run, which continues `log`.
fn recorder(
    context: &Context,
    run: &Run,
    model: &MoeTransformer,
    log: Log,
    progress: &Arc<Progress>,
) -> Result<Arc<Recorder>> {
    let growth = match &run.growth {
        Some(growth) => Some(Expected {
            stages: plans(growth, Blueprint::of(model)?)?,
            windows: held_out(context, run, run.settings.valid_windows)?,
        }),
        None => None,
    };
    let every = record_every(&run.settings);
    Ok(Recorder::new(log, every, growth, progress.clone()))
}

/// Gives the callback's builder, with the recorder listening: it writes the log at every epoch.
fn listen(
    context: &Context,
    run: &Run,
    recorder: &Arc<Recorder>,
    failure: &Arc<OnceLock<Error>>,
    epoch_done: impl Fn(usize) + Send + Sync + 'static,
) -> WidthExpansionBuilder {
    let expanded = recorder.clone();
    let (recorder, failure) = (recorder.clone(), failure.clone());
    let (store, stop, key) = (context.store.clone(), context.stop.clone(), run.key.clone());
    let builder = callback(run);
    // A shared beginning ends before what is planned for the runs that go on from it.
    let builder = match run.share.until {
        Some(_) => builder.in_parts(),
        None => builder,
    };
    builder
        .on_expand(move |report, _| expanded.expanded(report))
        .on_event(move |event| {
            let Event::Epoch { epoch, metrics } = event else {
                return;
            };
            let loss = metrics.find_metric("Loss", *epoch, Aggregate::Mean, &Split::Valid);
            let log = recorder.epoch(*epoch, loss.unwrap_or(f64::NAN));
            match store.write_log(&key, &log) {
                Ok(()) => epoch_done(*epoch),
                Err(error) => {
                    let _ = failure.set(error);
                    stop.stop();
                }
            }
        })
}

/// Sets up burn-train for a run that continues after `epoch`.
fn training(
    context: &Context,
    run: &Run,
    epoch: Option<usize>,
) -> Result<SupervisedTraining<Growing<LanguageModel>>> {
    let interrupter = Interrupter::new();
    context.stop.watch(interrupter.clone());
    let train = TrainLoader::new(
        context.corpus.clone(),
        &run.settings,
        run.steps,
        epoch.unwrap_or(0),
        &run.settings.device.open()?,
    );
    let valid = held_out(context, run, run.settings.valid_windows)?;
    let directory = context.store.run(&run.key);
    let mut training = SupervisedTraining::new(directory, Arc::new(train), Arc::new(valid))
        .metric_train_numeric(LossMetric::new())
        .metric_valid_numeric(LossMetric::new())
        .metric_valid_numeric(ExpertEntropyMetric::new())
        .metric_valid_numeric(MaxExpertShareMetric::new())
        .with_default_checkpointers()
        .with_checkpointing_strategy(Keep(run.share.keep.clone()))
        .with_application_logger(None)
        .with_interrupter(interrupter)
        .label(&run.label)
        .num_epochs(run.epochs_to_do());
    if !context.dashboard {
        training = training.renderer(Box::new(Silent));
    }
    if let Some(epoch) = epoch {
        training = training.checkpoint(epoch);
    }
    Ok(training)
}

/// Measures the last model, reports the run as ended and writes its log.
fn finish(
    context: &Context,
    run: &Run,
    model: &MoeTransformer,
    mut log: Log,
    ended: &Ended<'_>,
) -> Result<End> {
    let windows = held_out(context, run, run.settings.final_windows)?;
    let end = End {
        val_loss: rounded(probe::evaluate(model, &windows)),
        wall_s: log.steady_seconds(),
    };
    log.end = Some(end);
    ended(run, model, &log)?;
    context.store.write_log(&run.key, &log)?;
    Ok(end)
}

fn held_out(context: &Context, run: &Run, windows: usize) -> Result<HeldOut> {
    let device = run.settings.device.open()?;
    let corpus = context.corpus.clone();
    Ok(HeldOut::new(corpus, &run.settings, windows, &device))
}

/// Gives the steps between two points of a curve: few enough points to draw, and a divisor of an
/// epoch, so that a resumed run writes the same ones.
fn record_every(settings: &Settings) -> usize {
    let epoch = settings.epoch_steps();
    let enough = settings.steps.div_ceil(400);
    (enough..=epoch)
        .find(|every| epoch.is_multiple_of(*every))
        .unwrap_or(epoch)
}
