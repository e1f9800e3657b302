//! What the tests across the crates share.
//!
//! - [`book`]: the code of the README and of the book, compiled.
//! - [`data`]: numbers that come from a seed on the host, and how they are compared.
//! - [`dump`]: parameters and optimizer records as plain bytes, in a canonical order.
//! - [`growth`]: planning and expanding what is known to grow.
//! - [`layers`]: a small model around every layer of burn-nn that has parameters.
//! - [`layout`]: the map from new to old coordinates, written a second time.
//! - [`models`]: small models, one for each way of lying on an axis.

pub mod book;
pub mod data;
pub mod dump;
pub mod growth;
pub mod layers;
pub mod layout;
pub mod models;
