//! What new coordinates hold: every init pair, copy map and scaling.
#![allow(clippy::unwrap_used)]

use burn::module::{Module, Param};
use burn::nn::{Linear, LinearConfig};
use burn::tensor::activation::{relu, silu};
use burn::tensor::{Device, Distribution, FloatDType, Tensor};
use burn_grow::plan::{CopyMap, Init, Method};
use burn_grow::{Blueprint, Expansion, Growable, InitPair, Plan, Scaling};
use burn_grow_tests::data::{assert_close, cast, random, rms, seeded, values};
use burn_grow_tests::dump;
use burn_grow_tests::growth::{grown, plan};
use burn_grow_tests::models::{Fused, Heads, Mlp, Probe, Tied};
use proptest::prelude::*;
use rstest::rstest;

/// A producer and a consumer of one axis, nothing between them.
#[derive(Module, Growable, Debug)]
struct Two {
    #[grow(fan_in = "in", fan_out = "inner")]
    up: Linear,
    #[grow(fan_in = "inner", fan_out = "out")]
    down: Linear,
}

impl Two {
    fn new([d_in, inner, d_out]: [usize; 3]) -> Self {
        let device = Device::flex();
        let normal = |shape: [usize; 2]| Linear {
            weight: Param::from_tensor(Tensor::random(
                shape,
                Distribution::Normal(0.0, 1.0),
                &device,
            )),
            bias: None,
        };
        Self {
            up: normal([d_in, inner]),
            down: normal([inner, d_out]),
        }
    }

    /// What the consumer does to the RMS, over independent inputs.
    fn ratio(&self, x: &Tensor<2>) -> f64 {
        let hidden = self.up.forward(x.clone());
        let out = self.down.forward(hidden.clone());
        rms(&values(out)) / rms(&values(hidden))
    }
}

fn map() -> impl Strategy<Value = CopyMap> {
    prop_oneof![
        Just(CopyMap::Block),
        Just(CopyMap::Interleaved),
        Just(CopyMap::Random),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Eq. 3 and 7-17: `RMS(y) / RMS(x)` is kept by every pair whose new columns are not zero.
    #[test]
    fn rms_preserving_pairs_keep_what_the_consumer_does_to_the_rms(
        width in 256usize..300,
        factor in 1.1..7.0,
        pair in 0usize..4,
        map in map(),
        seed in 0u64..100,
    ) {
        let pairs = [
            InitPair::COPY_COPY,
            InitPair::RANDOM_RANDOM,
            InitPair::RANDOM_COPY,
            InitPair::ZERO_COPY,
        ];
        let narrow = Two::new([320, width, 64]);
        let x = Tensor::random([64, 320], Distribution::Normal(0.0, 1.0), &Device::flex());
        let target = (width as f64 * factor) as usize;
        let expansion = Expansion::to("inner", target)
            .with_init(pairs[pair])
            .with_map(map)
            .with_seed(seed);
        let ratio = grown(&narrow, &expansion).ratio(&x) / narrow.ratio(&x);
        prop_assert!((ratio - 1.0).abs() < 0.05, "{}, {map:?}: {ratio}", pairs[pair]);
    }

    /// App. B: zero columns are scaled as if they were random, so the output starts low by exactly that
    /// factor and rises as the columns fill.
    #[test]
    fn zero_columns_start_low_by_the_factor(
        width in 4usize..40,
        more in 1usize..80,
        drawn in any::<bool>(),
    ) {
        let init = if drawn { InitPair::RANDOM_ZERO } else { InitPair::COPY_ZERO };
        let narrow = Two::new([8, width, 5]);
        let x = random([6, 8], 0, &Device::flex());
        let wide = grown(&narrow, &Expansion::to("inner", width + more).with_init(init));
        let factor = (width as f32 / (width + more) as f32).sqrt();
        let output = |model: &Two| model.down.forward(model.up.forward(x.clone()));
        let expected = values(output(&narrow).mul_scalar(factor));
        assert_close(&values(output(&wide)), &expected, 1e-4, &init.to_string());
    }

    /// `d -> a d -> a b d` equals `d -> a b d` under the maps that compose.
    #[test]
    fn whole_multiples_in_two_steps_equal_one(
        width in 1usize..6,
        first in 1usize..4,
        second in 1usize..4,
        interleaved in any::<bool>(),
        scaling in prop_oneof![Just(Scaling::RmsPreserving), Just(Scaling::FunctionPreserving)],
        seed in 0u64..100,
    ) {
        let map = match interleaved {
            true => CopyMap::Interleaved,
            false => CopyMap::Block,
        };
        let narrow = Mlp::of([3, width, 2], seed, &Device::flex());
        let by = |factor: usize| {
            let by = Expansion::by("inner", factor as f64);
            by.with_scaling(scaling).with_map(map)
        };
        let twice = grown(&grown(&narrow, &by(first)), &by(second));
        let once = grown(&narrow, &by(first * second));
        assert_same(&twice, &once, 1e-6);
    }

    /// Axis by axis in any order, or all at once.
    #[test]
    fn axes_grow_in_any_order(
        hidden in 4usize..12,
        inner in 6usize..18,
        init in prop_oneof![
            Just(InitPair::COPY_COPY),
            Just(InitPair::ZERO_COPY),
            Just(InitPair::COPY_ZERO),
        ],
        map in map(),
        seed in 0u64..100,
    ) {
        let narrow = Fused::narrow(seed, &Device::flex());
        let to = |axis, width| Expansion::to(axis, width).with_init(init).with_map(map);
        let (first, second) = (to("hidden", hidden), to("inner", inner));
        let once = grown(&narrow, &first.clone().and_to("inner", inner));
        assert_same(&grown(&grown(&narrow, &first), &second), &once, 1e-6);
        assert_same(&grown(&grown(&narrow, &second), &first), &once, 1e-6);
    }

    /// Whatever the pair, an expansion to the present width changes no bit, and none shrinks.
    #[test]
    fn the_present_width_is_left_alone(
        pair in 0usize..6,
        map in map(),
        less in 1usize..4,
    ) {
        let narrow = Mlp::of([3, 4, 2], 1, &Device::flex());
        let init = InitPair::ALL[pair];
        let same = Expansion::to("inner", 4).with_init(init).with_map(map);
        let before = dump::model_bytes(&narrow);
        prop_assert_eq!(dump::model_bytes(&grown(&narrow, &same)), before);
        let smaller = Expansion::to("inner", 4 - less).with_init(init).with_map(map);
        prop_assert!(Plan::new(&Blueprint::of(&narrow).unwrap(), &smaller).is_err());
    }
}

/// Fails unless two models have the same parameters.
#[track_caller]
fn assert_same<M: Module>(found: &M, expected: &M, tolerance: f32) {
    let (found, expected) = (dump::params(found), dump::params(expected));
    for (path, expected) in expected {
        assert_close(&found[&path].values(), &expected.values(), tolerance, &path);
    }
}

#[rstest]
#[case(InitPair::COPY_COPY)]
#[case(InitPair::RANDOM_ZERO)]
#[case(InitPair::ZERO_COPY)]
#[case(InitPair::COPY_ZERO)]
fn function_preserving_pairs_preserve_the_function_at_any_width(
    #[case] init: InitPair,
    #[values(CopyMap::Block, CopyMap::Interleaved, CopyMap::Random)] map: CopyMap,
) {
    fn check<M: Probe>(expansion: &Expansion) {
        let narrow = M::narrow(1, &Device::flex());
        let wide = grown(&narrow, expansion);
        for seed in 0..3 {
            let expected = values(narrow.output(seed));
            let largest = expected.iter().fold(1.0, |a: f32, b| a.max(b.abs()));
            let what = format!("{expansion:?}");
            assert_close(&values(wide.output(seed)), &expected, 1e-5 * largest, &what);
        }
    }
    for width in [5, 7, 8, 12, 17] {
        let to = |axis, width| {
            let to = Expansion::to(axis, width).with_init(init).with_map(map);
            to.with_scaling(Scaling::FunctionPreserving)
        };
        check::<Mlp>(&to("inner", width));
        check::<Fused>(&to("inner", width + 2));
        check::<Fused>(&to("hidden", width).and_to("inner", width + 2));
        // A head whose query is zero attends everywhere alike, so zeros do not silence it.
        match init.producer {
            Init::Zero => check::<Heads>(&to("hidden", width)),
            _ => check::<Heads>(&to("queries", width).and_to("hidden", width)),
        }
    }
}

/// What stands where two axes meet: zeros before draws, draws before copies, and a copy of a drawn unit
/// is a copy of it.
#[test]
fn axes_meet_in_one_order() {
    let narrow = Two::new([2, 3, 4]);
    let grow = |hidden: Init, out: Init| {
        let consumers = Method::default().with_init(InitPair::new(Init::Copy, hidden));
        let producers = Method::default().with_init(InitPair::new(out, Init::Copy));
        let expansion = Expansion::to("inner", 6).and_to("out", 8);
        let expansion = expansion.on("inner", consumers).on("out", producers);
        let wide = grown(&narrow, &expansion);
        let down = values(wide.down.weight.val());
        move |row: usize, column: usize| down[row * 8 + column]
    };
    // Rows are the consumed axis, columns the made one.
    let at = grow(Init::Random, Init::Copy);
    for row in 3..6 {
        for column in 0..4 {
            assert_eq!(at(row, column + 4), at(row, column), "copies of drawn rows");
        }
    }
    let at = grow(Init::Copy, Init::Random);
    for column in 4..8 {
        for row in 0..3 {
            assert_eq!(
                at(row + 3, column),
                at(row, column),
                "copies of drawn columns"
            );
        }
    }
    let at = grow(Init::Random, Init::Random);
    assert_ne!(at(3, 4), at(0, 4));
    assert_ne!(at(3, 4), at(3, 0));
    for (hidden, out) in [(Init::Zero, Init::Random), (Init::Zero, Init::Copy)] {
        let at = grow(hidden, out);
        assert!((0..8).all(|column| (3..6).all(|row| at(row, column) == 0.0)));
        assert!((0..3).all(|row| at(row, 4) != 0.0));
    }
    for (hidden, out) in [(Init::Random, Init::Zero), (Init::Copy, Init::Zero)] {
        let at = grow(hidden, out);
        assert!((0..6).all(|row| (4..8).all(|column| at(row, column) == 0.0)));
        assert!((3..6).all(|row| at(row, 0) != 0.0));
    }
}

#[test]
fn draws_have_the_moments_of_the_old_parameter() {
    let device = Device::flex();
    let mut narrow = Mlp::of([64, 64, 4], 3, &device);
    // Neither centred nor of spread one.
    narrow.up.weight = narrow.up.weight.map(|w| w.mul_scalar(0.2).add_scalar(0.5));
    let random = InitPair::RANDOM_RANDOM;
    let wide = grown(&narrow, &Expansion::by("inner", 2.0).with_init(random));
    let new = values(wide.up.weight.val().slice([0..64, 64..128]));
    let old = values(narrow.up.weight.val());
    let moments = |values: &[f32]| {
        let mean = values.iter().sum::<f32>() / values.len() as f32;
        let centred: Vec<f32> = values.iter().map(|value| value - mean).collect();
        (f64::from(mean), rms(&centred))
    };
    let ((mean, spread), (new_mean, new_spread)) = (moments(&old), moments(&new));
    assert!((mean - new_mean).abs() < 0.01, "{mean} {new_mean}");
    assert!(
        (spread / new_spread - 1.0).abs() < 0.05,
        "{spread} {new_spread}"
    );
}

#[test]
fn draws_depend_on_seed_and_path_and_on_nothing_else() {
    let random = Expansion::by("inner", 2.0).with_init(InitPair::RANDOM_RANDOM);
    let grow = |dtype, seed| {
        let narrow = cast(Mlp::of([4, 8, 4], 1, &Device::flex()), dtype);
        grown(&narrow, &random.clone().with_seed(seed))
    };
    let once = grow(FloatDType::F32, 5);
    let up = |model: &Mlp| values(model.up.weight.val());
    assert_eq!(up(&grow(FloatDType::F32, 5)), up(&once));
    assert_ne!(up(&grow(FloatDType::F32, 6)), up(&once));
    // The two layers are drawn from streams of their own.
    let normal = |weight: Vec<f32>| weight[..8].to_vec();
    let up = normal(values(once.up.weight.val().slice([0..1, 8..16])));
    let down = normal(values(once.down.weight.val().slice([8..10, 0..4])));
    assert!(
        up.iter()
            .zip(&down)
            .all(|(up, down)| (up - down).abs() > 1e-6)
    );
    // Another device or type: the same numbers, rounded.
    for dtype in [FloatDType::BF16, FloatDType::F16] {
        let half = grow(dtype, 5);
        let (half, full) = (values(half.up.weight.val()), values(once.up.weight.val()));
        assert_close(&half, &full, 0.02, "the same draws");
    }
    let autodiff = Mlp::of([4, 8, 4], 1, &Device::flex().autodiff());
    let autodiff = grown(&autodiff, &random.clone().with_seed(5));
    assert_eq!(
        values(autodiff.up.weight.val()),
        values(once.up.weight.val())
    );
}

/// A SwiGLU unit, its gate marked as one or not.
#[derive(Module, Growable, Debug)]
struct Gated {
    #[grow(gate = "inner")]
    gate: Linear,
    #[grow(fan_out = "inner")]
    up: Linear,
    #[grow(fan_in = "inner")]
    down: Linear,
}

#[derive(Module, Growable, Debug)]
struct Unmarked {
    #[grow(fan_out = "inner")]
    gate: Linear,
    #[grow(fan_out = "inner")]
    up: Linear,
    #[grow(fan_in = "inner")]
    down: Linear,
}

#[test]
fn a_zero_gate_beside_a_zero_up_is_dead_so_gates_are_copied() {
    let device = Device::flex().autodiff();
    let linear = |seed, shape: [usize; 2]| {
        seeded(
            LinearConfig::new(shape[0], shape[1])
                .with_bias(false)
                .init(&device),
            seed,
        )
    };
    let layers = || [linear(1, [3, 4]), linear(2, [3, 4]), linear(3, [4, 2])];
    let zero = Expansion::by("inner", 2.0).with_init(InitPair::ZERO_COPY);
    let x = random([5, 3], 9, &device);
    let new_gradients = |gate: &Linear, up: &Linear, down: &Linear| {
        let hidden = silu(gate.forward(x.clone())) * up.forward(x.clone());
        let gradients = down.forward(hidden).powi_scalar(2).mean().backward();
        let new = |linear: &Linear| {
            let gradient = linear.weight.grad(&gradients).unwrap();
            rms(&values(gradient.slice([0..3, 4..8])))
        };
        (new(gate), new(up))
    };
    let [gate, up, down] = layers();
    let dead = grown(&Unmarked { gate, up, down }, &zero);
    assert_eq!(new_gradients(&dead.gate, &dead.up, &dead.down), (0.0, 0.0));
    let [gate, up, down] = layers();
    let alive = grown(&Gated { gate, up, down }, &zero);
    let (gate, up) = new_gradients(&alive.gate, &alive.up, &alive.down);
    // The gate is heard as soon as the up projection has moved.
    assert!(gate == 0.0 && up > 1e-3, "{gate} {up}");
}

/// An embedding and its head, both over the symbols.
#[derive(Module, Growable, Debug)]
struct Symbols {
    #[grow(vocab = "vocab", fan_out = "hidden")]
    embedding: burn::nn::Embedding,
    #[grow(fan_in = "hidden", vocab = "vocab")]
    head: Linear,
}

#[test]
fn new_symbols_stand_at_the_mean_and_spread_of_the_old() {
    let device = Device::flex();
    let model = Symbols {
        embedding: burn::nn::EmbeddingConfig::new(400, 4).init(&device),
        head: LinearConfig::new(4, 400).init(&device),
    };
    let mut model = seeded(model, 1);
    // Columns of their own mean and spread.
    let columns = Tensor::<2>::from_data([[1.0, -2.0, 3.0, 0.5]], &device);
    model.embedding.weight = model
        .embedding
        .weight
        .map(|w| w * columns.clone() + columns.clone());
    // Whatever the pair says about other axes.
    let expansion = Expansion::to("vocab", 1200)
        .and_by("hidden", 2.0)
        .with_init(InitPair::ZERO_COPY)
        .on("hidden", Method::default());
    let wide = grown(&model, &expansion);
    let weight = wide.embedding.weight.val();
    assert_eq!(weight.dims(), [1200, 8]);
    let column = |rows: core::ops::Range<usize>, column: usize| {
        let values = values(weight.clone().slice([rows, column..column + 1]));
        let mean = values.iter().sum::<f32>() / values.len() as f32;
        let centred: Vec<f32> = values.iter().map(|value| value - mean).collect();
        (mean, rms(&centred) as f32)
    };
    for at in 0..4 {
        let ((mean, spread), (new_mean, new_spread)) = (column(0..400, at), column(400..1200, at));
        assert!(
            (mean - new_mean).abs() < 0.15 * spread,
            "{at}: {mean} {new_mean}"
        );
        assert!(
            (new_spread / spread - 1.0).abs() < 0.1,
            "{at}: {spread} {new_spread}"
        );
    }
    // A copied column of a drawn row is a copy.
    let (old, new) = (
        values(weight.clone().slice([0..1200, 0..4])),
        values(weight.slice([0..1200, 4..8])),
    );
    assert_eq!(old, new);
    let factor = plan(&model, &expansion);
    assert_eq!(
        factor.axis(&"hidden".into()).unwrap().factor().uniform(),
        Some(0.5)
    );
}

/// A norm between a producer and a consumer of one axis.
#[derive(Module, Growable, Debug)]
struct NormedPair {
    #[grow(fan_out = "hidden")]
    up: Linear,
    #[grow(gain = "hidden")]
    norm: burn::nn::RmsNorm,
    #[grow(fan_in = "hidden")]
    down: Linear,
}

#[test]
fn a_norm_over_unevenly_copied_units_is_off_by_one_factor_a_row() {
    let device = Device::flex();
    let normal =
        |shape: [usize; 2]| Tensor::<2>::random(shape, Distribution::Normal(0.0, 1.0), &device);
    let mut narrow = NormedPair {
        up: LinearConfig::new(64, 256).with_bias(false).init(&device),
        norm: burn::nn::RmsNormConfig::new(256)
            .with_epsilon(1e-12)
            .init(&device),
        down: LinearConfig::new(256, 8).with_bias(false).init(&device),
    };
    narrow.up.weight = narrow.up.weight.map(|_| normal([64, 256]));
    let x = normal([512, 64]);
    let hidden = |model: &NormedPair| model.up.forward(x.clone());
    let output = |model: &NormedPair| model.down.forward(model.norm.forward(hidden(model)));
    let row_rms = |hidden: Tensor<2>| hidden.powi_scalar(2).mean_dim(1).sqrt();
    for (target, cv) in [(384, 1.0 / 3.0), (512, 0.0)] {
        let uneven = Expansion::to("hidden", target).with_scaling(Scaling::FunctionPreserving);
        let wide = grown(&narrow, &uneven);
        let off = row_rms(hidden(&narrow)) / row_rms(hidden(&wide));
        let expected = values(output(&narrow) * off.clone());
        assert_close(&values(output(&wide)), &expected, 1e-4, "one factor a row");
        let deviation = rms(&values(off.sub_scalar(1.0)));
        let predicted = cv / (2.0 * 256.0f64).sqrt();
        assert!(
            (deviation - predicted).abs() < 0.25 * predicted + 1e-6,
            "{deviation}"
        );
    }
}

#[test]
fn silent_units_of_a_relu_network_change_nothing() {
    let narrow = Mlp::of([3, 4, 2], 2, &Device::flex());
    let silent = Expansion::to("inner", 9)
        .with_init(InitPair::ZERO_COPY)
        .with_scaling(Scaling::FunctionPreserving);
    let wide = grown(&narrow, &silent);
    let x = random([5, 3], 4, &Device::flex());
    let forward = |model: &Mlp| values(model.down.forward(relu(model.up.forward(x.clone()))));
    assert_close(&forward(&wide), &forward(&narrow), 1e-6, "silent");
    let bias = values(wide.up.bias.unwrap().val());
    assert!(bias[4..].iter().all(|value| *value == 0.0));
}

/// An embedding that is its own output projection is a producer on both sides.
#[test]
fn a_tied_projection_is_scaled_by_what_its_producers_hold() {
    let narrow = Tied::narrow(1, &Device::flex());
    for init in InitPair::ALL {
        let hidden = Expansion::by("hidden", 2.0).with_init(init);
        let factor = match init.producer {
            Init::Copy => 0.5,
            Init::Random | Init::Zero => 0.5f64.sqrt(),
        };
        let wide = grown(&narrow, &hidden);
        assert!(
            (wide.logit_scale / narrow.logit_scale - factor).abs() < 1e-12,
            "{init}"
        );
    }
    for init in [InitPair::COPY_COPY, InitPair::COPY_ZERO] {
        let both = Expansion::by("hidden", 2.0).and_to("inner", 11);
        let both = both
            .with_init(init)
            .with_scaling(Scaling::FunctionPreserving);
        let wide = grown(&narrow, &both);
        let what = init.to_string();
        assert_close(
            &values(wide.output(2)),
            &values(narrow.output(2)),
            1e-5,
            &what,
        );
    }
}
