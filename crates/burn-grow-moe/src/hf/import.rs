use std::path::Path;
use std::sync::Arc;

use burn_core::tensor::{DType, Device, Shape, TensorData};
use burn_store::burn_pack::{Error, Tensor as Stored};
use burn_store::{ApplyError, ModuleSnapshot, bridge};

use super::HfError;
use super::checkpoint::{CONFIG, Checkpoint};
use super::names::{Entry, entries};
use crate::{MoeConfig, MoeTransformer};

impl MoeTransformer {
    /// Reads an OLMoE or a Qwen3-MoE from a folder that `transformers` saved: `config.json`, and
    /// `model.safetensors` or its shards.
    ///
    /// Experts may lie in one matrix each, as `save_pretrained` writes them, or in one tensor, as they do
    /// in memory from version 5 on. Everything is checked before anything is read; then one parameter
    /// at a time is, and converted to the device's float type.
    ///
    /// # Errors
    ///
    /// Those of [`MoeConfig::from_hf`]; a file that is cut off or malformed; a tensor that is missing, no
    /// part of the model, of another shape, or no float.
    pub fn from_hf(folder: impl AsRef<Path>, device: &Device) -> Result<Self, HfError> {
        let folder = folder.as_ref();
        let config = MoeConfig::from_hf(folder.join(CONFIG))?;
        let mut checkpoint = Checkpoint::open(folder)?;
        let dtype = DType::from(device.settings().float_dtype);
        let tensors: Result<Vec<Stored>, HfError> = entries(&config)
            .into_iter()
            .map(|entry| Ok(Source::take(&entry, &mut checkpoint)?.deferred(&entry, dtype)))
            .collect();
        let tensors = tensors?;
        checkpoint.finish()?;

        let mut model = config.try_init(device)?;
        let result = model.apply(tensors, None, None, false);
        let unread = |tensor: String, message: String| Err(HfError::Data { tensor, message });
        if let Some(error) = result.errors.first() {
            let (ApplyError::ShapeMismatch { path, .. }
            | ApplyError::DTypeMismatch { path, .. }
            | ApplyError::AdapterError { path, .. }
            | ApplyError::LoadError { path, .. }) = error;
            return unread(path.clone(), error.to_string());
        }
        if let Some((path, _)) = result.missing.into_iter().next() {
            return unread(path, "not found".into());
        }
        Ok(model)
    }
}

/// The stored tensors that make up one parameter.
struct Source {
    parts: Vec<Stored>,
    /// Of each part: how many matrices there are, the outputs of one, and those that are meant.
    matrices: usize,
    outputs: usize,
    rows: core::ops::Range<usize>,
}

impl Source {
    fn take(entry: &Entry, checkpoint: &mut Checkpoint) -> Result<Self, HfError> {
        if let Some(packed) = &entry.packed
            && let Some(all) = checkpoint.take(&packed.name, &packed.shape)?
        {
            return Ok(Self {
                parts: vec![all],
                matrices: packed.shape[0],
                outputs: packed.shape[1],
                rows: packed.rows.clone(),
            });
        }
        let take = |tensor: &String| match checkpoint.take(tensor, &entry.shape)? {
            Some(stored) => Ok(stored),
            None => Err(checkpoint.missing(tensor)),
        };
        let parts = entry.tensors.iter().map(take);
        Ok(Self {
            parts: parts.collect::<Result<_, _>>()?,
            matrices: 1,
            outputs: entry.shape[0],
            rows: 0..entry.shape[0],
        })
    }

    /// The parameter, read when it is asked for.
    fn deferred(self, entry: &Entry, dtype: DType) -> Stored {
        let mut shape = entry.shape.clone();
        if entry.transposed {
            shape.reverse();
        }
        if entry.packed.is_some() {
            shape.insert(0, entry.tensors.len());
        }
        let shape = Shape::from(shape);
        let (of, transposed) = (shape.clone(), entry.transposed);
        let source = Arc::new(self);
        bridge::deferred(entry.path.clone(), dtype, shape, None, move || {
            let values = source.read(transposed)?;
            Ok(TensorData::new(values, of.clone()).convert_dtype(dtype))
        })
    }

    /// All numbers, matrix after matrix, each transposed if asked for.
    fn read(&self, transposed: bool) -> Result<Vec<f32>, Error> {
        let mut all = Vec::new();
        for part in &self.parts {
            let data = bridge::to_data(part)?.convert_dtype(DType::F32);
            let values: Vec<f32> = data
                .try_into_vec()
                .map_err(|error| Error::ValidationError(format!("{}: {error}", part.name)))?;
            for matrix in values.chunks_exact(values.len() / self.matrices) {
                let inputs = matrix.len() / self.outputs;
                let matrix = &matrix[self.rows.start * inputs..self.rows.end * inputs];
                match transposed {
                    true => all.extend(
                        (0..inputs).flat_map(|i| matrix.iter().skip(i).step_by(inputs).copied()),
                    ),
                    false => all.extend_from_slice(matrix),
                }
            }
        }
        Ok(all)
    }
}
