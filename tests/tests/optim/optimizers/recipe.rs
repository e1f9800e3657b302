//! Optimizer configurations keep what they say once they are asymmetric, gradient clipping above
//! all.

use burn::grad_clipping::GradientClippingConfig;
use burn_grow::optim::{AsymmetricConfig, AsymmetricGroups};

use super::*;

/// The largest norm of a gradient, far below that of the random ones.
const NORM: f32 = 0.1;

fn norm() -> Option<GradientClippingConfig> {
    Some(GradientClippingConfig::Norm(NORM))
}

/// Two matrices, which every optimizer of the table takes.
#[derive(Module, Growable, Debug)]
struct Matrices {
    #[grow(dims(fan_in = "hidden", fan_out = "inner"))]
    up: Param<Tensor<2>>,
    #[grow(dims(fan_in = "inner", fan_out = "hidden"))]
    down: Param<Tensor<2>>,
}

fn matrices() -> Matrices {
    let matrix = |shape, seed| {
        let tensor = random(shape, seed, &device()).inner();
        Param::from_tensor(Tensor::from_inner(tensor).require_grad())
    };
    Matrices {
        up: matrix([4, 8], 1),
        down: matrix([8, 4], 2),
    }
}

/// A configuration that clips: what Burn makes of it, what the recipe does, and the optimizer
/// without its clipping.
struct Configured {
    init: ModuleOptimizer,
    recipe: ModuleOptimizer,
    bare: ModuleOptimizer,
}

fn configured<C: AsymmetricConfig>(config: &C, init: ModuleOptimizer) -> Configured {
    Configured {
        init,
        recipe: config.init_asymmetric(),
        bare: config.build_plain().into(),
    }
}

macro_rules! configurations {
    ($($name:ident: $config:expr;)+) => {
        #[rstest]
        $(#[case::$name(configured(&$config, $config.init()))])+
        // The adapters, around a configuration.
        #[case::per_expert(configured(
            &PerExpert::new(SgdConfig::new().with_gradient_clipping(norm())),
            SgdConfig::new().with_gradient_clipping(norm()).init(),
        ))]
        #[case::mixed_precision(configured(
            &MixedPrecision::new(AdamWConfig::new().with_grad_clipping(norm())),
            AdamWConfig::new().with_grad_clipping(norm()).init(),
        ))]
        fn a_configuration_moves_parameters_as_its_own_init(#[case] configured: Configured) {
            check(configured);
        }
    };
}

configurations! {
    adagrad: AdaGradConfig::new().with_grad_clipping(norm());
    adafactor: AdafactorConfig::new().with_scale_parameter(false).with_grad_clipping(norm());
    adam: AdamConfig::new().with_grad_clipping(norm());
    adamw: AdamWConfig::new().with_grad_clipping(norm());
    adan: AdanConfig::new().with_no_prox(true).with_grad_clipping(norm());
    batched_muon: BatchedMuonConfig::new();
    lamb: LambConfig::new().with_grad_clipping(norm());
    lion: LionConfig::new().with_grad_clipping(norm());
    muon: MuonConfig::new();
    rmsprop: RmsPropConfig::new().with_grad_clipping(norm());
    sgd: SgdConfig::new().with_gradient_clipping(norm());
}

/// Before an expansion the recipe is `init()`, bit for bit; after it, wherever nothing is
/// re-warmed.
fn check(configured: Configured) {
    let Configured {
        init,
        mut recipe,
        mut bare,
    } = configured;
    let clips = init.has_gradient_clipping();
    assert_eq!(recipe.has_gradient_clipping(), clips);
    let mut expected = init.clone();
    let mut model = matrices();
    let mut without = model.clone();
    for at in 0..4 {
        let by_init = step(model.clone(), &mut expected, at);
        model = step(model, &mut recipe, at);
        assert_eq!(dump::params(&model), dump::params(&by_init), "step {at}");
        without = step(without, &mut bare, at);
    }
    assert_eq!(dump::params(&model) != dump::params(&without), clips);

    let plan = plan(&model, &Expansion::by("inner", 2.0));
    let ramp = Rewarmup::proportional()
        .with_rho(3.0)
        .with_steps(1)
        .ramp(4, TOTAL);
    model = expand(model, &mut recipe, &plan, Some(ramp));
    for at in 4..7 {
        let before = dump::params(&model);
        let mut expected = plain_in_the_state_of(&init, &recipe);
        let by_init = dump::params(&step(model.clone(), &mut expected, at));
        model = step(model, &mut recipe, at);
        assert_displacements(&before, &by_init, &dump::params(&model), |path, index| {
            let origin = origins(&plan, param(&plan, path))[index];
            (!origin.old).then_some(3.0)
        });
    }
}

/// The norm of the step of each parameter at learning rate 1, under gradients of norm 400.
fn moved(model: &Matrices, optim: &mut ModuleOptimizer) -> BTreeMap<String, f64> {
    let mut gradients = GradientsParams::new();
    for param in [&model.up, &model.down] {
        let tensor = param.val().inner();
        let size = tensor.shape().num_elements() as f32;
        gradients.register(param.id, tensor.full_like(400.0 / size.sqrt()));
    }
    let before = dump::params(model);
    let after = dump::params(&optim.step(1.0, model.clone(), gradients));
    let norm = |path: &String| {
        let (before, after) = (before[path].values(), after[path].values());
        let squares = before
            .iter()
            .zip(after)
            .map(|(before, after)| f64::from(after - before).powi(2));
        squares.sum::<f64>().sqrt()
    };
    before
        .keys()
        .map(|path| (path.clone(), norm(path)))
        .collect()
}

#[track_caller]
fn assert_moved(moved: &BTreeMap<String, f64>, expected: [(&str, f64); 2]) {
    for (path, expected) in expected {
        let found = moved[path];
        assert!(
            (found - expected).abs() < 1e-3 * expected,
            "{path}: {found}"
        );
    }
}

#[test]
fn a_gradient_of_400_moves_a_clipped_parameter_by_a_tenth() {
    let sgd = SgdConfig::new().with_gradient_clipping(norm());
    let mut model = matrices();
    let mut optim = sgd.init_asymmetric();
    assert_moved(&moved(&model, &mut optim), [("up", 0.1), ("down", 0.1)]);
    // What a bare optimizer does.
    let mut bare = ModuleOptimizer::from(sgd.build().asymmetric());
    assert_moved(&moved(&model, &mut bare), [("up", 400.0), ("down", 400.0)]);

    let plan = plan(&model, &Expansion::by("inner", 2.0));
    model = expand(model, &mut optim, &plan, None);
    assert_moved(&moved(&model, &mut optim), [("up", 0.1), ("down", 0.1)]);
}

#[test]
fn every_group_clips_as_its_configuration_says() {
    let sgd = |norm| SgdConfig::new().with_gradient_clipping(norm);
    let group = || ParamGroup::from_path("down");
    for (first, second, expected) in [
        (
            norm(),
            Some(GradientClippingConfig::Norm(3.0)),
            [("up", 0.1), ("down", 3.0)],
        ),
        (norm(), None, [("up", 0.1), ("down", 400.0)]),
        (None, norm(), [("up", 400.0), ("down", 0.1)]),
    ] {
        let mut model = matrices();
        let mut optim = sgd(first)
            .init_asymmetric()
            .with_asymmetric_group(group(), &sgd(second));
        assert_moved(&moved(&model, &mut optim), expected);
        let plan = plan(&model, &Expansion::by("inner", 2.0));
        model = expand(model, &mut optim, &plan, None);
        assert_moved(&moved(&model, &mut optim), expected);
    }
}

#[test]
fn the_recipe_finds_a_place_for_a_rewarmup_in_every_group() {
    let optim = AdamWConfig::new()
        .init_asymmetric()
        .with_asymmetric_group(
            ParamGroup::from_path("up"),
            &MixedPrecision::new(SgdConfig::new()),
        )
        .with_asymmetric_group(
            ParamGroup::from_path("down"),
            &PerExpert::new(MuonConfig::new()),
        );
    burn_grow::optim::check_asymmetric(&optim, &matrices()).unwrap();
}
