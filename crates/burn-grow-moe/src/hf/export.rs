//! Writing a model as a checkpoint.

use std::path::Path;

use burn_core::tensor::FloatDType;
use serde_json::{Map, Value, json};

use super::checkpoint::{CONFIG, INDEX, Index, SINGLE};
use super::error::HfError;
use super::keys::Keys;
use super::names;
use super::pieces::{self, Piece};
use crate::model::MoeTransformer;

/// The options of an export to `transformers`.
#[derive(Clone, Debug, PartialEq)]
pub struct HfExport {
    /// The most bytes of numbers in one file. A larger model is written in shards with an index, a
    /// larger tensor in a shard of its own.
    pub max_shard_bytes: u64,
    /// Keys of `config.json` that the model does not determine, such as token ids and the number of
    /// positions. Keys that it does determine are overwritten.
    pub config: Map<String, Value>,
    /// The type that the numbers are written in; `None` for the one that the model holds them in.
    pub dtype: Option<FloatDType>,
}

impl Default for HfExport {
    /// Shards of at most 5 GB, no keys but the model's, numbers as the model holds them.
    fn default() -> Self {
        Self {
            max_shard_bytes: 5_000_000_000,
            config: Map::new(),
            dtype: None,
        }
    }
}

impl HfExport {
    /// Keeps the keys of another `config.json`, such as that of the model before it was grown, and
    /// writes numbers in the type that it names: a model in `bfloat16` that was read and trained in
    /// `float32` is written in `bfloat16` again. Set [`dtype`](Self::dtype) for another one.
    ///
    /// # Errors
    ///
    /// A file that cannot be read or is not a JSON object, and a type of numbers that cannot be
    /// written.
    pub fn like(config: impl AsRef<Path>) -> Result<Self, HfError> {
        let keys = Keys::read(config.as_ref())?;
        // The last is the name from version 5 of `transformers` on.
        let mut dtype = None;
        for key in ["torch_dtype", "dtype"] {
            if let Some(name) = keys.find::<String>(key, "a name")? {
                let found = pieces::float_dtype(&name);
                let expected = "float64, float32, float16 or bfloat16";
                dtype = Some(found.ok_or_else(|| keys.reject(key, name, expected))?);
            }
        }
        Ok(Self {
            config: keys.into_values(),
            dtype,
            ..Self::default()
        })
    }
}

impl MoeTransformer {
    /// Writes the model to a new folder that `transformers` loads: `config.json`, and
    /// `model.safetensors` or its shards.
    ///
    /// The norm of queries and keys decides whether it is an OLMoE or a Qwen3-MoE. A tied model
    /// with a logit multiplier, which growing `"hidden"` gives it, is untied: the output matrix
    /// takes the multiplier. The coefficient of the router's z-loss is not written, because
    /// `transformers` has no such loss, and nothing is written of how an older model was quantized or
    /// compressed. The tensors are read from the device one at a time.
    ///
    /// The folder appears at once, when everything is written. An export that is killed leaves a
    /// folder `FOLDER.partial-...` beside it, which can be deleted.
    ///
    /// ```
    /// use burn_core::tensor::{Device, Int, Tensor};
    /// use burn_grow_moe::{HfExport, MoeConfig, MoeTransformer};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let device = Device::flex();
    /// let model = MoeConfig::default().init(&device);
    /// let root = tempfile::tempdir()?;
    /// let folder = root.path().join("model");
    /// model.to_hf(&folder, &HfExport::default())?;
    ///
    /// let read = MoeTransformer::from_hf(&folder, &device)?;
    /// let tokens = Tensor::<2, Int>::zeros([1, 4], &device);
    /// let logits = |model: &MoeTransformer| model.forward(tokens.clone()).logits.into_data();
    /// assert_eq!(logits(&read), logits(&model));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// A model that the family cannot express (an OLMoE whose heads are not `hidden / n_heads`
    /// wide, a Qwen3-MoE that clamps), a folder that is not empty, an error of the file system.
    pub fn to_hf(&self, folder: impl AsRef<Path>, export: &HfExport) -> Result<(), HfError> {
        let folder = folder.as_ref();
        let config = self.config();
        let dtype = pieces::dtype_name(self, export.dtype)?;
        let described = config.to_hf(dtype, &export.config)?;
        if occupied(folder)? {
            let path = folder.to_owned();
            return Err(HfError::Exists { path });
        }

        let mut pieces = pieces::pieces(self, export.dtype)?;
        if config.tied_embeddings && !config.exports_tied() {
            pieces.push(output(&pieces, config.logit_multiplier)?);
        }

        at_once(folder, |partial| {
            write(partial, &described, pieces, export.max_shard_bytes)
        })
    }
}

/// The output matrix of a tied model: its embedding times the multiplier.
fn output(pieces: &[Piece], multiplier: f64) -> Result<Piece, HfError> {
    let embedding = pieces
        .iter()
        .find(|piece| piece.name == names::EMBEDDING[1]);
    let embedding = embedding.ok_or_else(|| HfError::Data {
        tensor: names::EMBEDDING[1].into(),
        message: "not found".into(),
    })?;
    Ok(embedding.times(names::LM_HEAD, multiplier))
}

fn occupied(folder: &Path) -> Result<bool, HfError> {
    match std::fs::read_dir(folder) {
        Ok(mut files) => Ok(files.next().is_some()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(source) => Err(HfError::io(folder)(source)),
    }
}

/// Makes `folder` with all that `fill` writes, or not at all: it is filled beside its place and
/// then moved there. A failure removes it.
fn at_once(folder: &Path, fill: impl FnOnce(&Path) -> Result<(), HfError>) -> Result<(), HfError> {
    let parent = folder.parent().unwrap_or(Path::new(""));
    std::fs::create_dir_all(parent).map_err(HfError::io(parent))?;
    let mut prefix = folder.file_name().unwrap_or_default().to_owned();
    prefix.push(".partial-");
    let scratch = tempfile::Builder::new().prefix(&prefix).tempdir_in(parent);
    let scratch = scratch.map_err(HfError::io(folder))?;
    // Inside of the scratch folder, which only its owner may read.
    let partial = scratch.path().join("model");
    std::fs::create_dir(&partial).map_err(HfError::io(&partial))?;
    fill(&partial)?;
    if folder.exists() {
        std::fs::remove_dir(folder).map_err(HfError::io(folder))?; // it is empty
    }
    std::fs::rename(&partial, folder).map_err(HfError::io(folder))
}

fn write(
    folder: &Path,
    config: &Value,
    pieces: Vec<Piece>,
    max_shard_bytes: u64,
) -> Result<(), HfError> {
    write_json(&folder.join(CONFIG), config)?;
    let total_size: u64 = pieces.iter().map(Piece::bytes).sum();
    let shards = shards(pieces, max_shard_bytes);
    let count = shards.len();
    let mut index = Index {
        metadata: json!({ "total_size": total_size }),
        weight_map: Default::default(),
    };
    for (number, shard) in shards.into_iter().enumerate() {
        let file = match count {
            1 => SINGLE.to_owned(),
            _ => format!("model-{:05}-of-{count:05}.safetensors", number + 1),
        };
        for piece in &shard {
            index.weight_map.insert(piece.name.clone(), file.clone());
        }
        Piece::write(shard, &folder.join(file))?;
    }
    if count > 1 {
        let index = serde_json::to_value(index).map_err(HfError::json(&folder.join(INDEX)))?;
        write_json(&folder.join(INDEX), &index)?;
    }
    Ok(())
}

/// Splits the pieces, in order, into shards of at most `max_bytes`.
fn shards(pieces: Vec<Piece>, max_bytes: u64) -> Vec<Vec<Piece>> {
    let mut shards: Vec<Vec<Piece>> = vec![Vec::new()];
    let mut filled = 0;
    for piece in pieces {
        let bytes = piece.bytes();
        let last = shards.len() - 1;
        if filled + bytes > max_bytes && !shards[last].is_empty() {
            shards.push(vec![piece]);
            filled = bytes;
        } else {
            shards[last].push(piece);
            filled += bytes;
        }
    }
    shards
}

fn write_json(path: &Path, value: &Value) -> Result<(), HfError> {
    let text = serde_json::to_string_pretty(value).map_err(HfError::json(path))?;
    std::fs::write(path, text + "\n").map_err(HfError::io(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(folder: &Path) -> usize {
        std::fs::read_dir(folder).expect("a folder").count()
    }

    #[test]
    fn a_folder_appears_whole_or_not_at_all() {
        let root = tempfile::tempdir().expect("a folder");
        let folder = root.path().join("parent").join("model");
        let fill = |partial: &Path| {
            std::fs::write(partial.join("part"), "").expect("written");
            assert!(!folder.exists());
        };
        let error = at_once(&folder, |partial| {
            fill(partial);
            Err(HfError::malformed(partial, "a failure half-way"))
        });
        assert!(error.is_err());
        assert_eq!(count(&root.path().join("parent")), 0);

        let made = at_once(&folder, |partial| {
            fill(partial);
            Ok(())
        });
        assert!(made.is_ok());
        assert_eq!((count(&root.path().join("parent")), count(&folder)), (1, 1));
    }
}
