//! The size of activations against the width over the first steps: flat under muP only.
#![allow(clippy::unwrap_used)]

use burn::module::{Module, ModuleMapper, Param};
use burn::nn::Linear;
use burn::optim::{AdamConfig, GradientsParams, SgdConfig};
use burn::tensor::activation::{gelu, relu};
use burn::tensor::{Device, Int, Tensor};
use burn_grow::moe::{MoeConfig, MoeTransformer};
use burn_grow::optim::AsymmetricConfig;
use burn_grow::parametrization::{Drawn, Parametrization, Readout, Rule};
use burn_grow::verify::{Activations, CoordinateCheck, Probe, coordinate_check};
use burn_grow::{Blueprint, GrowError, Growable};
use burn_grow_tests::data::random;
use rstest::rstest;

const WIDTHS: [usize; 4] = [32, 64, 128, 256];
const STEPS: usize = 10;

#[derive(Module, Growable, Debug)]
struct Deep {
    #[grow(fan_out = "hidden")]
    up: Linear,
    #[grow(fan_in = "hidden", fan_out = "inner")]
    middle: Linear,
    #[grow(fan_in = "inner")]
    down: Linear,
}

impl Deep {
    fn run(&self, x: Tensor<2>) -> [Tensor<2>; 3] {
        let up = relu(self.up.forward(x));
        let middle = gelu(self.middle.forward(up.clone()));
        let down = self.down.forward(middle.clone());
        [up, middle, down]
    }
}

impl Probe<Tensor<2>> for Deep {
    fn probe(&self, x: Tensor<2>) -> Activations {
        let [up, middle, down] = self.run(x);
        Activations::new(down)
            .with_site("up", &up)
            .with_site("middle", &middle)
    }
}

/// Weights of a standard deviation of `1/sqrt(d_input)`, from a seed.
fn linear(d_input: usize, d_output: usize, seed: u64) -> Linear {
    let drawn = |shape| random(shape, seed, &Device::flex());
    let scale = (3.0 / d_input as f64).sqrt();
    let leaf = |drawn: Tensor<2>| Param::from_tensor(Tensor::from_inner(drawn));
    Linear {
        weight: leaf(drawn([d_input, d_output]).mul_scalar(scale)),
        bias: None,
    }
}

fn check(rule: Rule, adam: bool) -> CoordinateCheck {
    let device = Device::flex().autodiff();
    let input = random([32, 4], 1, &device);
    let target = random([32, 2], 2, &device);
    let parametrization = Parametrization::new(rule, [("hidden", 32), ("inner", 32)]);
    let build = |width: usize| {
        let deep = Deep {
            up: linear(4, width, 3),
            middle: linear(width, width, 4),
            down: linear(width, 2, 5),
        };
        let widths = parametrization.of(&Blueprint::of(&deep)?)?;
        let deep = widths.initialize(deep, Drawn::ByFanIn)?;
        let (optim, rate) = match adam {
            true => (AdamConfig::new().init_parametrized(&widths), 0.05),
            false => (SgdConfig::new().init_parametrized(&widths), 0.5),
        };
        let mut optim = optim.unwrap();
        let (input, target) = (input.clone(), target.clone());
        let step = move |model: Deep| {
            let [.., output] = model.run(input.clone());
            let loss = (output - target.clone()).square().mean();
            let grads = GradientsParams::from_grads(loss.backward(), &model);
            optim.step(rate, model, grads)
        };
        Ok::<_, GrowError>((deep, step))
    };
    coordinate_check(&WIDTHS, STEPS, &input, build).unwrap()
}

#[rstest]
fn activations_keep_their_size_under_mup_and_not_under_the_standard_rule(
    #[values(true, false)] adam: bool,
) {
    let mup = check(Rule::Mup(Readout::Weights), adam);
    assert!(mup.steepest().unwrap().1 < 0.2, "{mup}");
    let standard = check(Rule::Standard, adam);
    assert!(standard.steepest().unwrap().1 > 0.6, "{standard}");
}

/// Matrices from a seed, of one standard deviation.
struct Draw(u64);

impl ModuleMapper for Draw {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        if D < 2 {
            return param;
        }
        self.0 += 1;
        let (id, tensor, mapper) = param.consume();
        let drawn = random(tensor.dims(), self.0, &Device::flex()).mul_scalar(0.3);
        Param::from_mapped_value(id, Tensor::from_inner(drawn).require_grad(), mapper)
    }
}

fn check_transformer(rule: Rule) -> CoordinateCheck {
    let device = Device::flex().autodiff();
    let text = |shift: i64| {
        let bytes: Vec<i64> = (0..128)
            .map(|at| (at + shift) * (at + shift) % 31)
            .collect();
        Tensor::<1, Int>::from_ints(bytes.as_slice(), &device).reshape([4, 32])
    };
    let (tokens, targets) = (text(0), text(1));
    let base = [
        ("hidden", 16),
        ("inner", 8),
        ("kv_heads", 4),
        ("queries", 1),
    ];
    let parametrization = Parametrization::new(rule, base);
    let build = |width: usize| {
        let config = MoeConfig {
            vocab_size: 31,
            hidden: width,
            inner: width / 2,
            ..MoeConfig::default()
        };
        let model = config.init(&device).map(&mut Draw(9));
        let widths = parametrization.of(&Blueprint::of(&model)?)?;
        let mut model = widths.initialize(model, Drawn::Alike)?;
        let tied = model.tied.as_mut().unwrap();
        tied.multiplier = widths.multipliers()[0].value;
        let mut optim = AdamConfig::new().init_parametrized(&widths).unwrap();
        let (tokens, targets) = (tokens.clone(), targets.clone());
        let step = move |model: MoeTransformer| {
            let loss = model.loss(tokens.clone(), targets.clone()).total;
            let grads = GradientsParams::from_grads(loss.backward(), &model);
            optim.step(0.02, model, grads)
        };
        Ok::<_, GrowError>((model, step))
    };
    coordinate_check(&[16, 64, 128], STEPS, &tokens, build).unwrap()
}

#[test]
fn the_transformer_with_tied_embeddings_and_experts_keeps_its_sizes_under_mup() {
    let mup = check_transformer(Rule::Mup(Readout::Weights));
    assert!(mup.steepest().unwrap().1 < 0.25, "{mup}");
    let standard = check_transformer(Rule::Standard);
    assert!(standard.steepest().unwrap().1 > 0.5, "{standard}");
}
