//! The tensors that an export writes.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use burn_core::module::Param;
use burn_core::tensor::{DType, FloatDType, Tensor};
use burn_grow_core::{ParamVisitor, for_each_param};
use safetensors::{Dtype, SafeTensorError, View};

use super::error::HfError;
use super::names::{EMBEDDING, entries};
use crate::model::MoeTransformer;

/// One tensor of a file, read from the device when it is written.
#[derive(Clone, Debug)]
pub(super) struct Piece {
    pub(super) name: String,
    /// `[matrices, rows, columns]`
    stacked: Tensor<3>,
    /// The matrix that it is.
    index: usize,
    transposed: bool,
    shape: Vec<usize>,
    dtype: Dtype,
    /// The type of the numbers in the file.
    written: DType,
    /// The factor that the numbers are multiplied with.
    factor: f64,
}

impl Piece {
    pub(super) fn bytes(&self) -> u64 {
        self.data_len() as u64
    }

    /// The same numbers under another name, times a factor.
    pub(super) fn times(&self, name: &str, factor: f64) -> Self {
        Self {
            name: name.to_owned(),
            factor,
            ..self.clone()
        }
    }

    /// Writes a file of pieces.
    pub(super) fn write(pieces: Vec<Self>, path: &Path) -> Result<(), HfError> {
        let named = pieces.into_iter().map(|piece| (piece.name.clone(), piece));
        // `transformers` requires it.
        let metadata = HashMap::from([("format".to_owned(), "pt".to_owned())]);
        safetensors::serialize_to_file(named, Some(metadata), path).map_err(|error| match error {
            SafeTensorError::IoError(source) => HfError::io(path)(source),
            error => HfError::malformed(path, error.to_string()),
        })
    }
}

impl View for Piece {
    fn dtype(&self) -> Dtype {
        self.dtype
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        let matrix = self.stacked.clone().narrow(0, self.index, 1);
        let matrix = if self.transposed {
            matrix.swap_dims(1, 2)
        } else {
            matrix
        };
        let matrix = match self.factor {
            1.0 => matrix,
            factor => matrix * factor,
        };
        let data = matrix.into_data().convert_dtype(self.written);
        data.as_bytes().to_vec().into()
    }

    fn data_len(&self) -> usize {
        self.shape.iter().product::<usize>() * self.dtype.bitsize() / 8
    }
}

/// The tensors of the model, named as in `transformers`, not read from the device yet. They are
/// written as `dtype`, or as what they are.
pub(super) fn pieces(
    model: &MoeTransformer,
    dtype: Option<FloatDType>,
) -> Result<Vec<Piece>, HfError> {
    let mut found = Found::default();
    for_each_param(model, &mut found);
    let mut pieces = Vec::new();
    for entry in entries(&model.config()) {
        let Some(stacked) = found.0.remove(&entry.path) else {
            let (tensor, message) = (entry.path, "not found".into());
            return Err(HfError::Data { tensor, message });
        };
        let Written { dtype, file, .. } = Written::of(&entry.path, stacked.dtype(), dtype)?;
        for (index, name) in entry.tensors.into_iter().enumerate() {
            pieces.push(Piece {
                name,
                stacked: stacked.clone(),
                index,
                transposed: entry.transposed,
                shape: entry.shape.clone(),
                dtype: file,
                written: dtype,
                factor: 1.0,
            });
        }
    }
    Ok(pieces)
}

/// The type that the numbers are written in, named as in `config.json`.
pub(super) fn dtype_name(
    model: &MoeTransformer,
    dtype: Option<FloatDType>,
) -> Result<&'static str, HfError> {
    let found = model.embedding.weight.val().dtype();
    Ok(Written::of(EMBEDDING[0], found, dtype)?.name)
}

/// The type of numbers that `config.json` calls `name`.
pub(super) fn float_dtype(name: &str) -> Option<FloatDType> {
    // Files of old versions have `torch.bfloat16`.
    match name.strip_prefix("torch.").unwrap_or(name) {
        "float64" => Some(FloatDType::F64),
        "float32" => Some(FloatDType::F32),
        "float16" => Some(FloatDType::F16),
        "bfloat16" => Some(FloatDType::BF16),
        _ => None,
    }
}

/// A type of numbers that can be written.
struct Written {
    /// Burn's.
    dtype: DType,
    /// That of the file.
    file: Dtype,
    /// Its name in `config.json`.
    name: &'static str,
}

impl Written {
    /// The type that the parameter at `path`, of type `found`, is written in: `asked`, or its own.
    fn of(path: &str, found: DType, asked: Option<FloatDType>) -> Result<Self, HfError> {
        let dtype = asked.map_or(found, DType::from);
        let (dtype, file, name) = match dtype {
            DType::F64 => (dtype, Dtype::F64, "float64"),
            DType::F32 | DType::Flex32 => (DType::F32, Dtype::F32, "float32"),
            DType::F16 => (dtype, Dtype::F16, "float16"),
            DType::BF16 => (dtype, Dtype::BF16, "bfloat16"),
            other => {
                return Err(HfError::DType {
                    tensor: path.to_owned(),
                    found: format!("{other:?}"),
                });
            }
        };
        Ok(Self { dtype, file, name })
    }
}

/// The parameters by path, each as `[matrices, rows, columns]`.
#[derive(Default)]
struct Found(BTreeMap<String, Tensor<3>>);

impl ParamVisitor for Found {
    fn float<const D: usize>(&mut self, path: &str, param: &Param<Tensor<D>>) {
        let tensor = param.val().without_autodiff();
        let dims = tensor.dims();
        let mut shape = [1; 3];
        shape[3 - D..].copy_from_slice(&dims);
        self.0.insert(path.to_owned(), tensor.reshape(shape));
    }
}
