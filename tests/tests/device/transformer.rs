//! The MoE transformer: from one seed, forward, backward, along every axis, and trained.

use burn::optim::{AdamWConfig, GradientsParams, ModuleOptimizer};
use burn::tensor::{DType, Device, FloatDType, Int, Tensor, TensorData};
use burn_grow::moe::{InitStd, MoeConfig, MoeTransformer, QkNorm};
use burn_grow::optim::{AsymmetricExt, MixedPrecision, expand_optimizer};
use burn_grow::plan::Blocks;
use burn_grow::prelude::*;
use burn_grow::{Rewarmup, StatePolicy};
use burn_grow_tests::data::{cast, values};
use burn_grow_tests::dump;
use burn_grow_tests::growth::{grown, plan};

use crate::check::{Check, On};
use crate::findings::Findings;
use crate::kind::Kind;

pub(crate) fn enrol(checks: &mut Vec<Check>) {
    checks.extend([
        Check {
            name: "transformer, grouped queries",
            short: false,
            run: |on, found| passes(on, found, &grouped()),
        },
        Check {
            name: "transformer, norm over all heads",
            short: false,
            run: |on, found| passes(on, found, &full_width()),
        },
        Check {
            name: "transformer, every axis grows",
            short: true,
            run: |on, found| {
                every_axis(on, |name, wide| found.add_params(Kind::Bits, &name, wide));
            },
        },
        Check {
            name: "transformer, every grown axis",
            short: false,
            run: |on, found| {
                every_axis(on, |name, wide| {
                    let logits = wide.forward(tokens(1, &on.device)).logits;
                    found.add(Kind::Outputs, name, values(logits));
                });
            },
        },
        Check {
            name: "transformer, rehearsal",
            short: false,
            run: rehearsal,
        },
        Check {
            name: "transformer, 20 steps",
            short: false,
            run: |on, found| {
                let losses = losses(on, FloatDType::F32, 20);
                found.add(Kind::Training, "losses", losses);
            },
        },
    ]);
}

/// Odd sizes, initialized widely enough for every nonlinearity to matter.
fn grouped() -> MoeConfig {
    MoeConfig {
        vocab_size: 11,
        n_layers: 2,
        hidden: 6,
        inner: 5,
        n_heads: 4,
        n_kv_heads: 2,
        head_dim: 4,
        n_experts: 4,
        top_k: 2,
        init_std: InitStd::Constant(0.4),
        ..MoeConfig::default()
    }
}

fn full_width() -> MoeConfig {
    MoeConfig {
        qk_norm: QkNorm::FullWidth,
        clip_qkv: Some(0.9),
        tied_embeddings: false,
        norm_topk_prob: true,
        n_experts: 7,
        top_k: 3,
        ..grouped()
    }
}

fn model(config: &MoeConfig, device: &Device) -> MoeTransformer {
    device::initial(3, device, |device| config.try_init(device)).unwrap()
}

/// `[2, 9]`, in the smallest vocabulary.
fn tokens(start: usize, device: &Device) -> Tensor<2, Int> {
    let tokens: Vec<i64> = (start..start + 18)
        .map(|it| (it * it % 11) as i64)
        .collect();
    Tensor::from_data(TensorData::new(tokens, [2, 9]), device)
}

fn passes(on: &On, found: &mut Findings, config: &MoeConfig) {
    let device = on.autodiff();
    let narrow = model(config, &device);
    found.add_params(Kind::Bits, "initial", &narrow);
    let wide = grown(&narrow, &Expansion::by("inner", 2.0).and_by("hidden", 1.5));
    for (name, model) in [("narrow", narrow), ("wide", wide)] {
        let output = model.forward(tokens(1, &device));
        found.add(Kind::Outputs, name, values(output.logits.clone()));
        let loss = model.loss_of(&output, tokens(2, &device));
        let parts = [loss.cross_entropy, loss.load_balancing, loss.z_loss];
        let parts = parts.into_iter().flat_map(values);
        found.add(Kind::Outputs, format!("{name}: losses"), parts.collect());
        found.add_gradients(Kind::Gradients, name, &model, &loss.total.backward());
    }
}

/// Calls `check` with every expansion's name and model.
fn every_axis(on: &On, mut check: impl FnMut(String, &MoeTransformer)) {
    let narrow = model(&grouped(), &on.device);
    for expansion in [
        Expansion::by("hidden", 2.0),
        Expansion::by("inner", 2.0),
        Expansion::by("kv_heads", 2.0),
        Expansion::by("queries", 2.0),
        Expansion::by("experts", 2.0).and_by("top_k", 2.0),
        Expansion::to("vocab", 16),
        Expansion::by("layers", 2.0),
        Expansion::by("layers", 2.0).with_blocks("layers", Blocks::drawn()),
        Expansion::to("layers", 5).with_blocks("layers", Blocks::identity()),
    ] {
        let name = format!("{:?} {:?}", expansion.targets, expansion.blocks);
        check(name, &grown(&narrow, &expansion));
    }
}

fn gradients(model: &MoeTransformer, step: usize, device: &Device) -> (f32, GradientsParams) {
    let loss = model.loss(tokens(step, device), tokens(step + 1, device));
    let nats = loss.cross_entropy.into_scalar::<f32>();
    (
        nats,
        GradientsParams::from_grads(loss.total.backward(), model),
    )
}

fn rehearsal(on: &On, _found: &mut Findings) {
    let device = on.autodiff();
    let model = model(&grouped(), &device);
    let rehearsed = WidthExpansionCallback::builder(10)
        .expand(
            At::fraction(0.5),
            Expansion::to("inner", 8).and_by("hidden", 1.5),
        )
        .build(&model)
        .unwrap()
        .rehearse(&model, |model| gradients(model, 1, &device).1)
        .unwrap();
    assert!(rehearsed.compared, "{rehearsed}");
    let difference = rehearsed.stages[0].difference.unwrap();
    assert!(difference < 1e-2, "{rehearsed}");
}

/// The losses of a run from one initial model that grows half way, its parameters in `dtype` and
/// its optimizer's state in f32.
pub(crate) fn losses(on: &On, dtype: FloatDType, steps: usize) -> Vec<f32> {
    let device = on.autodiff();
    let config = MoeConfig {
        vocab_size: 11,
        n_layers: 1,
        hidden: 16,
        inner: 8,
        head_dim: 8,
        ..MoeConfig::default()
    };
    let mut model = cast(model(&config, &device), dtype);
    let adamw = AdamWConfig::new().with_beta_2(0.95).with_weight_decay(0.1);
    let mut optim = ModuleOptimizer::from(MixedPrecision::new(adamw.build().asymmetric()));
    let mut losses = Vec::new();
    for at in 0..steps {
        if at == steps / 2 {
            let plan = plan(&model, &Expansion::by("inner", 2.0).and_by("hidden", 2.0));
            let ramp = Some(Rewarmup::cosine(0.0).paper().ramp(at, steps));
            let keep = StatePolicy::KeepAndZero;
            optim = expand_optimizer(&optim, &model, &plan, keep, ramp).unwrap();
            model = plan.apply(model).unwrap();
        }
        let (loss, grads) = gradients(&model, at, &device);
        losses.push(loss);
        model = optim.step(3e-3, model, grads);
    }
    let params = dump::params(&model);
    assert!(
        params
            .values()
            .all(|param| param.dtype == DType::from(dtype))
    );
    let state = dump::record(&optim).tensors;
    assert!(state.values().all(|state| state.dtype == DType::F32));
    assert!(losses[steps - 1] < losses[0], "{losses:?}");
    losses
}
