//! Optimizers around growth: one table of optimizers, one set of properties.
#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};

use burn::module::{Module, Param, ParamGroup, ParamId};
use burn::optim::decay::WeightDecayConfig;
use burn::optim::momentum::MomentumConfig;
use burn::optim::{
    AdaGradConfig, AdafactorConfig, AdamConfig, AdamW, AdamWConfig, AdamWState, AdanConfig,
    AdaptiveMomentumState, AdjustLrFn, GradientsParams, LambConfig, LionConfig, ModuleOptimizer,
    Muon, MuonConfig, Optimizer, RmsPropConfig, SgdConfig,
};
use burn::tensor::{DType, Device, FloatDType, Tensor};
use burn_grow::baseline::{Baseline, SplitRatio};
use burn_grow::describe::Axis;
use burn_grow::optim::{
    AsymmetricExt, BatchedMuon, BatchedMuonConfig, MixedPrecision, OptimError, PerExpert, Ramp,
    RewarmupScope, StateRules, expand_optimizer,
};
use burn_grow::plan::{Blocks, CopyMap, Init, ParamPlan};
use burn_grow::{Expansion, Growable, InitPair, Plan, Rewarmup, StatePolicy};
use burn_grow_tests::data::{assert_close, cast, gradients, random, values};
use burn_grow_tests::dump::{self, ParamDump, StateDump};
use burn_grow_tests::growth::plan;
use burn_grow_tests::layout::{new_along, origins};
use burn_grow_tests::models::{Fused, Heads, Mlp, Probe, Stacked};
use rstest::rstest;

mod batched_muon;
mod locked;
mod mixed_precision;
mod per_expert;
mod properties;
mod recipe;
mod regions;
mod rules;
mod slices;
mod table;

use locked::copies_stay_equal_where_a_warning_says_so;
use properties::*;
use regions::*;
use rules::*;

/// An optimizer, plain and adapted.
struct Enrolled {
    plain: ModuleOptimizer,
    adapted: ModuleOptimizer,
}

impl Enrolled {
    fn new<O: Optimizer>(optimizer: O) -> Self {
        Self {
            plain: optimizer.clone().into(),
            adapted: optimizer.asymmetric().into(),
        }
    }

    /// `optimizer` for the matrices, AdamW for the rest.
    fn for_matrices<O: Optimizer>(optimizer: O) -> Self {
        let rest = Self::new(AdamWConfig::new().build());
        let matrices = || ParamGroup::from_predicate("weight");
        Self {
            plain: rest.plain.with_group(matrices(), optimizer.clone(), None),
            adapted: rest
                .adapted
                .with_group(matrices(), optimizer.asymmetric(), None),
        }
    }
}

macro_rules! enrol {
    ($list:ident; $($name:ident: $optimizer:expr;)+) => {
        /// Those enrolled here, by name.
        fn $list() -> Vec<(&'static str, Enrolled)> {
            vec![$((stringify!($name), $optimizer)),+]
        }

        $(mod $name {
            use super::*;

            enrol!(@properties $optimizer;
                before_growth_it_is_the_plain_optimizer,
                new_coordinates_move_at_their_own_rate,
                a_run_resumes_bit_exactly_with_two_regions,
                a_parameter_without_a_gradient_gets_its_region,
                rules_say_what_becomes_of_the_state,
                every_parameter_can_be_rewarmed,
                a_base_rate_of_zero_moves_new_coordinates_only,
                a_base_rate_that_starts_at_zero_moves_nothing,
                the_newest_region_counts,
                interleaved_copies_move_at_their_own_rate,
                states_that_burn_cannot_load_back_are_rejected,
                copies_stay_equal_where_a_warning_says_so,
                new_blocks_are_parameters_of_their_own,
            );
        })+
    };
    (@properties $optimizer:expr; $($property:ident,)+) => {$(
        #[test]
        fn $property() {
            super::$property($optimizer);
        }
    )+};
}

/// Properties of updates that are taken coordinate by coordinate.
macro_rules! enrol_elementwise {
    ($($name:ident: $optimizer:expr;)+) => {
        enrol! { elementwise; $($name: Enrolled::new($optimizer);)+ }

        mod elementwise {
            use super::*;

            $(#[test]
            fn $name() {
                old_coordinates_follow_the_plain_optimizer(Enrolled::new($optimizer));
            })+
        }
    };
}

// Every optimizer is enrolled in every property, and in the table of
// `docs/src/reference/optimizers.md`, by standing here.
enrol_elementwise! {
    adam: AdamConfig::new().with_weight_decay(Some(WeightDecayConfig::new(0.1))).build();
    adam_amsgrad: AdamConfig::new().with_amsgrad(true).build();
    adamw: AdamWConfig::new().with_beta_2(0.95).with_weight_decay(0.1).build();
    adamw_cautious: AdamWConfig::new().with_weight_decay(0.1).with_cautious_weight_decay(true).build();
    adamw_amsgrad: AdamWConfig::new().with_amsgrad(true).build();
    adan: AdanConfig::new().with_weight_decay(0.1).with_no_prox(true).build();
    adagrad: AdaGradConfig::new().with_lr_decay(0.01).build();
    lion: LionConfig::new().with_weight_decay(0.1).build();
    rmsprop: RmsPropConfig::new().with_momentum(0.0).build();
    rmsprop_momentum_centered: RmsPropConfig::new().with_momentum(0.9).with_centered(true).build();
    sgd: SgdConfig::new().with_weight_decay(Some(WeightDecayConfig::new(0.1))).build();
    sgd_momentum_nesterov: SgdConfig::new().with_momentum(Some(MomentumConfig::new().with_nesterov(true))).build();
}

// One coordinate's update depends on the others of its parameter.
enrol! {
    coupled;
    adafactor: Enrolled::new(AdafactorConfig::new().build());
    lamb: Enrolled::new(LambConfig::new().with_weight_decay(0.1).build());
    muon_for_matrices: Enrolled::for_matrices(MuonConfig::new().build());
    muon_per_expert: Enrolled::for_matrices(PerExpert::new(MuonConfig::new().build()));
    muon_batched: Enrolled::for_matrices(BatchedMuonConfig::new().build());
}

const TOTAL: usize = 60;

fn device() -> Device {
    Device::flex().autodiff()
}

/// A base rate that is never the same twice.
fn base(step: usize) -> f64 {
    0.01 + 0.02 * (1.0 + (step as f64 / 20.0).cos())
}

fn every(_path: &str) -> bool {
    true
}

/// One step on random gradients.
fn step<M: Module>(model: M, optim: &mut ModuleOptimizer, step: usize) -> M {
    let gradients = gradients(&model, step as u64, every);
    optim.step(base(step), model, gradients)
}

/// Expands both under keep-and-zero.
fn expand<G: Growable>(
    model: G,
    optim: &mut ModuleOptimizer,
    plan: &Plan,
    rewarmup: Option<Ramp>,
) -> G {
    let policy = StatePolicy::KeepAndZero;
    *optim = expand_optimizer(optim, &model, plan, policy, rewarmup).unwrap();
    plan.apply(model).unwrap()
}

/// The plain optimizer in the state that `adapted` is in.
fn plain_in_the_state_of(plain: &ModuleOptimizer, adapted: &ModuleOptimizer) -> ModuleOptimizer {
    let record = adapted.into_bytes().unwrap();
    plain.clone().from_bytes(record).unwrap()
}

/// `ratio` of the displacement under the plain optimizer, coordinate by coordinate; none means
/// bit-equality with it.
fn assert_displacements(
    before: &BTreeMap<String, ParamDump>,
    plain: &BTreeMap<String, ParamDump>,
    adapted: &BTreeMap<String, ParamDump>,
    ratio: impl Fn(&str, usize) -> Option<f64>,
) {
    for (path, before) in before {
        let (plain, adapted) = (plain[path].values(), adapted[path].values());
        for (index, before) in before.values().into_iter().enumerate() {
            let what = format!("{path}, coordinate {index}");
            match ratio(path, index) {
                None => assert_eq!(
                    adapted[index].to_bits(),
                    plain[index].to_bits(),
                    "{what}: moved {} instead of {}",
                    adapted[index] - before,
                    plain[index] - before
                ),
                Some(ratio) => {
                    let expected = f64::from(plain[index] - before) * ratio;
                    let found = f64::from(adapted[index] - before);
                    assert!(
                        (found - expected).abs() < 1e-6 * (1.0 + 4.0 * f64::from(before.abs())),
                        "{what}: moved {found} instead of {expected}"
                    );
                }
            }
        }
    }
}

fn param<'a>(plan: &'a Plan, path: &str) -> &'a ParamPlan {
    plan.params()
        .iter()
        .find(|param| param.path == path)
        .unwrap()
}
