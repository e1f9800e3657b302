//! A plan carried out: parameters and raw tensors get their new coordinates.
//!
//! Copies, random values and zeros are made on the host, copies as byte moves; then factors
//! multiply on the device. Every device and every replica gets the same numbers.

mod apart;
mod apply;
mod check;
mod gather;
mod noise;
mod random;
