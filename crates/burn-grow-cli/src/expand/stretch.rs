//! The bytes of a tensor of the expanded folder, one stretch after another.

use burn_core::tensor::Bytes;
use burn_grow_core::describe::Axis;
use burn_grow_core::plan::{Fill, Streamed};
use rayon::prelude::*;

use crate::error::Error;
use crate::folder::Reader;
use crate::model::{Growth, Made, Output};

/// The bytes that are made before they are written.
pub(crate) const STRETCH: usize = 16 << 20;
/// The bytes that one core makes at a time.
const PIECE: usize = 256 << 10;

/// Makes the bytes of one tensor.
pub(crate) enum Stretches<'a> {
    /// Those of another tensor.
    Copied {
        reader: &'a Reader<'a>,
        output: &'a Output<'a>,
    },
    /// Those that the plan makes.
    Made(Streamed<'a>),
    /// Those of a state of an optimizer, all at once: nothing is computed.
    State(Bytes),
}

impl<'a> Stretches<'a> {
    /// Prepares `output`. `old` is for the bytes of the tensor that it comes from.
    pub(crate) fn new(
        growth: &Growth<'_>,
        reader: &'a Reader<'a>,
        output: &'a Output<'a>,
        old: &'a mut Vec<u8>,
    ) -> Result<Self, Error> {
        let Some(made) = &output.made else {
            return Ok(Self::Copied { reader, output });
        };
        let source = output.source;
        reader.read(source, old)?;
        match made {
            Made::Parameter {
                param,
                float,
                scale,
            } => {
                let streamed = growth.plan.stream(param, float.in_burn(), old, *scale)?;
                Ok(Self::Made(streamed))
            }
            Made::State { param } => {
                let zero = |_: &Axis| Fill::Zero;
                let expanded = growth.plan.expand_bytes(param, &source.shape, old, &zero);
                let (_, bytes) = expanded.ok_or_else(|| Error::Tensor {
                    path: reader.file_of(source).to_owned(),
                    tensor: output.name.clone(),
                    message: format!("numbers of {} bits cannot be moved", source.dtype.bits()),
                })?;
                Ok(Self::State(bytes))
            }
        }
    }

    /// Writes the bytes from number `at` on into `to`.
    pub(crate) fn write(&self, at: u64, to: &mut [u8]) -> Result<(), Error> {
        match self {
            Self::Copied { reader, output } => reader.read_stretch(output.source, at, to),
            Self::State(bytes) => {
                to.copy_from_slice(&bytes[at as usize..][..to.len()]);
                Ok(())
            }
            Self::Made(streamed) => {
                to.par_chunks_mut(PIECE)
                    .enumerate()
                    .for_each(|(piece, to)| {
                        streamed.write(at as usize + piece * PIECE, to);
                    });
                Ok(())
            }
        }
    }
}
