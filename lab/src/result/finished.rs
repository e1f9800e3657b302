//! The result of a run that ended.

use std::sync::Arc;

use anyhow::{Context, Result};
use burn_grow::moe::MoeTransformer;

use crate::json::as_written;
use crate::log::Log;
use crate::measure::counted::multiply_adds;
use crate::measure::scores;
use crate::result::{Expanded, Origin, RunResult};
use crate::run::{Phase, Run};
use crate::text::{Corpus, HeldOut};

/// Gives the result of a run on `corpus` from its last model and its log.
///
/// # Errors
///
/// When the device cannot be opened, or the run has no end.
pub fn finished(
    run: &Run,
    model: &MoeTransformer,
    log: &Log,
    corpus: &Arc<Corpus>,
    origin: &Origin,
) -> Result<RunResult> {
    let settings = &run.settings;
    let device = settings.device.open()?;
    let windows = HeldOut::new(corpus.clone(), settings, settings.final_windows, &device);
    let size = run.phase(run.steps).size;
    let none = || format!("run `{}` failed: it ended without a loss", run.label);
    let end = log.end.with_context(none)?;
    let expansions = log.expansions.iter().map(|expansion| Expanded {
        step: expansion.step,
        loss_before: expansion.loss_before,
        loss_after: expansion.loss_after,
        max_logit_diff: expansion.max_logit_diff,
        copy_cosine: expansion.copy_cosine,
    });
    let epochs = log.epochs.iter();
    Ok(RunResult {
        id: run.id()?,
        spec: as_written(&run.spec)?,
        settings: as_written(&run.identity())?,
        seed: settings.seed,
        commit: origin.commit.clone(),
        machine: origin.machine.clone(),
        steps: run.steps,
        tokens: (run.steps * settings.step_tokens()) as u64,
        params: size.params,
        active: size.active,
        flops: run.flops(run.steps),
        flops_counted: counted_flops(run),
        loss: end.val_loss,
        scores: scores(model, &windows),
        wall_s: Some(end.wall_s),
        expansions: expansions.collect(),
        cosine: log.cosine.last().map(|(_, cosine)| *cosine),
        curve: epochs.map(|end| (end.step, end.val_loss)).collect(),
    })
}

/// Computes the FLOPs of training from the multiply-adds of a forward pass.
fn counted_flops(run: &Run) -> f64 {
    let cost = |(phase, tokens): &(&Phase, f64)| {
        let forward = multiply_adds(&phase.model, run.settings.context);
        forward.training_flops(*tokens)
    };
    run.segments(run.steps).iter().map(cost).sum()
}
