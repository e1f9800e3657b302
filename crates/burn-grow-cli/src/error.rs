//! The error of reading, planning, expanding and verifying a folder.

use std::path::{Path, PathBuf};

use burn_grow_core::GrowError;

/// A folder that cannot be read, described, expanded or verified.
///
/// An error leaves nothing that looks like a whole folder behind.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An error of the file system.
    #[error("{path}: {source}", path = path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The error.
        source: std::io::Error,
    },
    /// A file that is not the JSON it should be.
    #[error("{path}: {source}", path = path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// The error, with its line.
        source: serde_json::Error,
    },
    /// A file that is not what it should be.
    #[error("{path}: {message}", path = path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        message: String,
    },
    /// A tensor in a file that cannot be right.
    #[error("{path}: tensor `{tensor}`: {message}", path = path.display())]
    Tensor {
        /// The file.
        path: PathBuf,
        /// The name of the tensor.
        tensor: String,
        /// What is wrong.
        message: String,
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
        /// The bytes up to the end of that part.
        expected: u64,
        /// The bytes of the file.
        found: u64,
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
    /// A tensor that is not where the index says.
    #[error(
        "{index} says that tensor `{tensor}` is in {path}, but it is not",
        index = index.display(), path = path.display()
    )]
    Misplaced {
        /// The index.
        index: PathBuf,
        /// The name of the tensor.
        tensor: String,
        /// The file that should hold it.
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
    /// A folder with a single file of weights and an index of others.
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
    #[error(
        "{folder} holds no `model.safetensors` and no index of its shards{}",
        hint(found), folder = folder.display()
    )]
    NoWeights {
        /// The folder.
        folder: PathBuf,
        /// The files of weights in another format that it holds.
        found: Vec<String>,
    },
    /// A key of `config.json` that is missing or of another type.
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
    /// An architecture that no family knows.
    #[error(
        "{path}: no family knows `{model_type}`{suggestion}. Known: {known}. `burn-grow inspect` \
         proposes a description to start from; pass it with `--family FILE`",
        path = path.display(), known = known.join(", ")
    )]
    UnknownFamily {
        /// The `config.json`.
        path: PathBuf,
        /// What it calls the model.
        model_type: String,
        /// A name that is written almost alike.
        suggestion: String,
        /// The names that are known.
        known: Vec<String>,
    },
    /// A description of a family that contradicts itself.
    #[error("family {family}: {place}: {message}")]
    Family {
        /// The family, or its file.
        family: String,
        /// The entry at fault.
        place: String,
        /// What is wrong.
        message: String,
    },
    /// A tensor that the family does not know.
    #[error(
        "{path} holds tensor `{tensor}` of shape {shape:?}, which family `{family}` does not \
         describe: describe it in a file for `--family`, or carry it over as it is \
         with `--keep {tensor}`",
        path = path.display()
    )]
    Undescribed {
        /// The file.
        path: PathBuf,
        /// The name of the tensor.
        tensor: String,
        /// Its shape.
        shape: Vec<usize>,
        /// The family.
        family: String,
    },
    /// A tensor that other layers or experts have.
    #[error("tensor `{tensor}` is missing: the folder has `{other}`")]
    Missing {
        /// The name of the tensor.
        tensor: String,
        /// One that it has.
        other: String,
    },
    /// A tensor with another number of dimensions than its family says.
    #[error(
        "{path}: tensor `{tensor}` of shape {shape:?} has {found} dimensions, family `{family}` \
         says {expected}",
        path = path.display(), found = shape.len()
    )]
    Rank {
        /// The file.
        path: PathBuf,
        /// The name of the tensor.
        tensor: String,
        /// Its shape.
        shape: Vec<usize>,
        /// The family.
        family: String,
        /// The dimensions that the family says.
        expected: usize,
    },
    /// A folder of quantized numbers.
    #[error(
        "{path}: tensor `{tensor}` is {dtype}, and quantized weights cannot be widened: load the \
         model with `transformers`, call `model.dequantize()`, save it in bfloat16 and expand \
         that; quantize the result anew",
        path = path.display()
    )]
    Quantized {
        /// The file.
        path: PathBuf,
        /// The name of the tensor.
        tensor: String,
        /// Its type.
        dtype: String,
    },
    /// A model whose numbers no `config.json` of the family can express.
    #[error(
        "the configuration of family `{family}` cannot express this expansion: `{key}` would be \
         {found}, and {rule}; grow {axes} by the same factor"
    )]
    Inexpressible {
        /// The family.
        family: String,
        /// The number that would not follow.
        key: String,
        /// Its value after the expansion.
        found: usize,
        /// How the model computes it, and what that gives.
        rule: String,
        /// The axes to grow alike.
        axes: String,
    },
    /// A list of `config.json` with an item for every block, which does not fit the blocks.
    #[error("{path}: `{key}` {message}", path = path.display())]
    List {
        /// The file.
        path: PathBuf,
        /// The key.
        key: String,
        /// What is wrong.
        message: String,
    },
    /// An expansion that the family cannot follow.
    #[error("family `{family}`: {message}")]
    Rejected {
        /// The family.
        family: String,
        /// What cannot be, and why.
        message: String,
    },
    /// A pair of families of which nobody knows how to make one out of the other.
    #[error(
        "nothing is known about making `{to}` out of `{from}`{suggestion}. Known: {known}",
        known = known.join(", ")
    )]
    NoRoute {
        /// The family of the dense model.
        from: String,
        /// The family asked for.
        to: String,
        /// A name that is written almost alike.
        suggestion: String,
        /// The pairs that are known.
        known: Vec<String>,
    },
    /// A model with experts that cannot compute what the dense model does.
    #[error("no `{to}` computes what a model of `{from}` does: {reason}")]
    Impossible {
        /// The family of the dense model.
        from: String,
        /// The family asked for.
        to: String,
        /// Why.
        reason: String,
    },
    /// A tensor of a dense model that a model with experts does not have.
    #[error("`{to}` has no place for tensor `{tensor}` of shape {shape:?}")]
    NoPlace {
        /// The name of the tensor.
        tensor: String,
        /// Its shape.
        shape: Vec<usize>,
        /// The family of the model with experts.
        to: String,
    },
    /// A number of experts, of parts or of whatever else that cannot be.
    #[error("{setting} is {found}, expected {expected}")]
    Setting {
        /// What is set.
        setting: &'static str,
        /// Its value.
        found: String,
        /// The values that can be.
        expected: String,
    },
    /// A description or an expansion that the core of the library rejects.
    #[error(transparent)]
    Grow(#[from] GrowError),
    /// A folder that is in the way.
    #[error("{path} exists: expand into a folder that does not", path = path.display())]
    Exists {
        /// The folder.
        path: PathBuf,
    },
    /// A new folder inside of the one that it is made of.
    #[error(
        "{path} lies in {folder}, and would be copied into itself: expand into a folder beside it",
        path = path.display(), folder = folder.display()
    )]
    Inside {
        /// The new folder.
        path: PathBuf,
        /// The one that is expanded.
        folder: PathBuf,
    },
    /// An expansion that was interrupted and is neither to be continued nor gone.
    #[error(
        "{path} is left of an expansion that was interrupted: go on with `--resume`, or remove it",
        path = path.display()
    )]
    Interrupted {
        /// The unfinished folder.
        path: PathBuf,
    },
    /// An unfinished folder of another expansion.
    #[error(
        "{path} is left of another expansion or another folder ({what} differs): remove it, or \
         repeat the command that it comes from",
        path = path.display()
    )]
    OtherExpansion {
        /// The unfinished folder.
        path: PathBuf,
        /// What differs.
        what: &'static str,
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

impl Error {
    /// Turns an error of the file system at `path` into one of these.
    pub(crate) fn io(path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { path, source }
    }

    /// Turns an error of the JSON in `path` into one of these.
    pub(crate) fn json(path: &Path) -> impl FnOnce(serde_json::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Json { path, source }
    }

    pub(crate) fn malformed(path: &Path, message: impl Into<String>) -> Self {
        Self::Malformed {
            path: path.to_owned(),
            message: message.into(),
        }
    }
}

/// ", did you mean `..`?", if one of `known` is written almost like `name`.
pub(crate) fn suggestion<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> String {
    let close = known.map(|known| (strsim::normalized_damerau_levenshtein(name, known), known));
    let closest = close.max_by(|(one, _), (other, _)| one.total_cmp(other));
    match closest.filter(|(likeness, _)| *likeness > 0.7) {
        Some((_, known)) => format!(", did you mean `{known}`?"),
        None => String::new(),
    }
}
