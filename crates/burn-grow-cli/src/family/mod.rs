//! Families: what the tensors and the configuration of an architecture mean, as data.
//!
//! A family is a TOML file. `shipped/llama.toml` shows every common entry; [`Family`] lists all.

mod find;
mod key;
mod name;
mod text;

pub use find::{find, shipped};
pub use key::{Expression, Key, Rule};
pub use name::{Found, Name};
pub(crate) use text::is_dimension;
pub use text::{Family, List, Tied};
