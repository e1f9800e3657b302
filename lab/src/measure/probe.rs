//! What an expansion does to a model: loss, logits, activations, and how far copies are copies.

use std::collections::BTreeMap;

use burn::module::{Param, ParamId};
use burn::tensor::Tensor;
use burn_grow::describe::Axis;
use burn_grow::moe::MoeTransformer;
use burn_grow::plan::BlockContent;
use burn_grow::verify::{ParamTensors, symmetry_of, verify};
use burn_grow::{GrowError, Plan};

use crate::log::{LoggedExpansion, Rms, rounded};
use crate::text::HeldOut;

/// Computes the mean cross entropy of `model` on held-out windows, in nats per byte.
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

/// Measures what an expansion after `step` steps does to the function of `narrow`, the model at
/// that step.
///
/// # Errors
///
/// When the model is not the one the expansion was planned for.
pub fn expansion(
    narrow: MoeTransformer,
    plan: &Plan,
    step: usize,
    windows: &HeldOut,
) -> Result<LoggedExpansion, GrowError> {
    let wide = plan.apply(narrow.clone())?;
    let (mut difference, mut largest) = (0.0f64, 0.0f64);
    let mut rms = Vec::new();
    for (index, batch) in windows.batches().enumerate() {
        let found = verify(&narrow, &wide, batch.tokens)?;
        largest = largest.max(found.largest);
        difference = difference.max(found.max_abs);
        if index == 0 {
            let sites = found.sites.into_iter();
            rms = sites
                .map(|site| Rms {
                    site: site.name,
                    before: rounded(site.before),
                    after: rounded(site.after),
                })
                .collect();
        }
    }
    Ok(LoggedExpansion {
        step,
        loss_before: rounded(evaluate(&narrow, windows)),
        loss_after: rounded(evaluate(&wide, windows)),
        // Single precision sees no finer; so small a number is kept in units of its own.
        max_logit_diff: rounded(1e6 * difference / largest) / 1e6,
        seconds: 0.0,
        copy_cosine: copy_cosine(&wide, plan)?.map(rounded),
        rms,
    })
}

/// Computes the mean cosine between every old unit and its copies, over the down projections:
/// between their rows where the inner width grew, else between their columns. Where no width grew
/// but the stack of blocks, between the up projections of blocks and their copies: identity blocks
/// are copies there. `None` if there are no copies.
///
/// 1 is the symmetry lock: the copies still are copies.
///
/// # Errors
///
/// When the model is not what the plan expands to.
pub fn copy_cosine(model: &MoeTransformer, plan: &Plan) -> Result<Option<f64>, GrowError> {
    let axes = ["inner", "hidden"].map(Axis::from);
    let grown = axes.iter().find(|axis| plan.axis(axis).is_some());
    if grown.is_none() {
        return Ok(block_cosine(model, plan));
    }
    let blocks = model.blocks.iter();
    let down = Down(
        blocks
            .map(|block| block.feed_forward.down_proj.id)
            .collect(),
    );
    let symmetry = symmetry_of(model, &down, plan)?;
    Ok(symmetry.mean_of(|row| Some(&row.axis) == grown))
}

/// Computes the mean cosine between the up projections of every old block and its copies.
fn block_cosine(model: &MoeTransformer, plan: &Plan) -> Option<f64> {
    let layers = plan.axis(&Axis::from("layers"))?;
    let copies = [BlockContent::Copy, BlockContent::Identity];
    if !layers.blocks().is_some_and(|held| copies.contains(&held)) {
        return None;
    }
    let mut kept = BTreeMap::new();
    let mut cosines = Vec::new();
    for (block, source) in model.blocks.iter().zip(layers.source()) {
        let up = block.feed_forward.up_proj.val().without_autodiff();
        match kept.get(source) {
            Some(old) => cosines.push(cosine(old, &up)),
            None => {
                kept.insert(source, up);
            }
        }
    }
    (!cosines.is_empty()).then(|| cosines.iter().sum::<f64>() / cosines.len() as f64)
}

fn cosine(left: &Tensor<3>, right: &Tensor<3>) -> f64 {
    let product = |left: &Tensor<3>, right: &Tensor<3>| {
        let product = left.clone() * right.clone();
        f64::from(product.sum().into_scalar::<f32>())
    };
    product(left, right) / (product(left, left) * product(right, right)).sqrt()
}

/// The weights of the down projections: looking at all would cost a step's time.
struct Down(Vec<ParamId>);

impl ParamTensors for Down {
    fn tensor_of<const D: usize>(&self, param: &Param<Tensor<D>>) -> Option<Tensor<D>> {
        self.0.contains(&param.id).then(|| param.val())
    }
}
