//! Optimizer records, entry by entry, without making a tensor of them.

mod check;
mod expand;
mod state;
mod unowned;

use std::collections::BTreeMap;

use burn_core::store::RecordError;
use burn_optim::{ModuleOptimizer, OptimizerRecord};
use burn_pack::{Reader, Scalar, Writer};

use crate::OptimError;

pub use unowned::UnownedState;

/// An optimizer record by its entries. The tensors are those of the file or buffer it was read
/// from: expanding describes the new ones, and writing reads, expands and writes one at a time.
#[derive(Clone, Default)]
pub struct RawRecord {
    tensors: Vec<burn_pack::Tensor>,
    pub(crate) scalars: BTreeMap<String, Scalar>,
    paths: BTreeMap<String, String>,
}

impl RawRecord {
    /// The entries of a record, whose values stay where they are.
    ///
    /// # Errors
    ///
    /// When the reader's tensors lie outside of its source.
    pub fn read(reader: Reader) -> Result<Self, RecordError> {
        Ok(Self {
            scalars: reader.scalars().clone(),
            paths: reader.metadata().clone(),
            tensors: reader.into_tensors()?,
        })
    }

    /// The record of `optim`.
    pub(crate) fn of(optim: &ModuleOptimizer) -> Result<Self, OptimError> {
        Ok(Self::read(Reader::from_bytes(optim.into_bytes()?)?)?)
    }

    /// `optim` with the state of this record.
    pub(crate) fn load(self, optim: &ModuleOptimizer) -> Result<ModuleOptimizer, OptimError> {
        let record = OptimizerRecord::from_bytes(self.into_writer().into_bytes()?)?;
        Ok(optim.clone().load_record(record))
    }

    /// The tensors of the record.
    pub fn tensors(&self) -> &[burn_pack::Tensor] {
        &self.tensors
    }

    /// The writer of the record.
    pub fn into_writer(self) -> Writer {
        let mut writer = Writer::new(self.tensors);
        for (name, value) in &self.scalars {
            writer = writer.with_scalar(name, *value);
        }
        for (id, path) in &self.paths {
            writer = writer.with_metadata(id, path);
        }
        writer
    }
}
