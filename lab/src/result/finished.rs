use std::path::Path;
use std::sync::Arc;

use burn_grow::moe::MoeTransformer;

use crate::corpus::Corpus;
use crate::counted::multiply_adds;
use crate::error::DemoError;
use crate::job::Listed;
use crate::loader::HeldOut;
use crate::origin::Origin;
use crate::phase::Phase;
use crate::row::{Row, RowExpansion};
use crate::scores::scores;
use crate::store::{self, Rows};
use crate::unit::Unit;

/// What a finished run on `corpus` has to show: its last model, and its rows.
pub(super) fn row(
    listed: &Listed,
    model: &MoeTransformer,
    rows: &Rows,
    corpus: &Arc<Corpus>,
    origin: &Origin,
) -> Result<Row, DemoError> {
    let unit = &listed.unit;
    let settings = &unit.settings;
    let device = settings.device.open()?;
    let windows = HeldOut::new(corpus.clone(), settings, settings.final_windows, &device);
    let size = unit.phase(unit.steps).size;
    let end = rows.end.ok_or_else(|| DemoError::Arm {
        arm: listed.label.clone(),
        message: "it ended without a loss".into(),
    })?;
    let place = Path::new(&listed.label);
    let expansions = rows.expansions().map(|expansion| RowExpansion {
        step: expansion.step,
        loss_before: expansion.loss_before,
        loss_after: expansion.loss_after,
        max_logit_diff: expansion.max_logit_diff,
        copy_cosine: expansion.copy_cosine,
    });
    Ok(Row {
        id: listed.id.clone(),
        arm: store::json(place, &unit.arm)?,
        settings: store::json(place, &unit.identity(&corpus.fingerprint()))?,
        seed: settings.seed,
        commit: origin.commit.clone(),
        machine: origin.machine.clone(),
        steps: unit.steps,
        tokens: (unit.steps * settings.step_tokens()) as u64,
        params: size.params,
        active: size.active,
        flops: unit.flops(unit.steps),
        flops_counted: counted_flops(unit),
        loss: end.val_loss,
        scores: scores(model, &windows),
        wall_s: Some(end.wall_s),
        expansions: expansions.collect(),
        cosine: rows.cosine.last().map(|(_, cosine)| *cosine),
        curve: rows
            .epochs
            .iter()
            .map(|row| (row.step, row.val_loss))
            .collect(),
    })
}

/// The FLOPs of training, from the multiply-adds of a forward pass.
fn counted_flops(unit: &Unit) -> f64 {
    let cost = |(phase, tokens): &(&Phase, f64)| {
        let forward = multiply_adds(&phase.model, unit.settings.context);
        forward.training_flops(*tokens)
    };
    unit.segments(unit.steps).iter().map(cost).sum()
}
