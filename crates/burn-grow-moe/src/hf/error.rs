use std::path::PathBuf;

use crate::{HfFamily, MoeConfigError};

/// Why a checkpoint of `transformers` was not read or written.
///
/// Nothing is left behind: no half-read model, no half-written folder.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HfError {
    /// The file system refused.
    #[error("{path}: {source}", path = path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What it answered.
        source: std::io::Error,
    },
    /// A `config.json` or an index that is none.
    #[error("{path}: {source}", path = path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// Where it stops being one.
        source: serde_json::Error,
    },
    /// A key of `config.json` that is missing, of another type, or asks for what this model does not do.
    #[error("{path}: `{key}` is {found}, expected {expected}", path = path.display())]
    Key {
        /// The file.
        path: PathBuf,
        /// The key.
        key: String,
        /// Its value.
        found: String,
        /// What would be read.
        expected: String,
    },
    /// A configuration that describes no model.
    #[error(transparent)]
    Config(#[from] MoeConfigError),
    /// A tensor of the model that no file holds.
    #[error("tensor `{tensor}` is missing from {path}", path = path.display())]
    Missing {
        /// The name of the tensor.
        tensor: String,
        /// The file it was looked for in, or the folder.
        path: PathBuf,
    },
    /// A tensor that is no part of the model.
    #[error("{path} holds tensor `{tensor}`, which is no part of the model", path = path.display())]
    Extra {
        /// The name of the tensor.
        tensor: String,
        /// The file.
        path: PathBuf,
    },
    /// A tensor of another shape than the configuration says.
    #[error("tensor `{tensor}` is {found:?}, expected {expected:?}")]
    Shape {
        /// The name of the tensor.
        tensor: String,
        /// The shape the configuration says.
        expected: Vec<usize>,
        /// Its shape.
        found: Vec<usize>,
    },
    /// A tensor of numbers that are no floats.
    #[error("tensor `{tensor}` is {found}, expected F64, F32, F16 or BF16")]
    DType {
        /// The name of the tensor.
        tensor: String,
        /// Its type, as the file says it.
        found: String,
    },
    /// A file that ends too early.
    #[error("{path} is cut off in {part}: {found} bytes, expected {expected}", path = path.display())]
    Truncated {
        /// The file.
        path: PathBuf,
        /// The tensor, or the header.
        part: String,
        /// The bytes up to the end of that part.
        expected: u64,
        /// The bytes of the file.
        found: u64,
    },
    /// A file that is no safetensors file.
    #[error("{path}: {message}", path = path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        message: String,
    },
    /// A tensor whose numbers could not be read or written.
    #[error("tensor `{tensor}`: {message}")]
    Data {
        /// The name of the tensor.
        tensor: String,
        /// What went wrong.
        message: String,
    },
    /// A model that the family has no configuration for.
    #[error("{family} cannot express this model: {reason}")]
    Inexpressible {
        /// The family.
        family: HfFamily,
        /// What it lacks, and what to do instead.
        reason: String,
    },
    /// A folder that something is in already.
    #[error("{path} is in the way: a model is exported to a new folder", path = path.display())]
    Exists {
        /// The folder.
        path: PathBuf,
    },
}
