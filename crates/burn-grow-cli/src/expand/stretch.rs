//! The bytes of a tensor of the expanded folder, one stretch after another.

use burn_core::tensor::Bytes;
use burn_grow_core::describe::Axis;
use burn_grow_core::plan::{Fill, Streamed};
use rayon::prelude::*;

use crate::error::Error;
use crate::folder::Reader;
use crate::model::{Making, Output};

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
    /// Those that are computed.
    Made(Streamed<'a>),
    /// Those of a tensor that is made all at once: few, or nothing to be computed.
    Whole(Bytes),
}

impl<'a> Stretches<'a> {
    /// Prepares `output`. `old` is for the bytes of the tensor that it comes from.
    pub(crate) fn new(
        reader: &'a Reader<'a>,
        output: &'a Output<'a>,
        old: &'a mut Vec<u8>,
    ) -> Result<Self, Error> {
        Ok(match &output.made {
            None => Self::Copied { reader, output },
            Some(Making::Grown(plan, made)) => {
                reader.read(output.source, old)?;
                let dtype = made.float.in_burn();
                Self::Made(plan.stream(&made.param, dtype, old, made.scale)?)
            }
            Some(Making::Cut(cut)) => {
                Self::Made(cut.stream(&output.name, output.source, reader, old)?)
            }
            Some(Making::Router(router)) => {
                Self::Whole(Bytes::from_bytes_vec(router.bytes(&output.name)?))
            }
            Some(Making::State(plan, param)) => {
                let source = output.source;
                reader.read(source, old)?;
                let zero = |_: &Axis| Fill::Zero;
                let expanded = plan.expand_bytes(param, &source.shape, old, &zero);
                let (_, bytes) = expanded.ok_or_else(|| Error::Tensor {
                    path: reader.file_of(source).to_owned(),
                    tensor: output.name.clone(),
                    message: format!("numbers of {} bits cannot be moved", source.dtype.bits()),
                })?;
                Self::Whole(bytes)
            }
        })
    }

    /// Writes the bytes from number `at` on into `to`.
    pub(crate) fn write(&self, at: u64, to: &mut [u8]) -> Result<(), Error> {
        match self {
            Self::Copied { reader, output } => reader.read_stretch(output.source, at, to),
            Self::Made(streamed) => {
                to.par_chunks_mut(PIECE)
                    .enumerate()
                    .for_each(|(piece, to)| {
                        streamed.write(at as usize + piece * PIECE, to);
                    });
                Ok(())
            }
            Self::Whole(bytes) => {
                to.copy_from_slice(&bytes[at as usize..][..to.len()]);
                Ok(())
            }
        }
    }
}
