//! A folder and its family: the blueprint of a model, and what an expansion makes of it.

mod describe;
mod folder;
mod grow;
mod keys;
pub(crate) mod natural;
mod params;
mod region;
mod tied;

pub use folder::{Change, NewFolder, Output};
pub(crate) use folder::{Making, changed, outdated};
pub use grow::Growth;
pub(crate) use grow::Piece;
pub use params::Model;
pub(crate) use params::Parameter;
pub use region::{NewCoordinates, Region};
