//! The bytes of a tensor of the expanded folder, one stretch after another.

use burn_grow_core::plan::Streamed;
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
    /// Few.
    Whole(Vec<u8>),
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
            Some(Making::Router(router)) => Self::Whole(router.bytes(&output.name)?),
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
