use core::fmt;
use std::sync::Arc;

use crate::{History, WatchedMetric};

type Decide = Arc<dyn Fn(&History<'_>) -> bool + Send + Sync>;

/// Fires when a closure says so, asked at the end of every epoch.
///
/// It has to be a function of the [`History`] and nothing else: a resumed run asks it again, and so
/// does every replica.
#[derive(Clone)]
pub struct When {
    pub(crate) name: String,
    pub(crate) series: Vec<WatchedMetric>,
    decide: Decide,
}

impl When {
    /// A closure that watches `series`; `name` says in logs what fired.
    pub fn new(
        name: impl Into<String>,
        series: impl IntoIterator<Item = WatchedMetric>,
        decide: impl Fn(&History<'_>) -> bool + Send + Sync + 'static,
    ) -> Self {
        Self {
            name: name.into(),
            series: series.into_iter().collect(),
            decide: Arc::new(decide),
        }
    }

    pub(crate) fn fires(&self, history: &History<'_>) -> bool {
        (self.decide)(history)
    }
}

impl fmt::Debug for When {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("When")
            .field("name", &self.name)
            .field("series", &self.series)
            .finish_non_exhaustive()
    }
}

/// The same closure, not an equal one.
impl PartialEq for When {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
            && self.series == other.series
            && Arc::ptr_eq(&self.decide, &other.decide)
    }
}
