use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::HfError;

/// The keys of one `config.json`.
pub(super) struct Keys {
    path: PathBuf,
    values: Map<String, Value>,
}

impl Keys {
    /// Reads a JSON object.
    pub(super) fn read(path: &Path) -> Result<Self, HfError> {
        let path = path.to_owned();
        let text = std::fs::read_to_string(&path).map_err(|source| HfError::Io {
            path: path.clone(),
            source,
        })?;
        match serde_json::from_str(&text) {
            Ok(values) => Ok(Self { path, values }),
            Err(source) => Err(HfError::Json { path, source }),
        }
    }

    pub(super) fn into_values(self) -> Map<String, Value> {
        self.values
    }

    /// The value of a key; `null` is none.
    pub(super) fn find<T: DeserializeOwned>(
        &self,
        key: &str,
        expected: &str,
    ) -> Result<Option<T>, HfError> {
        match self.value(key) {
            None => Ok(None),
            Some(value) => match serde_json::from_value(value.clone()) {
                Ok(value) => Ok(Some(value)),
                Err(_) => Err(self.refuse(key, value.to_string(), expected)),
            },
        }
    }

    /// The value of a key that has to be there.
    pub(super) fn get<T: DeserializeOwned>(&self, key: &str, expected: &str) -> Result<T, HfError> {
        self.find(key, expected)?
            .ok_or_else(|| self.refuse(key, "missing", expected))
    }

    /// A size that has to be there.
    pub(super) fn size(&self, key: &str) -> Result<usize, HfError> {
        self.get(key, "a size")
    }

    /// The first of several spellings of a size.
    pub(super) fn size_of(&self, keys: [&str; 2]) -> Result<usize, HfError> {
        match self.find(keys[1], "a size")? {
            Some(size) if self.value(keys[0]).is_none() => Ok(size),
            _ => self.size(keys[0]),
        }
    }

    /// Refuses a key that is there and has another value than the only one that is supported.
    pub(super) fn only(&self, key: &str, supported: Value) -> Result<(), HfError> {
        // Numbers by their value: `0` and `0.0` are one.
        let same = |value: &Value| match (value.as_f64(), supported.as_f64()) {
            (Some(value), Some(supported)) => value == supported,
            _ => *value == supported,
        };
        match self.value(key) {
            Some(value) if !same(value) => {
                Err(self.refuse(key, value.to_string(), supported.to_string()))
            }
            _ => Ok(()),
        }
    }

    pub(super) fn refuse(
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
