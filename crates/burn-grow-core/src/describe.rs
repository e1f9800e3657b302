use std::collections::{BTreeMap, HashMap};

use burn_core::module::{Module, ModuleVisitor, Param, ParamId};
use burn_core::tensor::Tensor;

use crate::{ActiveFraction, Axis, GrowError, Growable, Layer, LayerRoles, Role};

/// What a module says about one parameter.
#[derive(Clone, Debug)]
pub(crate) struct Description {
    pub(crate) roles: Vec<Option<Role>>,
    pub(crate) active: ActiveFraction,
}

/// A constant field that depends on the width of an axis.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Constant<T> {
    /// The path of the field.
    pub path: String,
    /// The axis it depends on.
    pub axis: Axis,
    /// Its present value.
    pub value: T,
}

/// Collects what a module says about itself in [`Growable::describe`].
///
/// Names follow the module tree so that messages carry the path of the field at fault.
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
    /// Describes a child module that knows how it grows.
    pub fn child<G: Growable>(&mut self, name: &str, module: &G) {
        self.scope(name, |describe| module.describe(describe));
    }

    /// Describes a layer through the roles its field attribute names.
    pub fn layer<L: Layer>(&mut self, name: &str, layer: &L, roles: &LayerRoles) {
        self.scope(name, |describe| layer.describe(roles, describe));
    }

    /// Describes a bare parameter, one role a dimension.
    pub fn param<const D: usize>(&mut self, param: &Param<Tensor<D>>, roles: [Option<Role>; D]) {
        let description = Description {
            roles: roles.to_vec(),
            active: self
                .active
                .iter()
                .fold(ActiveFraction::default(), ActiveFraction::times),
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
        let path = self.path_of(name);
        self.widths.push(Constant {
            path,
            axis: axis.into(),
            value,
        });
    }

    /// Declares a field that is an axis of its own, on which no parameter lies, such as the number of
    /// experts a token is sent to.
    pub fn count(&mut self, name: &str, axis: &str, value: usize) {
        let path = self.path_of(name);
        self.counts.push(Constant {
            path,
            axis: axis.into(),
            value,
        });
    }

    /// Declares an axis that cannot grow, and why: what naming it in an expansion answers.
    pub fn frozen(&mut self, axis: &str, reason: &str) {
        self.frozen.insert(axis.into(), reason.into());
    }

    /// Declares a scalar that absorbs the fan-in factor of `axis`.
    pub fn multiplier(&mut self, name: &str, axis: &str, value: f64) {
        let path = self.path_of(name);
        self.multipliers.push(Constant {
            path,
            axis: axis.into(),
            value,
        });
    }

    /// Describes parts of which only a fraction takes part in one token, such as routed experts:
    /// `ActiveFraction::ratio("top_k", "experts")`, or a number.
    pub fn active(&mut self, active: impl Into<ActiveFraction>, describe: impl FnOnce(&mut Self)) {
        self.active.push(active.into());
        describe(self);
        self.active.pop();
    }

    /// Describes what `describe` names under the path segment `name`.
    pub fn scope(&mut self, name: &str, describe: impl FnOnce(&mut Self)) {
        self.path.push(name.to_owned());
        describe(self);
        self.path.pop();
    }

    /// Refuses the description; the first refusal is what building the blueprint returns.
    pub fn refuse(&mut self, error: GrowError) {
        self.errors.push(error);
    }

    /// The path of the module being described.
    pub fn path(&self) -> String {
        self.path.join(".")
    }

    fn path_of(&self, name: &str) -> String {
        match self.path.is_empty() {
            true => name.to_owned(),
            false => format!("{}.{name}", self.path()),
        }
    }
}
