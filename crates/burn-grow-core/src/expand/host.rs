//! A parameter in host memory, expanded by moving bytes on all cores.

use burn_core::backend::{Flex, flex::FlexTensor};
use burn_core::tensor::{DType, Tensor, TensorData};

use super::factors::Factors;
use super::filled::filled;
use super::gather::{moves, new_shape};
use super::old_values::{floats, needs_old};
use super::random::{draw, is_random};
use crate::plan::coordinates::Coordinate;
use crate::plan::model::Plan;
use crate::plan::param::ParamPlan;

/// The memory of `tensor`, not copied, in its logical order, if it is in host memory.
pub(super) fn host_tensor<const D: usize>(tensor: &Tensor<D>) -> Option<FlexTensor> {
    let tensor = tensor.clone().try_into_primitive::<Flex>().ok()?;
    Some(tensor.to_contiguous())
}

/// Expands `tensor`, whose memory is `old`.
pub(super) fn expand<const D: usize>(
    plan: &Plan,
    param: &ParamPlan,
    dims: &[Option<Vec<Coordinate>>; D],
    tensor: &Tensor<D>,
    old: &FlexTensor,
) -> Tensor<D> {
    let (device, dtype) = (tensor.device(), tensor.dtype());
    let from = bytes(old);
    let moves = moves(dims, &param.old_shape, from.len());
    let shape = new_shape(dims, &param.old_shape);
    let factors = Factors::of(dims);
    let multiplied = dtype == DType::F32 && !needs_old(plan, dims);
    if multiplied {
        let factors = factors.on_host::<f32>(&shape);
        let bytes = filled(moves.len(), |at, to| {
            moves.write(from, at, to);
            let (elements, _) = to.as_chunks_mut();
            factors.multiply(at / 4, elements);
        });
        let data = TensorData::from_bytes(bytes, shape, dtype);
        return Tensor::from_data(data, (&device, dtype));
    }
    let bytes = filled(moves.len(), |at, to| moves.write(from, at, to));
    let mut new = TensorData::from_bytes(bytes, shape, dtype);
    let old = needs_old(plan, dims).then(|| {
        let shape = param.old_shape.as_slice();
        floats(&TensorData::from_bytes_vec(from.to_vec(), shape, dtype))
    });
    if let Some(old) = old.as_ref().filter(|_| is_random(dims)) {
        let mut values = floats(&new);
        draw(plan, param, dims, old.as_slice(), &mut values);
        // Every other value keeps its bits on the way back.
        new = TensorData::new(values, new.shape()).convert_dtype(dtype);
    }
    let tensor = plan.with_noise(param, Tensor::from_data(new, (&device, dtype)), old);
    factors.multiply(tensor)
}

/// The bytes of a tensor whose elements lie in their logical order.
fn bytes(tensor: &FlexTensor) -> &[u8] {
    let size = tensor.dtype().size();
    let start = tensor.layout().start_offset() * size;
    &tensor.bytes()[start..start + tensor.layout().num_elements() * size]
}
