//! The operations that CubeCL backends are extended with, and their lazy form under fusion.

use burn_core as burn;
use burn_core::backend::fusion::custom::TensorSpec;
use burn_core::backend::tensor::{FloatTensor, IntTensor};
use burn_core::backend::{Backend, backend_extension};
use burn_core::tensor::{DType, Shape};
use burn_cubecl::CubeBackend;

use super::form::Form;
use super::product::{product, product_shape};
use super::{choose, group};

/// Routing and products by expert as operations of a backend.
///
/// Shapes are known without looking at numbers, so nothing waits for the device.
#[backend_extension(Cube, Fusion)]
pub(super) trait ExpertOps: Backend {
    /// The `top_k` most probable experts of every token: `[tokens, top_k]`.
    #[fusion(meta = |probabilities, top_k| {
        integers([probabilities.shape[0], *top_k])
    })]
    fn choose(probabilities: FloatTensor<Self>, top_k: usize) -> IntTensor<Self>;

    /// The slots in the order of their experts: load, starts, order, rows.
    #[fusion(meta = |experts, n_experts| {
        let slots = experts.shape.num_elements();
        (
            integers([*n_experts]),
            integers([*n_experts + 1]),
            integers([slots]),
            integers([slots]),
        )
    })]
    fn group(
        experts: IntTensor<Self>,
        n_experts: usize,
    ) -> (
        IntTensor<Self>,
        IntTensor<Self>,
        IntTensor<Self>,
        IntTensor<Self>,
    );

    /// The product of the rows of every expert, which start at `starts`.
    #[fusion(meta = |lhs, rhs, starts, form| {
        let n_experts = starts.shape[0] - 1;
        TensorSpec::new(product_shape(*form, &lhs.shape, &rhs.shape, n_experts), lhs.dtype)
    })]
    fn product(
        lhs: FloatTensor<Self>,
        rhs: FloatTensor<Self>,
        starts: IntTensor<Self>,
        form: Form,
    ) -> FloatTensor<Self>;
}

fn integers<const D: usize>(shape: [usize; D]) -> TensorSpec {
    TensorSpec::new(Shape::new(shape), DType::I32)
}

impl ExpertOps for CubeBackend {
    fn choose(probabilities: FloatTensor<Self>, top_k: usize) -> IntTensor<Self> {
        choose::choose(probabilities, top_k)
    }

    fn group(
        experts: IntTensor<Self>,
        n_experts: usize,
    ) -> (
        IntTensor<Self>,
        IntTensor<Self>,
        IntTensor<Self>,
        IntTensor<Self>,
    ) {
        let [load, starts, order, rows] = group::group(experts, n_experts);
        (load, starts, order, rows)
    }

    fn product(
        lhs: FloatTensor<Self>,
        rhs: FloatTensor<Self>,
        starts: IntTensor<Self>,
        form: Form,
    ) -> FloatTensor<Self> {
        product(form, lhs, rhs, starts)
    }
}
