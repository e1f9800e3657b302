//! Parameters that are saved in another order of their dimensions than they are used in: the weight
//! of a `Linear` in column layout, which is saved transposed.

use burn_core::module::{Module, ModuleMapper, Param};
use burn_core::tensor::Tensor;

/// The dimension of the saved tensor that each dimension of the parameter is.
fn order<const D: usize>(param: &Param<Tensor<D>>) -> [usize; D] {
    // Dimensions of different sizes tell where each one goes.
    let sizes: [usize; D] = core::array::from_fn(|dim| dim + 1);
    let saved = Tensor::zeros(sizes, &param.lazy_device());
    let loaded = param.clone().transform_for_load(saved, param.id);
    loaded.shape().dims::<D>().map(|size| size - 1)
}

/// The shape in which `param` is saved once it has the shape `used`.
pub(crate) fn saved_shape<const D: usize>(param: &Param<Tensor<D>>, used: &[usize]) -> Vec<usize> {
    let mut saved = vec![0; D];
    for (dim, to) in order(param).into_iter().enumerate() {
        saved[to] = used[dim];
    }
    saved
}

/// The shape in which `param` is used, without initializing it.
pub(crate) fn used_shape<const D: usize>(param: &Param<Tensor<D>>) -> Vec<usize> {
    let shape = param.lazy_shape();
    if param.is_initialized() {
        shape.to_vec()
    } else {
        // Until then it shows the shape that its initializer makes and records hold.
        order(param).map(|dim| shape[dim]).to_vec()
    }
}

/// A model that a record can be loaded into.
///
/// Burn 0.22.1 compares a record with the shape that an initialized parameter shows, also where it
/// is saved in another order, and describing or expanding a model initializes it. So such
/// parameters are turned to the shape they are saved in; loading replaces their values and turns
/// them back.
pub(crate) fn loadable<M: Module>(model: M) -> M {
    model.map(&mut AsSaved)
}

struct AsSaved;

impl ModuleMapper for AsSaved {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let used = used_shape(&param);
        if !param.is_initialized() || saved_shape(&param, &used) == used {
            return param;
        }
        let (id, tensor, mapper) = param.consume();
        let require_grad = tensor.is_require_grad();
        let saved = mapper.on_save(tensor).detach();
        Param::from_mapped_value(id, saved.set_require_grad(require_grad), mapper)
    }
}
