//! The callback itself, and how it attaches to a training.

use std::sync::Arc;

use burn_grow_core::Growable;
use burn_train::checkpoint::CheckpointingStrategy;
use burn_train::logger::TrainingProgressLogger;
use burn_train::{EarlyStoppingStrategy, InferenceStep, SupervisedTraining, TrainStep};

use super::growing::Growing;
use super::hooks::{EpochHook, MetricCheckpointing, Never};
use super::metrics::{
    ActiveParamsMetric, CopySymmetryMetric, FlopsMetric, NewRateMetric, OldRateMetric,
    RmsDriftMetric, RmsRatioMetric, SavedFlopsMetric, WidthMetric,
};
use super::progress::Progress;
use super::reads::read_at_once;
use super::run::Run;
use crate::{Stage, TrainError};

/// Callback that widens a model at set points of a run, or when a metric says so.
///
/// In one act, [`train`](Self::train) does all that is needed:
///
/// ```
/// use burn_grow_core::Expansion;
/// use burn_grow_train::{At, WidthExpansionCallback};
/// use burn_optim::AdamWConfig;
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/doc/sine.rs"));
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let directory = tempfile::tempdir()?;
/// # let (model, training, scheduler) = (Sine::new(), training(directory.path()), scheduler()?);
/// let trained = WidthExpansionCallback::builder(TOTAL_STEPS)
///     .expand(At::fraction(0.5), Expansion::by("inner", 2.0))
///     .build(&model)?
///     .train(training, model, AdamWConfig::new(), scheduler)?;
/// let wide = trained.grown()?;
/// # assert_eq!(wide.up.weight.dims(), [1, 32]);
/// # Ok(())
/// # }
/// ```
///
/// The long form is for those who need the [`Learner`](burn_train::Learner) in their hands. Its
/// optimizer is made with [`init_asymmetric`](burn_grow_optim::AsymmetricConfig::init_asymmetric)
/// where Burn's programs write `init`, so that it can follow a re-warmup and clips gradients as its
/// configuration says:
///
/// ```
/// use burn_grow_core::Expansion;
/// use burn_grow_optim::AsymmetricConfig;
/// use burn_grow_train::{At, WidthExpansionCallback};
/// use burn_optim::AdamWConfig;
/// use burn_train::Learner;
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/doc/sine.rs"));
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let directory = tempfile::tempdir()?;
/// # let (model, training, scheduler) = (Sine::new(), training(directory.path()), scheduler()?);
/// let callback = WidthExpansionCallback::builder(TOTAL_STEPS)
///     .expand(At::fraction(0.5), Expansion::by("inner", 2.0))
///     .build(&model)?;
/// let optim = AdamWConfig::new().init_asymmetric();
/// let learner = Learner::new(callback.wrap(model), optim, scheduler);
/// let result = callback.attach(training).launch(learner);
/// let wide = result.model.grown()?;
/// # assert_eq!(wide.up.weight.dims(), [1, 32]);
/// # Ok(())
/// # }
/// ```
///
/// One callback serves one run at a time. It may be attached again, for instance to resume after a
/// failure.
#[derive(Clone, Debug)]
pub struct WidthExpansionCallback {
    pub(crate) run: Arc<Run>,
}

impl WidthExpansionCallback {
    /// Wraps `model` so that it widens while it trains. It trains in a training that the callback
    /// is [attached](Self::attach) to, and nowhere else.
    pub fn wrap<M: Growable>(&self, model: M) -> Growing<M> {
        Growing::new(model, self.run.clone())
    }

    /// Attaches the callback to `training`: to its progress log, its metrics, its end-of-epoch
    /// hook, and the handle that stops it. From then on, what this program reads from a device is
    /// copied at once, without which Burn 0.22.1 saves wrong checkpoints there.
    ///
    /// Registered metrics are the width of every axis and the active parameters; the FLOPs if the
    /// tokens of a step are known; the learning rates of old and new coordinates under a re-warmup;
    /// and those that [`copy_metrics`](crate::WidthExpansionBuilder::copy_metrics) asks for.
    ///
    /// burn-train has one progress logger and one early stopping: give your own to
    /// [`attach_with`](Self::attach_with). Give an interrupter of your own to the training before
    /// you attach. A trigger that watches a metric also needs
    /// [`checkpointing`](Self::checkpointing).
    pub fn attach<M>(
        &self,
        training: SupervisedTraining<Growing<M>>,
    ) -> SupervisedTraining<Growing<M>>
    where
        M: TrainStep + InferenceStep + Growable + core::fmt::Display + 'static,
    {
        self.attach_with(training, None, Never)
    }

    /// Attaches as [`attach`](Self::attach) does, with a progress logger and an early stopping
    /// strategy of your own.
    pub fn attach_with<M, S>(
        &self,
        training: SupervisedTraining<Growing<M>>,
        progress: Option<Box<dyn TrainingProgressLogger>>,
        early_stopping: S,
    ) -> SupervisedTraining<Growing<M>>
    where
        M: TrainStep + InferenceStep + Growable + core::fmt::Display + 'static,
        S: EarlyStoppingStrategy + Clone + Send + Sync + 'static,
    {
        read_at_once();
        let run = &self.run;
        let decisions = &run.decisions;
        run.begin(training.interrupter());
        let mut training = training
            .with_progress_logger(Progress {
                run: run.clone(),
                next: progress,
            })
            .early_stopping(EpochHook {
                run: run.clone(),
                early_stopping,
            })
            .metric_train_numeric(ActiveParamsMetric::new(run.clone()));
        for axis in decisions.widths.keys() {
            training = training.metric_train_numeric(WidthMetric::new(run.clone(), axis.clone()));
        }
        if decisions.tokens_per_step.is_some() {
            training = training
                .metric_train_numeric(FlopsMetric::new(run.clone()))
                .metric_train_numeric(SavedFlopsMetric::new(run.clone()));
        }
        if decisions.rewarms() {
            training = training
                .metric_train_numeric(OldRateMetric::new(run.clone()))
                .metric_train_numeric(NewRateMetric::new(run.clone()));
        }
        if decisions.copy_metrics {
            training = training
                .metric_valid_numeric(CopySymmetryMetric::new(run.clone()))
                .metric_valid_numeric(RmsDriftMetric::new(run.clone()))
                .metric_valid_numeric(RmsRatioMetric::new(run.clone()));
        }
        training
    }

    /// Wraps a checkpointing strategy so that checkpoints hold the metrics that triggers watch.
    ///
    /// burn-train saves the checkpoint of an epoch before it calls the end-of-epoch hook. Without
    /// this, a resumed run would not know the metrics of the epoch it goes on from, so a run with a
    /// trigger that watches a metric stops at its first checkpoint.
    ///
    /// ```
    /// # use burn_grow_core::Expansion;
    /// # use burn_grow_train::{At, Growing, WidthExpansionCallback};
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/doc/sine.rs"));
    /// use burn_train::checkpoint::KeepLastNCheckpoints;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let directory = tempfile::tempdir()?;
    /// # let callback = WidthExpansionCallback::builder(TOTAL_STEPS)
    /// #     .expand(At::plateau("Loss", 2), Expansion::by("inner", 2.0))
    /// #     .build(&Sine::new())?;
    /// # let training = training::<Growing<Sine>>(directory.path());
    /// let strategy = callback.checkpointing(KeepLastNCheckpoints::new(2));
    /// let training = training.with_checkpointing_strategy(strategy);
    /// # let _ = training;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// [`train`](Self::train) does so by itself.
    pub fn checkpointing<S: CheckpointingStrategy>(&self, strategy: S) -> MetricCheckpointing<S> {
        MetricCheckpointing {
            run: self.run.clone(),
            strategy,
        }
    }

    /// Returns the planned expansions, in order. Print one to see all that it does.
    pub fn stages(&self) -> impl Iterator<Item = Stage<'_>> {
        self.run.decisions.stages()
    }

    /// Returns why the callback stopped the last run, if it did: a training it was not attached to,
    /// an optimizer that cannot follow, an expansion that failed, a model that turned NaN, a device
    /// that went away, a metric or a hook that was missing, or a line of the log that could not be
    /// written.
    ///
    /// The model is left as it was then.
    pub fn failure(&self) -> Option<Arc<TrainError>> {
        self.run.failure()
    }
}
