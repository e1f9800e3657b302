//! Growth in a training loop of one's own, without burn-train's `Learner`.

use std::fs;
use std::path::Path;

use burn_core::store::ModuleRecord;
use burn_core::tensor::Device;
use burn_grow_core::{Growable, Plan};
use burn_optim::{LearningRate, ModuleOptimizer, OptimizerRecord};

use super::attach::WidthExpansionCallback;
use super::decisions::Rates;
use super::resume::{Resumed, newest_good};
use crate::checkpoint::{
    CheckpointError, Files, Pages, Recorded, State, at, check_values, checkpoints, discard_after,
    encode,
};
use crate::growth::{check_rates, check_state};
use crate::monitor::check_nan;
use crate::trigger::EpochRecord;
use crate::{Position, TrainError, WatchedMetric};

/// Expands a model in a training loop of your own, as a
/// [`Learner`](burn_train::Learner) under the callback would: same steps, same bits.
///
/// Made by [`WidthExpansionCallback::growth_loop`]. It counts optimizer steps, expands model and
/// optimizer together when an expansion is due, and saves and resumes them. Where several models
/// train together, each that grows has a callback and a loop.
///
/// ```
/// use burn_grow_core::Expansion;
/// use burn_grow_optim::AsymmetricConfig;
/// use burn_grow_train::{At, WidthExpansionCallback};
/// use burn_optim::{AdamWConfig, GradientsParams};
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/doc/sine.rs"));
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let temporary = tempfile::tempdir()?;
/// # let directory = temporary.path();
/// # let x = Tensor::<2>::from_data([[0.0], [0.5], [1.0]], &Device::flex().autodiff());
/// # let batches = vec![x; 8];
/// # let mut model = Sine::new();
/// let callback = WidthExpansionCallback::builder(TOTAL_STEPS)
///     .expand(At::fraction(0.5), Expansion::by("inner", 2.0))
///     .build(&model)?;
/// let mut optim = AdamWConfig::new().init_asymmetric();
/// let mut growth = callback.growth_loop()?;
///
/// let resumed = growth.resume(directory, &mut model, &mut optim)?;
/// let first = resumed.map_or(1, |resumed| resumed.epoch + 1);
/// let lr = 1e-2;
/// for epoch in first..=4 {
///     for x in batches.clone() {
///         let grads = GradientsParams::from_grads(model.regress(x).loss.backward(), &model);
///         model = optim.step(lr, model, grads);
///         growth.step(lr, &mut model, &mut optim)?;
///     }
///     growth.save(directory, epoch, &model, &optim)?;
/// }
/// if let Some(shortfall) = growth.shortfall() {
///     return Err(shortfall.into());
/// }
/// # assert_eq!(model.up.weight.dims(), [1, 32]);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct GrowthLoop {
    pub(super) callback: WidthExpansionCallback,
    state: State,
    rates: Rates,
    rates_checked: bool,
    state_checked: bool,
}

impl WidthExpansionCallback {
    /// Begins a training loop of your own, without a [`Learner`](burn_train::Learner).
    ///
    /// # Errors
    ///
    /// [`TrainError::NeedsAttach`] when the builder was asked for something that burn-train's
    /// events and metrics do: `on_event` or `copy_metrics`.
    pub fn growth_loop(&self) -> Result<GrowthLoop, TrainError> {
        if !self.run.decisions.on_event.is_empty() {
            return Err(TrainError::NeedsAttach {
                setting: "on_event",
            });
        }
        if self.run.decisions.copy_metrics {
            return Err(TrainError::NeedsAttach {
                setting: "copy_metrics",
            });
        }
        Ok(GrowthLoop {
            callback: self.clone(),
            state: State::default(),
            rates: Rates::default(),
            rates_checked: false,
            state_checked: false,
        })
    }
}

impl GrowthLoop {
    /// Counts an optimizer step that was taken at base learning rate `lr`, then takes every
    /// expansion that is due, and returns their plans: none after most steps. Whatever else has the
    /// shapes of the model, such as a moving average of it, follows by
    /// [`Plan::apply`](burn_grow_core::Plan::apply).
    ///
    /// Call it after every step of the optimizer of `model`, once where gradients are accumulated.
    ///
    /// # Errors
    ///
    /// When the optimizer cannot follow the planned expansions, found after its first step; when
    /// the model holds NaN at an expansion; when a device cannot be read, or the log of expansions
    /// not be written. Model and optimizer are then as they were.
    pub fn step<M: Growable>(
        &mut self,
        lr: LearningRate,
        model: &mut M,
        optim: &mut ModuleOptimizer,
    ) -> Result<&[Plan], TrainError> {
        let decisions = &self.callback.run.decisions;
        if !self.rates_checked {
            check_rates(optim, model, decisions.stages_from(0))?;
            self.rates_checked = true;
        }
        self.rates = decisions.rates(&mut self.state, lr);
        self.state.position.step += 1;
        if !self.state_checked {
            check_state(
                optim,
                model,
                decisions.stages_from(self.state.position.stage),
            )?;
            self.state_checked = true;
        }
        let begun = self.state.position.stage;
        while let Some(plan) = decisions.due(&self.state) {
            (*model, *optim) = decisions.expand(&self.state, plan, model, optim)?;
            self.state.expanded(!plan.is_identity());
        }
        Ok(&decisions.plans[begun..self.state.position.stage])
    }

    /// Says what the metrics are that triggers watch, at the end of epoch `epoch`, numbered from 1.
    /// A name alone is a metric of the validation split. Others than the watched ones are left out.
    ///
    /// What a metric decides takes effect after the next optimizer step, as under a
    /// [`Learner`](burn_train::Learner).
    ///
    /// # Errors
    ///
    /// [`TrainError::MissingMetric`] for a watched metric without a value.
    pub fn record_epoch<W: Into<WatchedMetric>>(
        &mut self,
        epoch: usize,
        values: impl IntoIterator<Item = (W, f64)>,
    ) -> Result<(), TrainError> {
        let schedule = &self.callback.run.decisions.schedule;
        if !schedule.watches(self.state.position.stage) {
            return Ok(());
        }
        let given: Vec<(WatchedMetric, f64)> = values
            .into_iter()
            .map(|(metric, value)| (metric.into(), value))
            .collect();
        let values = schedule.metrics.iter().map(|watched| {
            let found = given.iter().find(|(metric, _)| metric == watched);
            found
                .map(|(_, value)| *value)
                .ok_or_else(|| TrainError::MissingMetric {
                    metric: watched.clone(),
                    epoch,
                })
        });
        let values = values.collect::<Result<_, _>>()?;
        self.state.record(&EpochRecord {
            epoch,
            step: self.state.position.step,
            values,
        });
        Ok(())
    }

    /// Seeds the random numbers of `device` for the next optimizer step, where the builder was given
    /// a [`random_seed`](crate::WidthExpansionBuilder::random_seed): call it before the forward
    /// pass, once where gradients are accumulated. So a resumed run draws the same numbers.
    pub fn seed(&self, device: &Device) {
        let decisions = &self.callback.run.decisions;
        decisions.seed(core::slice::from_ref(device), self.state.position.step);
    }

    /// The optimizer steps and the expansions taken.
    pub fn position(&self) -> Position {
        self.state.position
    }

    /// The learning rates of the last step: of the coordinates that were there before the last
    /// expansion, and of those it added.
    pub fn learning_rates(&self) -> (LearningRate, LearningRate) {
        (self.rates.old, self.rates.new)
    }

    /// What did not go as planned, so far: an expansion that has not come, or more optimizer steps
    /// than the callback was told ([`TrainError::NotExpanded`], [`TrainError::Overrun`]). Ask at
    /// the end of the loop.
    pub fn shortfall(&self) -> Option<TrainError> {
        let schedule = &self.callback.run.decisions.schedule;
        schedule.shortfall(self.state.position, None)
    }

    /// Saves model, optimizer and what the run remembers as the checkpoint of `epoch` under
    /// `directory`, in the files and the format of burn-train's. Each appears whole or not at all,
    /// the model last.
    ///
    /// A learning-rate scheduler is yours to save, beside them; a rate that is a function of the
    /// [`position`](Self::position) needs no file.
    ///
    /// # Errors
    ///
    /// When a parameter is NaN, a trigger watches a metric that
    /// [`record_epoch`](Self::record_epoch) was not told since the last step, or a file cannot be
    /// written.
    pub fn save<M: Growable>(
        &self,
        directory: impl AsRef<Path>,
        epoch: usize,
        model: &M,
        optim: &ModuleOptimizer,
    ) -> Result<(), TrainError> {
        let (decisions, state) = (&self.callback.run.decisions, &self.state);
        let step = state.position.step;
        let recorded = state.epochs.last().map(|record| record.step) == Some(step);
        // Nothing is remembered of an epoch that ended with an expansion.
        let expanded = state.taken.last() == Some(&step);
        if decisions.schedule.watches(state.position.stage) && !recorded && !expanded {
            return Err(TrainError::NotRecorded { epoch });
        }
        // Burn sets the last update of running statistics aside until somebody validates, and its
        // records lack what is set aside.
        let _ = burn_core::module::Module::valid(model);
        check_nan(model, state.position)?;
        let files = Files::of(directory.as_ref(), epoch);
        let folder = checkpoints(directory.as_ref());
        fs::create_dir_all(&folder).map_err(at(&folder))?;
        optim
            .to_record()
            .save(&files.optim)
            .map_err(at(&files.optim))?;
        let pages = Pages::of(&encode(state, &decisions.marks));
        let record = Recorded::new(model.clone(), pages);
        let record = burn_core::module::Module::into_record(record);
        record.save(&files.model).map_err(at(&files.model))
    }

    /// Finds the newest checkpoint under `directory`, loads it into `model` and `optim`, and
    /// removes what later epochs have left. `None`, with nothing loaded, if there is no checkpoint.
    ///
    /// `model` is the narrow model that the run began with, and is as wide as the checkpoint's
    /// afterwards. Where several models train together, take the oldest of their
    /// [`last_good_epoch`](Self::last_good_epoch)s and [`load`](Self::load) it.
    ///
    /// # Errors
    ///
    /// Those of [`WidthExpansionCallback::resume`].
    pub fn resume<M: Growable>(
        &mut self,
        directory: impl AsRef<Path>,
        model: &mut M,
        optim: &mut ModuleOptimizer,
    ) -> Result<Option<Resumed>, TrainError> {
        let directory = directory.as_ref();
        let found = self.last_good_epoch(directory, model)?;
        if let Some(Resumed { epoch, .. }) = found {
            self.load(directory, epoch, model, optim)?;
        }
        discard_after(directory, found.map_or(0, |found| found.epoch))?;
        Ok(found)
    }

    /// Finds the newest checkpoint under `directory` that [`load`](Self::load) will take. Nothing
    /// is changed.
    ///
    /// # Errors
    ///
    /// When the newest whole one is sound but of another run, or all are damaged.
    pub fn last_good_epoch<M: Growable>(
        &self,
        directory: impl AsRef<Path>,
        model: &M,
    ) -> Result<Option<Resumed>, TrainError> {
        let directory = directory.as_ref();
        newest_good(directory, Files::hold_a_loop, |epoch| {
            self.check(&Files::of(directory, epoch), model)
        })
    }

    /// Loads the checkpoint of `epoch` under `directory` into `model` and `optim`. `model` is the
    /// narrow model that the run began with.
    ///
    /// # Errors
    ///
    /// When a file is missing or damaged, or of another run or model. Nothing is changed then.
    pub fn load<M: Growable>(
        &mut self,
        directory: impl AsRef<Path>,
        epoch: usize,
        model: &mut M,
        optim: &mut ModuleOptimizer,
    ) -> Result<Position, TrainError> {
        let files = Files::of(directory.as_ref(), epoch);
        self.check(&files, model)?;
        let load = || -> Result<_, CheckpointError> {
            let record = ModuleRecord::load(&files.model)?;
            self.callback.wrap(model.clone()).load(record)
        };
        let (loaded, state) = load().map_err(at(&files.model))?.into_parts();
        let record = OptimizerRecord::load(&files.optim).map_err(at(&files.optim))?;
        *optim = optim.clone().load_record(record);
        *model = loaded;
        self.state = state;
        self.rates = Rates::default();
        (self.rates_checked, self.state_checked) = (false, false);
        Ok(self.state.position)
    }

    fn check<M: Growable>(&self, files: &Files, model: &M) -> Result<Position, TrainError> {
        let checked = self.callback.check_model(&files.model, model);
        let (position, saved) = checked.map_err(at(&files.model))?;
        let optim = saved
            .open_optimizer(&files.optim)
            .map_err(at(&files.optim))?;
        check_values(optim.tensors()).map_err(at(&files.optim))?;
        Ok(position)
    }
}
