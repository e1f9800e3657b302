//! Optimizer steps on given gradients, before and after two expansions, and the record in between.

use burn::module::ParamGroup;
use burn::optim::momentum::MomentumConfig;
use burn::optim::{
    AdafactorConfig, AdamWConfig, LionConfig, ModuleOptimizer, MuonConfig, Optimizer, SgdConfig,
};
use burn_grow::optim::{AsymmetricExt, BatchedMuonConfig, Ramp, expand_optimizer};
use burn_grow::{Expansion, Plan, Rewarmup, StatePolicy};
use burn_grow_tests::data::gradients;
use burn_grow_tests::dump;
use burn_grow_tests::growth::plan;
use burn_grow_tests::layout::origins;
use burn_grow_tests::models::{Fused, Probe};

use crate::check::{Check, On};
use crate::findings::Findings;
use crate::kind::Kind;

pub(crate) fn enrol(checks: &mut Vec<Check>) {
    let check = |name, short, run| Check { name, short, run };
    checks.extend([
        check("AdamW, regions and resume", true, |on, found| {
            let config = AdamWConfig::new().with_beta_2(0.95).with_weight_decay(0.1);
            elementwise(on, found, config.build());
        }),
        check("SGD, regions and resume", false, |on, found| {
            let config = SgdConfig::new().with_momentum(Some(MomentumConfig::new()));
            elementwise(on, found, config.build());
        }),
        check("Lion, regions and resume", false, |on, found| {
            let config = LionConfig::new().with_weight_decay(0.1);
            elementwise(on, found, config.build());
        }),
        check("Adafactor, regions and resume", false, |on, found| {
            let optimizer = AdafactorConfig::new().build().asymmetric();
            steps(on, found, optimizer.into());
        }),
        check("Muon, regions and resume", false, |on, found| {
            steps(on, found, matrices(MuonConfig::new().build()));
        }),
        check("BatchedMuon, regions and resume", false, |on, found| {
            steps(on, found, matrices(BatchedMuonConfig::new().build()));
        }),
    ]);
}

/// `optimizer` for the matrices, AdamW for the rest, both asymmetric.
fn matrices<O: Optimizer>(optimizer: O) -> ModuleOptimizer {
    let rest = ModuleOptimizer::from(AdamWConfig::new().build().asymmetric());
    let matrices = ParamGroup::from_predicate("weight");
    rest.with_group(matrices, optimizer.asymmetric(), None)
}

/// What is updated coordinate by coordinate: the old coordinates of a grown model move as under the
/// plain optimizer, bit for bit.
fn elementwise<O: Optimizer>(on: &On, found: &mut Findings, optimizer: O) {
    let (plain, _) = run(on, optimizer.clone().into(), None);
    let (asymmetric, plan) = run(on, optimizer.clone().asymmetric().into(), Some(ramp()));
    let [plain, asymmetric] = [plain, asymmetric].map(|(model, _)| dump::params(&model));
    let mut new_apart = 0;
    for param in plan.params() {
        let path = &param.path;
        let (plain, asymmetric) = (plain[path].values(), asymmetric[path].values());
        for (index, origin) in origins(&plan, param).into_iter().enumerate() {
            let equal = plain[index].to_bits() == asymmetric[index].to_bits();
            assert!(equal || !origin.old, "{path}, coordinate {index}");
            new_apart += usize::from(!equal);
        }
    }
    assert!(new_apart > 0, "new coordinates move at their own rate");
    steps(on, found, optimizer.asymmetric().into());
}

/// The parameters and the state after an expansion, and more steps with the state as it was saved.
fn steps(on: &On, found: &mut Findings, optim: ModuleOptimizer) {
    let ((mut model, mut optim), _) = run(on, optim.clone(), Some(ramp()));
    found.add_params(Kind::Steps, "once grown", &model);
    add_state(found, "once grown", &optim);
    let second = plan(&model, &Expansion::by("inner", 2.0));
    let keep = StatePolicy::KeepAndZero;
    optim = expand_optimizer(&optim, &model, &second, keep, Some(ramp())).unwrap();
    model = second.apply(model).unwrap();
    let mut resumed = optim
        .clone()
        .from_bytes(optim.into_bytes().unwrap())
        .unwrap();
    assert_eq!(dump::record(&resumed), dump::record(&optim), "loaded");
    let mut again = model.clone();
    for at in 8..12 {
        model = step(model, &mut optim, at);
        again = step(again, &mut resumed, at);
    }
    assert_eq!(dump::params(&again), dump::params(&model), "resumed");
    assert_eq!(dump::record(&resumed), dump::record(&optim), "resumed");
    found.add_params(Kind::Steps, "twice grown", &model);
    add_state(found, "twice grown", &optim);
}

type Stepped = (Fused, ModuleOptimizer);

/// Four steps, an expansion along both axes, four more steps.
fn run(on: &On, mut optim: ModuleOptimizer, ramp: Option<Ramp>) -> (Stepped, Plan) {
    let mut model = Fused::narrow(5, &on.autodiff());
    for at in 0..4 {
        model = step(model, &mut optim, at);
    }
    let plan = plan(&model, &Expansion::by("inner", 1.5).and_by("hidden", 2.0));
    let keep = StatePolicy::KeepAndZero;
    optim = expand_optimizer(&optim, &model, &plan, keep, ramp).unwrap();
    model = plan.apply(model).unwrap();
    for at in 4..8 {
        model = step(model, &mut optim, at);
    }
    ((model, optim), plan)
}

fn ramp() -> Ramp {
    Rewarmup::cosine(1e-3)
        .with_rho(3.0)
        .with_steps(2)
        .ramp(4, 20)
}

/// One step on drawn gradients, at a rate that is never the same twice.
fn step(model: Fused, optim: &mut ModuleOptimizer, at: usize) -> Fused {
    let gradients = gradients(&model, at as u64, |_| true);
    optim.step(1e-2 * (1.0 + at as f64 / 10.0), model, gradients)
}

/// Adds every state tensor by the path of its parameter: identities are drawn in every run.
fn add_state(found: &mut Findings, name: &str, optim: &ModuleOptimizer) {
    let record = dump::record(optim);
    for (key, state) in &record.tensors {
        let (id, field) = key.split_once('.').unwrap();
        let path = &record.paths[id];
        found.add(
            Kind::Steps,
            format!("{name}: {field} of {path}"),
            state.values(),
        );
    }
}
