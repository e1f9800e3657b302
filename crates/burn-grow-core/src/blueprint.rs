use std::collections::{BTreeMap, HashMap};

use burn_core::module::{Param, ParamId};
use burn_core::tensor::{DType, Tensor};
use serde::{Deserialize, Serialize};

use crate::describe::Description;
use crate::fields::BlueprintFields;
use crate::visit::{ParamVisitor, for_each_param};
use crate::width::widths;
use crate::{ActiveFraction, Axis, Constant, Describer, GrowError, Growable, Plan, Role};

/// What a model looks like to an expansion: its parameters, the axis each dimension lies on, the
/// width of every axis, and the constants that depend on one. One that disagrees with itself is not read.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "BlueprintFields")]
pub struct Blueprint {
    pub(crate) params: Vec<ParamBlueprint>,
    pub(crate) widths: BTreeMap<Axis, usize>,
    pub(crate) constants: Vec<Constant<usize>>,
    pub(crate) multipliers: Vec<Constant<f64>>,
    pub(crate) frozen: BTreeMap<Axis, String>,
}

/// One parameter of a [`Blueprint`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ParamBlueprint {
    /// Its path in the module tree, as Burn's records and optimizer groups spell it.
    pub path: String,
    /// Its shape.
    pub shape: Vec<usize>,
    /// The role of each dimension; `None` never grows. Serialized as a role of no parts.
    #[serde(with = "crate::role::optional")]
    pub roles: Vec<Option<Role>>,
    /// How much of it takes part in one token.
    pub active: ActiveFraction,
}

impl ParamBlueprint {
    /// The number of elements.
    pub fn num_elements(&self) -> usize {
        self.shape.iter().product()
    }

    /// Its shape at other widths.
    pub fn shape_at(&self, widths: &BTreeMap<Axis, usize>) -> Vec<usize> {
        let size = |(size, role): (&usize, &Option<Role>)| match role {
            Some(role) => role.size(|axis| widths.get(axis).copied().unwrap_or(1)),
            None => *size,
        };
        self.shape.iter().zip(&self.roles).map(size).collect()
    }
}

impl Blueprint {
    /// Describes `model`.
    ///
    /// # Errors
    ///
    /// When parameters and constants disagree about the width of an axis, a layout does not divide
    /// its dimension, or a parameter is undescribed, shared, quantized or reparameterized.
    pub fn of<G: Growable>(model: &G) -> Result<Self, GrowError> {
        Self::new(Surveyed::of(model, Shapes::Initialized)?)
    }

    /// As [`of`](Self::of), without initializing a parameter, but those of convolutions and the slopes of a `PRelu`: for
    /// planning on a model that does not fit in memory.
    ///
    /// A parameter that nobody has looked at yet has the shape it was declared with. That is the shape of
    /// its value for every Burn layer but a [`Linear`](burn_nn::Linear) in column layout, which is declared
    /// transposed: such a model needs [`of`](Self::of).
    ///
    /// # Errors
    ///
    /// Those of [`of`](Self::of).
    pub fn of_lazy<G: Growable>(model: &G) -> Result<Self, GrowError> {
        Self::new(Surveyed::of(model, Shapes::Declared)?)
    }

    fn new(Surveyed { params, describe }: Surveyed) -> Result<Self, GrowError> {
        let widths = widths(&params, &describe.widths, &describe.counts)?;
        let mut constants = describe.widths;
        constants.extend(describe.counts);
        let blueprint = Self {
            params,
            widths,
            constants,
            multipliers: describe.multipliers,
            frozen: describe.frozen,
        };
        blueprint.checked()
    }

    /// The parameters, in the order of the module tree.
    pub fn params(&self) -> &[ParamBlueprint] {
        &self.params
    }

    /// The width of every axis.
    ///
    /// Together with [`multipliers`](Self::multipliers) the part of a grown model's configuration
    /// that its record does not hold.
    pub fn widths(&self) -> &BTreeMap<Axis, usize> {
        &self.widths
    }

    /// The scalars that absorb fan-in factors, with their present values.
    pub fn multipliers(&self) -> &[Constant<f64>] {
        &self.multipliers
    }

    /// The number of parameters.
    pub fn num_params(&self) -> usize {
        self.params.iter().map(ParamBlueprint::num_elements).sum()
    }

    /// The number of parameters that takes part in one token: the `N` of `C = 6 N D`.
    pub fn active_params(&self) -> f64 {
        self.params
            .iter()
            .map(|param| param.num_elements() as f64 * param.active.fraction(&self.widths))
            .sum()
    }

    /// The blueprint of the model after `plan`.
    pub fn expanded(&self, plan: &Plan) -> Self {
        let mut next = self.clone();
        for (param, planned) in next.params.iter_mut().zip(plan.params()) {
            param.shape = planned.new_shape.clone();
        }
        for (axis, planned) in plan.axes() {
            next.widths.insert(axis.clone(), planned.new_width());
        }
        for constant in &mut next.constants {
            constant.value = next.widths[&constant.axis];
        }
        for multiplier in &mut next.multipliers {
            if let Some(planned) = plan.axis(&multiplier.axis) {
                multiplier.value *= planned.tied_factor().unwrap_or(1.0);
            }
        }
        next
    }
}

pub(crate) fn known(widths: &BTreeMap<Axis, usize>, axis: &Axis) -> Result<usize, GrowError> {
    widths
        .get(axis)
        .copied()
        .ok_or_else(|| GrowError::UnknownAxis {
            axis: axis.clone(),
            known: widths.keys().cloned().collect(),
        })
}

/// Refuses a parameter whose values are quantized.
pub(crate) fn quantized(path: &str, dtype: DType) -> Option<GrowError> {
    matches!(dtype, DType::QFloat(_)).then(|| GrowError::Quantized {
        path: path.to_owned(),
        dtype: format!("{dtype:?}"),
    })
}

/// Refuses a parameter with an adapter, which a walk meets as a module below the parameter.
pub(crate) fn reparameterized(path: &str, name: &str, container: &str) -> Option<GrowError> {
    (container == "Reparameterization").then(|| GrowError::Reparameterized {
        path: path.to_owned(),
        name: name.to_owned(),
    })
}

/// Where the shapes of parameters come from.
#[derive(Clone, Copy)]
pub(crate) enum Shapes {
    /// Their values, which are initialized for it.
    Initialized,
    /// Their declarations, as long as there is no value.
    Declared,
}

/// What a model says about itself, before anyone asks whether it agrees with itself.
pub(crate) struct Surveyed {
    pub(crate) params: Vec<ParamBlueprint>,
    pub(crate) describe: Describer,
}

impl Surveyed {
    pub(crate) fn of<G: Growable>(model: &G, shapes: Shapes) -> Result<Self, GrowError> {
        let mut describe = Describer::default();
        model.describe(&mut describe);
        if !describe.errors.is_empty() {
            return Err(describe.errors.swap_remove(0));
        }
        let mut survey = Survey {
            descriptions: &describe.params,
            shapes,
            seen: HashMap::new(),
            params: Vec::new(),
            error: None,
        };
        for_each_param(model, &mut survey);
        match survey.error {
            Some(error) => Err(error),
            None => Ok(Self {
                params: survey.params,
                describe,
            }),
        }
    }
}

/// Walks the module as Burn does, so that paths are the ones records and optimizers use.
struct Survey<'a> {
    descriptions: &'a HashMap<ParamId, Description>,
    shapes: Shapes,
    seen: HashMap<ParamId, String>,
    params: Vec<ParamBlueprint>,
    error: Option<GrowError>,
}

impl Survey<'_> {
    fn record(
        &mut self,
        path: String,
        id: ParamId,
        shape: Vec<usize>,
        dtype: Option<DType>,
    ) -> Result<ParamBlueprint, GrowError> {
        if let Some(other) = self.seen.insert(id, path.clone()) {
            return Err(GrowError::Shared { path, other });
        }
        if let Some(error) = dtype.and_then(|dtype| quantized(&path, dtype)) {
            return Err(error);
        }
        let Some(description) = self.descriptions.get(&id) else {
            return Err(GrowError::Undescribed { path });
        };
        Ok(ParamBlueprint {
            path,
            shape,
            roles: description.roles.clone(),
            active: description.active.clone(),
        })
    }
}

impl ParamVisitor for Survey<'_> {
    fn module(&mut self, parent: &str, name: &str, container: &str) {
        if let Some(error) = reparameterized(parent, name, container) {
            self.error.get_or_insert(error);
        }
    }

    fn float<const D: usize>(&mut self, path: &str, param: &Param<Tensor<D>>) {
        if self.error.is_some() {
            return;
        }
        let (shape, dtype) = match self.shapes {
            Shapes::Declared if !param.is_initialized() => (param.lazy_shape().to_vec(), None),
            // A column-layout weight is declared transposed.
            _ => {
                let value = param.base();
                (value.dims().to_vec(), Some(value.dtype()))
            }
        };
        match self.record(path.to_owned(), param.id, shape, dtype) {
            Ok(param) => self.params.push(param),
            Err(error) => self.error = Some(error),
        }
    }
}
