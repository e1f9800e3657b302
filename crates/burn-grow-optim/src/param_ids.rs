use std::collections::HashMap;

use burn_core::module::{Module, ModuleVisitor, Param};
use burn_core::tensor::Tensor;

/// The identity of every float parameter of `model`, by path.
pub(crate) fn param_ids<M: Module>(model: &M) -> HashMap<String, u64> {
    struct Ids {
        path: Vec<String>,
        ids: HashMap<String, u64>,
    }
    impl ModuleVisitor for Ids {
        fn enter_module(&mut self, name: &str, _container_type: &str) {
            self.path.push(name.to_owned());
        }

        fn exit_module(&mut self, _name: &str, _container_type: &str) {
            self.path.pop();
        }

        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            self.ids.insert(self.path.join("."), param.id.val());
        }
    }
    let mut ids = Ids {
        path: Vec::new(),
        ids: HashMap::new(),
    };
    model.visit(&mut ids);
    ids.ids
}
