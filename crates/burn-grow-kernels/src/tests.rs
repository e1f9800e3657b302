//! Every kernel against the tensor API: values and gradients, element by element, with and without
//! a tape.

use burn_core::tensor::{Device, Distribution, Gradients, Int, Tensor, TensorData};

use crate::angles::RotaryAngles;
use crate::expert_matrices::ExpertMatrices;
use crate::positions::Positions;
use crate::routing::Routing;
use crate::{flex, tensor};

fn random<const D: usize>(shape: [usize; D], device: &Device) -> Tensor<D> {
    Tensor::random(shape, Distribution::Normal(0.0, 1.0), device)
}

/// A leaf of the tape with the same numbers.
fn leaf<const D: usize>(x: &Tensor<D>) -> Tensor<D> {
    Tensor::from_inner(x.clone()).require_grad()
}

fn assert_close<const D: usize>(name: &str, found: Tensor<D>, expected: Tensor<D>) {
    assert_eq!(found.dims(), expected.dims(), "{name}");
    let largest = expected.clone().abs().max().into_scalar::<f32>();
    let difference = (found - expected).abs().max().into_scalar::<f32>();
    assert!(
        difference <= 2e-6 * largest.max(1.0),
        "{name}: {difference} of {largest}"
    );
}

/// The gradients of `y` against a fixed, uneven direction.
fn backward<const D: usize>(y: Tensor<D>) -> Gradients {
    let dims = y.dims();
    let count: usize = dims.iter().product();
    let ramp: Vec<f32> = (0..count)
        .map(|i| ((i * 37 % 101) as f32 - 50.0) / 50.0)
        .collect();
    let direction = Tensor::<D>::from_data(TensorData::new(ramp, dims), &y.device());
    (y * direction).sum().backward()
}

fn grad<const D: usize>(x: &Tensor<D>, grads: &Gradients) -> Tensor<D> {
    x.grad(grads).expect("a gradient")
}

/// Fails unless `run` gives the same with the kernel and without: values, and both gradients.
fn assert_norms_agree<const D: usize>(
    name: &str,
    x: &Tensor<D>,
    gain: &Tensor<1>,
    run: impl Fn(bool, &Tensor<D>, &Tensor<1>) -> Tensor<D>,
) {
    assert_close(name, run(true, x, gain), run(false, x, gain));
    let [found, expected] = [true, false].map(|kernel| {
        let (x, gain) = (leaf(x), leaf(gain));
        let grads = backward(run(kernel, &x, &gain));
        (grad(&x, &grads), grad(&gain, &grads))
    });
    assert_close(name, found.0, expected.0);
    assert_close(name, found.1, expected.1);
}

fn device(seed: u64) -> Device {
    let device = Device::flex();
    device.seed(seed);
    device
}

#[test]
fn the_kernels_take_f32_on_flex_without_checkpointing() {
    let device = Device::flex();
    let on = |device: &Device| flex::supports(&Tensor::<1>::zeros([2], device));
    assert!(on(&device));
    assert!(on(&device.clone().autodiff()));
    assert!(!on(&device.clone().autodiff().gradient_checkpointing()));
    let half = Tensor::<1>::zeros([2], &device).cast(burn_core::tensor::DType::F16);
    assert!(!flex::supports(&half));
}

#[test]
fn rms_norm_equals_the_tensor_api() {
    for (rows, width) in [(5, 1), (7, 16), (3, 33), (130, 64)] {
        let device = device(width as u64);
        let (x, gain) = (random([2, rows, width], &device), random([width], &device));
        let name = format!("{rows} x {width}");
        let run = |kernel: bool, x: &Tensor<3>, gain: &Tensor<1>| {
            if kernel {
                flex::rms_norm(x.clone(), gain.clone(), 1e-5)
            } else {
                tensor::rms_norm(x.clone(), gain.clone(), 1e-5)
            }
        };
        assert_norms_agree(&name, &x, &gain, run);
    }
}

#[test]
fn norm_rotate_equals_the_tensor_api() {
    for (seq, heads, dim) in [(1, 1, 2), (9, 3, 6), (40, 4, 16), (17, 2, 96)] {
        let device = device(seq as u64);
        let x = random([2, seq, heads, dim], &device);
        let gain = random([dim], &device);
        let angles = RotaryAngles::new(0..seq, dim, 100.0);
        let positions = Positions::new(angles, 1, x.dtype(), device);
        let name = format!("{seq} x {heads} x {dim}");
        let run = |kernel: bool, x: &Tensor<4>, gain: &Tensor<1>| {
            if kernel {
                flex::norm_rotate(x.clone(), gain.clone(), 1e-5, positions.angles())
            } else {
                let normed = tensor::rms_norm(x.clone(), gain.clone(), 1e-5);
                positions.rotary().apply(normed)
            }
        };
        assert_norms_agree(&name, &x, &gain, run);
    }
}

#[test]
fn causal_attention_equals_the_tensor_api() {
    // (batch, seq, query heads, key heads, head size): rests of rows, blocks and chunks.
    for (batch, seq, heads, kv_heads, dim) in [
        (1, 1, 1, 1, 2),
        (2, 4, 1, 1, 16),
        (2, 19, 3, 3, 6),
        (1, 33, 4, 2, 20),
        (3, 64, 4, 1, 16),
        (2, 130, 2, 2, 48),
        (4, 130, 4, 2, 64), // enough to wake other threads
    ] {
        let device = device(seq as u64);
        let q = random([batch, seq, heads, dim], &device) * 2.0;
        let k = random([batch, seq, kv_heads, dim], &device);
        let v = random([batch, seq, kv_heads, dim], &device);
        let angles = RotaryAngles::new(0..seq, dim, 100.0);
        let positions = Positions::new(angles, heads / kv_heads, q.dtype(), device);
        let name = format!("{batch} x {seq} x {heads} ({kv_heads}) x {dim}");
        let run = |kernel: bool, [q, k, v]: [Tensor<4>; 3]| {
            if kernel {
                flex::causal_attention(q, k, v)
            } else {
                tensor::causal_attention(q, k, v, positions.mask())
            }
        };
        let qkv = [q, k, v];
        assert_close(&name, run(true, qkv.clone()), run(false, qkv.clone()));
        let [found, expected] = [true, false].map(|kernel| {
            let leaves = qkv.each_ref().map(leaf);
            let grads = backward(run(kernel, leaves.clone()));
            leaves.map(|leaf| grad(&leaf, &grads))
        });
        for (found, expected) in found.into_iter().zip(expected) {
            assert_close(&name, found, expected);
        }
    }
}

#[test]
fn cross_entropy_equals_the_tensor_api() {
    for (tokens, vocab) in [(1, 2), (5, 17), (31, 256)] {
        let device = device(vocab as u64);
        let logits = random([tokens, vocab], &device) * 30.0;
        let targets: Vec<i64> = (0..tokens).map(|i| (i * 5 % vocab) as i64).collect();
        let targets = Tensor::<1, Int>::from_data(TensorData::new(targets, [tokens]), &device);
        let name = format!("{tokens} x {vocab}");
        let run = |kernel: bool, logits: &Tensor<2>| {
            if kernel {
                flex::cross_entropy(logits.clone(), targets.clone())
            } else {
                tensor::cross_entropy(logits.clone(), targets.clone())
            }
        };
        assert_close(&name, run(true, &logits), run(false, &logits));
        let [found, expected] = [true, false].map(|kernel| {
            let logits = leaf(&logits);
            grad(&logits, &backward(run(kernel, &logits)))
        });
        assert_close(&name, found, expected);
    }
}

#[test]
fn linear_equals_the_tensor_api() {
    // The last one is enough to wake other threads.
    for (rows, d_in, d_out) in [(1, 3, 2), (2, 40, 70), (37, 300, 50), (500, 65, 130)] {
        let device = device(rows as u64);
        let (x, weight) = (
            random([rows, d_in], &device),
            random([d_out, d_in], &device),
        );
        let name = format!("{rows} x {d_in} x {d_out}");
        // A view: the weights of tied embeddings lie transposed.
        let run = |kernel: bool, x: &Tensor<2>, weight: &Tensor<2>| {
            let (x, weight) = (x.clone(), weight.clone().transpose());
            if kernel {
                flex::linear(x, weight)
            } else {
                tensor::linear(x, weight)
            }
        };
        assert_close(&name, run(true, &x, &weight), run(false, &x, &weight));
        let [found, expected] = [true, false].map(|kernel| {
            let (x, weight) = (leaf(&x), leaf(&weight));
            let grads = backward(run(kernel, &x, &weight));
            (grad(&x, &grads), grad(&weight, &grads))
        });
        assert_close(&name, found.0, expected.0);
        assert_close(&name, found.1, expected.1);
    }
}

#[test]
fn experts_equal_the_tensor_api() {
    // (tokens, hidden, inner, experts, choices); few tokens of many experts leave some idle.
    for (tokens, hidden, inner, n_experts, top_k) in [
        (1, 3, 2, 1, 1),
        (3, 5, 7, 9, 2),
        (40, 16, 32, 4, 3),
        (64, 20, 8, 8, 8),
    ] {
        let device = device(tokens as u64);
        let x = random([tokens, hidden], &device);
        let weights = random([tokens, top_k], &device);
        let routing = Routing::choose(&random([tokens, n_experts], &device), top_k);
        let stack = |rows, columns| random([n_experts, rows, columns], &device);
        let stacks = [
            stack(hidden, inner),
            stack(hidden, inner),
            stack(inner, hidden),
        ];
        let name = format!("{tokens} x {hidden} x {inner}, {top_k} of {n_experts}");
        let run = |kernel: bool, x: Tensor<2>, weights: Tensor<2>, stacks: [Tensor<3>; 3]| {
            let [gate, up, down] = stacks;
            let stacks = ExpertMatrices { gate, up, down };
            if kernel {
                flex::experts(x, weights, &routing, stacks)
            } else {
                tensor::experts(x, weights, &routing, stacks)
            }
        };
        let value = |kernel| run(kernel, x.clone(), weights.clone(), stacks.clone());
        assert_close(&name, value(true), value(false));
        let [found, expected] = [true, false].map(|kernel| {
            let (x, weights, stacks) = (leaf(&x), leaf(&weights), stacks.each_ref().map(leaf));
            let grads = backward(run(kernel, x.clone(), weights.clone(), stacks.clone()));
            let stacks = stacks.map(|stack| grad(&stack, &grads));
            (grad(&x, &grads), grad(&weights, &grads), stacks)
        });
        assert_close(&name, found.0, expected.0);
        assert_close(&name, found.1, expected.1);
        for (found, expected) in found.2.into_iter().zip(expected.2) {
            assert_close(&name, found, expected);
        }
    }
}

#[test]
fn kernels_take_constants_and_views() {
    let device = device(7);
    let (x, gain) = (random([6, 4], &device), random([6], &device));
    let frozen = leaf(&x);
    // Transposed, and a gain that is on no tape.
    let run = flex::rms_norm(frozen.clone().transpose(), gain.clone(), 1e-5);
    let found = grad(&frozen, &backward(run));
    let x = leaf(&x);
    let run = tensor::rms_norm(x.clone().transpose(), Tensor::from_inner(gain), 1e-5);
    assert_close("view", found, grad(&x, &backward(run)));
}
