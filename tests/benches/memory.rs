//! The peak memory of training an MoE transformer, arm by arm, each in a process of its own.
//!
//! `cargo xtask bench memory` prints it: what a step takes beyond the memory of the program before it builds the
//! model. Resident memory, as Linux counts it.
#![allow(clippy::unwrap_used, missing_docs)]

use std::fs;
use std::process::Command;

use burn::module::{Module, ModuleMapper, Param};
use burn::optim::{AdamWConfig, GradientsAccumulator, GradientsParams, ModuleOptimizer};
use burn::tensor::{Device, FloatDType, Int, Tensor, TensorData};
use burn_grow::moe::{MoeConfig, MoeTransformer};
use burn_grow::optim::AsymmetricExt;
use burn_grow::optim::{MixedPrecision, expand_optimizer};
use burn_grow::prelude::*;
use burn_grow::{Rewarmup, StatePolicy};

/// As the programs have it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The sequences of an optimizer step.
const BATCH: usize = 16;
const SEQ: usize = 128;

/// One way to get to a trained model.
#[derive(Clone, Copy)]
struct Arm {
    name: &'static str,
    /// Hidden and inner width at the start.
    width: usize,
    /// Whether both double half way.
    grows: bool,
    checkpointing: bool,
    /// The parts that a batch is taken in.
    parts: usize,
    half: bool,
}

const SMALL: Arm = Arm {
    name: "small",
    width: 128,
    grows: false,
    checkpointing: false,
    parts: 1,
    half: false,
};

const GROWN: Arm = Arm {
    name: "small, then grown",
    grows: true,
    ..SMALL
};

const ARMS: [Arm; 6] = [
    SMALL,
    Arm {
        name: "wide from scratch",
        width: 256,
        ..SMALL
    },
    GROWN,
    Arm {
        name: "grown, batch in 4 parts",
        parts: 4,
        ..GROWN
    },
    Arm {
        name: "grown, gradient checkpointing",
        checkpointing: true,
        ..GROWN
    },
    Arm {
        name: "grown, bf16 parameters, f32 state",
        half: true,
        ..GROWN
    },
];

fn main() {
    let mut arguments = std::env::args().skip_while(|argument| argument != "--arm");
    if let Some(index) = arguments.nth(1) {
        println!("{}", measure(ARMS[index.parse::<usize>().unwrap()]));
        return;
    }
    if !cfg!(target_os = "linux") {
        println!("peak memory is not measured: it is read from /proc");
        return;
    }
    println!(
        "3 layers of 8 experts, top 2, hidden and inner 128 (wide and grown: 256), AdamW, {BATCH} x {SEQ} tokens; peak in MiB"
    );
    for (index, arm) in ARMS.iter().enumerate() {
        let output = Command::new(std::env::current_exe().unwrap())
            .args(["--arm", &index.to_string()])
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        let bytes: f64 = String::from_utf8(output.stdout)
            .unwrap()
            .trim()
            .parse()
            .unwrap();
        println!("{:8.1}  {}", bytes / f64::from(1 << 20), arm.name);
    }
}

/// The bytes that the steps of `arm` take at most, expansion included.
fn measure(arm: Arm) -> usize {
    // Makes the peak begin anew.
    fs::write("/proc/self/clear_refs", "5").unwrap();
    let before = resident("VmRSS:");
    let device = match arm.checkpointing {
        true => Device::flex().autodiff().gradient_checkpointing(),
        false => Device::flex().autodiff(),
    };
    let config = MoeConfig {
        n_layers: 3,
        hidden: arm.width,
        inner: arm.width,
        head_dim: 32,
        ..MoeConfig::default()
    };
    let mut model: MoeTransformer = config.init(&device);
    let adamw = AdamWConfig::new()
        .with_beta_2(0.95)
        .with_weight_decay(0.1)
        .build()
        .asymmetric();
    let mut optim = match arm.half {
        true => ModuleOptimizer::from(MixedPrecision::new(adamw)),
        false => ModuleOptimizer::from(adamw),
    };
    if arm.half {
        model = model.map(&mut Halve);
    }
    for at in 0..6 {
        if arm.grows && at == 3 {
            (model, optim) = grown(model, optim);
        }
        let mut gradients = GradientsAccumulator::new();
        for _ in 0..arm.parts {
            let tokens = tokens(BATCH / arm.parts, &device);
            let loss = model.loss(tokens.clone(), tokens).total / arm.parts as f64;
            gradients.accumulate(&model, GradientsParams::from_grads(loss.backward(), &model));
        }
        model = optim.step(1e-3, model, gradients.grads());
    }
    resident("VmHWM:") - before
}

fn grown(model: MoeTransformer, optim: ModuleOptimizer) -> (MoeTransformer, ModuleOptimizer) {
    let both = Expansion::by("inner", 2.0).and_by("hidden", 2.0);
    let plan = Plan::new(&Blueprint::of(&model).unwrap(), &both).unwrap();
    let rewarmup = Rewarmup::cosine(1e-6).paper();
    let ramp = Some(rewarmup.ramp(3, 100));
    let keep = StatePolicy::KeepAndZero;
    let optim = expand_optimizer(&optim, &model, &plan, keep, ramp).unwrap();
    (plan.apply(model).unwrap(), optim)
}

struct Halve;

impl ModuleMapper for Halve {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        param.map(|tensor| tensor.cast(FloatDType::BF16).detach().require_grad())
    }
}

fn tokens(batch: usize, device: &Device) -> Tensor<2, Int> {
    let values: Vec<i64> = (0..batch * SEQ)
        .map(|index| (index * index % 251) as i64)
        .collect();
    Tensor::from_data(TensorData::new(values, [batch, SEQ]), device)
}

/// A line of `/proc/self/status`, in bytes.
fn resident(line: &str) -> usize {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find_map(|found| found.strip_prefix(line))
        .unwrap();
    line.trim()
        .strip_suffix(" kB")
        .unwrap()
        .parse::<usize>()
        .unwrap()
        * 1024
}
