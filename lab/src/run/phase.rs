//! The models that a run trains in turn.

use anyhow::Result;
use burn_grow::describe::Axis;
use burn_grow::moe::MoeConfig;
use burn_grow::plan::Target;
use burn_grow::{Blueprint, Expansion, Plan};

use crate::spec::Backend;

/// A model that a run trains for a while.
#[derive(Clone, Debug, PartialEq)]
pub struct Phase {
    /// Optimizer steps before it.
    pub begins: usize,
    /// The model, as if built that wide.
    pub model: MoeConfig,
    pub size: Size,
}

/// How large a model is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Size {
    /// Its parameters.
    pub params: usize,
    /// Parameters that take part in one token.
    pub active: f64,
}

/// Lists the models of a run that begins with `model`.
pub(super) fn phases(
    mut model: MoeConfig,
    stages: &[(usize, Expansion)],
    device: Backend,
) -> Result<Vec<Phase>> {
    let narrow = model.try_init(&device.open()?)?;
    // A look at the shapes initializes no parameter.
    let mut blueprint = Blueprint::of_lazy(&narrow)?;
    let size = |blueprint: &Blueprint| Size {
        params: blueprint.num_params(),
        active: blueprint.active_params(),
    };
    let mut phases = vec![Phase {
        begins: 0,
        model: model.clone(),
        size: size(&blueprint),
    }];
    for (at, expansion) in stages {
        blueprint = blueprint.expanded(&Plan::new(&blueprint, expansion)?);
        model = widened(model, expansion);
        phases.push(Phase {
            begins: *at,
            model: model.clone(),
            size: size(&blueprint),
        });
    }
    Ok(phases)
}

/// Gives the configuration of the model after an expansion, as if built that wide.
pub(super) fn widened(config: MoeConfig, expansion: &Expansion) -> MoeConfig {
    let width = |axis: &str, width: usize| match expansion.targets.get(&Axis::from(axis)) {
        Some(Target::Factor(factor)) => (width as f64 * factor).round() as usize,
        Some(Target::Width(width)) => *width,
        None => width,
    };
    MoeConfig {
        n_layers: width("layers", config.n_layers),
        hidden: width("hidden", config.hidden),
        inner: width("inner", config.inner),
        ..config
    }
}
