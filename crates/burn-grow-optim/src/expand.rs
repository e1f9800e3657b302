use burn_core::module::Module;
use burn_grow_core::Plan;
use burn_optim::ModuleOptimizer;

use crate::locked::LockedCopies;
use crate::param_ids::param_ids;
use crate::record::RawRecord;
use crate::{OptimError, Ramp, StateRules, check_asymmetric};

/// Expands the state of `optim` along `plan`.
///
/// The state of every grown parameter is mapped by `rules`, which may be one
/// [`StatePolicy`](crate::StatePolicy). With a `rewarmup`, every re-warmed parameter gets a
/// learning rate of its own for the coordinates that the expansion adds.
///
/// `model` is the model that `optim` trains, before or after the expansion: it only tells which
/// parameter has which path. Parameters that never had a gradient have no state, but are re-warmed
/// all the same. Rules for axes of the model that this plan does not grow are for other plans.
///
/// Logs a warning if copies will stay locked to their units, which
/// [`locked_copies`](crate::locked_copies) tells beforehand.
///
/// # Errors
///
/// When the plan, if anything grows, is another model's, a rule is for an axis or for parameters
/// that the model does not have, a state tensor does not follow its parameter or has a data type
/// that Burn cannot load back, or a re-warmup is asked for and the optimizer of a parameter is not
/// [`Asymmetric`](crate::Asymmetric). `optim` is unchanged.
///
/// ```
/// # use burn_core as burn;
/// # use burn_core::module::Module;
/// # use burn_core::tensor::Device;
/// # use burn_grow_core::{Blueprint, Expansion, Growable, Plan};
/// # use burn_grow_derive::Growable;
/// # use burn_grow_optim::{AsymmetricConfig, Rewarmup, StatePolicy, expand_optimizer};
/// # use burn_nn::{Linear, LinearConfig};
/// # use burn_optim::AdamWConfig;
/// # #[derive(Module, Growable, Debug)]
/// # #[grow(crate = burn_grow_core)]
/// # struct Mlp {
/// #     #[grow(fan_out = "inner")]
/// #     up: Linear,
/// #     #[grow(fan_in = "inner")]
/// #     down: Linear,
/// # }
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let device = Device::default().autodiff();
/// # let (up, down) = (LinearConfig::new(2, 4), LinearConfig::new(4, 2));
/// let model = Mlp { up: up.init(&device), down: down.init(&device) };
/// let optim = AdamWConfig::new().init_asymmetric();
/// // Training, up to step 600 of 1,000.
/// let plan = Plan::new(&Blueprint::of(&model)?, &Expansion::by("inner", 2.0))?;
/// let ramp = Rewarmup::proportional().ramp(600, 1_000);
/// let optim = expand_optimizer(&optim, &model, &plan, StatePolicy::KeepAndZero, Some(ramp))?;
/// let model = plan.apply(model)?;
/// assert_eq!(model.up.weight.dims(), [2, 8]);
/// # let _ = optim;
/// # Ok(())
/// # }
/// ```
pub fn expand_optimizer<M: Module>(
    optim: &ModuleOptimizer,
    model: &M,
    plan: &Plan,
    rules: impl Into<StateRules>,
    rewarmup: Option<Ramp>,
) -> Result<ModuleOptimizer, OptimError> {
    let (optim, locked) = expand_telling(optim, model, plan, rules, rewarmup)?;
    if let Some(locked) = locked {
        log::warn!("{locked}");
    }
    Ok(optim)
}

/// As [`expand_optimizer`], and returns the copies that stay locked instead of logging them.
///
/// # Errors
///
/// Those of `expand_optimizer`.
#[doc(hidden)]
pub fn expand_telling<M: Module>(
    optim: &ModuleOptimizer,
    model: &M,
    plan: &Plan,
    rules: impl Into<StateRules>,
    rewarmup: Option<Ramp>,
) -> Result<(ModuleOptimizer, Option<LockedCopies>), OptimError> {
    if plan.is_identity() {
        return Ok((optim.clone(), None));
    }
    if rewarmup.is_some() {
        check_asymmetric(optim, model)?;
    }
    let mut record = RawRecord::of(optim)?;
    let locked = record.expand(&param_ids(model), plan, &rules.into(), rewarmup)?;
    Ok((record.load(optim)?, locked))
}

/// Checks, once `optim` has a state, that [`expand_optimizer`] will accept it along `stages`, one
/// after the other: plans with their rules and re-warmups. Parameters without a state are not
/// looked at. Returns the copies that a stage leaves locked to their units.
///
/// # Errors
///
/// Those of [`expand_optimizer`] about rules and state.
pub fn check_expandable<'a, M: Module>(
    optim: &ModuleOptimizer,
    model: &M,
    stages: impl IntoIterator<Item = (&'a Plan, &'a StateRules, Option<Ramp>)>,
) -> Result<Vec<LockedCopies>, OptimError> {
    let mut record = RawRecord::of(optim)?;
    let mut ids = param_ids(model);
    let mut found = Vec::new();
    for (plan, rules, rewarmup) in stages {
        if !plan.is_identity() {
            found.extend(record.expand(&ids, plan, rules, rewarmup)?);
            ids = plan.ids_after(&ids);
        }
    }
    Ok(found)
}
