//! Runs over devices of other processes. The page that says how compiles:
#![doc = include_str!("../../../docs/src/guide/several-machines.md")]
