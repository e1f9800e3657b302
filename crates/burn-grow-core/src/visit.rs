//! Walks over the parameters of a module with their paths: the one place that joins path segments.
//!
//! Paths are the ones that Burn's records and optimizer groups use.

use burn_core::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn_core::tensor::{Bool, Int, Tensor};

/// Looks at the parameters of a module, for [`for_each_param`].
pub trait ParamVisitor {
    /// Looks at the float parameter at `path`.
    fn float<const D: usize>(&mut self, path: &str, param: &Param<Tensor<D>>);

    /// Looks at the integer parameter at `path`.
    fn int<const D: usize>(&mut self, path: &str, param: &Param<Tensor<D, Int>>) {
        let _ = (path, param);
    }

    /// Looks at the boolean parameter at `path`.
    fn bool<const D: usize>(&mut self, path: &str, param: &Param<Tensor<D, Bool>>) {
        let _ = (path, param);
    }

    /// Looks at the module `name` inside the module at `parent`, before its parameters. `container`
    /// is its type as Burn names it, `"Struct:Linear"` or `"Vec"`.
    fn module(&mut self, parent: &str, name: &str, container: &str) {
        let _ = (parent, name, container);
    }
}

/// Shows every parameter of `module` to `visitor`, in the order of the module tree.
pub fn for_each_param<M: Module>(module: &M, visitor: &mut impl ParamVisitor) {
    module.visit(&mut Walk {
        path: Vec::new(),
        inner: visitor,
    });
}

/// Replaces the parameters of a module, for [`map_params`].
pub trait ParamMapper {
    /// Replaces the float parameter at `path`.
    fn float<const D: usize>(&mut self, path: &str, param: Param<Tensor<D>>) -> Param<Tensor<D>>;

    /// Replaces the integer parameter at `path`.
    fn int<const D: usize>(
        &mut self,
        path: &str,
        param: Param<Tensor<D, Int>>,
    ) -> Param<Tensor<D, Int>> {
        let _ = path;
        param
    }

    /// Replaces the boolean parameter at `path`.
    fn bool<const D: usize>(
        &mut self,
        path: &str,
        param: Param<Tensor<D, Bool>>,
    ) -> Param<Tensor<D, Bool>> {
        let _ = path;
        param
    }
}

/// Replaces every parameter of `module` by what `mapper` makes of it.
pub fn map_params<M: Module>(module: M, mapper: &mut impl ParamMapper) -> M {
    module.map(&mut Walk {
        path: Vec::new(),
        inner: mapper,
    })
}

/// A visitor or mapper of parameters, and the path of the module that the walk is in.
struct Walk<'a, V> {
    path: Vec<String>,
    inner: &'a mut V,
}

impl<V> Walk<'_, V> {
    fn path(&self) -> String {
        self.path.join(".")
    }
}

impl<V: ParamVisitor> ModuleVisitor for Walk<'_, V> {
    fn enter_module(&mut self, name: &str, container_type: &str) {
        let parent = self.path();
        self.inner.module(&parent, name, container_type);
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let path = self.path();
        self.inner.float(&path, param);
    }

    fn visit_int<const D: usize>(&mut self, param: &Param<Tensor<D, Int>>) {
        let path = self.path();
        self.inner.int(&path, param);
    }

    fn visit_bool<const D: usize>(&mut self, param: &Param<Tensor<D, Bool>>) {
        let path = self.path();
        self.inner.bool(&path, param);
    }
}

impl<V: ParamMapper> ModuleMapper for Walk<'_, V> {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let path = self.path();
        self.inner.float(&path, param)
    }

    fn map_int<const D: usize>(&mut self, param: Param<Tensor<D, Int>>) -> Param<Tensor<D, Int>> {
        let path = self.path();
        self.inner.int(&path, param)
    }

    fn map_bool<const D: usize>(
        &mut self,
        param: Param<Tensor<D, Bool>>,
    ) -> Param<Tensor<D, Bool>> {
        let path = self.path();
        self.inner.bool(&path, param)
    }
}
