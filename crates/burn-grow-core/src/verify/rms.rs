//! The RMS of grown parameters, old and new coordinates apart.

use std::collections::HashMap;

use burn_core::module::{Module, Param};
use burn_core::tensor::{DType, Int, Tensor};
use serde::{Deserialize, Serialize};

use crate::error::GrowError;
use crate::plan::model::Plan;
use crate::plan::param::ParamPlan;
use crate::visit::{ParamVisitor, for_each_param};

/// The root mean square of the weights of all parameters that an expansion grew, and of the blocks of
/// stacks that it grew: old blocks are old coordinates, new blocks are new ones.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct GrownRms {
    /// RMS over all coordinates.
    pub all: f64,
    /// RMS over the old coordinates.
    pub old: f64,
    /// RMS over the new coordinates.
    pub new: f64,
}

/// Computes the RMS over the parameters of `model` that `plan` grew. Returns `None` if nothing
/// grew.
///
/// Costs one pass over the weights and one wait for the device.
///
/// # Errors
///
/// Fails when `model` is not what the plan expands to.
pub fn grown_rms<M: Module>(model: &M, plan: &Plan) -> Result<Option<GrownRms>, GrowError> {
    let grown = plan.params().iter().filter(|param| plan.is_grown(param));
    let mut visitor = Visitor {
        plan,
        params: grown.map(|param| (param.path.as_str(), param)).collect(),
        sums: Vec::new(),
        counts: [0.0; 2],
        error: None,
    };
    for_each_param(model, &mut visitor);
    let missing = visitor.params.into_keys().min();
    let missing = missing.map(|path| GrowError::Missing {
        path: path.to_owned(),
        has: "plan",
        lacks: "model",
    });
    if let Some(error) = visitor.error.or(missing) {
        return Err(error);
    }
    let Some(first) = visitor.sums.first() else {
        return Ok(None);
    };
    let device = first.device();
    let sums = visitor.sums.into_iter().map(|sums| sums.to_device(&device));
    let sums: Vec<f64> = Tensor::cat(sums.collect(), 0).into_data().iter().collect();
    let sum = |side: usize| sums.iter().skip(side).step_by(2).sum::<f64>();
    let ([all, old], [all_count, old_count]) = ([sum(0), sum(1)], visitor.counts);
    let rms = |squares: f64, count: f64| match count {
        0.0 => 0.0,
        count => (squares.max(0.0) / count).sqrt(),
    };
    Ok(Some(GrownRms {
        all: rms(all, all_count),
        old: rms(old, old_count),
        new: rms(all - old, all_count - old_count),
    }))
}

struct Visitor<'a> {
    plan: &'a Plan,
    /// Grown parameters that were not seen yet.
    params: HashMap<&'a str, &'a ParamPlan>,
    /// Sums of squares of every parameter, over all and over old coordinates, left on its device.
    sums: Vec<Tensor<1>>,
    counts: [f64; 2],
    error: Option<GrowError>,
}

impl ParamVisitor for Visitor<'_> {
    fn float<const D: usize>(&mut self, path: &str, param: &Param<Tensor<D>>) {
        let Some(planned) = self.params.remove(path) else {
            return;
        };
        if let Err(error) = planned.check_shape(&planned.new_shape, &param.dims()) {
            self.error.get_or_insert(error);
            return;
        }
        let squares = param.val().without_autodiff().cast(DType::F32).square();
        let mut old = squares.clone();
        if planned.is_new() {
            self.counts[0] += squares.shape().num_elements() as f64;
            let sum = squares.sum();
            self.sums
                .push(Tensor::cat(vec![sum.clone(), sum.zeros_like()], 0));
            return;
        }
        for dim in 0..D {
            let Some(kept) = self.plan.kept(planned, dim) else {
                continue;
            };
            let kept = kept.into_iter().zip(0_i64..);
            let kept: Vec<i64> = kept.filter_map(|(kept, at)| kept.then_some(at)).collect();
            let kept = Tensor::<1, Int>::from_ints(kept.as_slice(), &old.device());
            old = old.select(dim, kept);
        }
        self.counts[0] += squares.shape().num_elements() as f64;
        self.counts[1] += old.shape().num_elements() as f64;
        self.sums
            .push(Tensor::cat(vec![squares.sum(), old.sum()], 0));
    }
}
