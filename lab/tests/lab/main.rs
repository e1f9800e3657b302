//! The lab from settings and experiments to results and pages.

mod demo;
mod experiments;
mod results;
