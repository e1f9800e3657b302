//! The collector that a module describes itself to.

use std::collections::{BTreeMap, HashMap};

use burn_core::module::{Module, ModuleVisitor, Param, ParamId};
use burn_core::tensor::Tensor;

use super::active::ActiveFraction;
use super::axis::Axis;
use super::constants::Constant;
use super::role::Role;
use crate::error::GrowError;

/// What a module says about one parameter.
#[derive(Clone, Debug)]
pub(crate) struct Description {
    pub(crate) roles: Vec<Option<Role>>,
    pub(crate) active: ActiveFraction,
}

/// Collects what a module says about itself in [`Growable::describe`](crate::Growable::describe).
///
/// The derive macro makes these calls; a module described by hand makes them itself. Names follow
/// the module tree, so that error messages carry the path of the field at fault.
#[derive(Default)]
pub struct Describer {
    path: Vec<String>,
    active: Vec<ActiveFraction>,
    pub(crate) params: HashMap<ParamId, Description>,
    pub(crate) widths: Vec<Constant<usize>>,
    pub(crate) counts: Vec<Constant<usize>>,
    pub(crate) multipliers: Vec<Constant<f64>>,
    pub(crate) frozen: BTreeMap<Axis, String>,
    pub(crate) errors: Vec<GrowError>,
}

impl Describer {
    /// Describes a bare parameter, with one role per dimension; `None` never grows.
    pub fn param<const D: usize>(&mut self, param: &Param<Tensor<D>>, roles: [Option<Role>; D]) {
        let active = self.active.iter();
        let description = Description {
            roles: roles.to_vec(),
            active: active.fold(ActiveFraction::default(), ActiveFraction::times),
        };
        self.params.insert(param.id, description);
    }

    /// Declares that no parameter of `module` ever grows.
    pub fn fixed<M: Module>(&mut self, module: &M) {
        struct Fixed<'a>(&'a mut Describer);
        impl ModuleVisitor for Fixed<'_> {
            fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
                self.0.param(param, [const { None }; D]);
            }
        }
        module.visit(&mut Fixed(self));
    }

    /// Declares a field that stores the width of `axis`.
    pub fn width(&mut self, name: &str, axis: &str, value: usize) {
        let width = self.constant(name, axis, value);
        self.widths.push(width);
    }

    /// Declares a field that is an axis without parameters, such as the number of experts that a
    /// token is sent to.
    pub fn count(&mut self, name: &str, axis: &str, value: usize) {
        let count = self.constant(name, axis, value);
        self.counts.push(count);
    }

    /// Declares an axis that cannot grow. An expansion that names it fails with `reason`.
    pub fn frozen(&mut self, axis: &str, reason: &str) {
        self.frozen.insert(axis.into(), reason.into());
    }

    /// Declares a scalar field that absorbs the fan-in factor of `axis`.
    pub fn multiplier(&mut self, name: &str, axis: &str, value: f64) {
        let multiplier = self.constant(name, axis, value);
        self.multipliers.push(multiplier);
    }

    /// Describes parameters of which only a fraction takes part in one token, such as routed
    /// experts: `ActiveFraction::ratio("top_k", "experts")`, or a number.
    pub fn active(&mut self, active: impl Into<ActiveFraction>, describe: impl FnOnce(&mut Self)) {
        self.active.push(active.into());
        describe(self);
        self.active.pop();
    }

    /// Runs `describe` inside the path segment `name`.
    pub fn scope(&mut self, name: &str, describe: impl FnOnce(&mut Self)) {
        self.path.push(name.to_owned());
        describe(self);
        self.path.pop();
    }

    /// Rejects the description. Building the blueprint returns the first error that was reported.
    pub fn reject(&mut self, error: GrowError) {
        self.errors.push(error);
    }

    /// Returns the path of the module being described.
    pub fn path(&self) -> String {
        self.path.join(".")
    }

    fn constant<T>(&self, name: &str, axis: &str, value: T) -> Constant<T> {
        let path = if self.path.is_empty() {
            name.to_owned()
        } else {
            format!("{}.{name}", self.path())
        };
        Constant {
            path,
            axis: axis.into(),
            value,
        }
    }
}
