//! What an upcycled folder says about how it was made: its `burn-grow.json`.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::settings::Upcycling;
use crate::error::Error;
use crate::expand::{Record, record_text};

/// An upcycling as a file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UpcyclingRecord {
    /// The family by which the dense folder was read.
    pub family: String,
    /// What was made of it.
    pub upcycling: Upcycling,
}

impl UpcyclingRecord {
    /// Reads the record of the folder at `path`; `None` if it has none, or that of an expansion.
    ///
    /// # Errors
    ///
    /// Names the file.
    pub fn find(path: &Path) -> Result<Option<Self>, Error> {
        let path = path.join(Record::FILE);
        if !path.exists() {
            return Ok(None);
        }
        let text = std::fs::read_to_string(&path).map_err(Error::io(&path))?;
        let value: serde_json::Value = serde_json::from_str(&text).map_err(Error::json(&path))?;
        if value.get("upcycling").is_none() {
            return Ok(None);
        }
        let record = serde_json::from_value(value).map_err(Error::json(&path))?;
        Ok(Some(record))
    }

    /// Returns the record as the text of its file.
    pub(super) fn text(&self) -> String {
        record_text(self)
    }
}
