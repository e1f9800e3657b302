//! Whatever text stands where a blueprint, an expansion or a plan should: it is rejected with a typed
//! error, or it survives being written and read, can be planned with, and is applied to no model that it
//! does not fit.
#![no_main]

use std::fmt::Debug;
use std::sync::OnceLock;

use arbitrary::Arbitrary;
use burn::optim::{AdamWConfig, ModuleOptimizer};
use burn::tensor::Device;
use burn_grow::moe::MoeConfig;
use burn_grow::{Blueprint, Expansion, Growable, InitPair, Plan, Rewarmup, Scaling, StatePolicy};
use burn_grow::baseline::{Baseline, SplitRatio};
use burn_grow::cost::{Budget, Forecast, StateSize};
use burn_grow::describe::Role;
use burn_grow::optim::{AsymmetricExt, expand_optimizer};
use burn_grow::plan::{Blocks, Fill, Method};
use burn_grow_tests::models::{Fused, Heads, Mlp, Probe, Stacked, Tied};
use libfuzzer_sys::fuzz_target;
use serde::Serialize;
use serde::de::DeserializeOwned;
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
            values(mlp, rival(Baseline::UnevenSplit(SplitRatio::Uniform(0.1, 0.5)))),
            values(mlp, rival(Baseline::Perturbation { size: 0.1 })),
            values(mlp, rival(Baseline::FunctionPreservingRandom)),
            values(mlp, rival(Baseline::HyperCloning { snr_db: 10.0 })),
            values(tied, by.clone().and_to("hidden", 6)),
            values(fused, Expansion::by("hidden", 1.5).and_by("inner", 2.0)),
            values(heads, Expansion::to("queries", 3).on("queries", uneven)),
            values(stacked, layers(Blocks::identity().interleaved()).and_by("hidden", 2.0)),
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

#[derive(Arbitrary, Clone, Copy, Debug)]
enum Format {
    Json,
    Toml,
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

    fn write<T: Serialize>(self, value: &T) -> Option<String> {
        match self {
            Self::Json => serde_json::to_string(value).ok(),
            Self::Toml => toml::to_string(value).ok(),
        }
    }
}

/// What stands where a document should.
#[derive(Arbitrary, Debug)]
enum Text<'a> {
    Raw(&'a str),
    /// A sound document that says other things, then was cut and pasted.
    Changed(Vec<(u16, Edit<'a>)>, Vec<(u16, u8, &'a str)>),
}

#[derive(Arbitrary, Debug)]
enum Edit<'a> {
    Small(i8),
    /// A power of two, and by how much it is missed.
    Near(u8, i8),
    Float(f64),
    Bool(bool),
    String(&'a str),
    /// What stands elsewhere.
    Like(u16),
    /// One entry less, or one twice.
    Less(u8),
    More(u8, &'a str),
}

impl Text<'_> {
    fn read<T: DeserializeOwned>(&self, sound: &Value, format: Format) -> Option<T> {
        let (edits, splices) = match self {
            Self::Raw(text) => return format.read(text),
            Self::Changed(edits, splices) => (edits, splices),
        };
        let mut value = sound.clone();
        for (at, edit) in edits.iter().take(16) {
            edit.apply(usize::from(*at), &mut value);
        }
        let mut text = format.write(&value)?.into_bytes();
        for (at, removed, with) in splices.iter().take(16) {
            let start = usize::from(*at) % (text.len() + 1);
            let end = (start + usize::from(*removed)).min(text.len());
            text.splice(start..end, with.bytes());
        }
        format.read(&String::from_utf8(text).ok()?)
    }
}

impl Edit<'_> {
    fn apply(&self, at: usize, value: &mut Value) {
        let count = self::count(value);
        let like = match self {
            Self::Like(other) => find(value, &mut (usize::from(*other) % count)).cloned(),
            _ => None,
        };
        // Copies of copies would have no end.
        let like = like.filter(|like| self::count(like) < 100);
        let Some(place) = find(value, &mut (at % count)) else {
            return;
        };
        match self {
            Self::Small(number) => *place = Value::Integer((*number).into()),
            Self::Near(bit, by) => {
                let number = (1_i64 << (bit % 63)).wrapping_add((*by).into());
                *place = Value::Integer(number);
            }
            Self::Float(number) => *place = Value::Float(*number),
            Self::Bool(flag) => *place = Value::Boolean(*flag),
            Self::String(text) => *place = Value::String((*text).into()),
            Self::Like(_) => place.clone_from(like.as_ref().unwrap_or(&Value::Boolean(false))),
            Self::Less(index) => match place {
                Value::Array(items) if !items.is_empty() => {
                    items.remove(usize::from(*index) % items.len());
                }
                Value::Table(table) => {
                    let key = table.keys().nth(usize::from(*index)).cloned();
                    key.map(|key| table.remove(&key));
                }
                _ => {}
            },
            Self::More(index, name) => match place {
                Value::Array(items) if !items.is_empty() && items.len() < 64 => {
                    let item = items[usize::from(*index) % items.len()].clone();
                    items.push(item);
                }
                Value::Table(table) => {
                    let item = table.values().nth(usize::from(*index)).cloned();
                    item.map(|item| table.insert((*name).into(), item));
                }
                _ => {}
            },
        }
    }
}

/// The number of values in a value, itself one of them.
fn count(value: &Value) -> usize {
    1 + match value {
        Value::Array(items) => items.iter().map(count).sum(),
        Value::Table(table) => table.iter().map(|(_, item)| count(item)).sum(),
        _ => 0,
    }
}

/// The value so far down in the order of writing.
fn find<'v>(value: &'v mut Value, at: &mut usize) -> Option<&'v mut Value> {
    if *at == 0 {
        return Some(value);
    }
    *at -= 1;
    match value {
        Value::Array(items) => items.iter_mut().find_map(|item| find(item, at)),
        Value::Table(table) => table.iter_mut().find_map(|(_, item)| find(item, at)),
        _ => None,
    }
}
