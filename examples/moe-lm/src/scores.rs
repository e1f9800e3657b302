//! How often the next byte is right, where it takes something to know it.

use serde::{Deserialize, Serialize};

/// Right predictions of how many.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Share {
    /// The right ones.
    pub right: u64,
    /// All.
    pub of: u64,
}

/// How often the next byte was right.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scores {
    /// At all bytes.
    pub next_byte: Share,
    /// At the first byte of an identifier.
    pub identifier_start: Share,
    /// At the byte that ends an identifier.
    pub identifier_end: Share,
    /// At closing brackets.
    pub closing: Share,
    /// Inside names that were there before.
    pub copy: Share,
}
