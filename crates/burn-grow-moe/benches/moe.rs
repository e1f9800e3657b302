//! The MoE transformer against the same model in PyTorch, and against the machine's peak.
//!
//! `cargo xtask bench moe` builds it with and without the kernels for Flex and runs it. The PyTorch
//! model is `benches/moe.py`. Both take turns in one run, on the same number of threads, so that
//! both meet the same load of the machine.
#![allow(clippy::unwrap_used, missing_docs)]

use std::hint::black_box;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Instant;

use burn::module::Module;
use burn::optim::{AdamWConfig, GradientsParams, ModuleOptimizer};
use burn::tensor::{Device, Distribution, Int, Tensor, TensorData};
use burn_grow_moe::{MoeConfig, MoeTransformer};
use serde_json::{Value, json};

/// The allocator of the project's programs.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const BATCH: usize = 16;
const SEQ: usize = 128;
const ROUNDS: usize = 15;

/// The work that is timed: a full AdamW step of the model, or forward and backward of one layer of
/// experts.
#[derive(Clone, Copy, PartialEq)]
enum What {
    Step,
    Experts,
}

/// Hidden, inner, experts, choices.
const SIZES: [[usize; 4]; 4] = [
    [64, 64, 8, 2],
    [128, 128, 16, 4],
    [256, 256, 8, 2],
    [256, 512, 8, 2],
];

fn main() {
    let threads: usize = std::env::var("RAYON_NUM_THREADS")
        .ok()
        .and_then(|threads| threads.parse().ok())
        .expect("RAYON_NUM_THREADS says how many threads both sides have");
    let (backend, device) = device::chosen();
    let name = backend.name();
    let path = if cfg!(feature = "flex") && name == "flex" {
        "kernels for Flex"
    } else {
        "public operations"
    };
    let side = if name == "flex" { 1024 } else { 8192 };
    let peak = peak(side, &device);
    println!(
        "{name}, {path}, {threads} thread(s); a product of {side} x {side} matrices: \
         {peak:.0} GFLOP/s"
    );
    // On a graphics card, PyTorch has two ways.
    let modes: &[&'static str] = if name == "flex" {
        &["eager"]
    } else {
        &["eager", "compiled"]
    };
    let start = |mode: &&'static str| Torch::start(threads, name == "flex", mode);
    let mut torch: Vec<Torch> = modes.iter().filter_map(start).collect();
    for what in [What::Step, What::Experts] {
        for size in SIZES {
            compare(what, size, peak, &device, &mut torch);
        }
    }
}

fn config([hidden, inner, n_experts, top_k]: [usize; 4], what: What) -> MoeConfig {
    MoeConfig {
        n_layers: if what == What::Step { 3 } else { 1 },
        hidden,
        inner,
        n_heads: 4,
        n_kv_heads: 4,
        head_dim: hidden / 4,
        n_experts,
        top_k,
        ..MoeConfig::default()
    }
}

fn compare(what: What, size: [usize; 4], peak: f64, device: &Device, torch: &mut [Torch]) {
    let config = config(size, what);
    let mut run: Box<dyn FnMut()> = match what {
        What::Step => Box::new(step(&config, device)),
        What::Experts => Box::new(experts(&config, device)),
    };
    let model = config.init(device);
    let expected = match what {
        What::Step => model.num_params(),
        What::Experts => model.blocks[0].feed_forward.num_params(),
    };
    for torch in &mut *torch {
        let parameters = torch.prepare(what, &config);
        assert_eq!(parameters, expected, "both sides have the same parameters");
    }
    let mut ours = Vec::new();
    let mut theirs = vec![Vec::new(); torch.len()];
    for round in 0..ROUNDS + 3 {
        let start = Instant::now();
        run();
        device.sync().unwrap();
        let seconds = start.elapsed().as_secs_f64();
        let others: Vec<f64> = torch.iter_mut().map(Torch::run).collect();
        // The first rounds fill caches and pools, and compile.
        if round >= 3 {
            ours.push(seconds);
            for (theirs, other) in theirs.iter_mut().zip(others) {
                theirs.push(other / seconds);
            }
        }
    }
    let seconds = sorted(ours)[ROUNDS / 2];
    let share = flops(what, &config) / seconds / 1e9 / peak;
    let name = match what {
        What::Step => "AdamW step, 3 layers",
        What::Experts => "experts, forward and backward",
    };
    let [hidden, inner, experts, top_k] = size;
    let against = torch.iter().zip(theirs).map(|(torch, ratios)| {
        let ratios = sorted(ratios);
        let at = |quarter: usize| ratios[ROUNDS * quarter / 4];
        let mode = torch.mode;
        format!(
            ", PyTorch {mode} / ours {:.2} (quartiles {:.2} to {:.2})",
            at(2),
            at(1),
            at(3)
        )
    });
    println!(
        "{name}, hidden {hidden}, inner {inner}, {experts} experts, top {top_k}: {:.1} ms, \
         {:.0} tokens/s, {:.0} % of peak{}",
        seconds * 1e3,
        (BATCH * SEQ) as f64 / seconds,
        share * 100.0,
        against.collect::<String>(),
    );
}

fn sorted(mut values: Vec<f64>) -> Vec<f64> {
    values.sort_by(f64::total_cmp);
    values
}

/// The multiply-adds of all matrix products, times two: forward once, backward twice.
fn flops(what: What, config: &MoeConfig) -> f64 {
    let tokens = (BATCH * SEQ) as f64;
    let [hidden, inner] = [config.hidden as f64, config.inner as f64];
    let experts = 3.0 * config.top_k as f64 * hidden * inner + hidden * config.n_experts as f64;
    if what == What::Experts {
        return 6.0 * tokens * experts;
    }
    // Scores and answers, of which the causal half counts.
    let attention = 4.0 * hidden * hidden + SEQ as f64 * hidden;
    let head = hidden * config.vocab_size as f64;
    6.0 * tokens * (config.n_layers as f64 * (experts + attention) + head)
}

/// The GFLOP/s of a product of square matrices, the best of several.
fn peak(side: usize, device: &Device) -> f64 {
    let random = || Tensor::<2>::random([side, side], Distribution::Default, device);
    let (a, b) = (random(), random());
    let seconds = (0..8).map(|_| {
        let start = Instant::now();
        black_box(a.clone().matmul(b.clone()));
        device.sync().unwrap();
        start.elapsed().as_secs_f64()
    });
    2.0 * (side as f64).powi(3) / seconds.fold(f64::INFINITY, f64::min) / 1e9
}

fn tokens(device: &Device) -> Tensor<2, Int> {
    let values: Vec<i64> = (0..BATCH * SEQ)
        .map(|index| (index * index % 251) as i64)
        .collect();
    Tensor::from_data(TensorData::new(values, [BATCH, SEQ]), device)
}

fn step(config: &MoeConfig, device: &Device) -> impl FnMut() + use<> {
    let device = device.clone().autodiff();
    let adamw = AdamWConfig::new().with_beta_2(0.95).with_weight_decay(0.1);
    let mut optim = ModuleOptimizer::from(adamw.build());
    let mut model: MoeTransformer = config.init(&device);
    let tokens = tokens(&device);
    move || {
        let loss = model.loss(tokens.clone(), tokens.clone()).total;
        let gradients = GradientsParams::from_grads(loss.backward(), &model);
        model = optim.step(1e-3, model.clone(), gradients);
    }
}

fn experts(config: &MoeConfig, device: &Device) -> impl FnMut() + use<> {
    let device = device.clone().autodiff();
    let mut model: MoeTransformer = config.init(&device);
    let layer = model.blocks.remove(0).feed_forward;
    let shape = [BATCH, SEQ, config.hidden];
    let x = Tensor::<3>::random(shape, Distribution::Normal(0.0, 1.0), &device).require_grad();
    move || {
        let (y, _) = layer.forward(x.clone());
        black_box(y.sum().backward());
    }
}

/// The PyTorch model, in a process of its own.
struct Torch {
    mode: &'static str,
    process: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
}

impl Torch {
    /// Starts the process. Prints why and returns `None` if there is no interpreter with torch, or
    /// no graphics card that it can use.
    fn start(threads: usize, cpu: bool, mode: &'static str) -> Option<Self> {
        let Some(python) = std::env::var_os("BURN_GROW_PYTHON") else {
            println!(
                "PyTorch is not measured: BURN_GROW_PYTHON names no interpreter that has torch"
            );
            return None;
        };
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/moe.py");
        let mut process = Command::new(python)
            .args([script, &threads.to_string()])
            .args([if cpu { "cpu" } else { "cuda" }, mode])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("an interpreter");
        let (to, from) = (
            process.stdin.take().unwrap(),
            process.stdout.take().unwrap(),
        );
        let from = BufReader::new(from);
        let mut torch = Self {
            mode,
            process,
            to,
            from,
        };
        let hello = torch.answer();
        let version = hello["torch"].as_str().unwrap();
        let Some(device) = hello["device"].as_str() else {
            println!("PyTorch is not measured: {version} finds no card");
            return None;
        };
        println!("PyTorch {version}, {mode}, on {device}");
        Some(torch)
    }

    fn prepare(&mut self, what: What, config: &MoeConfig) -> usize {
        let what = match what {
            What::Step => "step",
            What::Experts => "experts",
        };
        let work = json!({
            "what": what, "hidden": config.hidden, "inner": config.inner,
            "experts": config.n_experts, "top_k": config.top_k, "layers": config.n_layers,
            "heads": config.n_heads, "vocab": config.vocab_size, "batch": BATCH, "seq": SEQ,
        });
        writeln!(self.to, "{work}").unwrap();
        self.answer()["parameters"].as_u64().unwrap() as usize
    }

    fn run(&mut self) -> f64 {
        writeln!(self.to).unwrap();
        self.answer()["seconds"].as_f64().unwrap()
    }

    fn answer(&mut self) -> Value {
        let mut line = String::new();
        self.from.read_line(&mut line).unwrap();
        serde_json::from_str(&line).expect("an answer of PyTorch")
    }
}

impl Drop for Torch {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
