//! Typed access to the keys of a `config.json`.

use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::error::HfError;

/// The keys of one `config.json`.
pub(super) struct Keys {
    path: PathBuf,
    values: Map<String, Value>,
}

impl Keys {
    /// Reads a JSON object.
    pub(super) fn read(path: &Path) -> Result<Self, HfError> {
        let text = std::fs::read_to_string(path).map_err(HfError::io(path))?;
        let values = serde_json::from_str(&text).map_err(HfError::json(path))?;
        let path = path.to_owned();
        Ok(Self { path, values })
    }

    pub(super) fn into_values(self) -> Map<String, Value> {
        self.values
    }

    /// The value of a key; `None` if it is missing or `null`.
    pub(super) fn find<T: DeserializeOwned>(
        &self,
        key: &str,
        expected: &str,
    ) -> Result<Option<T>, HfError> {
        match self.value(key) {
            None => Ok(None),
            Some(value) => match serde_json::from_value(value.clone()) {
                Ok(value) => Ok(Some(value)),
                Err(_) => Err(self.reject(key, value.to_string(), expected)),
            },
        }
    }

    /// The value of a required key.
    pub(super) fn get<T: DeserializeOwned>(&self, key: &str, expected: &str) -> Result<T, HfError> {
        self.find(key, expected)?
            .ok_or_else(|| self.reject(key, "missing", expected))
    }

    /// The value of a required key that is a size.
    pub(super) fn size(&self, key: &str) -> Result<usize, HfError> {
        self.get(key, "a size")
    }

    /// A required size under either of two keys; the first one wins.
    pub(super) fn size_of(&self, keys: [&str; 2]) -> Result<usize, HfError> {
        match self.find(keys[1], "a size")? {
            Some(size) if self.value(keys[0]).is_none() => Ok(size),
            _ => self.size(keys[0]),
        }
    }

    /// Rejects a key whose value is not the only one that is supported. It may be missing.
    pub(super) fn only(&self, key: &str, supported: Value) -> Result<(), HfError> {
        // Numbers are compared by value: `0` equals `0.0`.
        let same = |value: &Value| match (value.as_f64(), supported.as_f64()) {
            (Some(value), Some(supported)) => value == supported,
            _ => *value == supported,
        };
        match self.value(key) {
            Some(value) if !same(value) => {
                Err(self.reject(key, value.to_string(), supported.to_string()))
            }
            _ => Ok(()),
        }
    }

    pub(super) fn reject(
        &self,
        key: &str,
        found: impl Into<String>,
        expected: impl Into<String>,
    ) -> HfError {
        HfError::Key {
            path: self.path.clone(),
            key: key.into(),
            found: found.into(),
            expected: expected.into(),
        }
    }

    fn value(&self, key: &str) -> Option<&Value> {
        self.values.get(key).filter(|value| !value.is_null())
    }
}
