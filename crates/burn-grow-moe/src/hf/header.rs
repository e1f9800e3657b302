//! The header of a safetensors file, checked before its tensors are read.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use safetensors::tensor::TensorInfo;
use safetensors::{Dtype, SafeTensorError};
use serde_json::Value;

use super::error::HfError;

/// The largest header that the safetensors format allows, in bytes.
const MAX_HEADER: u64 = 100_000_000;

/// Checks the header of a safetensors file against the file's length.
///
/// The error names the tensor at fault, before any tensor is read.
pub(super) fn check(path: &Path) -> Result<(), HfError> {
    let malformed = |message: String| HfError::malformed(path, message);
    let mut file = File::open(path).map_err(HfError::io(path))?;
    let length = file.metadata().map_err(HfError::io(path))?.len();
    let holds = |part: String, expected: u64| {
        if expected <= length {
            Ok(())
        } else {
            Err(HfError::Truncated {
                path: path.to_owned(),
                part,
                expected,
                found: length,
            })
        }
    };

    holds("its header".into(), 8)?;
    let mut size = [0; 8];
    file.read_exact(&mut size).map_err(HfError::io(path))?;
    let size = u64::from_le_bytes(size);
    if size > MAX_HEADER {
        return Err(malformed(SafeTensorError::HeaderTooLarge.to_string()));
    }
    let data = 8 + size;
    holds("its header".into(), data)?;
    let mut header = Vec::new();
    file.take(size)
        .read_to_end(&mut header)
        .map_err(HfError::io(path))?;
    let mut header: BTreeMap<String, Value> =
        serde_json::from_slice(&header).map_err(|error| malformed(error.to_string()))?;
    header.remove("__metadata__");

    let mut ends = Vec::new();
    for (tensor, value) in header {
        let dtype = value["dtype"].as_str().unwrap_or_default().to_owned();
        let info: TensorInfo = match serde_json::from_value(value) {
            Ok(info) => info,
            Err(error) => return Err(malformed(format!("tensor `{tensor}`: {error}"))),
        };
        if !matches!(
            info.dtype,
            Dtype::F64 | Dtype::F32 | Dtype::F16 | Dtype::BF16
        ) {
            return Err(HfError::DType {
                tensor,
                found: dtype,
            });
        }
        ends.push((info.data_offsets.1 as u64, tensor));
    }
    ends.sort();
    for (end, tensor) in ends {
        holds(format!("tensor `{tensor}`"), data.saturating_add(end))?;
    }
    Ok(())
}
