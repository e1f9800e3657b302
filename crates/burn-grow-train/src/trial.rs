use core::fmt;

use burn_grow_core::{Blueprint, Growable, Plan, table};
use burn_grow_optim::expand_telling;
use burn_optim::ModuleOptimizer;
use serde::{Deserialize, Serialize};

use crate::growth::{check_rates, check_state};
use crate::{Growth, TrainError};

/// How much of a loss rounding may be.
const ROUNDING: f64 = 1e-6;

/// A few steps of several growths from one checkpoint: which one to run in full.
///
/// A short trial ranks how fast candidates recover; the paper's Fig. 1 is the reminder that the
/// jump at the expansion does not tell the final loss, so give it the steps you can spare.
///
/// ```
/// # use burn_grow_core::{Expansion, InitPair};
/// # use burn_grow_optim::AsymmetricConfig;
/// # use burn_grow_train::{At, Growth, Trial, WidthExpansionCallback};
/// # use burn_optim::{AdamWConfig, ModuleOptimizer};
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/doc/sine.rs"));
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let (model, optim) = (Sine::new(), AdamWConfig::new().init_asymmetric());
/// # let train = |model: Sine, optim: &mut ModuleOptimizer, step: usize| {
/// #     let device = Device::flex().autodiff();
/// #     let x = Tensor::from_data([[step as f32], [0.5], [1.0]], &device);
/// #     let output = TrainStep::step(&model, x);
/// #     let loss = f64::from(output.item.loss.into_scalar::<f32>());
/// #     (optim.step(1e-2, model, output.grads), loss)
/// # };
/// let double = Expansion::by("inner", 2.0);
/// let growths = [
///     ("copy", Growth::new(double.clone())),
///     ("silent", double.with_init(InitPair::COPY_ZERO).into()),
/// ];
/// // The closure takes one optimizer step on the batch of that number.
/// let report = Trial::new(200)
///     .in_run(5_000, 10_000)
///     .run(&model, &optim, growths, |model, optim, step| train(model, optim, step))?;
/// println!("{report}");
/// if let Some(best) = report.best() {
///     let callback = WidthExpansionCallback::builder(10_000)
///         .expand(At::step(5_000), best)
///         .build(&model)?;
/// #   assert_eq!(callback.stages().count(), 1);
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trial {
    /// The optimizer steps of each candidate.
    pub steps: usize,
    /// The optimizer steps that the checkpoint has taken.
    pub taken: usize,
    /// The optimizer steps of the whole run, which a re-warmup is placed in.
    pub total_steps: usize,
}

impl Trial {
    /// A trial of `steps` steps, a run of its own.
    pub fn new(steps: usize) -> Self {
        Self {
            steps,
            taken: 0,
            total_steps: steps,
        }
    }

    /// Says where the trial stands: after `taken` of `total_steps` optimizer steps.
    pub fn in_run(mut self, taken: usize, total_steps: usize) -> Self {
        self.taken = taken;
        self.total_steps = total_steps;
        self
    }

    /// Trains the model after each of the named `growths`, and as it is, every time from a copy of
    /// `model` and `optim`.
    ///
    /// `train` takes one optimizer step, numbered from 0 for every candidate, and gives the loss of
    /// its batch before the update. The same number has to mean the same batch and learning rate.
    ///
    /// Burn shares the running statistics of a batch norm between clones, so training moves those
    /// of `model`: to go on with it, load its record again.
    ///
    /// # Errors
    ///
    /// Before anything trains, when a growth cannot be planned, or the optimizer cannot follow it.
    pub fn run<M: Growable>(
        &self,
        model: &M,
        optim: &ModuleOptimizer,
        growths: impl IntoIterator<Item = (impl Into<String>, impl Into<Growth>)>,
        mut train: impl FnMut(M, &mut ModuleOptimizer, usize) -> (M, f64),
    ) -> Result<TrialReport, TrainError> {
        let blueprint = Blueprint::of(model)?;
        let candidates = growths.into_iter().map(|(name, growth)| {
            let (name, growth) = (name.into(), growth.into());
            match self.plan(&blueprint, model, optim, growth.clone()) {
                Ok(planned) => Ok((name, growth, planned)),
                Err(source) => Err(named(&name, source)),
            }
        });
        let candidates = candidates.collect::<Result<Vec<_>, _>>()?;
        let mut losses = |mut model: M, mut optim: ModuleOptimizer| -> Vec<f64> {
            let mut losses = Vec::with_capacity(self.steps);
            for step in 0..self.steps {
                let (next, loss) = train(model, &mut optim, step);
                model = next;
                losses.push(loss);
            }
            losses
        };
        let unexpanded = losses(model.clone(), optim.clone());
        let mut reports = Vec::new();
        // One wide model after the other: together they may not fit.
        for (name, growth, planned) in candidates {
            let expanded = self.expand(&planned, model, optim);
            let (model, optim) = expanded.map_err(|source| named(&name, source))?;
            let losses = losses(model, optim);
            reports.push(CandidateReport::new(name, growth, losses, &unexpanded));
        }
        // NaN is the worst loss, whatever its sign bit.
        reports.sort_by(|a, b| {
            let (a, b) = (a.final_loss, b.final_loss);
            a.is_nan().cmp(&b.is_nan()).then(a.total_cmp(&b))
        });
        Ok(TrialReport {
            steps: self.steps,
            unexpanded_loss: tail(&unexpanded),
            unexpanded,
            candidates: reports,
        })
    }

    /// Plans a growth that model and optimizer can follow.
    fn plan<M: Growable>(
        &self,
        blueprint: &Blueprint,
        model: &M,
        optim: &ModuleOptimizer,
        growth: Growth,
    ) -> Result<(Plan, Growth), TrainError> {
        let plan = Plan::new(blueprint, &growth.expansion)?;
        let growth = growth.validate(&plan, model, Some((self.taken, self.total_steps)))?;
        check_rates(optim, model, [(&plan, &growth)])?;
        check_state(optim, model, [(&plan, &growth)])?;
        Ok((plan, growth))
    }

    fn expand<M: Growable>(
        &self,
        (plan, growth): &(Plan, Growth),
        model: &M,
        optim: &ModuleOptimizer,
    ) -> Result<(M, ModuleOptimizer), TrainError> {
        let ramp = growth.ramp(self.taken, self.total_steps);
        // Planning has warned of copies that stay locked.
        let (optim, _) = expand_telling(optim, model, plan, growth.state.clone(), ramp)?;
        Ok((plan.apply(model.clone())?, optim))
    }
}

fn named(name: &str, source: TrainError) -> TrainError {
    TrainError::Candidate {
        name: name.to_owned(),
        source: Box::new(source),
    }
}

/// What a [`Trial`] found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrialReport {
    /// The optimizer steps of each candidate.
    pub steps: usize,
    /// The losses of the model as it was, step by step.
    pub unexpanded: Vec<f64>,
    /// The mean of their last quarter.
    pub unexpanded_loss: f64,
    /// The candidates, the one with the lowest final loss first.
    pub candidates: Vec<CandidateReport>,
}

impl TrialReport {
    /// The growth with the lowest final loss, as the trial was given it: what
    /// [`expand`](crate::WidthExpansionBuilder::expand) takes. `None` where every candidate ended
    /// at NaN, or there was none.
    pub fn best(&self) -> Option<&Growth> {
        let best = self.candidates.first()?;
        (!best.final_loss.is_nan()).then_some(&best.growth)
    }
}

/// What one candidate of a [`Trial`] did.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CandidateReport {
    /// Its name.
    pub name: String,
    /// The growth itself.
    pub growth: Growth,
    /// Its losses, step by step.
    pub losses: Vec<f64>,
    /// The mean of their last quarter.
    pub final_loss: f64,
    /// The first step from which on the loss, a running mean over a tenth of the trial, is at or
    /// below that of the unexpanded model; none if it never gets there for good.
    pub recovery: Option<usize>,
    /// By how much the loss is above that of the unexpanded model, summed over the steps where it
    /// is.
    pub area: f64,
}

impl CandidateReport {
    fn new(name: String, growth: Growth, losses: Vec<f64>, unexpanded: &[f64]) -> Self {
        let smooth = smoothed(&losses).zip(smoothed(unexpanded));
        let below: Vec<bool> = smooth
            .map(|(loss, old)| loss <= old + ROUNDING * old.abs())
            .collect();
        let recovery = below
            .iter()
            .rposition(|below| !below)
            .map_or(0, |last| last + 1);
        let above = losses.iter().zip(unexpanded).map(|(loss, old)| loss - old);
        Self {
            name,
            growth,
            final_loss: tail(&losses),
            recovery: (recovery < losses.len()).then_some(recovery),
            // NaN adds up to NaN.
            area: above
                .filter(|above| above.is_nan() || *above > 0.0)
                .fold(0.0, |area, above| area + above),
            losses,
        }
    }
}

/// The mean of the last quarter.
fn tail(losses: &[f64]) -> f64 {
    mean(&losses[losses.len() - losses.len().div_ceil(4)..])
}

/// The mean of each loss and those before it, a tenth of them at most.
fn smoothed(losses: &[f64]) -> impl Iterator<Item = f64> + '_ {
    let window = losses.len().div_ceil(10);
    (1..=losses.len()).map(move |end| mean(&losses[end.saturating_sub(window)..end]))
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// A table of the candidates, best first, and the unexpanded model below.
impl fmt::Display for TrialReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let header = [
            "candidate",
            "final loss",
            "to unexpanded",
            "recovery",
            "area above",
        ];
        let mut rows = vec![header.map(String::from).to_vec()];
        rows.extend(self.candidates.iter().map(|candidate| {
            vec![
                candidate.name.clone(),
                format!("{:.4}", candidate.final_loss),
                format!("{:+.4}", candidate.final_loss - self.unexpanded_loss),
                match candidate.recovery {
                    Some(step) => format!("step {step}"),
                    None => "none".into(),
                },
                format!("{:.3}", candidate.area),
            ]
        }));
        rows.push(vec![
            "(unexpanded)".into(),
            format!("{:.4}", self.unexpanded_loss),
        ]);
        f.write_str(table(&rows).trim_end())
    }
}

#[cfg(test)]
mod tests {
    use burn_grow_core::Expansion;

    use super::*;

    #[test]
    fn recovery_is_for_good_and_the_area_counts_what_is_above() {
        let old = [1.0; 10];
        let of = |losses: [f64; 10]| {
            let growth = Expansion::by("inner", 2.0).into();
            CandidateReport::new("a".into(), growth, losses.to_vec(), &old)
        };
        let found = of([3.0, 2.0, 0.5, 1.5, 1.0, 0.9, 0.8, 0.7, 0.6, 0.5]);
        assert_eq!(found.recovery, Some(4));
        assert_eq!(found.area, 3.5);
        assert!((found.final_loss - 0.6).abs() < 1e-12);
        assert_eq!(of([1.0; 10]).recovery, Some(0));
        assert_eq!(of([1.1; 10]).recovery, None);
        assert_eq!(of([f64::NAN; 10]).recovery, None);
    }
}
