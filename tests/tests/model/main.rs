//! Describing, planning and expanding models, and the checks of it.

mod algebra;
mod baselines;
mod depth;
mod derive;
mod errors;
mod golden;
mod identity;
mod layers;
mod numbers;
mod pairs;
mod parametrization;
mod plan;
mod pullback;
mod reuse;
mod verify;
