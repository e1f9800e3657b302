//! Schedules of re-warmed learning rates.

use serde::{Deserialize, Serialize};

/// Learning rate that follows the climb of a [`Rewarmup`](crate::Rewarmup).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RewarmupSchedule {
    /// Cosine to `min_lr` over the steps left (Eq. 25-28), for a cosine base schedule that ends
    /// there too. All parameter groups end at the same rate: if they have learning rates of their
    /// own, take [`Proportional`](Self::Proportional).
    Cosine {
        /// The learning rate at the end of the run.
        min_lr: f64,
    },
    /// `rho` times the base rate, whatever the base schedule is.
    Proportional,
    /// No re-warmup, as a baseline: the cosine from `peak` to `min_lr` that the base schedule
    /// follows, entered at another point or left sooner.
    Remapped {
        /// The highest learning rate of the cosine.
        peak: f64,
        /// The learning rate at its end.
        min_lr: f64,
        /// The fraction of the cosine that is over at the expansion, from 0 to 1. If absent, it
        /// follows from the base rate.
        progress: Option<f64>,
        /// The fraction of the steps left after which the cosine ends.
        within: f64,
    },
}

impl RewarmupSchedule {
    /// The settings by name, as records and messages call them.
    pub(crate) fn numbers(self) -> Vec<(&'static str, f64)> {
        match self {
            Self::Proportional => Vec::new(),
            Self::Cosine { min_lr } => vec![("min_lr", min_lr)],
            Self::Remapped {
                peak,
                min_lr,
                progress,
                within,
            } => {
                let mut numbers = vec![("peak", peak), ("min_lr", min_lr), ("within", within)];
                numbers.extend(progress.map(|progress| ("progress", progress)));
                numbers
            }
        }
    }
}
