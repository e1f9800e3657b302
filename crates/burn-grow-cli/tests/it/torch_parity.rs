//! The page of the book that trains on in PyTorch: its code does what burn-grow's optimizer does.
//!
//! `BURN_GROW_PYTHON` is an interpreter with torch and transformers; without it the comparison does
//! nothing. `cargo xtask parity` sets it.

use std::path::{Path, PathBuf};
use std::process::Command;

use burn_core as burn;
use burn_core::module::{Module, ModuleVisitor, Param, ParamId};
use burn_core::tensor::{Device, Tensor, TensorData};
use burn_grow_cli::Model;
use burn_grow_cli::expand::Record;
use burn_grow_core::{Plan, fnv1a};
use burn_grow_optim::{AsymmetricConfig, Ramp, Rewarmup, StatePolicy, expand_optimizer};
use burn_optim::{AdamWConfig, GradientsParams, ModuleOptimizer};
use serde::Deserialize;

use crate::common::{Array, Arrays, read, read_file};

const TOLERANCE: f32 = 1e-6;
/// What another state or another rate comes to, at least.
const DIFFERENT: f32 = 1e-3;

/// The lines of Python that the page asks a reader to take over.
const LINES: usize = 40;

fn page() -> PathBuf {
    let page = "../../docs/src/guide/train-on-in-pytorch.md";
    Path::new(env!("CARGO_MANIFEST_DIR")).join(page)
}

/// What `train_on.py` says about its training.
#[derive(Deserialize)]
struct Training {
    before: usize,
    rates: Vec<f64>,
    betas: (f32, f32),
    eps: f32,
    weight_decay: f32,
    rho: f64,
    climb: usize,
    steps: usize,
    min_lr: f64,
}

#[derive(Module, Debug)]
struct Matrix {
    weight: Param<Tensor<2>>,
}

#[derive(Module, Debug)]
struct Gain {
    weight: Param<Tensor<1>>,
}

#[derive(Module, Debug)]
struct Attention {
    q_proj: Matrix,
    k_proj: Matrix,
    v_proj: Matrix,
    o_proj: Matrix,
}

#[derive(Module, Debug)]
struct Mlp {
    gate_proj: Matrix,
    up_proj: Matrix,
    down_proj: Matrix,
}

#[derive(Module, Debug)]
struct Layer {
    input_layernorm: Gain,
    self_attn: Attention,
    post_attention_layernorm: Gain,
    mlp: Mlp,
}

#[derive(Module, Debug)]
struct Body {
    embed_tokens: Matrix,
    layers: Vec<Layer>,
    norm: Gain,
}

/// The parameters of a Llama, by the names of `transformers`.
#[derive(Module, Debug)]
struct Llama {
    model: Body,
    lm_head: Matrix,
}

/// Every parameter is known by the hash of its name.
fn id(name: &str) -> ParamId {
    fnv1a(name.as_bytes()).into()
}

fn tensor<const D: usize>(array: &Array) -> Tensor<D> {
    let data = TensorData::new(array.values(), array.shape.as_slice());
    Tensor::from_data(data, &Device::flex())
}

impl Llama {
    /// The parameters called `prefix` and their names.
    fn new(arrays: &Arrays, prefix: &str) -> Self {
        let array = |name: &str| &arrays[&format!("{prefix}{name}")];
        let matrix = |name: &str| {
            let name = format!("{name}.weight");
            let value = tensor(array(&name)).autodiff();
            let weight = Param::initialized(id(&name), value.require_grad());
            Matrix { weight }
        };
        let gain = |name: &str| {
            let name = format!("{name}.weight");
            let value = tensor(array(&name)).autodiff();
            let weight = Param::initialized(id(&name), value.require_grad());
            Gain { weight }
        };
        let layer = |layer: usize| {
            let matrix = |name: &str| matrix(&format!("model.layers.{layer}.{name}"));
            let gain = |name: &str| gain(&format!("model.layers.{layer}.{name}"));
            Layer {
                input_layernorm: gain("input_layernorm"),
                self_attn: Attention {
                    q_proj: matrix("self_attn.q_proj"),
                    k_proj: matrix("self_attn.k_proj"),
                    v_proj: matrix("self_attn.v_proj"),
                    o_proj: matrix("self_attn.o_proj"),
                },
                post_attention_layernorm: gain("post_attention_layernorm"),
                mlp: Mlp {
                    gate_proj: matrix("mlp.gate_proj"),
                    up_proj: matrix("mlp.up_proj"),
                    down_proj: matrix("mlp.down_proj"),
                },
            }
        };
        Self {
            model: Body {
                embed_tokens: matrix("model.embed_tokens"),
                layers: vec![layer(0), layer(1)],
                norm: gain("model.norm"),
            },
            lm_head: matrix("lm_head"),
        }
    }

    /// Returns the largest distance of a weight from those called `prefix` and its name.
    fn distance(&self, arrays: &Arrays, prefix: &str) -> f32 {
        struct Distance<'a> {
            expected: Vec<(ParamId, &'a Array)>,
            largest: f32,
        }
        impl ModuleVisitor for Distance<'_> {
            fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
                let mut expected = self.expected.iter();
                let (_, array) = expected.find(|(id, _)| *id == param.id).expect("a weight");
                assert_eq!(param.val().dims().as_slice(), array.shape);
                let values = param.val().into_data().try_to_vec::<f32>().expect("floats");
                for (value, expected) in values.into_iter().zip(array.values()) {
                    self.largest = self.largest.max((value - expected).abs());
                }
            }
        }
        let named = arrays.iter().filter_map(|(name, array)| {
            let name = name.strip_prefix(prefix)?;
            Some((id(name), array))
        });
        let mut distance = Distance {
            expected: named.collect(),
            largest: 0.0,
        };
        assert_eq!(distance.expected.len(), 21);
        self.visit(&mut distance);
        distance.largest
    }

    /// Trains by the gradients that were seen.
    fn train(
        mut self,
        optim: &mut ModuleOptimizer,
        steps: core::ops::Range<usize>,
        rates: &[f64],
        seen: &Arrays,
    ) -> Self {
        for step in steps {
            let prefix = format!("gradient.{step}.");
            let mut grads = GradientsParams::new();
            for (name, array) in seen {
                let Some(name) = name.strip_prefix(&prefix) else {
                    continue;
                };
                match array.shape.len() {
                    1 => grads.register(id(name), tensor::<1>(array)),
                    _ => grads.register(id(name), tensor::<2>(array)),
                }
            }
            assert_eq!(grads.len(), 21);
            self = optim.step(rates[step], self, grads);
        }
        self
    }
}

/// The narrow model after its training, with its optimizer, and what it becomes.
struct Run {
    training: Training,
    seen: Arrays,
    narrow: Llama,
    optim: ModuleOptimizer,
    plan: Plan,
    wide: Arrays,
}

impl Run {
    /// Trains on in the wide folder, and returns the distance from where PyTorch came to.
    fn distance(&self, policy: StatePolicy, ramp: Option<Ramp>) -> f32 {
        let Training { before, rates, .. } = &self.training;
        let optim = expand_optimizer(&self.optim, &self.narrow, &self.plan, policy, ramp);
        let mut optim = optim.expect("the state follows");
        let wide = Llama::new(&self.wide, "");
        let wide = wide.train(&mut optim, *before..rates.len(), rates, &self.seen);
        wide.distance(&self.seen, "last.")
    }
}

#[test]
fn the_code_of_the_page_is_short() {
    let page = std::fs::read_to_string(page()).expect("a page");
    let blocks: Vec<&str> = page.split("```python\n").skip(1).collect();
    assert_eq!(
        blocks.len(),
        3,
        "to save, to train on, and the beginning of a loop"
    );
    let code = blocks[1].split("```").next().expect("a block");
    let lines = code.lines().filter(|line| !line.is_empty());
    assert!(lines.count() <= LINES);
}

#[test]
fn torch_parity_of_adamw_after_growing() {
    let python = std::env::var("BURN_GROW_PYTHON").ok();
    let Some(python) = python.filter(|it| !it.is_empty()) else {
        println!("skipped: BURN_GROW_PYTHON names no interpreter");
        return;
    };
    let root = tempfile::tempdir().expect("a folder");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/hf/train_on.py");
    let output = Command::new(python)
        .arg(script)
        .arg(env!("CARGO_BIN_EXE_burn-grow"))
        .arg(page())
        .current_dir(root.path())
        .env("HF_HUB_OFFLINE", "1")
        .output()
        .expect("an interpreter");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    let training: Training = serde_json::from_slice(&output.stdout).expect("settings");
    let seen = read_file(&root.path().join("seen.safetensors"));

    let adamw = AdamWConfig::new()
        .with_beta_1(training.betas.0)
        .with_beta_2(training.betas.1)
        .with_epsilon(training.eps)
        .with_weight_decay(training.weight_decay);
    let mut optim = adamw.init_asymmetric();
    let narrow = Llama::new(&seen, "first.");
    let narrow = narrow.train(&mut optim, 0..training.before, &training.rates, &seen);
    let before = narrow.distance(&read(&root.path().join("narrow")), "");
    assert!(before <= TOLERANCE, "{before:e} before the expansion");

    let rewarmup = Rewarmup::cosine(training.min_lr)
        .with_rho(training.rho)
        .with_steps(training.climb);
    let ramp = rewarmup.ramp(training.before, training.before + training.steps);
    let model = Model::open(&root.path().join("narrow"), None, &[]).expect("a model");
    let record = Record::read(&root.path().join("wide").join(Record::FILE));
    let growth = model.grow(&record.expect("an expansion").expansion);
    let run = Run {
        training,
        seen,
        narrow,
        optim,
        plan: growth.expect("a plan").plan,
        wide: read(&root.path().join("wide")),
    };
    let after = run.distance(StatePolicy::KeepAndZero, Some(ramp));
    println!("before the expansion {before:.1e}, after it {after:.1e}");
    assert!(after <= TOLERANCE, "{after:e} after the expansion");

    // It would be noticed.
    let without = run.distance(StatePolicy::KeepAndZero, None);
    let copied = run.distance(StatePolicy::CopyAll, Some(ramp));
    let lower = Ramp { rho: 2.4, ..ramp };
    let lower = run.distance(StatePolicy::KeepAndZero, Some(lower));
    for (what, distance) in [
        ("no ramp", without),
        ("a copied state", copied),
        ("rho", lower),
    ] {
        assert!(distance > DIFFERENT, "{what}: {distance:e}");
    }
}
