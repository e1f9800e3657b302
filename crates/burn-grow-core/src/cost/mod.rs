//! What growing costs and saves, in floating-point operations and bytes, and whether it pays.

mod flops;
mod forecast;
mod learning_curve;
mod model;
mod payoff;

pub use flops::{saved_flops, training_flops};
pub use forecast::{Budget, Forecast, ForecastPoint};
pub use learning_curve::{CurveError, LearningCurve};
pub use model::{Cost, CostChange, StateSize};
pub use payoff::{Payoff, PayoffPoint};
