//! What one stage of a run does: an expansion, what becomes of the optimizer state, and the
//! re-warmup of what it added. A stage takes it, a [`Trial`](crate::Trial) ranks it, and a
//! [`Stage`](crate::Stage) prints it.

use core::fmt;

use burn_core::module::Module;
use burn_grow_core::{Expansion, Plan};
use burn_grow_optim::{
    OptimError, Ramp, Rewarmup, RewarmupRule, RewarmupSchedule, RewarmupScope, StatePolicy,
    StateRules, check_asymmetric, check_expandable,
};
use burn_optim::ModuleOptimizer;
use serde::{Deserialize, Serialize};

/// An expansion with what becomes of the optimizer state and of the learning rate.
///
/// An [`Expansion`] alone is the paper's method: old coordinates keep their optimizer state, new
/// ones start from zero, and their learning rate is re-warmed in proportion to the base rate, which
/// suits every base schedule. Under a cosine schedule the paper's own form is
/// [`Rewarmup::cosine`].
///
/// ```
/// use burn_grow_core::Expansion;
/// use burn_grow_optim::{Rewarmup, StatePolicy};
/// use burn_grow_train::Growth;
///
/// let double = Expansion::by("inner", 2.0);
/// // The same: every stage takes `impl Into<Growth>`.
/// assert_eq!(Growth::from(double.clone()), Growth::new(double.clone()));
///
/// let cosine = Growth::new(double.clone()).with_rewarmup(Rewarmup::cosine(3e-5));
/// let locked = Growth::new(double)
///     .with_state(StatePolicy::CopyAll)
///     .without_rewarmup();
/// assert_ne!(cosine, locked);
/// println!("{cosine}\n{locked}");
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Growth {
    /// Which axes grow, and what their new coordinates hold.
    pub expansion: Expansion,
    /// The policy of the optimizer state, for all of it or by axis and group of parameters.
    #[serde(default)]
    pub state: StateRules,
    /// How the learning rate of new coordinates departs from the base rate; `None` leaves it there.
    /// Written as `"none"` then, as absent means the default.
    #[serde(default = "proportional", with = "written")]
    pub rewarmup: Option<Rewarmup>,
}

fn proportional() -> Option<Rewarmup> {
    Some(Rewarmup::proportional())
}

impl Growth {
    /// Creates the paper's method: state kept and zeroed, [`Rewarmup::proportional`].
    pub fn new(expansion: Expansion) -> Self {
        Self {
            expansion,
            state: StateRules::default(),
            rewarmup: proportional(),
        }
    }

    /// Sets what becomes of the optimizer state: one [`StatePolicy`], or rules for axes and groups
    /// of parameters.
    pub fn with_state(mut self, rules: impl Into<StateRules>) -> Self {
        self.state = rules.into();
        self
    }

    /// Sets the re-warmup of what grew.
    pub fn with_rewarmup(mut self, rewarmup: Rewarmup) -> Self {
        self.rewarmup = Some(rewarmup);
        self
    }

    /// Leaves new coordinates at the base rate. The optimizer then need not be
    /// [`Asymmetric`](burn_grow_optim::Asymmetric).
    pub fn without_rewarmup(mut self) -> Self {
        self.rewarmup = None;
        self
    }

    /// Checks everything that can be known before there is an optimizer, and tells groups of
    /// parameters by the paths they match in `model`.
    ///
    /// `plan` is what the expansion comes to, `at` the optimizer step it is taken after and the
    /// steps of the whole run, where they are known.
    ///
    /// # Errors
    ///
    /// When the re-warmup has a number that gives no rate or does not end in time, a state rule is
    /// for an axis that the expansion does not name or for no parameter, or a restarted bias
    /// correction meets a state that goes on.
    pub(crate) fn validate<M: Module>(
        self,
        plan: &Plan,
        model: &M,
        at: Option<(usize, usize)>,
    ) -> Result<Self, OptimError> {
        let state = self.state.resolve(model, core::slice::from_ref(plan))?;
        if let Some(rewarmup) = &self.rewarmup {
            rewarmup.check()?;
            state.check_bias_correction(rewarmup.bias_correction, rewarmup.scope, plan)?;
            if let Some((step, total_steps)) = at
                && !plan.is_identity()
            {
                rewarmup.ramp(step, total_steps).check()?;
            }
        }
        Ok(Self { state, ..self })
    }

    /// The re-warmup placed after `step` of `total_steps` optimizer steps.
    pub(crate) fn ramp(&self, step: usize, total_steps: usize) -> Option<Ramp> {
        let rewarmup = self.rewarmup.as_ref()?;
        Some(rewarmup.ramp(step, total_steps))
    }
}

/// Checks that `optim` has a place for the second rate that a re-warmup needs.
///
/// # Errors
///
/// Names the first parameter whose optimizer is not [`Asymmetric`](burn_grow_optim::Asymmetric).
pub(crate) fn check_rates<'a, M: Module>(
    optim: &ModuleOptimizer,
    model: &M,
    stages: impl IntoIterator<Item = (&'a Plan, &'a Growth)>,
) -> Result<(), OptimError> {
    let mut stages = stages.into_iter();
    if stages.any(|(plan, growth)| growth.rewarmup.is_some() && !plan.is_identity()) {
        check_asymmetric(optim, model)
    } else {
        Ok(())
    }
}

/// Checks, once `optim` has a state, that it can follow `stages` one after the other. Logs a warning
/// for each that leaves copies locked to their units.
///
/// # Errors
///
/// Those of [`expand_optimizer`](burn_grow_optim::expand_optimizer) about rules and state.
pub(crate) fn check_state<'a, M: Module>(
    optim: &ModuleOptimizer,
    model: &M,
    stages: impl IntoIterator<Item = (&'a Plan, &'a Growth)>,
) -> Result<(), OptimError> {
    // Wherever in the run the re-warmup is placed, it does or does not move copies apart.
    let stages = stages.into_iter();
    let stages = stages.map(|(plan, growth)| (plan, &growth.state, growth.ramp(0, 1)));
    for locked in check_expandable(optim, model, stages)? {
        log::warn!("{locked}");
    }
    Ok(())
}

impl From<Expansion> for Growth {
    fn from(expansion: Expansion) -> Self {
        Self::new(expansion)
    }
}

impl From<&Growth> for Growth {
    fn from(growth: &Growth) -> Self {
        growth.clone()
    }
}

/// The optimizer state and the re-warmup, a line each: what a plan does not show.
impl fmt::Display for Growth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "optimizer state: {}", policy(self.state.policy))?;
        for (axis, other) in &self.state.axes {
            write!(f, ", {} along {axis}", policy(*other))?;
        }
        for (group, other) in &self.state.groups {
            write!(f, ", {} for {group:?}", policy(*other))?;
        }
        match &self.rewarmup {
            None => write!(f, "\nno re-warmup"),
            Some(rewarmup) => write_rewarmup(f, rewarmup),
        }
    }
}

fn policy(policy: StatePolicy) -> &'static str {
    match policy {
        StatePolicy::KeepAndZero => "kept, new coordinates from zero",
        StatePolicy::CopyAll => "copied",
        StatePolicy::DropAll => "dropped",
        StatePolicy::Scale => "copied and scaled",
    }
}

fn write_rewarmup(f: &mut fmt::Formatter<'_>, rewarmup: &Rewarmup) -> fmt::Result {
    let what = match rewarmup.scope {
        RewarmupScope::NewCoordinates => "new coordinates",
        RewarmupScope::All => "all coordinates",
    };
    write!(f, "\nre-warmup of {what}: ")?;
    match rewarmup.schedule {
        RewarmupSchedule::Proportional => write!(f, "{} the base rate", peak(rewarmup)),
        RewarmupSchedule::Cosine { min_lr } => write!(
            f,
            "{} the base rate, then by a cosine to {min_lr:e}",
            peak(rewarmup)
        ),
        RewarmupSchedule::Remapped { .. } => write!(f, "from elsewhere on the base cosine"),
    }
}

fn peak(rewarmup: &Rewarmup) -> String {
    match (rewarmup.rho, rewarmup.rule) {
        (Some(rho), _) => format!("to {rho} times"),
        (None, RewarmupRule::Paper) => "to 1.3 times".into(),
        (None, RewarmupRule::StepsLeft) => "by the steps left to a multiple of".into(),
    }
}

/// How the re-warmup is written: TOML has no null.
mod written {
    use burn_grow_optim::Rewarmup;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[derive(Serialize, Deserialize)]
    #[serde(untagged)]
    enum Written {
        Rewarmup(Rewarmup),
        Word(Word),
    }

    #[derive(Serialize, Deserialize)]
    #[serde(rename_all = "kebab-case")]
    enum Word {
        None,
    }

    pub(super) fn serialize<S: Serializer>(
        rewarmup: &Option<Rewarmup>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let written = match rewarmup {
            Some(rewarmup) => Written::Rewarmup(rewarmup.clone()),
            None => Written::Word(Word::None),
        };
        written.serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Rewarmup>, D::Error> {
        Ok(match Written::deserialize(deserializer)? {
            Written::Rewarmup(rewarmup) => Some(rewarmup),
            Written::Word(Word::None) => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_growth_is_read_as_it_was_written() -> Result<(), serde_json::Error> {
        let double = || Growth::new(Expansion::by("inner", 2.0));
        for growth in [
            double(),
            double().without_rewarmup(),
            double()
                .with_state(StatePolicy::Scale)
                .with_rewarmup(Rewarmup::cosine(0.5)),
        ] {
            let written = serde_json::to_string(&growth)?;
            assert_eq!(serde_json::from_str::<Growth>(&written)?, growth);
        }
        let short = r#"{"expansion":{"targets":{"inner":{"factor":2.0}}}}"#;
        assert_eq!(serde_json::from_str::<Growth>(short)?, double());
        Ok(())
    }
}
