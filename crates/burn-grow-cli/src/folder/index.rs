//! The index of a folder whose weights are in several files.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::error::Error;

/// Which file holds which tensor.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Index {
    /// Sizes, for information: some tools leave them out, others write wrong ones.
    #[serde(default)]
    pub(crate) metadata: Value,
    /// The file of every tensor.
    pub(crate) weight_map: BTreeMap<String, String>,
}

impl Index {
    /// Creates the index of tensors of so many `bytes`.
    pub(crate) fn new(bytes: u64, weight_map: BTreeMap<String, String>) -> Self {
        Self {
            metadata: json!({ "total_size": bytes }),
            weight_map,
        }
    }

    pub(crate) fn read(path: &Path) -> Result<Self, Error> {
        let text = std::fs::read_to_string(path).map_err(Error::io(path))?;
        let index: Self = serde_json::from_str(&text).map_err(Error::json(path))?;
        index.check(path)?;
        Ok(index)
    }

    /// Lists the files.
    pub(crate) fn files(&self) -> BTreeSet<&str> {
        self.weight_map.values().map(String::as_str).collect()
    }

    /// Checks that every file lies in the folder itself.
    fn check(&self, path: &Path) -> Result<(), Error> {
        let beside = |file: &&str| {
            let separators = file.contains(['/', '\\', '\0']);
            !separators && Path::new(file).file_name() == Some(file.as_ref())
        };
        match self.files().into_iter().find(|file| !beside(file)) {
            None => Ok(()),
            Some(file) => {
                let message = format!("`{file}` is not the name of a file beside it");
                Err(Error::malformed(path, message))
            }
        }
    }
}
