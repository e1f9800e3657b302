//! What growing costs and saves, in floating-point operations and bytes.

mod flops;
mod forecast;
mod model;

pub use flops::{saved_flops, training_flops};
pub use forecast::{Budget, Forecast, ForecastPoint};
pub use model::{Cost, CostChange, StateSize};
