//! The auxiliary losses in closed form, and routing as uneven as it gets.

use crate::common::{
    build, gradients, ids, largest, largest_difference, naive, tiny, tokens, values, weights,
};
use burn::module::Param;
use burn::tensor::{Device, Tensor, TensorData};
use burn_grow_moe::{InitStd, MoeConfig, MoeTransformer};

const SHAPE: [usize; 2] = [2, 8];

fn matrix(
    shape: [usize; 2],
    device: &Device,
    value: impl Fn(usize, usize) -> f32,
) -> Param<Tensor<2>> {
    let values: Vec<f32> = (0..shape[0] * shape[1])
        .map(|index| value(index / shape[1], index % shape[1]))
        .collect();
    let tensor = Tensor::from_data(TensorData::new(values, shape), device);
    Param::from_tensor(tensor)
}

/// A model whose layers add nothing and whose stream is all ones, so that every token meets the
/// same router logits.
fn constant(config: MoeConfig, router: &[f32], device: &Device) -> MoeTransformer {
    let config = MoeConfig {
        init_std: InitStd::Constant(0.0),
        norm_eps: 1e-12,
        ..config
    };
    let mut model = config.init(device);
    model.embedding.weight = matrix([config.vocab_size, config.hidden], device, |_, _| 1.0);
    for block in &mut model.blocks {
        let shape = [config.hidden, config.n_experts];
        let row = |i: usize, e: usize| if i == 0 { router[e] } else { 0.0 };
        block.feed_forward.router.linear.weight = matrix(shape, device, row);
    }
    model
}

#[test]
fn the_auxiliary_losses_equal_their_closed_forms() {
    let device = Device::flex();
    // (router logits, top_k, n_experts * sum of the chosen probabilities, logsumexp)
    let ln2 = 2f32.ln();
    let cases: [(&str, [f32; 4], usize, f64, f64); 5] = [
        ("uniform, one choice", [0.0; 4], 1, 1.0, 4f64.ln()),
        ("uniform, two choices", [0.0; 4], 2, 2.0, 4f64.ln()),
        ("uniform, every expert", [0.0; 4], 4, 4.0, 4f64.ln()),
        (
            "certain, two choices",
            [50.0, 0.0, 50.0, 0.0],
            2,
            4.0,
            50.0 + 2f64.ln(),
        ),
        (
            "probabilities 2:1:1:1, one choice",
            [0.0, ln2, 0.0, 0.0],
            1,
            1.6,
            5f64.ln(),
        ),
    ];
    for (name, router, top_k, balancing, log_sum_exp) in cases {
        let config = MoeConfig { top_k, ..tiny() };
        let model = constant(config.clone(), &router, &device);
        let x = tokens(&ids(1, 16, 11), SHAPE, &device);
        let loss = model.loss(x.clone(), x);
        let read = |part: &Tensor<1>| values(part.clone())[0];
        let close = |found: f64, expected: f64| (found - expected).abs() < 1e-5 * expected;
        assert!(close(read(&loss.load_balancing), balancing), "{name}");
        assert!(close(read(&loss.z_loss), log_sum_exp.powi(2)), "{name}");
        // No token is like another to this model: it guesses.
        assert!(close(read(&loss.cross_entropy), 11f64.ln()), "{name}");
        let total = 11f64.ln()
            + config.load_balancing * balancing
            + config.router_z_loss * log_sum_exp.powi(2);
        assert!(close(read(&loss.total), total), "{name}");
    }
}

#[test]
fn no_token_is_dropped_when_one_expert_takes_all() {
    let config = MoeConfig { top_k: 1, ..tiny() };
    let device = Device::flex().autodiff();
    let mut model = build(&config, 2, &device);
    // Coordinate 0 of the stream is large, and speaks for expert 1.
    let embedding = weights(&model)["embedding.weight"].clone();
    let shape = [config.vocab_size, config.hidden];
    model.embedding.weight = matrix(shape, &device, |id, i| match i {
        0 => 10.0,
        _ => embedding[id * config.hidden + i] as f32,
    });
    for block in &mut model.blocks {
        let shape = [config.hidden, config.n_experts];
        let bias = |i: usize, e: usize| {
            if (i, e) == (0, 1) {
                3.0
            } else {
                0.1 * (i + e) as f32
            }
        };
        block.feed_forward.router.linear.weight = matrix(shape, &device, bias);
    }
    let (x, y) = (ids(1, 16, 11), ids(2, 16, 11));
    let expected = naive(&config, &weights(&model), &x, &y, SHAPE[1]);
    assert_eq!(expected.load, [[0, 16, 0, 0], [0, 16, 0, 0]]);

    let output = model.forward(tokens(&x, SHAPE, &device));
    let load: Vec<i64> = output.load().into_data().iter().collect();
    assert_eq!(load, [0, 32, 0, 0]);
    let difference = largest_difference(&values(output.logits.clone()), &expected.logits);
    assert!(
        difference <= 1e-4 * largest(&expected.logits),
        "{difference}"
    );

    let loss = model.loss_of(&output, tokens(&y, SHAPE, &device));
    let grads = gradients(&model, &loss.total.backward());
    for name in ["gate_proj", "up_proj", "down_proj"] {
        let grad = &grads[&format!("blocks.0.feed_forward.{name}")];
        let of: Vec<f64> = grad.chunks(30).map(largest).collect();
        assert!(of[1] > 0.0, "{name}");
        assert_eq!((of[0], of[2], of[3]), (0.0, 0.0, 0.0), "{name}");
    }
}

/// Its weight is divided by itself.
#[test]
fn one_choice_of_normalized_weight_leaves_the_router_without_a_gradient_of_the_tokens() {
    let device = Device::flex().autodiff();
    let largest_of = |top_k: usize, norm_topk_prob: bool| {
        let config = MoeConfig {
            top_k,
            norm_topk_prob,
            ..tiny()
        };
        assert_eq!(
            config.warnings().is_empty(),
            !(norm_topk_prob && top_k == 1)
        );
        let model = build(&config, 1, &device);
        let [x, y] = [1, 2].map(|seed| tokens(&ids(seed, 16, 11), SHAPE, &device));
        let grads = model.loss(x, y).cross_entropy.backward();
        let all = gradients(&model, &grads);
        let routers = all.iter().filter(|(path, _)| path.contains("router"));
        routers
            .map(|(_, gradient)| largest(gradient))
            .fold(0.0, f64::max)
    };
    let dead = largest_of(1, true);
    assert!(dead < 1e-7, "{dead}");
    for (top_k, norm_topk_prob) in [(1, false), (2, true), (2, false)] {
        let alive = largest_of(top_k, norm_topk_prob);
        assert!(alive > 1e-4, "{alive}");
    }
}
