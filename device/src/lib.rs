//! The device that tests, benchmarks and experiments run on: its name, whether it is there, and one
//! initial model for all of them.
//!
//! - [`Backend`]: the devices by name, which [`open`](Backend::open) asks for one number.
//! - [`chosen`]: the one that the variable [`DEVICE`] names.
//! - [`initial`]: a model from a seed, drawn on the host, so that it is the same on every device.
//! - [`message`]: why a device, or a run on it, panicked.
//!
//! Flex is always compiled in; a feature adds each of the others.

mod backend;
mod chosen;
mod error;
mod initial;
mod panic;
mod probe;

pub use backend::Backend;
pub use chosen::{DEVICE, chosen};
pub use error::DeviceError;
pub use initial::initial;
pub use panic::message;
