use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use burn_grow_core::{Blueprint, Expansion, Growable, Plan};
use burn_grow_optim::{Age, OptimError, Rewarmup, RewarmupSchedule, RewarmupScope, StatePolicy};
use burn_train::logger::TrainingProgressLogger;
use burn_train::{EarlyStoppingStrategy, InferenceStep, SupervisedTraining, TrainStep};

use crate::event::{EpochHook, Never, Progress};
use crate::metric::{ActiveParamsMetric, WidthMetric};
use crate::run::{OnEvent, OnExpand, Run, Stage};
use crate::{At, Clock, Event, ExpansionReport, Progressive, TrainError};

/// Widens a model at set points of a run.
///
/// ```text
/// let callback = WidthExpansionCallback::builder(total_steps)
///     .expand(At::fraction(0.5), Expansion::by("inner", 2.0))
///     .rewarmup(Rewarmup::cosine(min_lr))
///     .build(&model)?;
/// let learner = Learner::new(callback.progressive(model), optim, scheduler);
/// let result = callback.attach(training).launch(learner);
/// let model = result.model.into_inner();
/// ```
#[derive(Clone, Debug)]
pub struct WidthExpansionCallback {
    pub(crate) run: Arc<Run>,
}

/// Collects what a [`WidthExpansionCallback`] does.
pub struct WidthExpansionBuilder {
    total_steps: usize,
    expansions: Vec<(At, Expansion)>,
    rewarmup: Option<Rewarmup>,
    policy: StatePolicy,
    on_expand: Vec<OnExpand>,
    on_event: Vec<OnEvent>,
}

impl WidthExpansionBuilder {
    /// Expands the model once more; in any order.
    pub fn expand(mut self, at: At, expansion: Expansion) -> Self {
        self.expansions.push((at, expansion));
        self
    }

    /// Re-warms the learning rate of the new coordinates after every expansion. The optimizer then
    /// has to be [`Asymmetric`](burn_grow_optim::Asymmetric).
    pub fn rewarmup(mut self, rewarmup: Rewarmup) -> Self {
        self.rewarmup = Some(rewarmup);
        self
    }

    /// Sets what becomes of the optimizer state, kept and zeroed by default.
    pub fn state(mut self, policy: StatePolicy) -> Self {
        self.policy = policy;
        self
    }

    /// Calls `hook` after every expansion, on the training thread.
    pub fn on_expand(mut self, hook: impl Fn(&ExpansionReport) + Send + Sync + 'static) -> Self {
        self.on_expand.push(Box::new(hook));
        self
    }

    /// Calls `observer` on every [`Event`] of an attached training.
    pub fn on_event(mut self, observer: impl Fn(&Event<'_>) + Send + Sync + 'static) -> Self {
        self.on_event.push(Box::new(observer));
        self
    }

    /// Plans every expansion on `model`, the narrow model that the run begins with.
    ///
    /// # Errors
    ///
    /// When the model cannot be described, a trigger is not within the run, or an expansion cannot
    /// be planned. Every mistake that can be known before the run is found here.
    pub fn build<M: Growable>(self, model: &M) -> Result<WidthExpansionCallback, TrainError> {
        if let Some(rewarmup) = &self.rewarmup {
            check_rewarmup(rewarmup, self.policy)?;
        }
        let mut expansions = Vec::new();
        for (at, expansion) in self.expansions {
            expansions.push((at.resolve(self.total_steps)?, expansion));
        }
        // Stable: expansions at the same step come in the order they were added.
        expansions.sort_by_key(|(step, _)| *step);
        let narrow = Blueprint::of(model)?;
        let (widths, active_params) = (narrow.widths().clone(), narrow.active_params());
        let mut blueprint = narrow;
        let mut stages = Vec::new();
        for (stage, (step, expansion)) in expansions.into_iter().enumerate() {
            let plan = Plan::new(&blueprint, &expansion)
                .map_err(|source| TrainError::Expansion { stage, source })?;
            blueprint = blueprint.expanded(&plan);
            stages.push(Stage { step, plan });
        }
        let run = Run {
            total_steps: self.total_steps,
            stages,
            widths,
            active_params,
            policy: self.policy,
            rewarmup: self.rewarmup,
            on_expand: self.on_expand,
            on_event: self.on_event,
            interrupter: Mutex::new(None),
            clock: Mutex::new(Clock::default()),
            failure: OnceLock::new(),
            optimizer_checked: OnceLock::new(),
        };
        Ok(WidthExpansionCallback { run: Arc::new(run) })
    }
}

fn check_rewarmup(rewarmup: &Rewarmup, policy: StatePolicy) -> Result<(), TrainError> {
    let mut settings = BTreeMap::from([("rho", rewarmup.rho)]);
    match rewarmup.schedule {
        RewarmupSchedule::Proportional => {}
        RewarmupSchedule::Cosine { min_lr } => {
            settings.insert("min_lr", min_lr);
        }
        RewarmupSchedule::Remapped {
            peak,
            min_lr,
            progress,
            within,
        } => {
            settings.extend([("peak", peak), ("min_lr", min_lr), ("within", within)]);
            settings.insert("progress", progress.unwrap_or(0.0));
        }
    }
    if let Age::Own { beta_1, beta_2 } = rewarmup.age {
        settings.extend([("beta_1", beta_1), ("beta_2", beta_2)]);
        if rewarmup.scope != RewarmupScope::NewCoordinates || policy != StatePolicy::KeepAndZero {
            let scope = rewarmup.scope;
            return Err(OptimError::OwnAge { scope, policy }.into());
        }
    }
    match settings
        .into_iter()
        .find(|(_, value)| !value.is_finite() || *value < 0.0)
    {
        Some((name, found)) => Err(TrainError::Rewarmup { name, found }),
        None => Ok(()),
    }
}

impl WidthExpansionCallback {
    /// A callback for a run of `total_steps` optimizer steps.
    pub fn builder(total_steps: usize) -> WidthExpansionBuilder {
        WidthExpansionBuilder {
            total_steps,
            expansions: Vec::new(),
            rewarmup: None,
            policy: StatePolicy::default(),
            on_expand: Vec::new(),
            on_event: Vec::new(),
        }
    }

    /// Wraps `model` so that it widens while it trains.
    pub fn progressive<M: Growable>(&self, model: M) -> Progressive<M> {
        Progressive::new(model, self.run.clone())
    }

    /// Registers with the learner events of `training`: its progress log, its metrics (the width of
    /// every axis, the active parameters), its end-of-epoch hook, and the handle that stops it.
    ///
    /// burn-train has one progress logger and one early stopping; give your own to
    /// [`attach_with`](Self::attach_with).
    pub fn attach<M>(
        &self,
        training: SupervisedTraining<Progressive<M>>,
    ) -> SupervisedTraining<Progressive<M>>
    where
        M: TrainStep + InferenceStep + Growable + core::fmt::Display + 'static,
    {
        self.attach_with(training, None, Never)
    }

    /// Like [`attach`](Self::attach), composed with a progress logger and an early stopping strategy
    /// of your own.
    pub fn attach_with<M, S>(
        &self,
        training: SupervisedTraining<Progressive<M>>,
        progress: Option<Box<dyn TrainingProgressLogger>>,
        early_stopping: S,
    ) -> SupervisedTraining<Progressive<M>>
    where
        M: TrainStep + InferenceStep + Growable + core::fmt::Display + 'static,
        S: EarlyStoppingStrategy + Clone + Send + Sync + 'static,
    {
        let run = &self.run;
        *run.interrupter
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Some(training.interrupter());
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
        for axis in run.widths.keys() {
            training = training.metric_train_numeric(WidthMetric::new(run.clone(), axis.clone()));
        }
        training
    }

    /// The planned expansions: after how many optimizer steps, and what they do.
    pub fn stages(&self) -> impl Iterator<Item = (usize, &Plan)> {
        self.run
            .stages
            .iter()
            .map(|stage| (stage.step, &stage.plan))
    }

    /// Why the run was stopped, if an expansion failed.
    pub fn failure(&self) -> Option<Arc<TrainError>> {
        self.run.failure.get().cloned()
    }
}
