//! The state tensors of a parameter, expanded one at a time.

use std::sync::Arc;

use burn_core::tensor::{DType, Device, TensorData};
use burn_grow_core::Plan;
use burn_grow_core::describe::Axis;
use burn_grow_core::plan::ParamPlan;
use burn_pack::Bytes;

use crate::OptimError;
use crate::policy::power;
use crate::rules::ParamRule;

/// Describes one state tensor of `param`, expanded. Its values are read and expanded when its bytes
/// are asked for.
pub(super) fn expand_state(
    tensor: &burn_pack::Tensor,
    plan: &Arc<Plan>,
    param: &ParamPlan,
    rule: ParamRule,
) -> Result<burn_pack::Tensor, OptimError> {
    let tensor = tensor.clone();
    if !param.grows() && !param.is_new() && !rule.drops() {
        return Ok(tensor);
    }
    let (path, field) = (param.path.clone(), tensor.name.clone());
    let loaded = loaded_dtype();
    if tensor.dtype != loaded {
        return Err(OptimError::DType {
            path,
            field,
            expected: format!("{loaded:?}"),
            found: format!("{:?}", tensor.dtype),
        });
    }
    let Some(shape) = plan.expand_shape(param, &tensor.shape) else {
        return Err(OptimError::State {
            path,
            field,
            expected: param.old_shape.clone(),
            found: tensor.shape.to_vec(),
        });
    };
    let power = if rule.scales() {
        Some(power(&field).ok_or(OptimError::UnknownState { path, field })?)
    } else {
        None
    };
    let length = shape.iter().product::<usize>() * tensor.dtype.size();
    let (name, dtype, id) = (tensor.name.clone(), tensor.dtype, tensor.param_id);
    let (plan, param) = (plan.clone(), param.clone());
    let expanded = move || {
        if rule.drops() {
            return Ok(Bytes::from_bytes_vec(vec![0; length]));
        }
        let fill = |axis: &Axis| rule.fill(axis);
        let bytes = tensor.to_bytes()?;
        let expanded = plan.expand_bytes(&param, &tensor.shape, read(&bytes)?, &fill);
        let Some((shape, bytes)) = expanded else {
            let problem = format!("state `{}` has no whole number of elements", tensor.name);
            return Err(burn_pack::Error::ValidationError(problem));
        };
        let Some(power) = power else {
            return Ok(bytes);
        };
        let data = TensorData::from_bytes(bytes, shape, dtype);
        let scaled = scaled(data, &plan, &param, &rule, power);
        Ok(scaled.into_parts().0)
    };
    Ok(burn_pack::Tensor::deferred(
        name, dtype, shape, id, length, expanded,
    ))
}

/// The data type as which Burn loads every float of a record.
pub(super) fn loaded_dtype() -> DType {
    Device::default().settings().float_dtype.into()
}

/// The bytes, read from their file if they are still there. Any other access to them panics when
/// they cannot be read.
fn read(bytes: &Bytes) -> Result<&[u8], burn_pack::Error> {
    bytes
        .read(Default::default())
        .map_err(|error| burn_pack::Error::IoError(error.to_string()))
}

/// The values times `power` of the factors by which `rule` scales `param`. A dimension that the
/// state reduces has no factors.
fn scaled(
    data: TensorData,
    plan: &Plan,
    param: &ParamPlan,
    rule: &ParamRule,
    power: i32,
) -> TensorData {
    let (shape, dtype) = (data.shape(), data.dtype());
    let mut values: Vec<f64> = data.iter::<f64>().collect();
    let mut inner = values.len();
    for (dim, size) in shape.iter().enumerate() {
        inner /= size;
        let Some(factors) = plan
            .factor(param, dim, &|axis| rule.fill(axis))
            .filter(|factors| factors.len() == *size)
        else {
            continue;
        };
        for (flat, value) in values.iter_mut().enumerate() {
            *value *= factors[flat / inner % size].powi(power);
        }
    }
    TensorData::new(values, shape).convert_dtype(dtype)
}
