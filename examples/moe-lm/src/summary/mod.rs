//! What rows say: the tables and figures of `docs/results.md`.
//!
//! An experiment file says what its arms are compared with, and what the paper reports of them:
//!
//! ```toml
//! reference = "sparkling/rho=2.0"   # an arm, without the points that it shares with what is compared with it
//!
//! [figures]                         # by the whole name of an arm; all but `loss` may be left out
//! "sparkling/axis=inner/rho=1.3" = { loss = 2.3153, saved = 0.20, speed = 1.27 }
//! ```
//!
//! The page is written by hand but for what stands between `<!-- experiment: NAME -->` and `<!-- end -->`, of which
//! every experiment with a row has one, and between `<!-- equal FLOPs: NAME, NAME -->` and `<!-- end -->`, where the best
//! growth and the best run from scratch of these experiments stand side by side.

mod comparison;
mod compute;
mod curves;
mod equal_flops;
mod figure;
mod gather;
mod groups;
mod head_start;
mod page;
mod section;
mod statistics;
mod tables;
#[cfg(test)]
mod tests;

pub(crate) use groups::groups;
pub use page::{Page, RESULTS, renew, renewed};
