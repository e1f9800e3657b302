//! Typed access to the keys of a `config.json`.

use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::error::HfError;

/// Keys by which JSON files are known that are no configuration of a model, and what these are.
const OTHER_KINDS: [(&str, &str); 10] = [
    ("peft_type", "the configuration of an adapter, as of LoRA"),
    ("weight_map", "the index of a sharded checkpoint"),
    ("tokenizer_class", "the configuration of a tokenizer"),
    ("added_tokens_decoder", "the configuration of a tokenizer"),
    (
        "log_history",
        "the state of a training (`trainer_state.json`)",
    ),
    ("__class__", "the configuration of a pipeline"),
    ("train_batch_size", "the settings of a training"),
    ("learning_rate", "the settings of a training"),
    ("_from_model_config", "the settings of text generation"),
    ("do_sample", "the settings of text generation"),
];

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

    /// What the file is, if it is known to be something else than the configuration of a model.
    pub(super) fn other_kind(&self) -> Option<&'static str> {
        // Old configurations of models also name their tokenizer.
        if self.value("model_type").is_some() {
            return None;
        }
        if self.values.contains_key("version") && self.values.contains_key("pre_tokenizer") {
            return Some("a tokenizer (`tokenizer.json`)");
        }
        let mut kinds = OTHER_KINDS.iter();
        let found = kinds.find(|(key, _)| self.values.contains_key(*key));
        found.map(|(_, kind)| *kind)
    }

    /// A type of models, with its class and whether it is a mixture of experts.
    pub(super) fn described(&self, model_type: &str) -> String {
        let class = self
            .value("architectures")
            .and_then(|classes| classes[0].as_str());
        let class = class.map_or_else(String::new, |class| format!(" ({class})"));
        let experts = [
            "num_experts",
            "num_local_experts",
            "n_routed_experts",
            "moe_num_experts",
        ];
        let dense = !experts.iter().any(|key| self.values.contains_key(*key));
        let dense = if dense {
            ", a model without experts"
        } else {
            ""
        };
        format!("{model_type}{class}{dense}")
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
