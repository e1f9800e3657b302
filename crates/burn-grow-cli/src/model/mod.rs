//! A folder and its family: the blueprint of a model, and what an expansion makes of it.

mod describe;
mod grow;
mod keys;
mod natural;
mod params;
mod tied;

pub(crate) use grow::Made;
pub use grow::{Change, Growth, Output};
pub use params::Model;
