//! The roles of burn-nn's layers, and the modules that have nothing to grow.

mod activation;
mod attention;
mod container;
mod conv;
mod embedding;
mod groups;
mod linear;
mod norm;
mod parameterless;
mod recurrent;
mod shared;
mod transformer;
