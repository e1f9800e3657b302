//! The MoE transformer against the same model in PyTorch, and against the machine's peak.
//!
//! `cargo xtask bench moe` builds it with and without the kernels for Flex and runs it. The PyTorch
//! model is `benches/moe.py`. Both take turns in one run, on the same number of threads, so that
//! both meet the same load of the machine.
#![allow(clippy::unwrap_used, missing_docs)]

use std::hint::black_box;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use burn::module::{Module, ModuleMapper, Param};
use burn::optim::{AdamWConfig, GradientsParams, ModuleOptimizer};
use burn::tensor::{Device, Distribution, FloatDType, Int, Tensor, TensorData};
use burn_grow_moe::{MoeConfig, MoeTransformer};
use burn_grow_optim::MixedPrecision;
use cpu_time::ProcessTime;
use device::Backend;
use serde_json::{Value, json};

/// The allocator of the project's programs.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const ROUNDS: usize = 15;

/// The work that is timed: a full AdamW step of the model, or forward and backward of one layer of
/// experts.
#[derive(Clone, Copy, PartialEq)]
enum What {
    Step,
    Experts,
}

/// What is measured on a kind of device.
struct Setting {
    batch: usize,
    seq: usize,
    /// Hidden, inner, experts, choices.
    sizes: &'static [[usize; 4]],
    /// The size of a head; a quarter of hidden, if `None`.
    head_dim: Option<usize>,
    dtypes: &'static [FloatDType],
    /// The side of the product that tells the peak.
    side: usize,
}

/// PyTorch's ways, of which `BURN_GROW_TORCH` names some, with commas between.
const WAYS: [&str; 3] = ["eager", "grouped", "compiled grouped"];

const PROCESSOR: Setting = Setting {
    batch: 16,
    seq: 128,
    sizes: &[
        [64, 64, 8, 2],
        [128, 128, 16, 4],
        [256, 256, 8, 2],
        [256, 512, 8, 2],
    ],
    head_dim: None,
    dtypes: &[FloatDType::F32],
    side: 1024,
};

const CARD: Setting = Setting {
    batch: 16,
    seq: 512,
    sizes: &[[512, 512, 8, 2], [1024, 1024, 32, 4], [2048, 1024, 64, 8]],
    head_dim: Some(64),
    dtypes: &[FloatDType::F32, FloatDType::BF16],
    side: 8192,
};

fn main() {
    let threads: usize = std::env::var("RAYON_NUM_THREADS")
        .ok()
        .and_then(|threads| threads.parse().ok())
        .expect("RAYON_NUM_THREADS says how many threads both sides have");
    let (backend, device) = device::chosen();
    let name = backend.name();
    let processor = backend == Backend::Flex;
    let setting = if processor { &PROCESSOR } else { &CARD };
    // Compiling takes PyTorch minutes on some machines.
    let asked = std::env::var("BURN_GROW_TORCH").unwrap_or_else(|_| WAYS.join(","));
    let ways = WAYS
        .iter()
        .filter(|way| asked.split(',').any(|asked| asked == **way));
    let start = |way: &&'static str| Torch::start(threads, processor, way);
    let mut torch: Vec<Torch> = ways.filter_map(start).collect();
    for dtype in setting.dtypes {
        let peak = peak(setting.side, *dtype, &device);
        println!(
            "{name}, {dtype:?}, {threads} thread(s), {}; a product of {side} x {side} matrices: \
             {peak:.0} GFLOP/s",
            kernels(backend),
            side = setting.side,
        );
        for what in [What::Step, What::Experts] {
            for size in setting.sizes {
                let work = Work::new(what, *size, *dtype, setting);
                work.compare(peak, &device, &mut torch);
            }
        }
    }
}

/// The path that the operations of `burn-grow-kernels` take on this device.
fn kernels(backend: Backend) -> &'static str {
    let own = match backend {
        Backend::Flex => cfg!(feature = "flex"),
        Backend::Cuda | Backend::Vulkan | Backend::Wgpu => true,
        Backend::Tch => false,
    };
    if own {
        "own kernels"
    } else {
        "public operations"
    }
}

/// One row of the table.
struct Work {
    what: What,
    config: MoeConfig,
    dtype: FloatDType,
    batch: usize,
    seq: usize,
}

impl Work {
    fn new(what: What, size: [usize; 4], dtype: FloatDType, setting: &Setting) -> Self {
        let [hidden, inner, n_experts, top_k] = size;
        let head_dim = setting.head_dim.unwrap_or(hidden / 4);
        let config = MoeConfig {
            n_layers: if what == What::Step { 3 } else { 1 },
            hidden,
            inner,
            n_heads: hidden / head_dim,
            n_kv_heads: hidden / head_dim,
            head_dim,
            n_experts,
            top_k,
            ..MoeConfig::default()
        };
        Self {
            what,
            config,
            dtype,
            batch: setting.batch,
            seq: setting.seq,
        }
    }

    fn compare(&self, peak: f64, device: &Device, torch: &mut [Torch]) {
        let mut run: Box<dyn FnMut()> = match self.what {
            What::Step => Box::new(self.step(device)),
            What::Experts => Box::new(self.experts(device)),
        };
        let model = self.config.init(device);
        let expected = match self.what {
            What::Step => model.num_params(),
            What::Experts => model.blocks[0].feed_forward.num_params(),
        };
        for torch in &mut *torch {
            let parameters = torch.prepare(self);
            assert_eq!(parameters, expected, "both sides have the same parameters");
        }
        let mut ours = Vec::new();
        let mut theirs = vec![Vec::new(); torch.len()];
        for round in 0..ROUNDS + 3 {
            let start = now();
            run();
            device.sync().unwrap();
            let seconds = (now() - start).as_secs_f64();
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
        let share = self.flops() / seconds / 1e9 / peak;
        let name = match self.what {
            What::Step => "AdamW step, 3 layers",
            What::Experts => "experts, forward and backward",
        };
        let MoeConfig {
            hidden,
            inner,
            n_experts,
            top_k,
            ..
        } = self.config;
        println!(
            "{name}, hidden {hidden}, inner {inner}, {n_experts} experts, top {top_k}: {:.1} ms, \
             {:.0} tokens/s, {:.0} % of peak",
            seconds * 1e3,
            (self.batch * self.seq) as f64 / seconds,
            share * 100.0,
        );
        let theirs = torch
            .iter()
            .zip(theirs)
            .map(|(torch, ratios)| (torch.way, ratios));
        let mut theirs: Vec<_> = theirs.map(|(way, ratios)| (way, sorted(ratios))).collect();
        theirs.sort_by(|(_, a), (_, b)| a[ROUNDS / 2].total_cmp(&b[ROUNDS / 2]));
        for (place, (way, ratios)) in theirs.into_iter().enumerate() {
            let at = |quarter: usize| ratios[ROUNDS * quarter / 4];
            println!(
                "    PyTorch {way} / ours {:.2} (quartiles {:.2} to {:.2}){}",
                at(2),
                at(1),
                at(3),
                if place == 0 { ", its best way" } else { "" },
            );
        }
    }

    /// The multiply-adds of all matrix products, times two: forward once, backward twice.
    fn flops(&self) -> f64 {
        let config = &self.config;
        let tokens = (self.batch * self.seq) as f64;
        let [hidden, inner] = [config.hidden as f64, config.inner as f64];
        let experts = 3.0 * config.top_k as f64 * hidden * inner + hidden * config.n_experts as f64;
        if self.what == What::Experts {
            return 6.0 * tokens * experts;
        }
        // Scores and answers, of which the causal half counts.
        let attention = 4.0 * hidden * hidden + self.seq as f64 * hidden;
        let head = hidden * config.vocab_size as f64;
        6.0 * tokens * (config.n_layers as f64 * (experts + attention) + head)
    }

    fn model(&self, device: &Device) -> MoeTransformer {
        let model: MoeTransformer = self.config.init(device);
        match self.dtype {
            FloatDType::F32 => model,
            dtype => model.map(&mut Cast(dtype)),
        }
    }

    fn tokens(&self, device: &Device) -> Tensor<2, Int> {
        let values: Vec<i64> = (0..self.batch * self.seq)
            .map(|index| (index * index % 251) as i64)
            .collect();
        Tensor::from_data(TensorData::new(values, [self.batch, self.seq]), device)
    }

    fn step(&self, device: &Device) -> impl FnMut() + use<> {
        let device = device.clone().autodiff();
        let adamw = AdamWConfig::new().with_beta_2(0.95).with_weight_decay(0.1);
        // In half precision, the state and a copy of the parameters stay in single.
        let mut optim = ModuleOptimizer::from(MixedPrecision::new(adamw.build()));
        let mut model = self.model(&device);
        let tokens = self.tokens(&device);
        move || {
            let loss = model.loss(tokens.clone(), tokens.clone()).total;
            let gradients = GradientsParams::from_grads(loss.backward(), &model);
            model = optim.step(1e-3, model.clone(), gradients);
        }
    }

    fn experts(&self, device: &Device) -> impl FnMut() + use<> {
        let device = device.clone().autodiff();
        let mut model = self.model(&device);
        let layer = model.blocks.remove(0).feed_forward;
        let shape = [self.batch, self.seq, self.config.hidden];
        let normal = Distribution::Normal(0.0, 1.0);
        let random = || Tensor::<3>::random(shape, normal, &device).cast(self.dtype);
        let (x, direction) = (random().require_grad(), random());
        move || {
            let (y, _) = layer.forward(x.clone());
            black_box((y * direction.clone()).sum().backward());
        }
    }
}

/// Stores every parameter in another float type.
struct Cast(FloatDType);

impl ModuleMapper for Cast {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let (id, tensor, mapper) = param.consume();
        let tensor = tensor.cast(self.0).detach().require_grad();
        Param::from_mapped_value(id, tensor, mapper)
    }
}

/// The time on the clock, or that of the processor where `BURN_GROW_CPU_TIME` is set: what other
/// programs take of a busy machine is then not counted.
fn now() -> Duration {
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    static CPU_TIME: LazyLock<bool> =
        LazyLock::new(|| std::env::var_os("BURN_GROW_CPU_TIME").is_some());
    if *CPU_TIME {
        ProcessTime::now().as_duration()
    } else {
        START.elapsed()
    }
}

fn sorted(mut values: Vec<f64>) -> Vec<f64> {
    values.sort_by(f64::total_cmp);
    values
}

/// The GFLOP/s of a product of square matrices, the best of several.
fn peak(side: usize, dtype: FloatDType, device: &Device) -> f64 {
    let random = || Tensor::<2>::random([side, side], Distribution::Default, device).cast(dtype);
    let (a, b) = (random(), random());
    let seconds = (0..8).map(|_| {
        let start = now();
        black_box(a.clone().matmul(b.clone()));
        device.sync().unwrap();
        (now() - start).as_secs_f64()
    });
    2.0 * (side as f64).powi(3) / seconds.fold(f64::INFINITY, f64::min) / 1e9
}

/// The PyTorch model, in a process of its own.
struct Torch {
    way: &'static str,
    process: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
}

impl Torch {
    /// Starts the process. Prints why and returns `None` if there is no interpreter with torch, or
    /// no graphics card that it can use.
    fn start(threads: usize, cpu: bool, way: &'static str) -> Option<Self> {
        let Some(python) = std::env::var_os("BURN_GROW_PYTHON") else {
            println!(
                "PyTorch is not measured: BURN_GROW_PYTHON names no interpreter that has torch"
            );
            return None;
        };
        let mut process = Command::new(python)
            .args(["-c", include_str!("moe.py"), &threads.to_string()])
            .args([if cpu { "cpu" } else { "cuda" }, way])
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
            way,
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
        println!("PyTorch {version}, {way}, on {device}");
        Some(torch)
    }

    fn prepare(&mut self, work: &Work) -> usize {
        let what = match work.what {
            What::Step => "step",
            What::Experts => "experts",
        };
        let config = &work.config;
        let half = work.dtype == FloatDType::BF16;
        let work = json!({
            "what": what, "hidden": config.hidden, "inner": config.inner,
            "experts": config.n_experts, "top_k": config.top_k, "layers": config.n_layers,
            "heads": config.n_heads, "vocab": config.vocab_size, "batch": work.batch,
            "seq": work.seq, "half": half,
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
