//! What becomes of the state, by axis and by parameter.

use super::*;

const POLICIES: [StatePolicy; 4] = [
    StatePolicy::KeepAndZero,
    StatePolicy::CopyAll,
    StatePolicy::DropAll,
    StatePolicy::Scale,
];

/// Every policy for `inner` with every one for the rest, and a group that follows neither.
fn rules() -> Vec<StateRules> {
    let mut rules = Vec::new();
    for rest in POLICIES {
        rules.push(rest.into());
        for inner in POLICIES {
            let by_axis = StateRules::from(rest).on("inner", inner);
            let overruled = ParamGroup::from_predicate("down");
            let group = ParamGroup::from_paths(vec!["down.weight", "head.bias"]);
            let by_group = by_axis.clone().with_group(overruled, rest);
            rules.extend([by_axis, by_group.with_group(group, StatePolicy::DropAll)]);
        }
        let group = ParamGroup::from_path("gate_up.weight");
        rules.push(StateRules::from(StatePolicy::default()).with_group(group, rest));
    }
    rules
}

/// The policy that `rules` above has for `path` along `axis`, or where nothing grows.
fn policy(rules: &StateRules, path: &str, axis: Option<&Axis>) -> StatePolicy {
    let matched = |group: &ParamGroup| group.matches(&ParamId::new(), Some(path));
    let mut grouped = rules.groups.iter().filter(|(group, _)| matched(group));
    let of_axis = axis.and_then(|axis| rules.axes.get(axis).copied());
    grouped
        .next_back()
        .map(|(_, policy)| *policy)
        .or(of_axis)
        .unwrap_or(rules.policy)
}

/// `param` as a state sees it that has one coordinate along some of its dimensions.
fn reduced(param: &ParamPlan, shape: &[usize]) -> ParamPlan {
    let mut reduced = param.clone();
    for (dim, size) in shape.iter().enumerate() {
        if *size != param.old_shape[dim] {
            (reduced.old_shape[dim], reduced.new_shape[dim]) = (1, 1);
            reduced.roles[dim] = None;
        }
    }
    reduced
}

/// The axis that a matrix consumes along its rows, and its factor.
fn consumed(path: &str) -> Option<(Axis, f64)> {
    match path {
        "gate_up.weight" | "head.weight" => Some(("hidden".into(), 0.5)),
        "down.weight" => Some(("inner".into(), 1.0 / 2.5f64.sqrt())),
        _ => None,
    }
}

/// The power of the factor in the state called `name`.
fn power(name: &str) -> i32 {
    let squares = [
        "moment_2",
        "avg_sq",
        "square_avg",
        ".avg",
        "sum",
        "second_moment",
    ];
    match squares.iter().any(|square| name.contains(square)) {
        true => 2,
        false => 1,
    }
}

/// What a state called `name` of `values` holds after the expansion, coordinate by coordinate.
fn expected(
    plan: &Plan,
    whole: &ParamPlan,
    rules: &StateRules,
    name: &str,
    state: &StateDump,
) -> Vec<f32> {
    let param = reduced(whole, &state.shape);
    let axes: BTreeSet<&Axis> = whole
        .roles
        .iter()
        .flatten()
        .flat_map(|role| role.axes())
        .collect();
    let of = |axis: &Axis| policy(rules, &whole.path, Some(axis));
    let drops = match axes.is_empty() {
        true => policy(rules, &whole.path, None) == StatePolicy::DropAll,
        false => axes.iter().any(|axis| of(axis) == StatePolicy::DropAll),
    };
    let scale = match consumed(&whole.path) {
        Some((axis, factor)) if param.roles[0].is_some() && of(&axis) == StatePolicy::Scale => {
            factor.powi(power(name))
        }
        _ => 1.0,
    };
    let values = state.values();
    let new = new_along(plan, &param);
    let coordinates = origins(plan, &param).into_iter().zip(new);
    coordinates
        .map(|(origin, new)| {
            let zero = new.iter().any(|axis| of(axis) == StatePolicy::KeepAndZero);
            match drops || zero {
                true => 0.0,
                false => (f64::from(values[origin.source]) * scale) as f32,
            }
        })
        .collect()
}

pub(crate) fn rules_say_what_becomes_of_the_state(enrolled: Enrolled) {
    for mut optim in [enrolled.plain, enrolled.adapted] {
        let mut model = Fused::narrow(6, &device());
        for at in 0..4 {
            model = step(model, &mut optim, at);
        }
        let plan = plan(&model, &Expansion::by("inner", 1.5).and_by("hidden", 2.0));
        let before = dump::record(&optim);
        let ids: BTreeMap<u64, String> = dump::params(&model)
            .into_iter()
            .map(|(path, param)| (param.id, path))
            .collect();
        for rules in rules() {
            let expanded = expand_optimizer(&optim, &model, &plan, rules.clone(), None).unwrap();
            let after = dump::record(&expanded);
            let scales = format!("{rules:?}").contains("Scale");
            assert_eq!(after.scalars, before.scalars);
            assert_eq!(after.paths, before.paths);
            assert!(after.tensors.keys().eq(before.tensors.keys()));
            for (name, state) in &before.tensors {
                let whole = param(&plan, &ids[&state.param]);
                let expected = expected(&plan, whole, &rules, name, state);
                let found = &after.tensors[name];
                let what = format!("{} {name} {rules:?}", whole.path);
                match scales {
                    true => assert_close(&found.values(), &expected, 1e-6, &what),
                    false => assert_eq!(found.values(), expected, "{what}"),
                }
                assert_eq!(
                    found.shape,
                    reduced(whole, &state.shape).new_shape,
                    "{name}"
                );
            }
        }
    }
}
