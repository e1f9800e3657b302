//! Numbers read off a model.

use burn::tensor::{ElementConversion, Tensor};
use burn_grow::moe::{MoeTransformer, RmsProbe};
use burn_grow::{Axis, GrowError, Plan};
use serde::{Deserialize, Serialize};

use crate::loader::HeldOut;
use crate::recorder::{Growth, rounded};
use crate::store::Expansion;

/// The root mean square of an activation before and after an expansion.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rms {
    /// Where in the model.
    pub site: String,
    /// In the narrow model.
    pub before: f64,
    /// In the wide one.
    pub after: f64,
}

/// The mean cross entropy of `model` on held-out windows, in nats per byte.
pub fn evaluate(model: &MoeTransformer, windows: &HeldOut) -> f64 {
    let (mut sum, mut count) = (0.0, 0.0);
    for batch in windows.batches() {
        let weight = batch.tokens.dims()[0] as f64;
        let loss = model.loss(batch.tokens, batch.targets).cross_entropy;
        sum += weight * f64::from(loss.into_scalar::<f32>());
        count += weight;
    }
    sum / count
}

/// Looks at what an expansion does to the function of `narrow`, the model at its very step.
///
/// # Errors
///
/// When the model is not the one the expansion was planned for.
pub fn expansion(narrow: MoeTransformer, growth: &Growth) -> Result<Expansion, GrowError> {
    let Growth { at, plan, windows } = growth;
    let wide = plan.apply(narrow.clone())?;
    let (mut difference, mut largest) = (0.0f64, 0.0f64);
    let mut rms = Vec::new();
    for (index, batch) in windows.batches().enumerate() {
        let (mut before, mut after) = (RmsProbe::default(), RmsProbe::default());
        let old = narrow.forward_probed(batch.tokens.clone(), &mut before);
        let new = wide.forward_probed(batch.tokens, &mut after);
        largest = largest.max(max(old.logits.clone().abs()));
        difference = difference.max(max((new.logits - old.logits).abs()));
        if index == 0 {
            let sites = before.values().into_iter().zip(after.values());
            rms = sites
                .map(|((site, before), (_, after))| Rms {
                    site: site.to_string(),
                    before: rounded(before),
                    after: rounded(after),
                })
                .collect();
        }
    }
    Ok(Expansion {
        step: *at,
        loss_before: rounded(evaluate(&narrow, windows)),
        loss_after: rounded(evaluate(&wide, windows)),
        // Single precision sees no finer; so small a number is kept in units of its own.
        max_logit_diff: rounded(1e6 * difference / largest) / 1e6,
        seconds: 0.0,
        copy_cosine: rounded(copy_cosine(&wide, plan)),
        rms,
    })
}

fn max(tensor: Tensor<3>) -> f64 {
    tensor.max().into_scalar::<f32>().elem()
}

/// The mean cosine between every old unit and its first copy, over the down projections: between their
/// rows where the inner width grew, else between their columns.
///
/// 1 is the symmetry lock: the copies still are copies.
pub fn copy_cosine(model: &MoeTransformer, plan: &Plan) -> f64 {
    let inner = plan.axis(&Axis::from("inner"));
    let Some(axis) = inner.or_else(|| plan.axis(&Axis::from("hidden"))) else {
        return 1.0;
    };
    let old = axis.old_width();
    let copies = old..axis.new_width().min(2 * old);
    let (mut sum, mut count) = (0.0, 0);
    for block in &model.blocks {
        let down = block.feed_forward.down_proj.val().without_autodiff();
        let [experts, _, hidden] = down.dims();
        // `[units, coordinates]`, one matrix for every expert or one for all.
        let groups: Vec<Tensor<2>> = match inner.is_some() {
            true => (0..experts)
                .map(|expert| down.clone().narrow(0, expert, 1).squeeze_dim(0))
                .collect(),
            false => vec![down.swap_dims(0, 2).reshape([hidden as i32, -1])],
        };
        for units in groups {
            let source: Vec<i64> = copies
                .clone()
                .map(|copy| axis.source()[copy] as i64)
                .collect();
            let source = Tensor::from_ints(source.as_slice(), &units.device());
            let original = units.clone().select(0, source);
            let copy = units.narrow(0, copies.start, copies.len());
            let norm = |units: Tensor<2>| units.square().sum_dim(1).sqrt();
            let length = (norm(original.clone()) * norm(copy.clone())).clamp_min(1e-30);
            let cosine = (original * copy).sum_dim(1) / length;
            sum += f64::from(cosine.mean().into_scalar::<f32>());
            count += 1;
        }
    }
    sum / f64::from(count.max(1))
}
