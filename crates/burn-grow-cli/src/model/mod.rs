//! A folder and its family: the blueprint of a model, and what an expansion makes of it.

mod describe;
mod grow;
mod keys;
mod natural;
mod params;
mod region;
mod tied;

pub use grow::{Change, Growth, Output};
pub(crate) use grow::{Made, Piece};
pub use params::Model;
pub use region::{NewCoordinates, Region};
