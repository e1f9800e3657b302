//! Optimizers that cannot follow.

use burn::optim::{
    AdamWConfig, LearningRate, ModuleOptimizer, Optimizer, RecordState, SgdConfig, StateSink,
    StateSource,
};

use super::*;

/// Keeps a state tensor that is not shaped like its parameter.
#[derive(Clone)]
struct Odd;

#[derive(Clone)]
struct OddState {
    odd: Tensor<1>,
}

impl RecordState for OddState {
    fn state_flatten(&self, prefix: &str, out: &mut StateSink) {
        out.push_tensor(prefix, "odd", self.odd.clone().into_data());
    }

    fn state_unflatten(prefix: &str, src: &mut StateSource, device: &Device) -> Option<Self> {
        let odd = src.take_tensor(prefix, "odd")?;
        Some(Self {
            odd: Tensor::from_data(odd, device),
        })
    }
}

impl Optimizer for Odd {
    type State<const D: usize> = OddState;

    fn step<const D: usize>(
        &self,
        _lr: LearningRate,
        tensor: Tensor<D>,
        _grad: Tensor<D>,
        _state: Option<OddState>,
    ) -> (Tensor<D>, Option<OddState>) {
        let odd = Tensor::ones([7], &tensor.device());
        (tensor, Some(OddState { odd }))
    }

    fn to_device<const D: usize>(state: OddState, _device: &Device) -> OddState {
        state
    }
}

fn by() -> Expansion {
    Expansion::by("inner", 2.0)
}

fn trained(optim: impl Into<ModuleOptimizer>) -> (Mlp, ModuleOptimizer, Plan) {
    let mut optim = optim.into();
    let model = Mlp::of([3, 4, 2], 1, &Device::flex().autodiff());
    let gradients = gradients(&model, 2, |_| true);
    let model = optim.step(0.1, model, gradients);
    let plan = growth::plan(&model, &by());
    (model, optim, plan)
}

fn rejected(
    (model, optim, plan): (Mlp, ModuleOptimizer, Plan),
    rewarmup: Option<Rewarmup>,
) -> OptimError {
    let before = (dump::model_bytes(&model), dump::record(&optim));
    let rewarmup = rewarmup.map(|rewarmup| rewarmup.ramp(1, 10));
    let expanded = expand_optimizer(&optim, &model, &plan, StatePolicy::KeepAndZero, rewarmup);
    let error = expanded.err().expect("a mistake");
    assert_eq!((dump::model_bytes(&model), dump::record(&optim)), before);
    error
}

#[rstest]
#[case::new_coordinates(RewarmupScope::NewCoordinates)]
#[case::all(RewarmupScope::All)]
fn a_rewarmup_without_an_asymmetric_optimizer_is_rejected(#[case] scope: RewarmupScope) {
    let rewarmup = Rewarmup::proportional().paper().with_scope(scope);
    let error = rejected(trained(AdamWConfig::new().build()), Some(rewarmup));
    assert!(matches!(error, OptimError::NotAsymmetric { .. }), "{error}");
    assert_eq!(
        error.to_string(),
        "parameter `down.bias`: a re-warmup needs an asymmetric optimizer, and this parameter's is not: \
         make it with `config.init_asymmetric()`, or wrap it with `.asymmetric()`"
    );
}

#[test]
fn one_plain_group_is_enough_to_reject_a_rewarmup() {
    let group = ParamGroup::from_paths(vec!["up.weight"]);
    let optim = ModuleOptimizer::from(AdamWConfig::new().build().asymmetric()).with_group(
        group,
        SgdConfig::new().build(),
        None,
    );
    let error = rejected(trained(optim), Some(Rewarmup::proportional().paper()));
    assert!(error.to_string().contains("`up.weight`"), "{error}");
}

#[test]
fn an_asymmetric_optimizer_is_recognized_before_its_first_step() {
    let model = mlp();
    let adamw = AdamWConfig::new().build();
    check_asymmetric(&adamw.clone().asymmetric().into(), &model).unwrap();
    let error = check_asymmetric(&adamw.into(), &model).unwrap_err();
    assert!(error.to_string().contains("`down.bias`"), "{error}");
}

#[test]
fn a_state_that_does_not_follow_its_parameter_is_rejected() {
    for rewarmup in [None, Some(Rewarmup::proportional().paper())] {
        let error = rejected(trained(Odd.asymmetric()), rewarmup);
        let OptimError::State {
            path,
            field,
            expected,
            found,
        } = error
        else {
            panic!("{error}");
        };
        // Which grown parameter comes first depends on their identities.
        let shape: &[usize] = match path.as_str() {
            "up.weight" => &[3, 4],
            "up.bias" => &[4],
            "down.weight" => &[4, 2],
            other => panic!("{other}"),
        };
        assert_eq!(expected, shape);
        assert_eq!(found, [7]);
        assert!(field.ends_with("odd"), "{field}");
    }
}

#[test]
fn state_rules_for_what_is_not_there_are_rejected() {
    let (model, optim, plan) = trained(AdamWConfig::new().build().asymmetric());
    let before = dump::record(&optim);
    let rejected = |rules: StateRules| {
        let expanded = expand_optimizer(&optim, &model, &plan, rules.clone(), None);
        let error = expanded.err().expect("a mistake");
        assert_eq!(dump::record(&optim), before);
        // The callback finds the same mistake before the run.
        let built = WidthExpansionCallback::builder(10)
            .expand(At::step(5), Growth::new(by()).with_state(rules))
            .build(&model);
        assert_eq!(built.unwrap_err().to_string(), error.to_string());
        error
    };
    let error = rejected(StateRules::default().on("hidden", StatePolicy::CopyAll));
    assert_eq!(
        error.to_string(),
        "a state policy is set for axis `hidden`, which no expansion names"
    );
    let nobody = ParamGroup::from_predicate("router");
    let error = rejected(StateRules::default().with_group(nobody, StatePolicy::CopyAll));
    assert!(matches!(&error, OptimError::UnusedGroup { group } if group.contains("router")));
}

#[test]
fn a_rule_for_an_axis_that_stays_is_rejected_before_the_run() {
    let model = Fused::narrow(1, &Device::flex());
    let rules = StateRules::default().on("hidden", StatePolicy::CopyAll);
    let build = |expansions: [Expansion; 2]| {
        let [plain, ruled] = expansions.map(Growth::new);
        WidthExpansionCallback::builder(10)
            .expand(At::step(1), plain)
            .expand(At::step(2), ruled.with_state(rules.clone()))
            .build(&model)
    };
    let hidden = || Expansion::by("hidden", 2.0);
    // That another expansion of the run names it is no use to this one.
    let error = build([hidden(), by()]).unwrap_err();
    let TrainError::Optimizer(OptimError::UnusedAxis { axis }) = &error else {
        panic!("{error}");
    };
    assert_eq!(axis.as_str(), "hidden");
    build([by(), hidden()]).unwrap();
}

#[test]
fn an_own_age_needs_every_new_coordinate_of_a_parameter_to_start_from_zero() {
    let model = Fused::narrow(1, &Device::flex().autodiff());
    let optim = ModuleOptimizer::from(AdamWConfig::new().build().asymmetric());
    let both = growth::plan(&model, &by().and_by("hidden", 2.0));
    let inner = growth::plan(&model, &by());
    let ramp = Rewarmup::cosine(1e-3)
        .paper()
        .with_restarted_bias_correction(0.9, 0.999)
        .ramp(0, 10);
    let rewarmup = Some(ramp);
    let expand = |plan: &Plan, rules: &StateRules| {
        expand_optimizer(&optim, &model, plan, rules.clone(), rewarmup).map(drop)
    };
    let rejected = |rules: &StateRules| match expand(&both, rules) {
        Err(OptimError::RestartedBiasCorrection { path, policy, .. }) => (path, policy),
        other => panic!("{other:?}"),
    };
    let copied = StateRules::default().on("hidden", StatePolicy::CopyAll);
    let first = ("embed.weight".to_owned(), StatePolicy::CopyAll);
    assert_eq!(rejected(&copied), first);
    // Where that axis stays, or another rule counts for all that grow along it.
    expand(&inner, &copied).unwrap();
    let all = ParamGroup::all();
    expand(&both, &copied.with_group(all, StatePolicy::KeepAndZero)).unwrap();
    // One parameter is enough; one that does not grow has no new coordinates.
    let with = |path, policy| StateRules::default().with_group(ParamGroup::from_path(path), policy);
    let scaled = ("down.weight".to_owned(), StatePolicy::Scale);
    assert_eq!(rejected(&with("down.weight", StatePolicy::Scale)), scaled);
    expand(&both, &with("head.bias", StatePolicy::DropAll)).unwrap();
}

#[test]
fn a_model_is_not_changed_by_a_failed_plan() {
    // What a caller does on failure: it keeps the clone it made.
    let (model, optim, _) = trained(AdamWConfig::new().build().asymmetric());
    let before = (dump::params(&model), dump::record(&optim));
    let wider = Mlp::of([3, 6, 2], 1, &Device::flex().autodiff());
    let foreign = growth::plan(&wider, &by());
    assert!(foreign.apply(model.clone()).is_err());
    assert_eq!((dump::params(&model), dump::record(&optim)), before);
}

#[test]
fn an_optimizer_does_not_follow_the_plan_of_another_model() {
    let (model, optim, _) = trained(AdamWConfig::new().build().asymmetric());
    let wider = Mlp::of([3, 6, 2], 1, &Device::flex().autodiff());
    let foreign = growth::plan(&wider, &by());
    let error = rejected(
        (model, optim, foreign),
        Some(Rewarmup::proportional().paper()),
    );
    assert!(matches!(error, OptimError::State { .. }), "{error}");
}
