//! Helpers of the tests: tokens, parameters by path, and a second implementation of the model in
//! plain `f64` loops.

// Every test file uses a part of it.
#![allow(dead_code, unused_imports)]

mod naive;

use std::collections::BTreeMap;

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{Device, Distribution, Gradients, Int, Tensor, TensorData};
use burn_grow_core::{Blueprint, Expansion, ParamVisitor, Plan, for_each_param};
use burn_grow_moe::{InitStd, MoeConfig, MoeTransformer, QkNorm};

pub(crate) use naive::{Naive, naive};

/// The values of every parameter, by path.
pub(crate) type Weights = BTreeMap<String, Vec<f64>>;

/// A model of a few hundred parameters, initialized widely enough for every nonlinearity to matter.
pub(crate) fn tiny() -> MoeConfig {
    MoeConfig {
        vocab_size: 11,
        n_layers: 2,
        hidden: 6,
        inner: 5,
        n_heads: 2,
        n_kv_heads: 2,
        head_dim: 4,
        n_experts: 4,
        top_k: 2,
        init_std: InitStd::Constant(0.4),
        load_balancing: 0.3,
        router_z_loss: 0.2,
        ..MoeConfig::default()
    }
}

/// The shape of OLMoE's attention: one norm over all heads, and clamped heads.
pub(crate) fn full_width() -> MoeConfig {
    MoeConfig {
        n_heads: 4,
        n_kv_heads: 2,
        qk_norm: QkNorm::FullWidth,
        clip_qkv: Some(0.9),
        ..tiny()
    }
}

/// Every way heads, their norms, embeddings and routing weights come in.
pub(crate) fn shapes() -> Vec<MoeConfig> {
    let grouped = MoeConfig {
        n_heads: 4,
        n_kv_heads: 2,
        ..tiny()
    };
    vec![
        tiny(),
        MoeConfig {
            tied_embeddings: false,
            ..grouped.clone()
        },
        MoeConfig {
            norm_topk_prob: true,
            ..grouped
        },
        full_width(),
        MoeConfig {
            tied_embeddings: false,
            clip_qkv: None,
            ..full_width()
        },
    ]
}

/// With the kernels of Flex, and with the tensor API, which gradient checkpointing keeps to.
pub(crate) fn devices() -> [Device; 2] {
    let device = Device::flex().autodiff();
    [device.clone(), device.gradient_checkpointing()]
}

pub(crate) fn plan(model: &MoeTransformer, expansion: &Expansion) -> Plan {
    Plan::new(&Blueprint::of(model).expect("described"), expansion).expect("planned")
}

pub(crate) fn grown(model: &MoeTransformer, expansion: &Expansion) -> MoeTransformer {
    plan(model, expansion)
        .apply(model.clone())
        .expect("applied")
}

/// The logits of tokens that the smallest vocabulary has, `[2, 12, vocab]`.
pub(crate) fn logits(model: &MoeTransformer, device: &Device) -> Vec<f64> {
    let x = tokens(&ids(1, 24, 11), [2, 12], device);
    values(model.forward(x).logits)
}

/// Builds a model whose gains are not all one.
pub(crate) fn build(config: &MoeConfig, seed: u64, device: &Device) -> MoeTransformer {
    struct Jitter;
    impl ModuleMapper for Jitter {
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            if D > 1 {
                return param;
            }
            param.map(|tensor| {
                let device = tensor.device();
                let noise = Distribution::Uniform(0.5, 1.5);
                let noise = Tensor::random(tensor.dims(), noise, &device.clone().inner());
                let gain = (tensor.inner() * noise).into_data();
                let gain = Tensor::from_data(gain, &device);
                if device.is_autodiff() {
                    gain.require_grad()
                } else {
                    gain
                }
            })
        }
    }
    device.seed(seed);
    config.init(device).map(&mut Jitter)
}

/// Token ids that look random and never change.
pub(crate) fn ids(seed: u64, count: usize, vocab: usize) -> Vec<usize> {
    let mut state = seed.wrapping_add(1);
    let mut next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % vocab
    };
    (0..count).map(|_| next()).collect()
}

pub(crate) fn tokens(ids: &[usize], shape: [usize; 2], device: &Device) -> Tensor<2, Int> {
    let ids: Vec<i64> = ids.iter().map(|id| *id as i64).collect();
    Tensor::from_data(TensorData::new(ids, shape), device)
}

pub(crate) fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f64> {
    tensor.into_data().iter::<f64>().collect()
}

pub(crate) fn weights(model: &MoeTransformer) -> Weights {
    collect(model, None)
}

/// The gradient of every parameter, by path.
pub(crate) fn gradients(model: &MoeTransformer, grads: &Gradients) -> Weights {
    collect(model, Some(grads))
}

fn collect(model: &MoeTransformer, grads: Option<&Gradients>) -> Weights {
    struct Collect<'a> {
        found: Weights,
        grads: Option<&'a Gradients>,
    }
    impl ParamVisitor for Collect<'_> {
        fn float<const D: usize>(&mut self, path: &str, param: &Param<Tensor<D>>) {
            let read = match self.grads {
                Some(grads) => param
                    .val()
                    .grad(grads)
                    .expect("every parameter has a gradient"),
                None => param.val().without_autodiff(),
            };
            self.found.insert(path.to_owned(), values(read));
        }
    }
    let found = Weights::new();
    let mut collect = Collect { found, grads };
    for_each_param(model, &mut collect);
    collect.found
}

pub(crate) fn largest(values: &[f64]) -> f64 {
    values.iter().fold(0.0, |most, value| most.max(value.abs()))
}

pub(crate) fn largest_difference(left: &[f64], right: &[f64]) -> f64 {
    assert_eq!(left.len(), right.len());
    let differences: Vec<f64> = left.iter().zip(right).map(|(l, r)| l - r).collect();
    largest(&differences)
}
