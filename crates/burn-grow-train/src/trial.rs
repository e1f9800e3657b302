use core::fmt;

use burn_grow_core::{Blueprint, Expansion, Growable, Plan, table};
use burn_grow_optim::{
    Ramp, Rewarmup, StateRules, check_asymmetric, check_expandable, expand_optimizer,
};
use burn_optim::ModuleOptimizer;
use serde::{Deserialize, Serialize};

use crate::TrainError;

/// How much of a loss rounding may be.
const ROUNDING: f64 = 1e-6;

/// An expansion to be tried.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Candidate {
    /// What the report calls it.
    pub name: String,
    /// Which axes grow, and how.
    pub expansion: Expansion,
    /// What becomes of the optimizer state.
    #[serde(default)]
    pub state: StateRules,
    /// How the learning rate of new coordinates departs from the base rate, if it does.
    #[serde(default)]
    pub rewarmup: Option<Rewarmup>,
}

impl Candidate {
    /// An expansion that keeps the state of old coordinates, and re-warms nothing.
    pub fn new(name: impl Into<String>, expansion: Expansion) -> Self {
        Self {
            name: name.into(),
            expansion,
            state: StateRules::default(),
            rewarmup: None,
        }
    }

    /// Treats the optimizer state by another policy, or by rules for axes and groups of parameters.
    pub fn with_state(mut self, rules: impl Into<StateRules>) -> Self {
        self.state = rules.into();
        self
    }

    /// Re-warms what grew.
    pub fn with_rewarmup(mut self, rewarmup: Rewarmup) -> Self {
        self.rewarmup = Some(rewarmup);
        self
    }
}

/// A few steps of several expansions from one checkpoint: which one to run in full.
///
/// A short trial ranks how fast candidates recover; the paper's Fig. 1 is the reminder that the jump at
/// the expansion does not tell the final loss, so give it the steps you can spare.
///
/// ```no_run
/// # use burn_grow_core::{Expansion, Growable, InitPair};
/// # use burn_grow_optim::Rewarmup;
/// # use burn_grow_train::{Candidate, Trial, TrainError};
/// # use burn_optim::ModuleOptimizer;
/// # fn run<M: Growable>(
/// #     model: &M,
/// #     optim: &ModuleOptimizer,
/// #     train: impl Fn(M, &mut ModuleOptimizer, usize) -> (M, f64),
/// # ) -> Result<(), TrainError> {
/// let double = Expansion::by("inner", 2.0);
/// let candidates = [
///     Candidate::new("copy", double.clone()).with_rewarmup(Rewarmup::proportional()),
///     Candidate::new("silent", double.with_init(InitPair::COPY_ZERO)),
/// ];
/// // The closure takes one optimizer step on the batch of that number.
/// let report = Trial::new(200)
///     .in_run(5_000, 10_000)
///     .run(model, optim, &candidates, |model, optim, step| train(model, optim, step))?;
/// println!("{report}");
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

    /// Trains every candidate, and the model as it is, each from a copy of `model` and `optim`.
    ///
    /// `train` takes one optimizer step, numbered from 0 for every candidate, and gives the loss of its
    /// batch before the update. The same number has to mean the same batch and learning rate.
    ///
    /// Burn shares the running statistics of a batch norm between clones, so training moves those of `model`: to go on
    /// with it, load its record again.
    ///
    /// # Errors
    ///
    /// Before anything trains, when a candidate cannot be planned, or the optimizer cannot follow it.
    pub fn run<M: Growable>(
        &self,
        model: &M,
        optim: &ModuleOptimizer,
        candidates: &[Candidate],
        mut train: impl FnMut(M, &mut ModuleOptimizer, usize) -> (M, f64),
    ) -> Result<TrialReport, TrainError> {
        let blueprint = Blueprint::of(model)?;
        let named = |candidate: &Candidate, source| TrainError::Candidate {
            name: candidate.name.clone(),
            source: Box::new(source),
        };
        let plans = candidates.iter().map(|candidate| {
            let plan = self.plan(&blueprint, model, optim, candidate);
            plan.map_err(|source| named(candidate, source))
        });
        let plans = plans.collect::<Result<Vec<_>, _>>()?;
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
        for (candidate, plan) in candidates.iter().zip(&plans) {
            let expanded = plan.expand(model, optim);
            let (model, optim) = expanded.map_err(|source| named(candidate, source))?;
            let losses = losses(model, optim);
            reports.push(CandidateReport::new(&candidate.name, losses, &unexpanded));
        }
        // A loss that is no number is the worst, whatever its sign bit.
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

    /// What a candidate does, which model and optimizer can follow.
    fn plan<M: Growable>(
        &self,
        blueprint: &Blueprint,
        model: &M,
        optim: &ModuleOptimizer,
        candidate: &Candidate,
    ) -> Result<Planned, TrainError> {
        let plan = Plan::new(blueprint, &candidate.expansion)?;
        let state = candidate
            .state
            .resolve(model, core::slice::from_ref(&plan))?;
        let mut rewarmup = None;
        if let Some(asked) = &candidate.rewarmup {
            asked.check()?;
            let ramp = asked.ramp(self.taken, self.total_steps);
            ramp.check()?;
            state.check_bias_correction(asked.bias_correction, asked.scope, &plan)?;
            check_asymmetric(optim, model)?;
            rewarmup = Some(ramp);
        }
        check_expandable(optim, model, [(&plan, &state)])?;
        Ok(Planned {
            plan,
            state,
            rewarmup,
        })
    }
}

/// A candidate, worked out.
struct Planned {
    plan: Plan,
    state: StateRules,
    rewarmup: Option<Ramp>,
}

impl Planned {
    fn expand<M: Growable>(
        &self,
        model: &M,
        optim: &ModuleOptimizer,
    ) -> Result<(M, ModuleOptimizer), TrainError> {
        let state = self.state.clone();
        let optim = expand_optimizer(optim, model, &self.plan, state, self.rewarmup)?;
        Ok((self.plan.apply(model.clone())?, optim))
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

/// What one candidate of a [`Trial`] did.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CandidateReport {
    /// Its name.
    pub name: String,
    /// Its losses, step by step.
    pub losses: Vec<f64>,
    /// The mean of their last quarter.
    pub final_loss: f64,
    /// The first step from which on the loss, a running mean over a tenth of the trial, is at or below
    /// that of the unexpanded model; none if it never gets there for good.
    pub recovery: Option<usize>,
    /// By how much the loss is above that of the unexpanded model, summed over the steps where it is.
    pub area: f64,
}

impl CandidateReport {
    fn new(name: &str, losses: Vec<f64>, unexpanded: &[f64]) -> Self {
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
            name: name.to_owned(),
            final_loss: tail(&losses),
            recovery: (recovery < losses.len()).then_some(recovery),
            // What is no number adds up to none.
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
    use super::*;

    #[test]
    fn recovery_is_for_good_and_the_area_counts_what_is_above() {
        let old = [1.0; 10];
        let of = |losses: [f64; 10]| CandidateReport::new("a", losses.to_vec(), &old);
        let found = of([3.0, 2.0, 0.5, 1.5, 1.0, 0.9, 0.8, 0.7, 0.6, 0.5]);
        assert_eq!(found.recovery, Some(4));
        assert_eq!(found.area, 3.5);
        assert!((found.final_loss - 0.6).abs() < 1e-12);
        assert_eq!(of([1.0; 10]).recovery, Some(0));
        assert_eq!(of([1.1; 10]).recovery, None);
        assert_eq!(of([f64::NAN; 10]).recovery, None);
    }
}
