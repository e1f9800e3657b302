//! Families: what the tensors and the configuration of an architecture mean, as data.
//!
//! A family is a TOML file. `shipped/llama.toml` shows every common entry; [`Family`] lists all.
//! How a dense family becomes one with experts is a [`Route`], another TOML file.

mod find;
mod key;
mod name;
mod route;
mod text;

pub use find::{find, shipped};
pub use key::{Expression, Key, Rule};
pub use name::{Found, Name};
pub use route::{Classes, DenseModel, Deviation, Missing, Only, Route, RouterRoute, route};
pub(crate) use text::is_dimension;
pub use text::{Family, List, Tied, TiedFactor};
