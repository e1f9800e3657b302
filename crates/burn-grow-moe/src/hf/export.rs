use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use super::checkpoint::{CONFIG, INDEX, Index, SINGLE};
use super::keys::Keys;
use super::pieces::{self, Piece};
use super::{HfError, names};
use crate::MoeTransformer;

/// How a model is written for `transformers`.
#[derive(Clone, Debug, PartialEq)]
pub struct HfExport {
    /// The most bytes of numbers in one file: a larger model is written in shards with an index, a tensor
    /// that is larger by itself in a shard of its own.
    pub max_shard_bytes: u64,
    /// What `config.json` says beyond the model: token ids, the number of positions. What the model
    /// determines takes the place of what stands here.
    pub config: Map<String, Value>,
}

impl Default for HfExport {
    /// Shards of at most 5 GB, and nothing beyond the model.
    fn default() -> Self {
        Self {
            max_shard_bytes: 5_000_000_000,
            config: Map::new(),
        }
    }
}

impl HfExport {
    /// Keeps what another `config.json` says beyond the model, such as that of the model it was grown from.
    ///
    /// # Errors
    ///
    /// A file that cannot be read, or is no JSON object.
    pub fn like(config: impl AsRef<Path>) -> Result<Self, HfError> {
        Ok(Self {
            config: Keys::read(config.as_ref())?.into_values(),
            ..Self::default()
        })
    }
}

impl MoeTransformer {
    /// Writes the model to a new folder that `transformers` loads: `config.json`, and
    /// `model.safetensors` or its shards.
    ///
    /// It is an OLMoE or a Qwen3-MoE by the norm of its queries and keys, at the widths it has now. A tied
    /// model whose logits have a multiplier, as growing `"hidden"` gives it, is untied: the output matrix
    /// takes the multiplier. The coefficient of the router's z-loss has no place there and is not
    /// written. One tensor at a time is read from the device.
    ///
    /// # Errors
    ///
    /// A model that the family has no configuration for: an OLMoE whose heads are not `hidden / n_heads`, a
    /// Qwen3-MoE that clamps; a folder that is not empty; `FOLDER.partial`, which a killed export leaves; and
    /// what the file system refuses.
    pub fn to_hf(&self, folder: impl AsRef<Path>, export: &HfExport) -> Result<(), HfError> {
        let folder = folder.as_ref();
        let config = self.config();
        let dtype = pieces::dtype(self)?;
        let described = config.to_hf(dtype, &export.config)?;
        if occupied(folder)? {
            let path = folder.to_owned();
            return Err(HfError::Exists { path });
        }

        let mut pieces = pieces::pieces(self)?;
        if config.tied_embeddings && !config.exports_tied() {
            pieces.push(output(&pieces, config.logit_multiplier)?);
        }

        // Written beside the folder and moved there: what is found there is whole.
        let mut name = folder.file_name().unwrap_or_default().to_owned();
        name.push(".partial");
        let partial = folder.with_file_name(name);
        make(&partial)?;
        let written = write(&partial, &described, pieces, export.max_shard_bytes)
            .and_then(|()| settle(&partial, folder));
        if written.is_err() {
            // The first error is the one to tell; what is left in the way says so the next time.
            let _ = std::fs::remove_dir_all(&partial);
        }
        written
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
        Err(source) => Err(io(folder)(source)),
    }
}

/// Makes a folder that is not there yet, and those it lies in.
fn make(folder: &Path) -> Result<(), HfError> {
    if let Some(parent) = folder.parent() {
        std::fs::create_dir_all(parent).map_err(io(parent))?;
    }
    match std::fs::create_dir(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Err(HfError::Exists {
            path: folder.to_owned(),
        }),
        made => made.map_err(io(folder)),
    }
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
        let index = serde_json::to_value(index).map_err(json_of(&folder.join(INDEX)))?;
        write_json(&folder.join(INDEX), &index)?;
    }
    Ok(())
}

/// The pieces in order, a new shard where the next one does not fit.
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

fn settle(partial: &Path, folder: &Path) -> Result<(), HfError> {
    if folder.exists() {
        std::fs::remove_dir(folder).map_err(io(folder))?; // it is empty
    }
    std::fs::rename(partial, folder).map_err(io(folder))
}

fn write_json(path: &Path, value: &Value) -> Result<(), HfError> {
    let text = serde_json::to_string_pretty(value).map_err(json_of(path))?;
    std::fs::write(path, text + "\n").map_err(io(path))
}

fn io(path: &Path) -> impl FnOnce(std::io::Error) -> HfError {
    let path = PathBuf::from(path);
    move |source| HfError::Io { path, source }
}

fn json_of(path: &Path) -> impl FnOnce(serde_json::Error) -> HfError {
    let path = PathBuf::from(path);
    move |source| HfError::Json { path, source }
}
