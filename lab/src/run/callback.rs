//! The callback of a run: the one place that says how its growth is asked of the library.

use anyhow::Result;
use burn_grow::train::WidthExpansionBuilder;
use burn_grow::{At, Blueprint, Growth, Plan, WidthExpansionCallback};

use crate::run::{GrowthSchedule, Run};

/// Gives the callback's builder for a run, before anyone listens.
pub fn callback(run: &Run) -> WidthExpansionBuilder {
    let mut builder = WidthExpansionCallback::builder(run.steps);
    if let Some(growth) = &run.growth {
        for (at, expansion) in &growth.stages {
            let stage = Growth::new(expansion.clone()).with_state(growth.state);
            let stage = match &growth.rewarmup {
                Some(rewarmup) => stage.with_rewarmup(rewarmup.clone()),
                None => stage.without_rewarmup(),
            };
            builder = builder.expand(At::step(*at), stage);
        }
    }
    builder
}

/// Plans each expansion, the first one of a model like `blueprint`.
pub(super) fn plans(
    growth: &GrowthSchedule,
    mut blueprint: Blueprint,
) -> Result<Vec<(usize, Plan)>> {
    let mut plans = Vec::new();
    for (at, expansion) in &growth.stages {
        let plan = Plan::new(&blueprint, expansion)?;
        blueprint = blueprint.expanded(&plan);
        plans.push((*at, plan));
    }
    Ok(plans)
}
