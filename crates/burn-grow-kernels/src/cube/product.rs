//! Matrix products of the rows of every expert with its matrix.

use burn_core::backend::cubecl::dtype_to_storage_type;
use burn_core::tensor::Shape;
use burn_cubecl::kernel::{into_contiguous, untile};
use burn_cubecl::ops::numeric::empty_device_dtype;
use burn_cubecl::tensor::CubeTensor;
use cubecl::prelude::*;

use super::form::Form;
use super::fragments::{self, fragments_kernel};
use super::tile::Plan;
use super::units::{self, units_kernel};

/// A tensor whose last dimension is contiguous.
fn rows(tensor: CubeTensor) -> CubeTensor {
    let tensor = untile(tensor);
    match tensor.meta.strides().last() {
        Some(1) => tensor,
        _ => into_contiguous(tensor),
    }
}

/// The side of a tile for an output of `sizes`, in the steps that `sides` gives: large where the
/// output is, since a tile shares what it reads; small elsewhere, since a tile that is not full
/// idles.
fn side<const N: usize>(sides: [usize; N], sizes: [usize; 2]) -> usize {
    let size = sizes[0].min(sizes[1]);
    let fits = sides.iter().find(|side| size <= **side * 3 / 4);
    *fits.unwrap_or(&sides[N - 1])
}

/// The shape of the product.
pub(super) fn product_shape(form: Form, lhs: &Shape, rhs: &Shape, n_experts: usize) -> Shape {
    match form {
        Form::Plain => Shape::new([lhs[0], rhs[2]]),
        Form::Transposed => Shape::new([lhs[0], rhs[1]]),
        Form::PerExpert => Shape::new([n_experts, lhs[1], rhs[1]]),
    }
}

/// The product of the rows of every expert. Experts without rows get zeros where there is a matrix
/// an expert.
pub(super) fn product(
    form: Form,
    lhs: CubeTensor,
    rhs: CubeTensor,
    starts: CubeTensor,
) -> CubeTensor {
    let (lhs, rhs, starts) = (rows(lhs), rows(rhs), into_contiguous(starts));
    let n_experts = starts.meta.num_elements() - 1;
    let client = lhs.client.clone();
    let shape = product_shape(form, lhs.meta.shape(), rhs.meta.shape(), n_experts);
    let count = lhs.meta.shape()[0];
    let columns = shape[shape.num_dims() - 1];
    let out = empty_device_dtype(client.clone(), lhs.device.clone(), shape.clone(), lhs.dtype);

    let sizes = match form {
        Form::PerExpert => [shape[1], shape[2]],
        Form::Plain | Form::Transposed => [count.div_ceil(n_experts), columns],
    };
    let grid = |side: usize| {
        let (tiles, matrices) = match form {
            Form::PerExpert => (shape[1].div_ceil(side), n_experts),
            Form::Plain | Form::Transposed => (count / side + n_experts, 1),
        };
        let [x, y, z] = [columns.div_ceil(side), tiles, matrices].map(|count| count as u32);
        CubeCount::Static(x, y, z)
    };
    let dtype = dtype_to_storage_type(out.dtype);
    if fragments::fit(&lhs, &rhs) {
        let side = side(fragments::SIDES, sizes);
        fragments_kernel::launch(
            &client,
            grid(side),
            fragments::cube_dim(),
            fragments::VECTOR,
            lhs.into_tensor_arg(),
            rhs.into_tensor_arg(),
            starts.into_buffer_arg(),
            out.clone().into_tensor_arg(),
            // 16 bytes between lines keep them off one bank, and aligned.
            Plan::new(form, side, fragments::DEPTH, fragments::VECTOR),
            dtype,
        );
    } else {
        let side = side(units::SIDES, sizes);
        units_kernel::launch(
            &client,
            grid(side),
            units::cube_dim(),
            1,
            lhs.into_tensor_arg(),
            rhs.into_tensor_arg(),
            starts.into_buffer_arg(),
            out.clone().into_tensor_arg(),
            Plan::new(form, side, units::DEPTH, 1),
            side / units::EDGE,
            dtype,
        );
    }
    out
}
