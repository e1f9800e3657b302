//! Copies that nothing tells apart: what the warning says is what training does.

use burn_grow::optim::locked_copies;

use super::*;

/// As many steps as it takes for copies to part visibly, if they do.
const STEPS: usize = 30;

/// The largest difference between a unit and its copy, after training on a loss.
fn apart(mut model: Mlp, mut optim: ModuleOptimizer, units: usize) -> f64 {
    for at in 0..STEPS {
        model = learn(model, &mut optim, at);
    }
    let [d_in, inner] = model.up.weight.dims();
    let up = values(model.up.weight.val());
    let pairs = (0..d_in).flat_map(|row| {
        (units..inner).map(move |copy| (row * inner + copy, row * inner + copy - units))
    });
    pairs
        .map(|(copy, unit)| f64::from((up[copy] - up[unit]).abs()))
        .fold(0.0, f64::max)
}

fn learn(model: Mlp, optim: &mut ModuleOptimizer, at: usize) -> Mlp {
    let output = model.output(at as u64);
    let target = random(output.dims(), at as u64 + 1000, &output.device());
    let loss = (output - target).square().mean();
    let gradients = GradientsParams::from_grads(loss.backward(), &model);
    optim.step(base(at), model, gradients)
}

pub(crate) fn copies_stay_equal_where_a_warning_says_so(enrolled: Enrolled) {
    let mut optim = enrolled.adapted;
    let mut model = Mlp::of([3, 4, 2], 5, &device());
    for at in 0..5 {
        model = learn(model, &mut optim, at);
    }
    let proportional = |rho| Rewarmup::proportional().with_rho(rho).with_steps(1);
    let rewarmups = [
        None,
        Some(proportional(1.0)),
        Some(proportional(2.0)),
        Some(proportional(2.0).with_scope(RewarmupScope::All)),
    ];
    let by = Expansion::by("inner", 2.0);
    let mut warned = 0;
    for policy in [
        StatePolicy::KeepAndZero,
        StatePolicy::CopyAll,
        StatePolicy::DropAll,
        StatePolicy::Scale,
    ] {
        for rewarmup in &rewarmups {
            let ramp = rewarmup.as_ref().map(|rewarmup| rewarmup.ramp(5, TOTAL));
            let plan = plan(&model, &by);
            let locked = locked_copies(&optim, &model, &plan, policy, ramp).unwrap();
            let wide = expand_optimizer(&optim, &model, &plan, policy, ramp).unwrap();
            let apart = apart(plan.apply(model.clone()).unwrap(), wide, 4);
            let what = format!("{policy:?}, {rewarmup:?}: {apart}");
            match locked {
                // Rounding aside: some optimizers mix the units of a parameter.
                Some(locked) => {
                    assert_eq!(locked.axes, [Axis::from("inner")], "{what}");
                    assert!(apart < 1e-5, "{what}");
                    warned += 1;
                }
                None => assert!(apart > 1e-4, "{what}"),
            }
        }
    }
    // Three policies under three re-warmups, and without a state the fourth as well.
    assert!(warned == 9 || warned == 12, "{warned}");
}

#[test]
fn plain_sgd_leaves_copies_locked_to_the_bit_until_it_is_rewarmed() {
    let optim = ModuleOptimizer::from(SgdConfig::new().build().asymmetric());
    let model = Mlp::of([3, 4, 2], 5, &device());
    let policy = StatePolicy::KeepAndZero;
    let locked = |by: &Expansion, ramp| {
        let plan = plan(&model, by);
        let locked = locked_copies(&optim, &model, &plan, policy, ramp).unwrap();
        let wide = expand_optimizer(&optim, &model, &plan, policy, ramp).unwrap();
        let apart = apart(plan.apply(model.clone()).unwrap(), wide, 4);
        assert_eq!(locked.is_some(), apart == 0.0, "{by:?}: {apart}");
        locked.map(|locked| locked.to_string())
    };
    let by = || Expansion::by("inner", 2.0);
    let message = locked(&by(), None).unwrap();
    assert!(message.contains("the copies along `inner`"), "{message}");
    let ramp = |rho| Some(Rewarmup::proportional().with_rho(rho).ramp(0, TOTAL));
    assert!(locked(&by(), ramp(1.0)).is_some());
    assert!(locked(&by(), ramp(3.0)).is_none());
    // What is no copy is not locked.
    for other in [
        by().with_init(InitPair::COPY_ZERO),
        by().with_init(InitPair::new(Init::Random, Init::Zero)),
        by().with_baseline(Baseline::UnevenSplit(SplitRatio::Fixed(0.25))),
        by().with_baseline(Baseline::Net2Net { noise: 0.1 }),
        by().with_baseline(Baseline::HyperCloning { snr_db: 10.0 }),
    ] {
        assert!(locked(&other, None).is_none(), "{other:?}");
    }
    let silent = by()
        .with_baseline(Baseline::Net2Net { noise: 0.0 })
        .with_seed(1);
    let plan = plan(&model, &silent);
    assert!(
        locked_copies(&optim, &model, &plan, policy, None)
            .unwrap()
            .is_some()
    );
}

/// Before the first step every optimizer is without a state.
#[test]
fn an_expansion_before_the_first_step_leaves_copies_locked() {
    let optim = ModuleOptimizer::from(AdamWConfig::new().build().asymmetric());
    let model = Mlp::of([3, 4, 2], 5, &device());
    let plan = plan(&model, &Expansion::by("inner", 2.0));
    let policy = StatePolicy::KeepAndZero;
    assert!(
        locked_copies(&optim, &model, &plan, policy, None)
            .unwrap()
            .is_some()
    );
    let wide = expand_optimizer(&optim, &model, &plan, policy, None).unwrap();
    assert_eq!(apart(plan.apply(model).unwrap(), wide, 4), 0.0);
}
