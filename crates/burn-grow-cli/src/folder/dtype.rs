//! The types of numbers that a safetensors file can hold.

use core::fmt;

use burn_core::tensor::DType;

/// The type of the numbers of a tensor.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Dtype {
    /// Floats of 64, 32 or 16 bits, which can be widened.
    Float(Float),
    /// Any other type, with its bits: carried over as it is.
    Other(String, usize),
}

/// A type of floats that can be widened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Float {
    /// Double precision.
    F64,
    /// Single precision.
    F32,
    /// Half precision.
    F16,
    /// The upper half of single precision.
    BF16,
}

/// The names of other types, with their bits.
const OTHERS: [(&str, usize); 18] = [
    ("BOOL", 8),
    ("U8", 8),
    ("I8", 8),
    ("U16", 16),
    ("I16", 16),
    ("U32", 32),
    ("I32", 32),
    ("U64", 64),
    ("I64", 64),
    ("F8_E5M2", 8),
    ("F8_E4M3", 8),
    ("F8_E8M0", 8),
    ("F8_E4M3FNUZ", 8),
    ("F8_E5M2FNUZ", 8),
    ("F6_E2M3", 6),
    ("F6_E3M2", 6),
    ("F4", 4),
    ("C64", 64),
];

impl Dtype {
    /// Finds the type that a header calls `name`.
    pub(crate) fn named(name: &str) -> Option<Self> {
        let floats = [Float::F64, Float::F32, Float::F16, Float::BF16];
        let float = floats.into_iter().find(|float| float.name() == name);
        let other = || OTHERS.iter().find(|(other, _)| *other == name);
        match float {
            Some(float) => Some(Self::Float(float)),
            None => other().map(|(name, bits)| Self::Other((*name).into(), *bits)),
        }
    }

    /// Returns the bits of one number.
    pub(crate) fn bits(&self) -> usize {
        match self {
            Self::Float(float) => float.in_burn().size() * 8,
            Self::Other(_, bits) => *bits,
        }
    }

    /// Tells if the type is that of quantized weights and of nothing else.
    pub(crate) fn is_quantized(&self) -> bool {
        matches!(self, Self::Other(name, _) if name.starts_with('F'))
    }

    /// Tells if quantized weights are packed in numbers of this type.
    pub(crate) fn may_be_packed(&self) -> bool {
        matches!(self, Self::Other(_, bits) if *bits <= 32)
            && *self != Self::Other("BOOL".into(), 8)
    }
}

impl Float {
    fn name(self) -> &'static str {
        match self {
            Self::F64 => "F64",
            Self::F32 => "F32",
            Self::F16 => "F16",
            Self::BF16 => "BF16",
        }
    }

    /// Burn's name for it.
    pub(crate) fn in_burn(self) -> DType {
        match self {
            Self::F64 => DType::F64,
            Self::F32 => DType::F32,
            Self::F16 => DType::F16,
            Self::BF16 => DType::BF16,
        }
    }
}

impl fmt::Display for Dtype {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Float(float) => float.name(),
            Self::Other(name, _) => name,
        })
    }
}
