//! How long widening a transformer and its optimizer takes, against copying the bytes that have to
//! be written, on the same threads.
//!
//! `cargo xtask bench expansion` builds and runs this. Both sides take turns, so that they meet the
//! same load of the machine.
#![allow(clippy::unwrap_used, missing_docs)]

use std::hint::black_box;
use std::time::Instant;

use burn::module::{Module, Param};
use burn::optim::{AdamWConfig, GradientsParams, ModuleOptimizer};
use burn::tensor::{Bytes, Device, Tensor};
use burn_grow_core::plan::{CopyMap, Fill};
use burn_grow_core::{Blueprint, Expansion, ParamVisitor, Plan, for_each_param};
use burn_grow_moe::{MoeConfig, MoeTransformer};
use burn_grow_optim::{AsymmetricConfig, StatePolicy, expand_optimizer};
use rayon::prelude::*;

/// The allocator of the project's programs.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The variable that tells how many parameters the model has, in billions.
const BILLIONS: &str = "BURN_GROW_BILLIONS";
const ROUNDS: usize = 9;

fn main() {
    let (backend, device) = device::chosen();
    let billions = std::env::var(BILLIONS).map_or(0.2, |text| text.parse().unwrap());
    let model = model(billions, &device);
    let blueprint = Blueprint::of(&model).unwrap();
    device.sync().unwrap();
    let threads = std::env::var("RAYON_NUM_THREADS").unwrap_or_else(|_| "all".into());
    let params = model.num_params() as f64 / 1e9;
    let name = backend.name();
    println!("{name}, {threads} threads, {params:.2}e9 parameters in single precision");
    println!("medians of {ROUNDS} and their quartiles; a ratio is to copying the bytes written");
    for (axis, map) in [
        ("inner", CopyMap::Block),
        ("inner", CopyMap::Interleaved),
        ("hidden", CopyMap::Block),
    ] {
        let expansion = Expansion::by(axis, 2.0).with_map(map);
        let plan = Plan::new(&blueprint, &expansion).unwrap();
        let case = format!("`{axis}` twice as wide, {map:?}");
        let sizes = sizes(&plan, 1);
        row(&format!("parameters, {case}"), &device, &sizes, || {
            plan.apply(model.clone()).unwrap()
        });
    }
    let plan = Plan::new(&blueprint, &Expansion::by("inner", 2.0)).unwrap();
    let (optim, model) = stepped(model);
    let sizes = sizes(&plan, 2);
    let moments = Moments::of(&plan);
    row(
        "two moments as bytes, `inner` twice as wide",
        &device,
        &sizes,
        || moments.expanded(&plan),
    );
    drop(moments);
    row("optimizer, `inner` twice as wide", &device, &sizes, || {
        expand_optimizer(&optim, &model, &plan, StatePolicy::KeepAndZero, None).unwrap()
    });
}

/// A transformer of about so many billion parameters.
fn model(billions: f64, device: &Device) -> MoeTransformer {
    let config = MoeConfig {
        vocab_size: 8_192,
        // A layer has 40 million.
        n_layers: (billions / 0.0405).round().max(1.0) as usize,
        hidden: 1024,
        inner: 1024,
        n_heads: 16,
        n_kv_heads: 4,
        head_dim: 64,
        n_experts: 12,
        ..MoeConfig::default()
    };
    config.init(device)
}

/// The bytes of every parameter that `plan` grows, so many times.
fn sizes(plan: &Plan, times: usize) -> Vec<usize> {
    let grown = plan.params().iter().filter(|param| param.grows());
    let sizes = grown.map(|param| 4 * param.new_shape.iter().product::<usize>());
    sizes.flat_map(|size| vec![size; times]).collect()
}

/// Prints how long `expand` takes, and its ratio to copying `sizes` bytes.
fn row<T>(name: &str, device: &Device, sizes: &[usize], expand: impl Fn() -> T) {
    let from: Vec<Vec<u8>> = sizes.iter().map(|size| vec![1; *size]).collect();
    let timed = |work: &dyn Fn()| {
        let start = Instant::now();
        work();
        device.sync().unwrap();
        start.elapsed().as_secs_f64()
    };
    let (mut seconds, mut ratios) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let expanding = timed(&|| drop(black_box(expand())));
        let copying = timed(&|| drop(black_box(copied(&from))));
        seconds.push(expanding);
        ratios.push(expanding / copying);
    }
    let gigabytes = sizes.iter().sum::<usize>() as f64 / 1e9;
    let [low, ratio, high] = quartiles(ratios);
    let [_, seconds, _] = quartiles(seconds);
    println!(
        "{name}: {seconds:.2} s for {gigabytes:.2} GB, {:.2} GB/s, ratio {ratio:.2} ({low:.2} to \
         {high:.2})",
        gigabytes / seconds,
    );
}

/// Copies, made as quickly as memory allows: every thread copies its part into memory of its own.
fn copied(from: &[Vec<u8>]) -> Vec<Vec<Vec<u8>>> {
    let threads = rayon::current_num_threads();
    let copied = |from: &Vec<u8>| {
        let parts = from.par_chunks(from.len().div_ceil(threads));
        parts.map(<[u8]>::to_vec).collect()
    };
    from.iter().map(copied).collect()
}

fn quartiles(mut values: Vec<f64>) -> [f64; 3] {
    values.sort_by(f64::total_cmp);
    [1, 2, 3].map(|quarter| values[quarter * (values.len() - 1) / 4])
}

/// An optimizer that has taken a step.
fn stepped(model: MoeTransformer) -> (ModuleOptimizer, MoeTransformer) {
    struct Gradients(GradientsParams);
    impl ParamVisitor for Gradients {
        fn float<const D: usize>(&mut self, _path: &str, param: &Param<Tensor<D>>) {
            let value = param.base();
            let grad = Tensor::<D>::ones(value.dims(), &value.device().without_autodiff());
            self.0.register(param.id, grad);
        }
    }
    let mut gradients = Gradients(GradientsParams::new());
    let model = model.train();
    for_each_param(&model, &mut gradients);
    let mut optim = AdamWConfig::new().init_asymmetric();
    let model = optim.step(1e-3, model, gradients.0);
    (optim, model)
}

/// The bytes of two moments of every parameter.
struct Moments(Vec<Vec<u8>>);

impl Moments {
    fn of(plan: &Plan) -> Self {
        let grown = plan.params().iter().filter(|param| param.grows());
        let old = grown.map(|param| vec![1; 4 * param.old_shape.iter().product::<usize>()]);
        Self(old.collect())
    }

    fn expanded(&self, plan: &Plan) -> Vec<[Bytes; 2]> {
        let grown = plan.params().iter().filter(|param| param.grows());
        let both = grown.zip(&self.0).map(|(param, old)| {
            [(); 2].map(|()| {
                let expanded = plan.expand_bytes(param, &param.old_shape, old, &|_| Fill::Zero);
                expanded.unwrap().1
            })
        });
        both.collect()
    }
}
