//! How long widening a transformer of a billion parameters takes, without its optimizer.
//!
//! `cargo xtask bench expansion` builds and runs this.
#![allow(clippy::unwrap_used, missing_docs)]

use std::time::Instant;

use burn::module::Module;
use burn_grow_core::{Blueprint, Expansion, Plan};
use burn_grow_moe::{MoeConfig, MoeTransformer};

/// The allocator of the project's programs.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    let (backend, device) = device::chosen();
    let name = backend.name();
    let config = MoeConfig {
        vocab_size: 50_304,
        n_layers: 22,
        hidden: 1024,
        inner: 1024,
        n_heads: 16,
        n_kv_heads: 4,
        head_dim: 64,
        n_experts: 12,
        ..MoeConfig::default()
    };
    let mut model: MoeTransformer = config.init(&device);
    // Parameters are made when they are first looked at.
    let (narrow, blueprint) = (model.num_params(), Blueprint::of(&model).unwrap());
    device.sync().unwrap();
    let plan = Plan::new(&blueprint, &Expansion::by("inner", 2.0)).unwrap();
    let start = Instant::now();
    model = plan.apply(model).unwrap();
    device.sync().unwrap();
    let seconds = start.elapsed().as_secs_f64();
    let wide = model.num_params();
    let bytes = 4.0 * (narrow + wide) as f64;
    println!(
        "{name}: {:.2}e9 to {:.2}e9 parameters in {seconds:.2} s, {:.1} GB/s read and written",
        narrow as f64 / 1e9,
        wide as f64 / 1e9,
        bytes / seconds / 1e9,
    );
}
