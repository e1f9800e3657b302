//! The files of a checkpoint.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use burn_store::burn_pack::Tensor as Stored;
use burn_store::{ModuleStore, SafetensorsStore, SafetensorsStoreError};
use serde::{Deserialize, Serialize};

use super::error::HfError;
use super::{header, names};

pub(super) const CONFIG: &str = "config.json";
pub(super) const SINGLE: &str = "model.safetensors";
pub(super) const INDEX: &str = "model.safetensors.index.json";

/// The index of a sharded checkpoint: which file holds which tensor.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Index {
    /// Sizes, for information. Not every tool writes it.
    #[serde(default)]
    pub(super) metadata: serde_json::Value,
    /// The file of every tensor.
    pub(super) weight_map: BTreeMap<String, String>,
}

/// The tensors of a folder, opened but not read.
pub(super) struct Checkpoint {
    folder: PathBuf,
    /// By name, each with its file.
    tensors: BTreeMap<String, (PathBuf, Stored)>,
    /// The names of the tensors that belong to the model.
    taken: BTreeSet<String>,
}

impl Checkpoint {
    /// Opens the folder's single file, or the shards that its index names.
    ///
    /// A single file beside an index of other files is an error: `transformers` takes the single
    /// file without a word, and which of the two is left over cannot be told.
    pub(super) fn open(folder: &Path) -> Result<Self, HfError> {
        let mut checkpoint = Self {
            folder: folder.to_owned(),
            tensors: BTreeMap::new(),
            taken: BTreeSet::new(),
        };
        let (single, index) = (folder.join(SINGLE), folder.join(INDEX));
        match (single.exists(), index.exists()) {
            (_, true) => {
                let described = Index::read(&index)?;
                let others = described.weight_map.values().any(|file| file != SINGLE);
                if single.exists() && (others || described.weight_map.is_empty()) {
                    return Err(HfError::Ambiguous { single, index });
                }
                checkpoint.add_shards(&index, &described)?;
            }
            (true, false) => checkpoint.add(&single)?,
            (false, false) => {
                return Err(HfError::NoWeights {
                    found: other_weights(folder)?,
                    folder: folder.to_owned(),
                });
            }
        }
        let tensors = &mut checkpoint.tensors;
        tensors.retain(|name, _| !name.ends_with(names::IGNORED));
        Ok(checkpoint)
    }

    /// Takes a tensor of the model, if the checkpoint has it. Fails if it has another shape.
    pub(super) fn take(
        &mut self,
        tensor: &str,
        shape: &[usize],
    ) -> Result<Option<Stored>, HfError> {
        let Some((_, stored)) = self.tensors.get(tensor) else {
            return Ok(None);
        };
        if *stored.shape != *shape {
            return Err(HfError::Shape {
                tensor: tensor.to_owned(),
                expected: shape.to_vec(),
                found: stored.shape.to_vec(),
            });
        }
        self.taken.insert(tensor.to_owned());
        Ok(Some(stored.clone()))
    }

    pub(super) fn missing(&self, tensor: &str) -> HfError {
        HfError::Missing {
            tensor: tensor.to_owned(),
            path: self.folder.clone(),
        }
    }

    /// Fails if a tensor does not belong to the model.
    pub(super) fn finish(self) -> Result<(), HfError> {
        let mut tensors = self.tensors.into_iter();
        match tensors.find(|(tensor, _)| !self.taken.contains(tensor)) {
            Some((tensor, (path, _))) => Err(HfError::Extra { tensor, path }),
            None => Ok(()),
        }
    }

    fn add_shards(&mut self, path: &Path, index: &Index) -> Result<(), HfError> {
        let files: BTreeSet<&String> = index.weight_map.values().collect();
        for file in files {
            if Path::new(file).file_name() != Some(file.as_ref()) {
                let message = format!("`{file}` is not the name of a file beside it");
                return Err(HfError::malformed(path, message));
            }
            let shard = self.folder.join(file);
            if !shard.exists() {
                let index = path.to_owned();
                return Err(HfError::MissingShard { index, path: shard });
            }
            self.add(&shard)?;
        }
        for (tensor, file) in &index.weight_map {
            let at = self.folder.join(file);
            if self.tensors.get(tensor).is_none_or(|(path, _)| *path != at) {
                let tensor = tensor.clone();
                return Err(HfError::Missing { tensor, path: at });
            }
        }
        Ok(())
    }

    fn add(&mut self, path: &Path) -> Result<(), HfError> {
        header::check(path)?;
        let mut store = SafetensorsStore::from_file(path);
        let tensors = store.get_all_tensors().map_err(|error| match error {
            SafetensorsStoreError::Io(source) => HfError::io(path)(source),
            error => HfError::malformed(path, error.to_string()),
        })?;
        for (name, tensor) in tensors {
            let entry = (path.to_owned(), tensor.clone());
            if let Some((first, _)) = self.tensors.insert(name.clone(), entry) {
                return Err(HfError::Duplicate {
                    tensor: name.clone(),
                    first,
                    second: path.to_owned(),
                });
            }
        }
        Ok(())
    }
}

impl Index {
    fn read(path: &Path) -> Result<Self, HfError> {
        let text = std::fs::read_to_string(path).map_err(HfError::io(path))?;
        serde_json::from_str(&text).map_err(HfError::json(path))
    }
}

/// The files of weights in a folder that are not the ones looked for, by name.
fn other_weights(folder: &Path) -> Result<Vec<String>, HfError> {
    const ENDINGS: [&str; 8] = [
        "bin",
        "pt",
        "pth",
        "ckpt",
        "gguf",
        "h5",
        "msgpack",
        "safetensors",
    ];
    let entries = std::fs::read_dir(folder).map_err(HfError::io(folder))?;
    let mut found = Vec::new();
    for entry in entries {
        let path = entry.map_err(HfError::io(folder))?.path();
        let ending = path.extension().and_then(|ending| ending.to_str());
        let name = path.file_name().and_then(|name| name.to_str());
        if let (Some(ending), Some(name)) = (ending, name)
            && ENDINGS.contains(&ending)
        {
            found.push(name.to_owned());
        }
    }
    found.sort();
    Ok(found)
}
