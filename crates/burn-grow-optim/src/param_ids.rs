use std::collections::HashMap;

use burn_core::module::{Module, Param};
use burn_core::tensor::Tensor;
use burn_grow_core::{ParamVisitor, for_each_param};

/// The identity of every float parameter of `model`, by path.
pub(crate) fn param_ids<M: Module>(model: &M) -> HashMap<String, u64> {
    struct Ids(HashMap<String, u64>);
    impl ParamVisitor for Ids {
        fn float<const D: usize>(&mut self, path: &str, param: &Param<Tensor<D>>) {
            self.0.insert(path.to_owned(), param.id.val());
        }
    }
    let mut ids = Ids(HashMap::new());
    for_each_param(model, &mut ids);
    ids.0
}
