use std::collections::HashMap;

use burn_core::module::{Module, Param};
use burn_core::tensor::{DType, Int, Tensor};
use serde::{Deserialize, Serialize};

use crate::visit::{ParamVisitor, for_each_param};
use crate::{GrowError, ParamPlan, Plan};

/// The root mean square of the weights of everything that an expansion grew.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct GrownRms {
    /// Of every coordinate.
    pub all: f64,
    /// Of those that were there before.
    pub old: f64,
    /// Of those that it added.
    pub new: f64,
}

/// The RMS of the parameters of `model` that `plan` grew, over all of their elements; none if nothing
/// grew. One pass over the weights, and one wait for the device.
///
/// # Errors
///
/// When `model` is not what the plan expands to.
pub fn grown_rms<M: Module>(model: &M, plan: &Plan) -> Result<Option<GrownRms>, GrowError> {
    let grown = plan.params().iter().filter(|param| param.grows());
    let mut look = Look {
        plan,
        params: grown.map(|param| (param.path.as_str(), param)).collect(),
        sums: Vec::new(),
        counts: [0.0; 2],
        error: None,
    };
    for_each_param(model, &mut look);
    let missing = look.params.into_keys().min();
    let missing = missing.map(|path| GrowError::Missing {
        path: path.to_owned(),
        has: "plan",
        lacks: "model",
    });
    if let Some(error) = look.error.or(missing) {
        return Err(error);
    }
    let Some(first) = look.sums.first() else {
        return Ok(None);
    };
    let device = first.device();
    let sums = look.sums.into_iter().map(|sums| sums.to_device(&device));
    let sums: Vec<f64> = Tensor::cat(sums.collect(), 0).into_data().iter().collect();
    let sum = |side: usize| sums.iter().skip(side).step_by(2).sum::<f64>();
    let ([all, old], [all_count, old_count]) = ([sum(0), sum(1)], look.counts);
    let rms = |squares: f64, count: f64| (squares.max(0.0) / count).sqrt();
    Ok(Some(GrownRms {
        all: rms(all, all_count),
        old: rms(old, old_count),
        new: rms(all - old, all_count - old_count),
    }))
}

struct Look<'a> {
    plan: &'a Plan,
    /// The parameters that grew and were not seen yet.
    params: HashMap<&'a str, &'a ParamPlan>,
    /// The sums of squares of every parameter, left on its device: of all coordinates and of the old.
    sums: Vec<Tensor<1>>,
    counts: [f64; 2],
    error: Option<GrowError>,
}

impl ParamVisitor for Look<'_> {
    fn float<const D: usize>(&mut self, path: &str, param: &Param<Tensor<D>>) {
        let Some(planned) = self.params.remove(path) else {
            return;
        };
        let shape = param.dims().to_vec();
        if shape != planned.new_shape {
            self.error.get_or_insert(GrowError::Shape {
                path: path.to_owned(),
                expected: planned.new_shape.clone(),
                found: shape,
            });
            return;
        }
        let squares = param.val().without_autodiff().cast(DType::F32).square();
        let mut old = squares.clone();
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
