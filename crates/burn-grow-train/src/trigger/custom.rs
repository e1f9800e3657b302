use core::fmt;
use std::sync::Arc;

use super::history::History;
use super::watched::WatchedMetric;

type Decide = Arc<dyn Fn(&History<'_>) -> bool + Send + Sync>;

/// Fires when a closure returns true, asked at the end of every epoch.
///
/// The closure has to be a function of the [`History`] and nothing else: a resumed run asks it
/// again, and so does every replica.
///
/// ```
/// use burn_grow_train::{At, WatchedMetric};
///
/// let loss = WatchedMetric::valid("Loss");
/// let watched = loss.clone();
/// let at = At::custom("loss below 2", [loss], move |history| {
///     history.values(&watched).last().is_some_and(|loss| *loss < 2.0)
/// });
/// assert_eq!(at.to_string(), "loss below 2");
/// ```
#[derive(Clone)]
pub struct CustomTrigger {
    pub(crate) name: String,
    pub(crate) metrics: Vec<WatchedMetric>,
    decide: Decide,
}

impl CustomTrigger {
    /// Creates a trigger that watches `metrics`. Logs and reports call it by `name`.
    pub fn new(
        name: impl Into<String>,
        metrics: impl IntoIterator<Item = WatchedMetric>,
        decide: impl Fn(&History<'_>) -> bool + Send + Sync + 'static,
    ) -> Self {
        Self {
            name: name.into(),
            metrics: metrics.into_iter().collect(),
            decide: Arc::new(decide),
        }
    }

    pub(crate) fn fires(&self, history: &History<'_>) -> bool {
        (self.decide)(history)
    }
}

impl fmt::Debug for CustomTrigger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CustomTrigger")
            .field("name", &self.name)
            .field("metrics", &self.metrics)
            .finish_non_exhaustive()
    }
}

/// Compares closures by identity.
impl PartialEq for CustomTrigger {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
            && self.metrics == other.metrics
            && Arc::ptr_eq(&self.decide, &other.decide)
    }
}
