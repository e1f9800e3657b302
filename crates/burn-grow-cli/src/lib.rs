//! Widening of checkpoints in the format of Hugging Face's `transformers`, one tensor at a time.
//!
//! A [`Family`] says, as data, what the tensors and the configuration of an architecture mean. With
//! it a folder becomes a [`Model`], whose blueprint and an expansion make the plan that
//! `burn-grow-core` makes of every model. [`Growth`] is that plan with the tensors and the
//! `config.json` of the expanded folder.
//!
//! | module | contents |
//! |---|---|
//! | [`folder`] | `config.json`, the index and the headers of safetensors files, checked |
//! | [`family`] | families: names of tensors, roles, keys that store widths |
//! | [`model`] | a folder read by its family, and an expansion of it |
//! | [`state`] | the state of an optimizer, expanded with its parameters |
//! | [`expand`] | the expanded folder, written |
//! | [`upcycle`] | experts out of the feed-forward of a dense model |
//! | [`mod@verify`] | the check that a folder is an expansion of another one |
//! | [`inspect`] | what a folder holds, and what of it can grow |
//! | [`mod@propose`] | a family for an architecture that nobody knows |

mod error;
pub mod expand;
pub mod family;
pub mod folder;
pub mod inspect;
pub mod model;
pub mod propose;
pub mod state;
pub mod upcycle;
pub mod verify;

pub use error::Error;
pub use family::Family;
pub use folder::Folder;
pub use model::{Change, Growth, Model, NewFolder, Output, Region};
pub use state::State;
