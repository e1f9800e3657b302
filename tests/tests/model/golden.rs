//! Agreement with the reference implementation: its numbers stand in `golden/`.
#![allow(clippy::unwrap_used)]

use std::f64::consts::PI;
use std::fs::File;

use burn::module::{Module, Param};
use burn::nn::{Linear, LinearConfig, LinearLayout};
use burn::optim::decay::WeightDecayConfig;
use burn::optim::{
    AdamWConfig, AdjustLrFn, GradientsParams, ModuleOptimizer, MuonConfig, Optimizer,
};
use burn::store::ModuleRecord;
use burn::tensor::{Device, Tensor, TensorData};
use burn_grow::optim::{AsymmetricExt, BiasCorrection, expand_optimizer};
use burn_grow::plan::{CopyMap, Method};
use burn_grow::{Expansion, Growable, InitPair, Rewarmup, Scaling, StatePolicy};
use burn_grow_tests::data::{assert_close, values};
use burn_grow_tests::growth;
use rstest::rstest;
use serde::Deserialize;
use serde::de::DeserializeOwned;

fn golden<T: DeserializeOwned>(name: &str) -> T {
    let path = format!("{}/golden/{name}.json", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_reader(File::open(path).unwrap()).unwrap()
}

/// A matrix `W[out, in]`, `y = W x`: the transpose of Burn's.
#[derive(Clone, Deserialize)]
struct Matrix {
    shape: [usize; 2],
    data: Vec<f64>,
}

impl Matrix {
    /// As Burn holds it, `[in, out]`.
    fn transposed(&self) -> Tensor<2> {
        let data: Vec<f32> = self.data.iter().map(|value| *value as f32).collect();
        let data = TensorData::new(data, self.shape);
        Tensor::from_data(data, &Device::flex()).transpose()
    }

    fn values(&self) -> Vec<f32> {
        values(self.transposed())
    }
}

#[derive(Module, Growable, Debug)]
struct One {
    #[grow(fan_in = "in", fan_out = "out")]
    layer: Linear,
}

impl One {
    fn new([d_out, d_in]: [usize; 2], layout: LinearLayout) -> Self {
        let config = LinearConfig::new(d_in, d_out)
            .with_bias(false)
            .with_layout(layout);
        Self {
            layer: config.init(&Device::flex()),
        }
    }

    fn with(mut self, weight: Tensor<2>) -> Self {
        let (id, _, mapper) = self.layer.weight.consume();
        self.layer.weight = Param::from_mapped_value(id, weight, mapper);
        self
    }

    fn values(&self) -> Vec<f32> {
        values(self.layer.weight.val())
    }
}

#[derive(Deserialize)]
struct Weights {
    factors: Vec<FactorCase>,
    cases: Vec<WeightCase>,
}

#[derive(Deserialize)]
struct FactorCase {
    d: usize,
    d_new: usize,
    mode: String,
    factor: f64,
}

#[derive(Deserialize)]
struct WeightCase {
    out_new: Option<usize>,
    in_new: Option<usize>,
    fan_out: String,
    fan_in: String,
    factor: f64,
    w: Matrix,
    expected: Matrix,
}

/// Equation 16-17 of the paper.
fn copy_copy(d: usize, d_new: usize) -> f64 {
    let c = d_new as f64 / d as f64 - 1.0;
    match c <= 1.0 {
        true => 1.0 / (1.0 + 3.0 * c).sqrt(),
        false => 1.0 / (1.0 + c),
    }
}

#[test]
fn the_factor_of_every_pair_is_the_reference_one() {
    let factors = golden::<Weights>("weights").factors;
    let mut cases = 0;
    for case in &factors {
        let source = CopyMap::Block.source(case.d, case.d_new, 0, "");
        let init: InitPair = case.mode.parse().unwrap();
        let factor = Scaling::RmsPreserving.factor(init, &source, case.d);
        let factor = factor.unwrap().uniform().unwrap();
        assert!(
            (factor - case.factor).abs() < 1e-14,
            "{init} {}",
            case.d_new
        );
        if init == InitPair::COPY_COPY {
            assert!((copy_copy(case.d, case.d_new) - case.factor).abs() < 1e-14);
        }
        cases += 1;
    }
    assert_eq!(cases, 24);
}

impl WeightCase {
    /// What grows as the reference did, and what the recorded weights, unscaled, are multiplied with.
    fn expansion(&self, scaling: Scaling) -> (Expansion, f64) {
        assert_eq!(self.factor, 1.0, "the cases are recorded unscaled");
        let method = |pair: String| {
            let init = pair.parse().unwrap();
            Method::default().with_init(init).with_scaling(scaling)
        };
        let mut expansion = Expansion::default();
        if let Some(d_out) = self.out_new {
            let producers = method(format!("{}-copy", self.fan_out));
            expansion = expansion.and_to("out", d_out).on("out", producers);
        }
        let mut factor = 1.0;
        if let Some(d_in) = self.in_new {
            let consumers = method(format!("copy-{}", self.fan_in));
            expansion = expansion.and_to("in", d_in).on("in", consumers);
            let d_old = self.w.shape[1];
            factor = match (scaling, self.fan_in.as_str()) {
                (Scaling::RmsPreserving, "copy") => copy_copy(d_old, d_in),
                (Scaling::RmsPreserving, _) => (d_old as f64 / d_in as f64).sqrt(),
                _ => 1.0,
            };
        }
        (expansion, factor)
    }
}

#[rstest]
fn copied_and_silent_weights_are_the_reference_ones(
    #[values(LinearLayout::Row, LinearLayout::Col)] layout: LinearLayout,
    #[values(Scaling::None, Scaling::RmsPreserving)] scaling: Scaling,
) {
    let mut cases = 0;
    for case in golden::<Weights>("weights").cases {
        cases += 1;
        let (expansion, factor) = case.expansion(scaling);
        let narrow = One::new(case.w.shape, layout).with(case.w.transposed());
        let plan = growth::plan(&narrow, &expansion);
        let wide = plan.apply(narrow).unwrap();
        let expected = case.expected.transposed().mul_scalar(factor);
        let [d_out, d_in] = case.expected.shape;
        assert_eq!(wide.layer.weight.dims(), [d_in, d_out]);
        assert_close(&wide.values(), &values(expected), 1e-6, &plan.to_string());

        // The memory layout is still known where the parameter is saved and loaded.
        let bytes = wide.clone().into_record().into_bytes().unwrap();
        let record = ModuleRecord::from_bytes(bytes).unwrap();
        let loaded = One::new(case.expected.shape, layout).load_record(record);
        assert_eq!(loaded.values(), wide.values());
    }
    assert_eq!(cases, 36);
}

/// Two matrices side by side along the output, and two below each other along the input.
#[derive(Module, Growable, Debug)]
struct Fused {
    #[grow(fan_in = "in", concat(fan_out = "out", fan_out = "out"))]
    outputs: Linear,
    #[grow(fan_in("in", groups = 2), fan_out = "out")]
    inputs: Linear,
}

#[rstest]
fn fused_weights_are_the_reference_ones_side_by_side(
    #[values(Scaling::None, Scaling::RmsPreserving)] scaling: Scaling,
) {
    for case in golden::<Weights>("weights").cases {
        let (expansion, factor) = case.expansion(scaling);
        let fuse = |matrix: &Matrix, dim| {
            let one = matrix.transposed();
            Tensor::cat(vec![one.clone(), one.mul_scalar(-0.5)], dim)
        };
        let layer = |weight: Tensor<2>| {
            let [d_in, d_out] = weight.dims();
            One::new([d_out, d_in], LinearLayout::Row)
                .with(weight)
                .layer
        };
        let narrow = Fused {
            outputs: layer(fuse(&case.w, 1)),
            inputs: layer(fuse(&case.w, 0)),
        };
        let wide = growth::grown(&narrow, &expansion);
        for (layer, dim) in [(wide.outputs, 1), (wide.inputs, 0)] {
            let expected = values(fuse(&case.expected, dim).mul_scalar(factor));
            assert_close(&values(layer.weight.val()), &expected, 1e-6, "fused");
        }
    }
}

#[derive(Deserialize)]
struct Schedule {
    total: usize,
    peak: f64,
    final_ratio: f64,
    warmup_frac: f64,
    t_e: usize,
    rho: f64,
    tau_w: usize,
    eta_e: f64,
    base: Vec<(usize, f64)>,
    new: Vec<(usize, f64)>,
    kappa: Vec<(f64, usize, f64)>,
}

/// Linear to `peak`, then a cosine to `final_ratio` of it.
fn base_rate(t: usize, total: usize, peak: f64, final_ratio: f64, warmup_frac: f64) -> f64 {
    let warmup = ((total as f64 * warmup_frac) as usize).max(1);
    if t < warmup {
        return peak * (t + 1) as f64 / warmup as f64;
    }
    let progress = (t - warmup) as f64 / (total - warmup) as f64;
    peak * (final_ratio + (1.0 - final_ratio) * 0.5 * (1.0 + (PI * progress).cos()))
}

#[test]
fn the_rewarmup_follows_the_reference_schedule() {
    let schedule: Schedule = golden("schedule");
    let base = |t| {
        base_rate(
            t,
            schedule.total,
            schedule.peak,
            schedule.final_ratio,
            schedule.warmup_frac,
        )
    };
    assert!(schedule.base.len() > 50 && schedule.new.len() > 30);
    for (t, rate) in &schedule.base {
        assert!((base(*t) - rate).abs() < 1e-15, "base rate at {t}");
    }
    assert!((base(schedule.t_e) - schedule.eta_e).abs() < 1e-15);
    let ramp = Rewarmup::cosine(schedule.final_ratio * schedule.peak)
        .with_rho(schedule.rho)
        .with_steps(schedule.tau_w)
        .ramp(schedule.t_e, schedule.total);
    for (t, rate) in &schedule.new {
        let found = ramp.rate(t - schedule.t_e, schedule.eta_e, base(*t));
        assert!((found - rate).abs() < 1e-15, "rate at {t}: {found}");
    }
}

#[test]
fn a_restarted_bias_correction_is_the_reference_factor() {
    let schedule: Schedule = golden("schedule");
    assert_eq!(schedule.kappa.len(), 10);
    for (beta_2, t, factor) in schedule.kappa {
        let age = BiasCorrection::Restarted {
            beta_1: 0.9,
            beta_2,
        };
        let found = age.factor(t - schedule.t_e + 1, t + 1);
        assert!((found - factor).abs() < 1e-12, "{beta_2} at {t}: {found}");
    }
}

#[derive(Deserialize)]
struct Optimizers {
    runs: Vec<Run>,
}

#[derive(Deserialize)]
struct Run {
    optimizer: String,
    beta_2: f64,
    own_age: bool,
    weight_decay: f64,
    epsilon: f64,
    expand_at: usize,
    shape_old: [usize; 2],
    shape_new: [usize; 2],
    w0: Matrix,
    w_after_expansion: Matrix,
    rho: f64,
    tau_w: usize,
    total: usize,
    peak: f64,
    final_ratio: f64,
    warmup_frac: f64,
    steps: Vec<Step>,
}

#[derive(Deserialize)]
struct Step {
    t: usize,
    lr_old: f64,
    lr_new: Option<f64>,
    grad: Matrix,
    w: Option<Matrix>,
}

/// Burn computes `beta_2^t`, and `1 - beta_2^t`, in `f32`. For 0.95 that costs nothing; for 0.999 the
/// bias correction of step `t` is off by up to `2^-24 / (0.001 t)`, `6e-5 / t` of the update, which
/// adds up to `0.02 * 6e-5 * ln(60) / 2 = 2.5e-6` over the run.
#[rstest]
#[case(0.95, 1e-6)]
#[case(0.999, 2.5e-6)]
fn a_grown_adamw_follows_the_reference_trajectory(
    #[case] beta_2: f64,
    #[case] tolerance: f32,
    #[values(false, true)] own_age: bool,
) {
    let mut runs = golden::<Optimizers>("optimizers").runs;
    runs.retain(|run| run.optimizer == "adamw" && run.own_age == own_age && run.beta_2 == beta_2);
    assert_eq!(runs.len(), 1);
    let run = runs.remove(0);
    let adamw = AdamWConfig::new()
        .with_beta_2(run.beta_2 as f32)
        .with_epsilon(run.epsilon as f32)
        .with_weight_decay(run.weight_decay as f32);
    follow(&run, adamw.build(), tolerance);
}

/// Newton-Schulz iterations amplify rounding: the reference runs in `f64`.
#[test]
fn a_grown_muon_follows_the_reference_trajectory() {
    let mut runs = golden::<Optimizers>("optimizers").runs;
    runs.retain(|run| run.optimizer == "muon");
    assert_eq!(runs.len(), 1);
    let run = runs.remove(0);
    let muon = MuonConfig::new()
        .with_epsilon(run.epsilon as f32)
        .with_weight_decay(Some(WeightDecayConfig::new(run.weight_decay as f32)))
        .with_adjust_lr_fn(AdjustLrFn::MatchRmsAdamW);
    follow(&run, muon.build(), 2e-6);
}

/// Trains as the reference did, growing where it did.
fn follow<O: Optimizer>(run: &Run, optimizer: O, tolerance: f32) {
    // Burn's optimizers reject parameters on a plain device.
    let mut model = One::new(run.shape_old, LinearLayout::Row)
        .with(run.w0.transposed())
        .train();
    let mut optim = ModuleOptimizer::from(optimizer.asymmetric());
    let [d_out, d_in] = run.shape_new;
    let expansion = Expansion::to("out", d_out).and_to("in", d_in);
    let mut rewarmup = Rewarmup::cosine(run.final_ratio * run.peak)
        .with_rho(run.rho)
        .with_steps(run.tau_w);
    if run.own_age {
        rewarmup = rewarmup.with_restarted_bias_correction(0.9, run.beta_2);
    }
    let ramp = rewarmup.ramp(run.expand_at, run.total);
    let start = run.steps[run.expand_at].lr_old;

    let mut compared = 0;
    for step in &run.steps {
        let base = base_rate(
            step.t,
            run.total,
            run.peak,
            run.final_ratio,
            run.warmup_frac,
        );
        assert!((base - step.lr_old).abs() < 1e-15);
        if step.t == run.expand_at {
            let plan = growth::plan(&model, &expansion);
            let rewarmup = Some(ramp);
            optim = expand_optimizer(&optim, &model, &plan, StatePolicy::KeepAndZero, rewarmup)
                .unwrap();
            model = plan.apply(model).unwrap();
            assert_close(
                &model.values(),
                &run.w_after_expansion.values(),
                tolerance,
                "after the expansion",
            );
        }
        if let Some(rate) = step.lr_new {
            let found = ramp.rate(step.t - run.expand_at, start, step.lr_old)
                * ramp
                    .bias_correction
                    .factor(step.t - run.expand_at + 1, step.t + 1);
            assert!((found - rate).abs() < 1e-15, "rate at {}", step.t);
        }
        let mut gradients = GradientsParams::new();
        gradients.register(model.layer.weight.id, step.grad.transposed());
        model = optim.step(step.lr_old, model, gradients);
        if let Some(expected) = &step.w {
            let what = format!("after step {}", step.t);
            assert_close(&model.values(), &expected.values(), tolerance, &what);
            compared += 1;
        }
    }
    assert_eq!(compared, 14);
}
