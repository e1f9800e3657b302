//! The load of the experts on burn-train's dashboard.
#![cfg(feature = "metrics")]
#![allow(clippy::unwrap_used)]

use burn::data::dataloader::Progress;
use burn::tensor::{Device, Int, Tensor, TensorData};
use burn::train::metric::{
    AccuracyInput, Adaptor, ItemLazy, LossInput, LossMetric, Metric, MetricMetadata, Numeric,
};
use burn_grow_moe::{
    ExpertEntropyMetric, ExpertLoad, MaxExpertShareMetric, MoeConfig, MoeSequenceOutput,
};

fn output() -> (MoeSequenceOutput, Vec<usize>, f64) {
    let device = Device::flex();
    let model = MoeConfig::default().init(&device.clone().autodiff());
    let tokens: Vec<i64> = (0..32).map(|index| index * 7 % 256).collect();
    let tokens = Tensor::<2, Int>::from_data(TensorData::new(tokens, [2, 16]), &device.autodiff());
    let output = model.forward(tokens.clone());
    let loss = model.loss_of(&output, tokens.clone()).cross_entropy;
    let nats = f64::from(loss.clone().into_scalar::<f32>());
    let busiest = output
        .routed
        .iter()
        .map(|layer| layer.routing.read_load().into_iter().max().unwrap());
    let busiest = busiest.collect();
    (MoeSequenceOutput::new(&output, loss, tokens), busiest, nats)
}

fn metadata() -> MetricMetadata {
    MetricMetadata {
        progress: Progress {
            items_processed: 1,
            items_total: 1,
            unit: None,
        },
        iteration: None,
        lr: None,
    }
}

#[test]
fn metrics_show_the_load_of_a_batch() {
    let (output, busiest, _) = output();
    let load: ExpertLoad = output.sync().unwrap().adapt();
    assert_eq!(load.tokens, 32);
    let most = *busiest.iter().max().unwrap() as f64 / 32.0;
    assert_eq!(load.max_share, most);
    assert!(load.entropy > 0.0 && load.entropy <= 1.0);
}

#[test]
fn a_metric_is_the_mean_over_tokens() {
    let load = |entropy, max_share, tokens| ExpertLoad {
        entropy,
        max_share,
        tokens,
    };
    let mut entropy = ExpertEntropyMetric::new();
    let mut share = MaxExpertShareMetric::new();
    for load in [load(0.5, 0.75, 30), load(1.0, 0.25, 10)] {
        entropy.update(&load, &metadata()).unwrap();
        share.update(&load, &metadata()).unwrap();
    }
    assert_eq!(entropy.final_value().current(), 0.625);
    assert_eq!(share.final_value().current(), 0.625);
    assert_eq!(
        (&**entropy.name(), &**share.name()),
        ("Expert entropy", "Max expert share")
    );
    entropy.clear();
    entropy.update(&load(0.25, 1.0, 1), &metadata()).unwrap();
    assert_eq!(entropy.final_value().current(), 0.25);
}

#[test]
fn the_metrics_of_burn_take_the_output() {
    let (output, _, nats) = output();
    let mut loss = LossMetric::new();
    let input: LossInput = output.adapt();
    loss.update(&input, &metadata()).unwrap();
    assert!((loss.final_value().current() - nats).abs() < 1e-6);
    let _: AccuracyInput = output.adapt();
}
