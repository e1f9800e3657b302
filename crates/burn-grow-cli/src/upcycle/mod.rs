//! Upcycling: the feed-forward of a dense model becomes experts.
//!
//! Every expert is a copy of the feed-forward, or with a [granularity](Upcycling::granularity) one
//! of so many parts of it, cut along its inner width. A token takes some copies with all of their
//! parts, and the weights that its router gives them sum to one, so that the model computes what
//! the dense one did once the last matrix of every expert is multiplied by the number of parts.
//! [`Kept`] says when that holds.
//!
//! Sparse upcycling is [arXiv 2212.05055](https://arxiv.org/abs/2212.05055), the groups of parts
//! are the virtual groups of [arXiv 2410.07524](https://arxiv.org/abs/2410.07524).

mod config;
mod cut;
mod guess;
mod kept;
mod plan;
mod record;
mod router;
mod settings;

pub use guess::upcycling_to;
pub use kept::Kept;
pub use plan::Upcycled;
pub use record::UpcyclingRecord;
pub use settings::{Router, RoutingWeights, Upcycling};

pub(crate) use cut::Cut;
pub(crate) use router::DrawnRouter;
