//! What an expanded folder says about how it was made: `burn-grow.json`.

use std::path::Path;

use burn_grow_core::{Expansion, fnv1a};
use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::model::Growth;

/// An expansion as a file: what `plan --save` and `expand` write, and `--plan` reads.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// The family by which the folder was read.
    pub family: String,
    /// The expansion.
    pub expansion: Expansion,
    /// The hash of the plan that it came to, in hexadecimal.
    pub plan: String,
}

impl Record {
    /// The name of the file in an expanded folder.
    pub const FILE: &str = "burn-grow.json";

    /// Creates the record of a planned expansion.
    pub fn of(growth: &Growth<'_>, expansion: &Expansion) -> Self {
        Self {
            family: growth.model.family().name.clone(),
            expansion: expansion.clone(),
            plan: hash(growth),
        }
    }

    /// Reads a record.
    ///
    /// # Errors
    ///
    /// Names the file.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let text = std::fs::read_to_string(path).map_err(Error::io(path))?;
        serde_json::from_str(&text).map_err(Error::json(path))
    }

    /// Returns the record as the text of its file.
    pub fn text(&self) -> String {
        text(self)
    }
}

/// The text of a `burn-grow.json`.
pub(crate) fn text(record: &impl Serialize) -> String {
    serde_json::to_string_pretty(record).unwrap_or_default() + "\n"
}

/// The hash of everything that decides the bytes of the tensors.
fn hash(growth: &Growth<'_>) -> String {
    let mut text = serde_json::to_vec(&growth.plan).unwrap_or_default();
    for output in growth.outputs() {
        text.extend(format!("{} {} {:?}", output.name, output.dtype, output.made).into_bytes());
    }
    format!("{:016x}", fnv1a(&text))
}
