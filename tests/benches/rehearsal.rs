//! What the rehearsal of a run costs, in seconds and in steps of the narrow model.
//!
//! `cargo xtask bench rehearsal` prints it for the model of the demonstration, and for one of about a
//! hundred million parameters.
#![allow(clippy::unwrap_used, missing_docs)]

use std::time::Instant;

use burn::optim::GradientsParams;
use burn::tensor::{Device, Int, Tensor, TensorData};
use burn_grow::moe::{MoeConfig, MoeTransformer};
use burn_grow::prelude::*;

/// As the programs have it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    let both = Expansion::by("inner", 2.0).and_by("hidden", 2.0);
    measure("demonstration", &MoeConfig::default(), [16, 64], both);
    let large = MoeConfig {
        n_layers: 8,
        hidden: 512,
        inner: 1024,
        n_heads: 8,
        n_kv_heads: 8,
        head_dim: 64,
        ..MoeConfig::default()
    };
    measure("100M", &large, [4, 128], Expansion::by("inner", 2.0));
}

fn measure(name: &str, config: &MoeConfig, shape: [usize; 2], expansion: Expansion) {
    let device = Device::flex().autodiff();
    let model = config.init(&device);
    let gradients = |model: &MoeTransformer| {
        let [rows, columns] = shape;
        let tokens = |start: i64| {
            let tokens = start..start + (rows * columns) as i64;
            let tokens: Vec<i64> = tokens.map(|token| token * 31 % 256).collect();
            Tensor::<2, Int>::from_data(TensorData::new(tokens, shape), &device)
        };
        let loss = model.loss(tokens(0), tokens(1)).total;
        GradientsParams::from_grads(loss.backward(), model)
    };
    for (kind, growth) in [
        ("doubled", expansion.clone()),
        ("by half", halved(&expansion)),
    ] {
        let callback = WidthExpansionCallback::builder(10)
            .expand(At::fraction(0.5), growth)
            .build(&model)
            .unwrap();
        let params = callback.stages().next().unwrap().plan.num_params();
        let wide = callback
            .stages()
            .next()
            .unwrap()
            .plan
            .apply(model.clone())
            .unwrap();
        let begun = Instant::now();
        gradients(&wide);
        let wide = begun.elapsed();
        let found = callback.rehearse(&model, gradients).unwrap();
        println!(
            "{name}, {kind}, parameters {} -> {}: {found}; a narrow step {:.3} s, a wide one {:.3} s",
            params.0,
            params.1,
            found.step.as_secs_f64(),
            wide.as_secs_f64(),
        );
    }
}

/// The same axes by half as much: the doubling is then a second wide copy.
fn halved(expansion: &Expansion) -> Expansion {
    let axes = expansion.targets.keys();
    axes.fold(Expansion::default(), |halved, axis| {
        halved.and_by(axis.clone(), 1.5)
    })
}
