//! Which coordinates move at which rate.

use super::*;

pub(crate) fn interleaved_copies_move_at_their_own_rate(enrolled: Enrolled) {
    let mut adapted = enrolled.adapted;
    let mut model = Fused::narrow(8, &device());
    for at in 0..4 {
        model = step(model, &mut adapted, at);
    }
    let interleaved = Expansion::by("inner", 2.0).with_map(CopyMap::Interleaved);
    let by = plan(&model, &interleaved);
    let rewarmup = Rewarmup::proportional().with_rho(3.0).with_steps(1);
    let ramp = rewarmup.ramp(4, TOTAL);
    model = expand(model, &mut adapted, &by, Some(ramp));
    for at in 4..8 {
        // Blocks from here on: what was a copy stays one.
        let second = (at == 7).then(|| plan(&model, &Expansion::by("inner", 1.5)));
        if let Some(second) = &second {
            model = expand(model, &mut adapted, second, None);
        }
        let before = dump::params(&model);
        let mut plain = plain_in_the_state_of(&enrolled.plain, &adapted);
        let by_plain = dump::params(&step(model.clone(), &mut plain, at));
        model = step(model, &mut adapted, at);
        let width = if at == 7 { 18 } else { 12 };
        assert_displacements(&before, &by_plain, &dump::params(&model), |path, index| {
            let unit = match path {
                "gate_up.weight" | "gate_up.bias" => index % width,
                "down.weight" => index / 4,
                _ => 0,
            };
            // Odd units copy their even neighbours, and what comes later follows what it copies.
            (unit % 2 == 1).then_some(3.0)
        });
    }
}

pub(crate) fn every_parameter_can_be_rewarmed(enrolled: Enrolled) {
    let mut adapted = enrolled.adapted;
    let mut model = Mlp::narrow(7, &device());
    for at in 0..4 {
        model = step(model, &mut adapted, at);
    }
    let by = plan(&model, &Expansion::by("inner", 2.0));
    let all = Rewarmup::proportional()
        .with_rho(2.0)
        .with_steps(2)
        .with_scope(RewarmupScope::All);
    let ramp = all.ramp(4, TOTAL);
    model = expand(model, &mut adapted, &by, Some(ramp));
    let record = dump::record(&adapted);
    for (path, param) in dump::params(&model) {
        assert_eq!(record.regions(param.id), 1, "{path}");
    }
    for at in 4..8 {
        // A second expansion, of new coordinates only, covers a part of the first.
        let second = (at == 7).then(|| plan(&model, &Expansion::by("inner", 1.5)));
        if let Some(second) = &second {
            let new = Rewarmup::proportional().with_rho(3.0).with_steps(1);
            let ramp = new.ramp(7, TOTAL);
            model = expand(model, &mut adapted, second, Some(ramp));
        }
        let before = dump::params(&model);
        let mut plain = plain_in_the_state_of(&enrolled.plain, &adapted);
        let by_plain = dump::params(&step(model.clone(), &mut plain, at));
        model = step(model, &mut adapted, at);
        let climb = ramp.rate(at - 4, base(4), base(at)) / base(at);
        assert_displacements(&before, &by_plain, &dump::params(&model), |path, index| {
            // The newest units stand last on the axis of 12.
            let newest = match path {
                "up.weight" => index % 12 >= 8,
                "up.bias" => index >= 8,
                "down.weight" => index / 2 >= 8,
                _ => false,
            };
            Some(if newest && at == 7 { 3.0 } else { climb })
        });
    }
}

pub(crate) fn a_base_rate_of_zero_moves_new_coordinates_only(enrolled: Enrolled) {
    let mut adapted = enrolled.adapted;
    let mut model = Fused::narrow(8, &device());
    for at in 0..4 {
        model = step(model, &mut adapted, at);
    }
    let plan = plan(&model, &Expansion::by("inner", 2.0));
    let rewarmup = Rewarmup::cosine(1e-3).paper().with_steps(3);
    let ramp = rewarmup.ramp(4, TOTAL);
    model = expand(model, &mut adapted, &plan, Some(ramp));
    // The rate at the expansion is that of the first step.
    model = step(model, &mut adapted, 4);
    for age in 1..6 {
        let before = dump::params(&model);
        let rate = ramp.rate(age, base(4), 0.0);
        assert!(rate > 0.0);
        let mut plain = plain_in_the_state_of(&enrolled.plain, &adapted);
        let drawn = || gradients(&model, age as u64, every);
        let by_plain = dump::params(&plain.step(rate, model.clone(), drawn()));
        let drawn = drawn();
        model = adapted.step(0.0, model, drawn);
        let after = dump::params(&model);
        for param in plan.params() {
            let path = &param.path;
            let (before, after) = (before[path].values(), after[path].values());
            let by_plain = by_plain[path].values();
            for (index, origin) in origins(&plan, param).into_iter().enumerate() {
                match origin.old {
                    true => assert_eq!(after[index].to_bits(), before[index].to_bits()),
                    false => assert!((after[index] - by_plain[index]).abs() < 1e-6, "{path}"),
                }
            }
        }
    }
}

pub(crate) fn a_base_rate_that_starts_at_zero_moves_nothing(enrolled: Enrolled) {
    for rewarmup in [
        Rewarmup::proportional().paper().with_steps(2),
        Rewarmup::cosine(0.0).paper().with_steps(2),
    ] {
        let mut adapted = enrolled.adapted.clone();
        let model = step(Mlp::narrow(9, &device()), &mut adapted, 0);
        let plan = plan(&model, &Expansion::by("inner", 2.0));
        let ramp = rewarmup.ramp(1, TOTAL);
        let mut wide = expand(model, &mut adapted, &plan, Some(ramp));
        let before = dump::params(&wide);
        for at in 1..5 {
            let drawn = gradients(&wide, at, every);
            wide = adapted.step(0.0, wide, drawn);
            assert_eq!(dump::params(&wide), before);
        }
    }
}

pub(crate) fn the_newest_region_counts(enrolled: Enrolled) {
    /// Expansions in turn, each with a rate of its own.
    fn check<M: Probe>(enrolled: &Enrolled, expansions: &[Expansion]) {
        let mut adapted = enrolled.adapted.clone();
        let mut model = M::narrow(10, &device());
        model = step(model, &mut adapted, 0);
        // The expansion that every coordinate came with, none for the first ones.
        let mut labels: BTreeMap<String, Vec<Option<usize>>> = dump::params(&model)
            .into_iter()
            .map(|(path, param)| (path, vec![None; param.values().len()]))
            .collect();
        let mut ramps = Vec::new();
        for (number, expansion) in expansions.iter().enumerate() {
            let plan = plan(&model, expansion);
            let rho = 2.0 + number as f64;
            let rewarmup = Rewarmup::proportional().with_rho(rho).with_steps(1);
            let ramp = rewarmup.ramp(number + 1, TOTAL);
            ramps.push(ramp);
            model = expand(model, &mut adapted, &plan, Some(ramp));
            for param in plan.params() {
                let labels = labels.get_mut(&param.path).unwrap();
                *labels = origins(&plan, param)
                    .into_iter()
                    .map(|origin| match origin.old {
                        true => labels[origin.source],
                        false => Some(number),
                    })
                    .collect();
            }
            let at = number + 1;
            let before = dump::params(&model);
            let mut plain = plain_in_the_state_of(&enrolled.plain, &adapted);
            let by_plain = dump::params(&step(model.clone(), &mut plain, at));
            model = step(model, &mut adapted, at);
            assert_displacements(&before, &by_plain, &dump::params(&model), |path, index| {
                labels[path][index].map(|number| ramps[number].rho)
            });
        }
    }
    let (inner, hidden) = (Expansion::by("inner", 2.0), Expansion::by("hidden", 2.0));
    let both = Expansion::by("inner", 1.5).and_by("hidden", 2.0);
    let more = Expansion::by("inner", 2.0).and_by("hidden", 1.5);
    check::<Mlp>(&enrolled, &[inner.clone(), inner.clone(), inner.clone()]);
    check::<Fused>(&enrolled, &[both, more]);
    check::<Fused>(&enrolled, &[inner.clone(), hidden.clone()]);
    // The fused axis grows second: its old coordinates move, and stay old.
    check::<Fused>(&enrolled, &[hidden.clone(), inner]);
    let queries = |factor| Expansion::by("queries", factor);
    check::<Heads>(&enrolled, &[queries(2.0), hidden, queries(1.5)]);
}
