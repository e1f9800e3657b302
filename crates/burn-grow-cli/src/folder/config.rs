//! `config.json`: the keys of a model.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::CONFIG;
use crate::error::Error;

/// The keys of a `config.json`.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    pub(crate) path: PathBuf,
    pub(crate) values: Map<String, Value>,
}

impl Config {
    /// Reads that of a folder.
    pub(crate) fn read(folder: &Path) -> Result<Self, Error> {
        let path = folder.join(CONFIG);
        let text = std::fs::read_to_string(&path).map_err(Error::io(&path))?;
        let values = serde_json::from_str(&text).map_err(Error::json(&path))?;
        Ok(Self { path, values })
    }

    /// Returns the value of a key; `None` if it is missing or `null`.
    pub(crate) fn value(&self, key: &str) -> Option<&Value> {
        self.values.get(key).filter(|value| !value.is_null())
    }

    /// Returns a size; `None` if the key is missing.
    pub(crate) fn size(&self, key: &str) -> Result<Option<usize>, Error> {
        let Some(value) = self.value(key) else {
            return Ok(None);
        };
        let size = value.as_u64().and_then(|size| usize::try_from(size).ok());
        match size {
            Some(size) => Ok(Some(size)),
            None => Err(self.reject(key, value.to_string(), "a size")),
        }
    }

    /// Returns a flag; `None` if the key is missing.
    pub(crate) fn flag(&self, key: &str) -> Result<Option<bool>, Error> {
        match self.value(key) {
            None => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(*flag)),
            Some(other) => Err(self.reject(key, other.to_string(), "a flag")),
        }
    }

    /// Returns a number; `None` if the key is missing.
    pub(crate) fn number(&self, key: &str) -> Result<Option<f64>, Error> {
        let Some(value) = self.value(key) else {
            return Ok(None);
        };
        match value.as_f64() {
            Some(number) => Ok(Some(number)),
            None => Err(self.reject(key, value.to_string(), "a number")),
        }
    }

    /// Returns what the file calls the model.
    pub(crate) fn model_type(&self) -> Result<&str, Error> {
        match self.value("model_type") {
            Some(Value::String(name)) => Ok(name),
            Some(other) => Err(self.reject("model_type", other.to_string(), "a name")),
            None => Err(self.reject("model_type", "missing", "the name of an architecture")),
        }
    }

    /// Lists the classes that the file names.
    pub(crate) fn architectures(&self) -> Vec<&str> {
        let named = self.value("architectures").and_then(Value::as_array);
        let named = named.into_iter().flatten();
        named.filter_map(Value::as_str).collect()
    }

    pub(crate) fn reject(
        &self,
        key: &str,
        found: impl Into<String>,
        expected: impl Into<String>,
    ) -> Error {
        Error::Key {
            path: self.path.clone(),
            key: key.into(),
            found: found.into(),
            expected: expected.into(),
        }
    }
}
