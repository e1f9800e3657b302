//! Describing, planning and expanding models, and the checks of it.

mod algebra;
mod baselines;
mod derive;
mod errors;
mod golden;
mod identity;
mod layers;
mod pairs;
mod plan;
mod pullback;
mod verify;
