//! The collector that a module describes itself to.

use std::collections::{BTreeMap, HashMap};

use burn_core::module::{Module, ModuleVisitor, Param, ParamId};
use burn_core::tensor::Tensor;

use super::active::ActiveFraction;
use super::axes::{AxisMap, Frames};
use super::axis::Axis;
use super::constants::{Constant, Number};
use super::layer_roles::LayerRoles;
use super::layout::Layout;
use super::observations::Observations;
use super::role::{Part, Role};
use super::stack::StackDescription;
use super::together::Together;
use super::validate::{Widths, known};
use crate::error::GrowError;

/// What a module says about one parameter.
#[derive(Clone, Debug)]
pub(crate) struct Description {
    pub(crate) roles: Vec<Option<Role>>,
    pub(crate) active: ActiveFraction,
}

/// A constant that is a function of a width.
pub(crate) struct Function {
    pub(crate) constant: Constant<f64>,
    pub(crate) function: Box<dyn Fn(usize) -> f64>,
    /// True if an expansion leaves the constant as it is.
    pub(crate) kept: bool,
}

/// A constant whose function says otherwise.
pub(crate) struct Disagreement {
    pub(crate) width: usize,
    pub(crate) expected: f64,
}

impl Function {
    /// Checks that the constant is what its function says.
    pub(crate) fn check(&self, widths: &Widths) -> Result<(), GrowError> {
        for axis in self.constant.axis.axes() {
            known(widths, axis)?;
        }
        let Some(Disagreement { width, expected }) = self.mismatch(widths) else {
            return Ok(());
        };
        Err(GrowError::NotTheFunction {
            path: self.constant.path.clone(),
            layout: self.constant.axis.to_string(),
            width,
            expected,
            found: self.constant.value,
        })
    }

    /// Compares the constant with its function, to rounding.
    pub(crate) fn mismatch(&self, widths: &Widths) -> Option<Disagreement> {
        let width = self
            .constant
            .axis
            .size(|axis| widths.get(axis).copied().unwrap_or(1));
        let expected = (self.function)(width);
        let same = (expected - self.constant.value).abs() <= 1e-6 * expected.abs();
        (!same).then_some(Disagreement { width, expected })
    }
}

/// Names in a map of axes that the description below it does not use.
pub(crate) struct UnusedNames {
    pub(crate) path: String,
    pub(crate) unused: Vec<Axis>,
    pub(crate) used: Vec<Axis>,
}

/// Collects what a module says about itself in [`Growable::describe`](crate::Growable::describe).
///
/// The derive macro makes these calls; a module described by hand makes them itself. Names follow
/// the module tree, so that error messages carry the path of the field at fault.
#[derive(Default)]
pub struct Describer {
    pub(super) path: Vec<String>,
    frames: Frames,
    active: Vec<ActiveFraction>,
    pub(crate) params: HashMap<ParamId, Description>,
    pub(crate) widths: Vec<Constant<usize>>,
    pub(crate) counts: Vec<Constant<usize>>,
    pub(crate) multipliers: Vec<Constant<f64>>,
    pub(crate) functions: Vec<Function>,
    pub(crate) frozen: BTreeMap<Axis, String>,
    pub(crate) together: Vec<Together>,
    pub(crate) stacks: Vec<StackDescription>,
    pub(crate) unused: Vec<UnusedNames>,
    /// Paths of numbers that may differ between models.
    free: Vec<String>,
    /// What undeclared fields hold, if anybody asks.
    pub(crate) observations: Option<Observations>,
    pub(crate) errors: Vec<GrowError>,
}

impl Describer {
    /// Creates a describer that also notes numbers which nobody declares.
    pub(crate) fn observing() -> Self {
        Self {
            observations: Some(Observations::default()),
            ..Self::default()
        }
    }

    /// Describes a bare parameter, with one role per dimension; `None` never grows.
    pub fn param<const D: usize>(&mut self, param: &Param<Tensor<D>>, roles: [Option<Role>; D]) {
        let roles = roles.map(|role| role.map(|role| self.role(&role)));
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

    /// Declares a field that stores a width: that of an axis, or a product such as
    /// `Layout::of("kv_heads").and("queries")`.
    pub fn width(&mut self, name: &str, layout: impl Into<Layout>, value: usize) {
        let width = self.constant(name, layout, value);
        self.widths.push(width);
    }

    /// Declares a field that is an axis without parameters, such as the number of experts that a
    /// token is sent to.
    pub fn count(&mut self, name: &str, axis: impl Into<Layout>, value: usize) {
        let count = self.constant(name, axis, value);
        self.counts.push(count);
    }

    /// Declares an axis that cannot grow. An expansion that names it fails with `reason`.
    pub fn frozen(&mut self, axis: &str, reason: &str) {
        let layout = self.frames.layout(&axis.into(), &self.path);
        for axis in layout.axes().filter(|axis| !axis.is_fixed()) {
            self.frozen.insert(axis.clone(), reason.into());
        }
    }

    /// Declares axes that grow in one expansion or not at all. One that names some of them only
    /// fails with `reason`.
    pub fn together(&mut self, axes: &[&str], reason: &str) {
        let layouts = axes.iter().map(|axis| {
            let axis = Axis::from(*axis);
            self.frames.layout(&axis.into(), &self.path)
        });
        let terms: Vec<_> = layouts.collect();
        let axes: Vec<_> = terms.iter().flat_map(Layout::axes).cloned().collect();
        let (fixed, axes): (Vec<_>, Vec<_>) = axes.into_iter().partition(Axis::is_fixed);
        if !fixed.is_empty() {
            let reason = |axis| (axis, reason.to_owned());
            return self.frozen.extend(axes.into_iter().map(reason));
        }
        let together = Together {
            axes,
            reason: reason.into(),
        };
        if !self.together.contains(&together) {
            self.together.push(together);
        }
    }

    /// Declares a scalar field that absorbs the fan-in factor of `axis`.
    pub fn multiplier(&mut self, name: &str, axis: impl Into<Layout>, value: f64) {
        let multiplier = self.constant(name, axis, value);
        self.multipliers.push(multiplier);
    }

    /// Declares a number that is `function` of a width, and that an expansion computes anew.
    ///
    /// An expansion thereby changes the function that the model computes, unless the parameters
    /// make up for it.
    pub fn recomputed<T: Number>(
        &mut self,
        name: &str,
        layout: impl Into<Layout>,
        value: T,
        function: impl Fn(usize) -> T + 'static,
    ) {
        self.function(name, layout, value, function, false);
    }

    /// Declares a number that is `function` of the width a model is built at, and that an expansion
    /// keeps as it is, so that the model computes what it computed before.
    ///
    /// A model that is built at the new width holds another number. Whoever loads the grown record
    /// into such a model has to set it: [`Blueprint::kept`](crate::Blueprint::kept) has the value.
    pub fn kept<T: Number>(
        &mut self,
        name: &str,
        layout: impl Into<Layout>,
        value: T,
        function: impl Fn(usize) -> T + 'static,
    ) {
        self.function(name, layout, value, function, true);
    }

    /// Declares that a number inside a field may be another one in a model of another width, though
    /// nothing in `forward` follows it.
    pub fn free(&mut self, name: &str) {
        let path = self.child_path(name);
        self.free.push(path);
    }

    fn function<T: Number>(
        &mut self,
        name: &str,
        layout: impl Into<Layout>,
        value: T,
        function: impl Fn(usize) -> T + 'static,
        kept: bool,
    ) {
        let constant = self.constant(name, layout, value.to_f64());
        let fixed = constant.axis.axes().any(Axis::is_fixed);
        if fixed && constant.axis.axes().any(|axis| !axis.is_fixed()) {
            return self.reject(GrowError::FixedFactor {
                path: constant.path,
            });
        }
        if !fixed {
            self.functions.push(Function {
                constant,
                function: Box::new(move |width| function(width).to_f64()),
                kept,
            });
        }
    }

    /// Describes parameters of which only a fraction takes part in one token, such as routed
    /// experts: `ActiveFraction::ratio("top_k", "experts")`, or a number.
    pub fn active(&mut self, active: impl Into<ActiveFraction>, describe: impl FnOnce(&mut Self)) {
        let mut active = active.into();
        for layout in active.layouts_mut() {
            *layout = self.frames.layout(layout, &self.path);
        }
        self.active.push(active);
        describe(self);
        self.active.pop();
    }

    /// Gives the axes that `describe` names the names that they have here, or other layouts.
    ///
    /// Holds for everything inside: roles, widths, counts, multipliers, frozen axes and active
    /// fractions. Maps nest; the inner ones come first.
    pub fn axes(&mut self, map: &AxisMap, describe: impl FnOnce(&mut Self)) {
        self.frames.push(map, self.path.len());
        describe(self);
        if let Some((unused, used)) = self.frames.pop() {
            self.unused.push(UnusedNames {
                path: self.path(),
                unused,
                used,
            });
        }
    }

    /// Describes a layer by `roles` as the maps of [`axes`](Self::axes) around it make them, so
    /// that a layer sees the layouts that it has. Inside `describe` they are not mapped again.
    pub fn with_roles(
        &mut self,
        roles: &LayerRoles,
        describe: impl FnOnce(&LayerRoles, &mut Self),
    ) {
        let roles = roles.map(|role| self.role(role));
        self.frames.push_resolved(roles.axes(), self.path.len());
        describe(&roles, self);
        self.frames.pop();
    }

    /// Runs `describe` inside the path segment `name`.
    pub fn scope(&mut self, name: &str, describe: impl FnOnce(&mut Self)) {
        self.path.push(name.to_owned());
        describe(self);
        self.path.pop();
    }

    /// Describes one element of a container, under its index. What never grows may have another
    /// size in every element.
    pub fn element(&mut self, index: usize, describe: impl FnOnce(&mut Self)) {
        let frames = self.frames.enter(self.path.len());
        self.scope(&index.to_string(), describe);
        self.frames.leave(frames);
    }

    /// Rejects the description. Building the blueprint returns the first error that was reported.
    pub fn reject(&mut self, error: GrowError) {
        self.errors.push(error);
    }

    /// Returns the path of the module being described.
    pub fn path(&self) -> String {
        self.path.join(".")
    }

    /// Iterates over the paths of all declared constants.
    pub(crate) fn declared(&self) -> impl Iterator<Item = &str> {
        let widths = self.widths.iter().chain(&self.counts);
        let widths = widths.map(|constant| constant.path.as_str());
        let functions = self.functions.iter().map(|function| &function.constant);
        let numbers = functions.chain(&self.multipliers);
        let numbers = numbers.map(|constant| constant.path.as_str());
        widths
            .chain(numbers)
            .chain(self.free.iter().map(String::as_str))
    }

    /// Returns what a role is outside of all maps.
    fn role(&mut self, role: &Role) -> Role {
        let role = self.frames.role(role, &self.path);
        let fixed = role
            .parts
            .iter()
            .filter(|part| part.axes().any(Axis::is_fixed));
        let fixed: Vec<_> = fixed.collect();
        let grows = |part: &&Part| part.axes().any(|axis| !axis.is_fixed());
        if fixed.len() > 1 && fixed.iter().any(grows) {
            self.reject(GrowError::FixedFactor { path: self.path() });
        }
        role
    }

    pub(super) fn constant<T>(
        &mut self,
        name: &str,
        layout: impl Into<Layout>,
        value: T,
    ) -> Constant<T> {
        Constant {
            path: self.child_path(name),
            axis: self.frames.layout(&layout.into(), &self.path),
            value,
        }
    }

    pub(super) fn child_path(&self, name: &str) -> String {
        if self.path.is_empty() {
            return name.to_owned();
        }
        format!("{}.{name}", self.path())
    }
}
