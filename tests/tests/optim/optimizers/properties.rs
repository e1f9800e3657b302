//! The properties of every optimizer.

use super::*;

pub(crate) fn before_growth_it_is_the_plain_optimizer(enrolled: Enrolled) {
    let narrow = Fused::narrow(1, &device());
    let run = |optim: &mut ModuleOptimizer, model, steps: core::ops::Range<usize>| {
        steps.fold(model, |model, at| step(model, optim, at))
    };
    let (mut plain, mut adapted) = (enrolled.plain.clone(), enrolled.adapted.clone());
    let by_plain = run(&mut plain, narrow.clone(), 0..10);
    let by_adapted = run(&mut adapted, narrow, 0..10);
    assert_eq!(dump::params(&by_plain), dump::params(&by_adapted));
    assert_eq!(dump::record(&plain), dump::record(&adapted));

    // Their records load into each other.
    let from = |optim: &ModuleOptimizer, bytes| optim.clone().from_bytes(bytes).unwrap();
    let mut swapped_plain = from(&enrolled.plain, adapted.into_bytes().unwrap());
    let mut swapped_adapted = from(&enrolled.adapted, plain.into_bytes().unwrap());
    assert_eq!(dump::record(&swapped_plain), dump::record(&plain));
    assert_eq!(dump::record(&swapped_adapted), dump::record(&adapted));
    let expected = dump::params(&run(&mut plain, by_plain.clone(), 10..15));
    for optim in [&mut adapted, &mut swapped_plain, &mut swapped_adapted] {
        let found = run(optim, by_plain.clone(), 10..15);
        assert_eq!(dump::params(&found), expected);
        assert_eq!(dump::record(optim), dump::record(&plain));
    }
}

pub(crate) fn old_coordinates_follow_the_plain_optimizer(enrolled: Enrolled) {
    assert_eq!(old_coordinates_apart(&enrolled), 0);
}

/// The number of old coordinates that an adapted run moves elsewhere than a plain one does.
pub(crate) fn old_coordinates_apart(enrolled: &Enrolled) -> usize {
    let (mut plain, mut adapted) = (enrolled.plain.clone(), enrolled.adapted.clone());
    let narrow = Fused::narrow(2, &device());
    let (mut by_plain, mut by_adapted) = (narrow.clone(), narrow);
    for at in 0..5 {
        by_plain = step(by_plain, &mut plain, at);
        by_adapted = step(by_adapted, &mut adapted, at);
    }
    let plan = plan(
        &by_plain,
        &Expansion::by("inner", 1.5).and_by("hidden", 2.0),
    );
    let rewarmup = Rewarmup::cosine(1e-3).paper().with_steps(4);
    let rewarmup = rewarmup.ramp(5, TOTAL);
    by_plain = expand(by_plain, &mut plain, &plan, None);
    by_adapted = expand(by_adapted, &mut adapted, &plan, Some(rewarmup));
    for at in 5..25 {
        by_plain = step(by_plain, &mut plain, at);
        by_adapted = step(by_adapted, &mut adapted, at);
    }
    let (by_plain, by_adapted) = (dump::params(&by_plain), dump::params(&by_adapted));
    let (mut old_apart, mut new_apart) = (0, 0);
    for param in plan.params() {
        let (plain, adapted) = (
            &by_plain[&param.path].values(),
            &by_adapted[&param.path].values(),
        );
        for (index, origin) in origins(&plan, param).into_iter().enumerate() {
            let apart = match origin.old {
                true => &mut old_apart,
                false => &mut new_apart,
            };
            *apart += usize::from(plain[index].to_bits() != adapted[index].to_bits());
        }
    }
    assert!(new_apart > 100, "{new_apart}");
    old_apart
}

pub(crate) fn new_coordinates_move_at_their_own_rate(enrolled: Enrolled) {
    fn check<M: Probe>(enrolled: &Enrolled, expansion: &Expansion, rewarmup: &Rewarmup) {
        let mut adapted = enrolled.adapted.clone();
        let mut model = M::narrow(3, &device());
        for at in 0..6 {
            model = step(model, &mut adapted, at);
        }
        let plan = plan(&model, expansion);
        let ramp = rewarmup.ramp(6, TOTAL);
        model = expand(model, &mut adapted, &plan, Some(ramp));
        for at in 6..26 {
            let before = dump::params(&model);
            let mut plain = plain_in_the_state_of(&enrolled.plain, &adapted);
            let by_plain = dump::params(&step(model.clone(), &mut plain, at));
            model = step(model, &mut adapted, at);
            let ratio = ramp.rate(at - 6, base(6), base(at)) / base(at);
            assert_displacements(&before, &by_plain, &dump::params(&model), |path, index| {
                let new = !origins(&plan, param(&plan, path))[index].old;
                new.then_some(ratio)
            });
        }
    }
    let inner = Expansion::by("inner", 1.5);
    let both = Expansion::by("inner", 2.0).and_by("hidden", 1.5);
    for rewarmup in [
        Rewarmup::cosine(1e-3).paper().with_steps(5),
        Rewarmup::proportional().with_rho(2.0).with_steps(3),
        // Slower than the base rate.
        Rewarmup::proportional().with_rho(0.5).with_steps(1),
    ] {
        check::<Mlp>(&enrolled, &inner, &rewarmup);
        check::<Fused>(&enrolled, &inner, &rewarmup);
        check::<Fused>(&enrolled, &both, &rewarmup);
    }
}

/// Two expansions, after 5 and after 10 steps, then up to 15.
pub(crate) fn grown_twice(optim: &mut ModuleOptimizer) -> Fused {
    let mut model = Fused::narrow(4, &device());
    let rewarmup = Rewarmup::cosine(1e-3).paper().with_steps(4);
    for at in 0..15 {
        if at == 5 || at == 10 {
            let by = Expansion::by("inner", 2.0).and_by("hidden", 1.5);
            let plan = plan(&model, &by);
            let ramp = rewarmup.ramp(at, TOTAL);
            model = expand(model, optim, &plan, Some(ramp));
        }
        model = step(model, optim, at);
    }
    model
}

pub(crate) fn a_run_resumes_bit_exactly_with_two_regions(enrolled: Enrolled) {
    let mut optim = enrolled.adapted.clone();
    let mut model = grown_twice(&mut optim);
    let record = dump::record(&optim);
    for param in dump::params(&model).values() {
        let grew = param.shape != [2];
        assert_eq!(record.regions(param.id), if grew { 2 } else { 0 });
    }

    let bytes = optim.into_bytes().unwrap();
    let mut resumed = enrolled.adapted.from_bytes(bytes).unwrap();
    assert_eq!(dump::record(&resumed), record);
    let mut again = model.clone();
    for at in 15..25 {
        model = step(model, &mut optim, at);
        again = step(again, &mut resumed, at);
    }
    assert_eq!(dump::params(&model), dump::params(&again));
    assert_eq!(dump::record(&optim), dump::record(&resumed));
}

pub(crate) fn a_parameter_without_a_gradient_gets_its_region(enrolled: Enrolled) {
    let mut adapted = enrolled.adapted;
    let mut model = Mlp::narrow(5, &device());
    for at in 0..4 {
        let gradients = gradients(&model, at as u64, |path| path != "up.weight");
        model = adapted.step(base(at), model, gradients);
    }
    let id = model.up.weight.id.val();
    let prefix = format!("{id}.");
    assert!(
        !dump::record(&adapted)
            .scalars
            .keys()
            .any(|name| name.starts_with(&prefix))
    );

    let plan = plan(&model, &Expansion::by("inner", 2.0));
    let rewarmup = Rewarmup::proportional().with_rho(3.0).with_steps(1);
    let ramp = rewarmup.ramp(4, TOTAL);
    model = expand(model, &mut adapted, &plan, Some(ramp));
    let record = dump::record(&adapted);
    assert_eq!(record.regions(id), 1);
    assert!(!record.tensors.values().any(|tensor| tensor.param == id));

    // Its first step, then, and the ones after.
    for at in 4..8 {
        let before = dump::params(&model);
        let mut plain = plain_in_the_state_of(&enrolled.plain, &adapted);
        let by_plain = dump::params(&step(model.clone(), &mut plain, at));
        model = step(model, &mut adapted, at);
        assert_displacements(&before, &by_plain, &dump::params(&model), |path, index| {
            let new = !origins(&plan, param(&plan, path))[index].old;
            new.then_some(3.0)
        });
    }
}

/// The values, not their type: Burn 0.22 loads every optimizer record as the device's default type,
/// and then cannot step a parameter of half precision any more, grown or not.
pub(crate) fn states_that_burn_cannot_load_back_are_rejected(enrolled: Enrolled) {
    for dtype in [FloatDType::BF16, FloatDType::F16] {
        let mut adapted = enrolled.adapted.clone();
        let mut model = cast(Fused::narrow(11, &device()), dtype);
        for at in 0..3 {
            model = step(model, &mut adapted, at);
        }
        let before = dump::record(&adapted);
        let plan = plan(&model, &Expansion::by("inner", 1.5).and_by("hidden", 2.0));
        let policy = StatePolicy::KeepAndZero;
        let result = expand_optimizer(&adapted, &model, &plan, policy, None);
        if before
            .tensors
            .values()
            .all(|state| state.dtype == DType::F32)
        {
            // Without state in half precision there is nothing to lose.
            result.unwrap();
            continue;
        }
        let error = result.err().unwrap();
        assert!(matches!(error, OptimError::DType { .. }), "{error}");
        assert!(error.to_string().contains("F32"), "{error}");
        assert!(error.to_string().contains("`MixedPrecision`"), "{error}");
    }
}

/// Without a re-warmup, the parameters of new blocks step as those of a new optimizer do, and all
/// others as if nothing had been added.
pub(crate) fn new_blocks_are_parameters_of_their_own(enrolled: Enrolled) {
    let mut adapted = enrolled.adapted.clone();
    let mut model = Stacked::narrow(4, &device());
    for at in 0..5 {
        model = step(model, &mut adapted, at);
    }
    let blocks = Blocks::copies().interleaved();
    let by = plan(
        &model,
        &Expansion::by("layers", 2.0).with_blocks("layers", blocks),
    );
    let mut alone = adapted.clone();
    let mut deep = expand(model.clone(), &mut adapted, &by, None);
    let (mut own, mut fresh) = (deep.clone(), enrolled.adapted);
    // The gradients of the deep model, for those that the shallow one has.
    let of = |deep: &GradientsParams, model: &Stacked| {
        let mut some = GradientsParams::new();
        let mut of_shape = Register {
            from: deep,
            to: &mut some,
        };
        model.visit(&mut of_shape);
        some
    };
    for at in 5..8 {
        let all = || gradients(&deep, at as u64, every);
        let few = of(&all(), &model);
        let next = adapted.step(base(at), deep.clone(), all());
        own = fresh.step(base(at), own, all());
        model = alone.step(base(at), model, few);
        deep = next;
    }
    let [deep, own, model] = [
        dump::params(&deep),
        dump::params(&own),
        dump::params(&model),
    ];
    for param in by.params() {
        let expected = match param.is_new() {
            true => &own[&param.path],
            false => &model[param.source_path().unwrap()],
        };
        assert_eq!(&deep[&param.path], expected, "{}", param.path);
    }
}

/// Takes over the gradients of the parameters that a model has.
struct Register<'a> {
    from: &'a GradientsParams,
    to: &'a mut GradientsParams,
}

impl burn::module::ModuleVisitor for Register<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(gradient) = self.from.get::<D>(param.id) {
            self.to.register(param.id, gradient);
        }
    }
}
