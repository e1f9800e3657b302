//! The walk over a model that pairs its parameters with their descriptions.

use std::collections::HashMap;

use burn_core::module::{Param, ParamId};
use burn_core::tensor::{DType, Tensor};

use super::describer::{Describer, Description};
use super::growable::Growable;
use super::layout::Term;
use super::param::ParamBlueprint;
use super::stack::StackDescription;
use super::validate::Widths;
use super::width::voted;
use crate::error::GrowError;
use crate::visit::{ParamVisitor, for_each_param};

/// The source of the shapes of parameters.
#[derive(Clone, Copy)]
pub(crate) enum Shapes {
    /// Values, which are initialized for it.
    Initialized,
    /// Declarations, for parameters without a value.
    Declared,
}

/// A model's parameters and descriptions, not yet checked against each other. Those of a fresh block
/// stand where an empty stack would have its first.
pub(crate) struct Survey {
    pub(crate) params: Vec<ParamBlueprint>,
    pub(crate) describer: Describer,
}

impl Survey {
    pub(crate) fn of<G: Growable>(model: &G, shapes: Shapes) -> Result<Self, GrowError> {
        Self::with(Describer::default(), model, shapes)
    }

    /// Describes `model`, and looks at the numbers that it does not declare.
    pub(crate) fn observing<G: Growable>(model: &G) -> Result<Self, GrowError> {
        Self::with(Describer::observing(), model, Shapes::Initialized)
    }

    fn with<G: Growable>(
        mut describer: Describer,
        model: &G,
        shapes: Shapes,
    ) -> Result<Self, GrowError> {
        model.describe(&mut describer);
        if !describer.errors.is_empty() {
            return Err(describer.errors.swap_remove(0));
        }
        let mut visitor = Visitor {
            descriptions: &describer.params,
            stacks: &describer.stacks,
            shapes,
            seen: HashMap::new(),
            params: Vec::new(),
            error: None,
        };
        for_each_param(model, &mut visitor);
        let Visitor { params, error, .. } = visitor;
        if let Some(error) = error {
            return Err(error);
        }
        let is_here = |path: &str| params.iter().any(|param| param.path == path);
        let mut stacks = describer.stacks.iter();
        let absent = stacks.find(|stack| {
            let mut prototype = stack.prototype.iter().flatten();
            prototype.any(|(path, ..)| !is_here(path))
        });
        if let Some(stack) = absent {
            return Err(GrowError::Missing {
                path: stack.path.clone(),
                has: "description",
                lacks: "model",
            });
        }
        Ok(Self { params, describer }.settled())
    }

    /// Replaces the axes that never grow by their widths.
    fn settled(mut self) -> Self {
        let stored = self.describer.widths.iter().chain(&self.describer.counts);
        let mut fixed = voted(&self.params, stored);
        fixed.retain(|axis, _| axis.is_fixed());
        for role in self.params.iter_mut().flat_map(|param| &mut param.roles) {
            if role
                .as_ref()
                .is_some_and(|role| !role.grows() && role.axes().next().is_some())
            {
                *role = None;
            }
            for part in role.iter_mut().flat_map(|role| &mut role.parts) {
                settle(&mut part.terms, &fixed);
            }
        }
        for param in &mut self.params {
            for layout in param.active.layouts_mut() {
                settle(&mut layout.terms, &fixed);
            }
        }
        let describer = &mut self.describer;
        for constants in [&mut describer.widths, &mut describer.counts] {
            for constant in constants.iter_mut() {
                settle(&mut constant.axis.terms, &fixed);
            }
            constants.retain(|constant| constant.axis.axes().next().is_some());
        }
        for multiplier in &mut describer.multipliers {
            settle(&mut multiplier.axis.terms, &fixed);
        }
        describer
            .multipliers
            .retain(|constant| constant.axis.axes().next().is_some());
        self
    }
}

/// Writes widths instead of axes that never grow.
fn settle(terms: &mut [Term], fixed: &Widths) {
    for term in terms {
        if let Term::Axis(axis) = term
            && let Some(width) = fixed.get(axis)
        {
            *term = Term::Fixed(*width);
        }
    }
}

struct Visitor<'a> {
    descriptions: &'a HashMap<ParamId, Description>,
    stacks: &'a [StackDescription],
    shapes: Shapes,
    seen: HashMap<ParamId, String>,
    params: Vec<ParamBlueprint>,
    error: Option<GrowError>,
}

impl Visitor<'_> {
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
        if let Some(dtype) = dtype {
            reject_quantized(&path, dtype)?;
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

impl ParamVisitor for Visitor<'_> {
    fn module(&mut self, parent: &str, name: &str, container: &str) {
        if let Err(error) = reject_reparameterized(parent, name, container) {
            self.error.get_or_insert(error);
        }
        let module = match parent {
            "" => name.to_owned(),
            _ => format!("{parent}.{name}"),
        };
        let here = self.stacks.iter().filter(|stack| stack.path == module);
        for (path, id, shape) in here.flat_map(|stack| stack.prototype.iter().flatten()) {
            match self.record(path.clone(), *id, shape.clone(), None) {
                Ok(param) => self.params.push(param),
                Err(error) => drop(self.error.get_or_insert(error)),
            }
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

/// Rejects a parameter whose values are quantized.
pub(crate) fn reject_quantized(path: &str, dtype: DType) -> Result<(), GrowError> {
    if !matches!(dtype, DType::QFloat(_)) {
        return Ok(());
    }
    Err(GrowError::Quantized {
        path: path.to_owned(),
        dtype: format!("{dtype:?}"),
    })
}

/// Rejects a parameter with an adapter, which Burn shows as a module below the parameter.
pub(crate) fn reject_reparameterized(
    path: &str,
    name: &str,
    container: &str,
) -> Result<(), GrowError> {
    if container != "Reparameterization" {
        return Ok(());
    }
    Err(GrowError::Reparameterized {
        path: path.to_owned(),
        name: name.to_owned(),
    })
}
