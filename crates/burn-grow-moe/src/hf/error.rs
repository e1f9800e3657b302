//! The error of reading and writing checkpoints.

use std::path::{Path, PathBuf};

use super::family::HfFamily;
use crate::error::MoeConfigError;

/// A checkpoint of `transformers` that cannot be read or written.
///
/// An error leaves nothing behind: no half-read model, no half-written folder.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HfError {
    /// An error of the file system.
    #[error("{path}: {source}", path = path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The error.
        source: std::io::Error,
    },
    /// A `config.json` or an index that is not the JSON it should be.
    #[error("{path}: {source}", path = path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// The error, with its line.
        source: serde_json::Error,
    },
    /// A key of `config.json` that is missing, of another type, or asks for something this model
    /// does not support.
    #[error("{path}: `{key}` is {found}, expected {expected}", path = path.display())]
    Key {
        /// The file.
        path: PathBuf,
        /// The key.
        key: String,
        /// Its value.
        found: String,
        /// The values that are supported.
        expected: String,
    },
    /// An invalid configuration.
    #[error(transparent)]
    Config(#[from] MoeConfigError),
    /// A tensor of the model that is in no file.
    #[error("tensor `{tensor}` is missing from {path}", path = path.display())]
    Missing {
        /// The name of the tensor.
        tensor: String,
        /// The file or folder that should hold it.
        path: PathBuf,
    },
    /// A tensor that does not belong to the model.
    #[error(
        "{path} holds tensor `{tensor}`, which does not belong to the model",
        path = path.display()
    )]
    Extra {
        /// The name of the tensor.
        tensor: String,
        /// The file.
        path: PathBuf,
    },
    /// A tensor that lies in two files.
    #[error(
        "tensor `{tensor}` is in {first} and in {second}: only one of them can be right",
        first = first.display(), second = second.display()
    )]
    Duplicate {
        /// The name of the tensor.
        tensor: String,
        /// One file.
        first: PathBuf,
        /// The other file.
        second: PathBuf,
    },
    /// A file that an index names and that is not there.
    #[error(
        "{index} names {path}, which is not there: the download or the copy is incomplete",
        index = index.display(), path = path.display()
    )]
    MissingShard {
        /// The index.
        index: PathBuf,
        /// The file.
        path: PathBuf,
    },
    /// A folder with a single file of weights and an index of others. One of them is left over, as
    /// when a model was saved over another.
    #[error(
        "{single} and {index} are two checkpoints: remove the outdated one",
        single = single.display(), index = index.display()
    )]
    Ambiguous {
        /// The single file.
        single: PathBuf,
        /// The index, which names other files.
        index: PathBuf,
    },
    /// A folder without `model.safetensors` and without its index.
    #[error("{folder} holds no `model.safetensors` and no index of its shards{}", hint(found), folder = folder.display())]
    NoWeights {
        /// The folder.
        folder: PathBuf,
        /// The files of weights in another format that it holds, by name.
        found: Vec<String>,
    },
    /// A JSON file of another kind where the `config.json` of a model should be.
    #[error("{path} is {kind}, expected the `config.json` of a model", path = path.display())]
    Kind {
        /// The file.
        path: PathBuf,
        /// What it is.
        kind: &'static str,
    },
    /// A tensor whose shape does not match the configuration.
    #[error("tensor `{tensor}` is {found:?}, expected {expected:?}")]
    Shape {
        /// The name of the tensor.
        tensor: String,
        /// The shape that the configuration asks for.
        expected: Vec<usize>,
        /// The shape in the file.
        found: Vec<usize>,
    },
    /// A tensor of a type other than float.
    #[error("tensor `{tensor}` is {found}, expected F64, F32, F16 or BF16")]
    DType {
        /// The name of the tensor.
        tensor: String,
        /// Its type, as named in the file.
        found: String,
    },
    /// A file that ends too early.
    #[error(
        "{path} is cut off in {part}: {found} bytes, expected {expected}",
        path = path.display()
    )]
    Truncated {
        /// The file.
        path: PathBuf,
        /// The tensor, or the header.
        part: String,
        /// The number of bytes up to the end of that part.
        expected: u64,
        /// The number of bytes of the file.
        found: u64,
    },
    /// A file that is not a safetensors file.
    #[error("{path}: {message}", path = path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// The reason.
        message: String,
    },
    /// A tensor whose numbers cannot be read or written.
    #[error("tensor `{tensor}`: {message}")]
    Data {
        /// The name of the tensor.
        tensor: String,
        /// The reason.
        message: String,
    },
    /// A model that no configuration of the family describes.
    #[error("{family} cannot express this model: {reason}")]
    Inexpressible {
        /// The family.
        family: HfFamily,
        /// What the family lacks, and what to do instead.
        reason: String,
    },
    /// A folder that is not empty.
    #[error("{path} is not empty: a model is exported to a new folder", path = path.display())]
    Exists {
        /// The folder.
        path: PathBuf,
    },
}

/// What to do about the weights that are there.
fn hint(found: &[String]) -> String {
    if found.is_empty() {
        return String::new();
    }
    let advice = if found.iter().any(|file| file.starts_with("adapter_model")) {
        "merge the adapter into its model (`merge_and_unload` of peft) and save that"
    } else {
        "load it with `transformers` and write it with `save_pretrained`"
    };
    format!(", but {}: {advice}", found.join(", "))
}

impl HfError {
    /// Turns an error of the file system at `path` into one of these.
    pub(super) fn io(path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { path, source }
    }

    /// Turns an error of the JSON in `path` into one of these.
    pub(super) fn json(path: &Path) -> impl FnOnce(serde_json::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Json { path, source }
    }

    pub(super) fn malformed(path: &Path, message: impl Into<String>) -> Self {
        Self::Malformed {
            path: path.to_owned(),
            message: message.into(),
        }
    }
}
