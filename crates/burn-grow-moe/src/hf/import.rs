//! Reading a model from a checkpoint.

use std::path::Path;
use std::sync::Arc;

use burn_core::tensor::{DType, Device, Shape, TensorData};
use burn_store::burn_pack::{Error, Tensor as Stored};
use burn_store::{ApplyError, ModuleSnapshot, bridge};

use super::checkpoint::{CONFIG, Checkpoint};
use super::error::HfError;
use super::names::{EMBEDDING, Entry, LM_HEAD, entries};
use crate::config::MoeConfig;
use crate::model::MoeTransformer;

impl MoeTransformer {
    /// Reads an OLMoE or a Qwen3-MoE from a folder that `transformers` saved: `config.json`, and
    /// `model.safetensors` or its shards.
    ///
    /// The experts may be separate matrices, as `save_pretrained` writes them, or one tensor, as
    /// version 5 keeps them in memory. All files are checked first. Then the parameters are read
    /// one at a time and converted to the device's float type;
    /// [`HfExport::like`](crate::HfExport::like) writes the old one again.
    ///
    /// A tied model whose files hold an output matrix all the same is read tied if that equals the
    /// embedding. If it differs, the model is read untied, with a warning in the log: its
    /// [`config`](MoeTransformer::config) tells.
    ///
    /// ```no_run
    /// use burn_core::tensor::Device;
    /// use burn_grow_core::{Blueprint, Expansion, Plan};
    /// use burn_grow_moe::{HfExport, MoeTransformer};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let model = MoeTransformer::from_hf("OLMoE-1B-7B-0924", &Device::flex())?;
    /// let plan = Plan::new(&Blueprint::of(&model)?, &Expansion::by("inner", 2.0))?;
    /// let wide = plan.apply(model)?;
    /// wide.to_hf("OLMoE-wide", &HfExport::like("OLMoE-1B-7B-0924/config.json")?)?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The errors of [`MoeConfig::from_hf`]; a folder without safetensors files, or with both a
    /// single file and an index of others; an index that names a missing file; a file that is cut
    /// off or malformed; a tensor that is missing, lies in two files, does not belong to the model,
    /// has another shape or is not of a float type.
    pub fn from_hf(folder: impl AsRef<Path>, device: &Device) -> Result<Self, HfError> {
        let folder = folder.as_ref();
        let mut config = MoeConfig::from_hf(folder.join(CONFIG))?;
        let mut checkpoint = Checkpoint::open(folder)?;
        if config.tied_embeddings && !is_tied(&config, &mut checkpoint)? {
            log::warn!(
                "{}: `tie_word_embeddings` is true, but `{LM_HEAD}` is not the embedding: the \
                 model is read untied",
                folder.display()
            );
            config.tied_embeddings = false;
        }
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

/// Tells if the output matrix of a tied model is its embedding, number by number. A checkpoint need
/// not hold it; one that does has it twice.
fn is_tied(config: &MoeConfig, checkpoint: &mut Checkpoint) -> Result<bool, HfError> {
    let shape = [config.vocab_size, config.hidden];
    let Some(output) = checkpoint.take(LM_HEAD, &shape)? else {
        return Ok(true);
    };
    let Some(embedding) = checkpoint.take(EMBEDDING[1], &shape)? else {
        return Err(checkpoint.missing(EMBEDDING[1]));
    };
    let numbers = |stored: &Stored| {
        let read = |error: &dyn core::fmt::Display| HfError::Data {
            tensor: stored.name.clone(),
            message: error.to_string(),
        };
        let data = bridge::to_data(stored).map_err(|error| read(&error))?;
        let numbers = data.convert_dtype(DType::F32).try_into_vec::<f32>();
        numbers.map_err(|error| read(&format!("{error:?}")))
    };
    Ok(numbers(&output)? == numbers(&embedding)?)
}

/// The stored tensors of one parameter.
struct Source {
    parts: Vec<Stored>,
    /// The number of matrices in each part.
    matrices: usize,
    /// The outputs of a matrix, and which of them are the parameter's.
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

    /// The parameter, read on demand.
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

    /// Reads all numbers, matrix after matrix, each transposed if `transposed`.
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
                if transposed {
                    let column = |i| matrix.iter().skip(i).step_by(inputs).copied();
                    all.extend((0..inputs).flat_map(column));
                } else {
                    all.extend_from_slice(matrix);
                }
            }
        }
        Ok(all)
    }
}
