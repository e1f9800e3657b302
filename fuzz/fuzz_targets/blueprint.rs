//! Whatever text stands where a blueprint, an expansion or a plan should: it is rejected with a typed
//! error, or it survives being written and read, can be planned with, and is applied to no model that it
//! does not fit.
#![no_main]

mod text;

use std::fmt::Debug;
use std::sync::OnceLock;

use arbitrary::Arbitrary;
use burn::optim::{AdamWConfig, ModuleOptimizer};
use burn::tensor::Device;
use burn_grow::baseline::{Baseline, SplitRatio};
use burn_grow::cost::{Budget, Forecast, StateSize};
use burn_grow::describe::Role;
use burn_grow::moe::MoeConfig;
use burn_grow::optim::{AsymmetricExt, expand_optimizer};
use burn_grow::plan::{Blocks, Fill, Method};
use burn_grow::{Blueprint, Expansion, Growable, InitPair, Plan, Rewarmup, Scaling, StatePolicy};
use burn_grow_tests::models::{Fused, Heads, Mlp, Probe, Stacked, Tied};
use libfuzzer_sys::fuzz_target;
use serde::Serialize;
use serde::de::DeserializeOwned;
use text::{Format, Text};
use toml::Value;

/// What is worth expanding here: a plan allocates what it asks for, and says how much that is.
const ELEMENTS: usize = 1 << 14;

fuzz_target!(|input: Input<'_>| {
    let format = input.format;
    let sound = sound(input.seed);
    let blueprint = input.blueprint.read::<Blueprint>(&sound[0], format);
    let expansion = input.expansion.read::<Expansion>(&sound[1], format);
    let plan = input.plan.read::<Plan>(&sound[2], format);
    if let Text::Raw(text) = input.expansion {
        let _ = text.parse::<InitPair>().map(|pair| pair.to_string());
        if let Some(role) = format.read::<Role>(text) {
            let _ = (role.to_string(), role.size(|_| usize::MAX));
        }
    }
    if let Some(config) = input.config.read::<MoeConfig>(&sound[3], format) {
        survives(&config, &[format]);
        // Every layer is built.
        if config.n_layers < 4
            && let Ok(model) = config.try_init(&Device::flex())
            && let Ok(blueprint) = Blueprint::of_lazy(&model)
            && let Some(Ok(plan)) = expansion.as_ref().map(|by| Plan::new(&blueprint, by))
        {
            let _ = plan.to_string();
        }
    }
    if let Some(expansion) = &expansion {
        survives(expansion, &[format]);
    }
    if let Some(blueprint) = &blueprint {
        survives(blueprint, &[Format::Json, Format::Toml]);
        let _ = blueprint.cost(StateSize::AdamW).optimizer_bytes;
    }
    if let (Some(blueprint), Some(expansion)) = (&blueprint, &expansion) {
        match Plan::new(blueprint, expansion) {
            Ok(plan) => {
                check(&plan);
                survives(&blueprint.expanded(&plan), &[Format::Json, Format::Toml]);
            }
            Err(error) => assert!(!error.to_string().is_empty()),
        }
    }
    plan.iter().for_each(check);
});

/// A plan can be shown, written, read, and applied to what it fits.
fn check(plan: &Plan) {
    let mut axes = plan.axes().values();
    if axes.any(|axis| axis.new_width() > ELEMENTS) {
        return;
    }
    survives(plan, &[Format::Json, Format::Toml]);
    let _ = (plan.to_string(), plan.cost(StateSize::Sgd).to_string());
    let _ = Forecast::new(Budget::Tokens(1e9), plan.active_params()).to_string();
    let (old, new) = plan.num_params();
    if old.max(new) > ELEMENTS {
        return;
    }
    for param in plan.params() {
        for dim in 0..param.roles.len() {
            let lengths = [
                plan.source(param, dim).map(|source| source.len()),
                plan.kept(param, dim).map(|kept| kept.len()),
                plan.factor(param, dim, &|_| Fill::Scale)
                    .map(|factor| factor.len()),
            ];
            // In a new block a dimension may be filled anew that does not grow.
            let listed = plan.growing(param, dim).is_some() || lengths[0].is_some();
            let new = listed.then_some(param.new_shape[dim]);
            assert_eq!(lengths, [new; 3]);
        }
        let elements: usize = param.old_shape.iter().product();
        for fill in [Fill::Copy, Fill::Scale, Fill::Zero] {
            for item in [0, 1, 4] {
                let bytes = vec![1; elements * item];
                let expanded = plan.expand_bytes(param, &param.old_shape, &bytes, &|_| fill);
                if let Some((shape, bytes)) = expanded {
                    assert_eq!(shape, param.new_shape);
                    assert_eq!(bytes.len(), shape.iter().product::<usize>() * item);
                }
            }
        }
    }
    let Models(mlp, tied, fused, heads, stacked, empty) = models();
    apply(plan, mlp);
    apply(plan, tied);
    apply(plan, fused);
    apply(plan, heads);
    apply(plan, stacked);
    apply(plan, empty);
}

fn apply<G: Growable>(plan: &Plan, model: &G) {
    let fits = plan.check(model);
    let applied = plan.apply(model.clone());
    assert_eq!(applied.as_ref().err(), fits.as_ref().err());
    let Ok(wide) = applied else { return };
    let _ = Blueprint::of(&wide).map(|blueprint| blueprint.num_params());
    let optim = ModuleOptimizer::from(AdamWConfig::new().build().asymmetric());
    let ramp = Rewarmup::proportional().paper().ramp(1, 10);
    for policy in [StatePolicy::KeepAndZero, StatePolicy::Scale] {
        let _ = expand_optimizer(&optim, &wide, plan, policy, Some(ramp));
    }
}

impl Format {
    fn try_read<T: DeserializeOwned>(self, text: &str) -> Result<T, String> {
        match self {
            Self::Json => serde_json::from_str(text).map_err(|error| error.to_string()),
            Self::Toml => toml::from_str(text).map_err(|error| error.to_string()),
        }
    }

    fn read<T: DeserializeOwned>(self, text: &str) -> Option<T> {
        self.try_read(text).ok()
    }
}

impl Text<'_> {
    fn read<T: DeserializeOwned>(&self, sound: &Value, format: Format) -> Option<T> {
        let text = self.write(sound, format, |_| {})?;
        format.read(str::from_utf8(&text).ok()?)
    }
}

/// `value` is the same after it was written and read.
fn survives<T: Serialize + DeserializeOwned + Debug>(value: &T, formats: &[Format]) {
    for format in formats {
        // TOML has no whole number above what is signed.
        let Some(text) = format.write(value) else {
            continue;
        };
        match format.try_read::<T>(&text) {
            // Shown, because a number that is none does not equal itself.
            Ok(read) => assert_eq!(format!("{read:?}"), format!("{value:?}"), "{text}"),
            Err(error) => panic!("{error}\n{text}"),
        }
    }
}

struct Models(Mlp, Tied, Fused, Heads, Stacked, Stacked);

fn models() -> &'static Models {
    static MODELS: OnceLock<Models> = OnceLock::new();
    MODELS.get_or_init(|| {
        let device = Device::flex();
        Models(
            Mlp::narrow(0, &device),
            Tied::narrow(0, &device),
            Fused::narrow(0, &device),
            Heads::narrow(0, &device),
            Stacked::narrow(0, &device),
            Stacked::of(0, 0, &device),
        )
    })
}

/// A blueprint, an expansion, its plan, and the configuration of a model, as values.
fn sound(seed: u8) -> &'static [Value; 4] {
    static SOUND: OnceLock<Vec<[Value; 4]>> = OnceLock::new();
    let sound = SOUND.get_or_init(|| {
        let Models(mlp, tied, fused, heads, stacked, empty) = models();
        let by = Expansion::by("inner", 2.0);
        let layers = |blocks| Expansion::to("layers", 3).with_blocks("layers", blocks);
        let rival = |rival| by.clone().with_baseline(rival);
        let uneven = Method::default().with_scaling(Scaling::FunctionPreserving);
        let random = by.clone().with_init(InitPair::RANDOM_ZERO).with_seed(7);
        vec![
            values(mlp, random),
            values(
                mlp,
                rival(Baseline::UnevenSplit(SplitRatio::Uniform(0.1, 0.5))),
            ),
            values(mlp, rival(Baseline::Perturbation { size: 0.1 })),
            values(mlp, rival(Baseline::FunctionPreservingRandom)),
            values(mlp, rival(Baseline::HyperCloning { snr_db: 10.0 })),
            values(tied, by.clone().and_to("hidden", 6)),
            values(fused, Expansion::by("hidden", 1.5).and_by("inner", 2.0)),
            values(heads, Expansion::to("queries", 3).on("queries", uneven)),
            values(
                stacked,
                layers(Blocks::identity().interleaved()).and_by("hidden", 2.0),
            ),
            values(stacked, layers(Blocks::drawn().in_order([0, 0, 1]))),
            values(empty, layers(Blocks::fresh())),
        ]
    });
    &sound[usize::from(seed) % sound.len()]
}

fn values<G: Growable>(model: &G, expansion: Expansion) -> [Value; 4] {
    let blueprint = Blueprint::of(model).expect("described");
    let plan = Plan::new(&blueprint, &expansion).expect("planned");
    [
        Value::try_from(blueprint),
        Value::try_from(expansion),
        Value::try_from(plan),
        Value::try_from(MoeConfig::default()),
    ]
    .map(|value| value.expect("a value"))
}

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    seed: u8,
    format: Format,
    blueprint: Text<'a>,
    expansion: Text<'a>,
    plan: Text<'a>,
    config: Text<'a>,
}
