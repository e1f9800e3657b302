//! Checks of a saved model without loading it.
//!
//! Burn's loading takes the structure of a file for granted and panics where it is wrong, at the
//! latest in the next step. A file has no checksum: a flipped bit in a value is found only where it
//! makes a NaN.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use burn_core::module::{Module, Param};
use burn_core::store::RecordError;
use burn_core::tensor::{self, Bool, DType, Int};
use burn_grow_core::{ParamVisitor, Plan, for_each_param};
use burn_grow_optim::RawRecord;
use burn_optim::lr_scheduler::LrSchedulerRecord;
use burn_pack::{Reader, Tensor};

use super::error::{CheckpointError, ParamFault};
use super::marks::Marks;
use super::order::{saved_shape, used_shape};
use super::pages::{Pages, is_page};
use super::record::decode;
use super::state::State;

/// A model file of the structure asked for. Its values stay there until someone reads them.
pub(crate) struct Saved {
    pub(crate) tensors: Vec<Tensor>,
    /// The float parameters: path, identity, and the shape they are used in.
    params: Vec<(String, u64, Vec<usize>)>,
}

impl Saved {
    pub(crate) fn open(path: &Path, layout: &Layout) -> Result<Self, CheckpointError> {
        let tensors = Reader::from_file_exact(path)?.into_tensors()?;
        layout.check(&tensors)?;
        let mut params = Vec::new();
        for tensor in tensors.iter().filter(|tensor| layout.is_float(tensor)) {
            let Some(id) = tensor.param_id else {
                return Err(faulty(&tensor.name, ParamFault::NoIdentity));
            };
            let used = layout.params[&tensor.name].used.clone();
            params.push((tensor.name.clone(), id, used));
        }
        Ok(Self { tensors, params })
    }

    /// The identities of the float parameters, by path.
    pub(crate) fn ids(&self) -> HashMap<String, u64> {
        let id = |(path, id, _): &(String, u64, _)| (path.clone(), *id);
        self.params.iter().map(id).collect()
    }

    /// The file of the optimizer that trained the model. The state of parameters that the model no
    /// longer has is left out, with a warning.
    pub(crate) fn open_optimizer(&self, path: &Path) -> Result<RawRecord, CheckpointError> {
        let record = RawRecord::read(Reader::from_file_exact(path)?)?;
        let shape = |(_, id, shape): &(_, u64, Vec<usize>)| (*id, shape.clone());
        let (record, unowned) = record.checked(&self.params.iter().map(shape).collect())?;
        for state in unowned {
            log::warn!("{}: {state}", path.display());
        }
        Ok(record)
    }
}

/// Reads the state of the run that saved a model file.
pub(crate) fn read_state(path: &Path, marks: &Marks) -> Result<State, CheckpointError> {
    let tensors = Reader::from_file_exact(path)?.into_tensors()?;
    decode(&Pages::text_of_file(&tensors)?, marks)
}

/// Checks that a file is of a learning-rate scheduler: scalars, and nothing else.
pub(crate) fn check_scheduler(path: &Path) -> Result<(), CheckpointError> {
    LrSchedulerRecord::load(path)?;
    match Reader::from_file_exact(path)?.tensor_names().first() {
        Some(name) => Err(CheckpointError::Scheduler {
            tensor: (*name).to_owned(),
        }),
        None => Ok(()),
    }
}

/// The parameters that a file has to hold besides the record of its run, by path: those of a model
/// behind `plan`.
pub(crate) struct Layout {
    params: BTreeMap<String, Expected>,
}

struct Expected {
    kind: &'static str,
    is_kind: fn(&DType) -> bool,
    /// The shape in the file.
    shape: Vec<usize>,
    /// The shape in the model.
    used: Vec<usize>,
    /// The type in the model, if it has a value yet.
    dtype: Option<DType>,
}

impl Layout {
    /// Expects the parameters of `model`, whose stacks are those after `plan`, as wide as after it:
    /// the last that the run has taken.
    pub(crate) fn of<M: Module>(model: &M, plan: Option<&Plan>) -> Self {
        let params = plan.iter().flat_map(|plan| plan.params());
        let mut expect = Expect {
            grown: params
                .map(|param| (param.path.as_str(), param.new_shape.as_slice()))
                .collect(),
            params: BTreeMap::new(),
        };
        for_each_param(model, &mut expect);
        Self {
            params: expect.params,
        }
    }

    /// Checks that `tensors` are these parameters, by path, kind and shape.
    pub(crate) fn check(&self, tensors: &[Tensor]) -> Result<(), CheckpointError> {
        // The record of the run was read before.
        for tensor in tensors.iter().filter(|tensor| !is_page(&tensor.name)) {
            let Some(expected) = self.params.get(&tensor.name) else {
                return Err(faulty(&tensor.name, ParamFault::Unknown));
            };
            expected.check(tensor)?;
        }
        let mut names = self.params.keys();
        match names.find(|name| !tensors.iter().any(|tensor| tensor.name == **name)) {
            Some(name) => Err(faulty(name, ParamFault::Missing)),
            None => Ok(()),
        }
    }

    /// Checks that floats have the types that they have in the model: loading takes over the types
    /// of the file, and the next step would mix them.
    pub(crate) fn check_types(&self, tensors: &[Tensor]) -> Result<(), CheckpointError> {
        for tensor in tensors {
            let expected = self.params.get(&tensor.name);
            let dtype = expected.and_then(|expected| expected.dtype);
            if let Some(expected) = dtype.filter(|dtype| *dtype != tensor.dtype) {
                let found = tensor.dtype;
                let fault = ParamFault::FloatType { found, expected };
                return Err(faulty(&tensor.name, fault));
            }
        }
        Ok(())
    }

    fn is_float(&self, tensor: &Tensor) -> bool {
        let expected = self.params.get(&tensor.name);
        expected.is_some_and(|expected| expected.kind == FLOAT)
    }
}

const FLOAT: &str = "floats";

/// Reads all values, which finds a file that ends early, and rejects NaN.
pub(crate) fn check_values(tensors: &[Tensor]) -> Result<(), CheckpointError> {
    tensors.iter().try_for_each(check_tensor)
}

fn check_tensor(tensor: &Tensor) -> Result<(), CheckpointError> {
    let bytes = tensor.to_bytes()?;
    let bytes = bytes
        .read(Default::default())
        .map_err(|error| RecordError::Io(error.to_string()))?;
    let fault = match tensor.dtype {
        dtype if dtype.is_float() => {
            let mut values = bytes.chunks_exact(dtype.size());
            values
                .any(|value| is_nan(value, dtype))
                .then_some(ParamFault::Nan)
        }
        // Burn takes the bytes for what they say.
        DType::Bool(_) => {
            let odd = bytes.iter().any(|value| *value > 1);
            odd.then_some(ParamFault::Boolean)
        }
        _ => None,
    };
    fault.map_or(Ok(()), |fault| Err(faulty(&tensor.name, fault)))
}

/// Returns true if these little-endian bytes are NaN: more than infinity, the sign aside.
fn is_nan(value: &[u8], dtype: DType) -> bool {
    let infinity: u64 = match dtype {
        DType::F64 => 0x7ff0 << 48,
        DType::F16 => 0x7c00,
        DType::BF16 => 0x7f80,
        _ => 0x7f80 << 16,
    };
    let mut bytes = [0; 8];
    bytes[..value.len()].copy_from_slice(value);
    let sign = 1_u64 << (8 * value.len() - 1);
    u64::from_le_bytes(bytes) & !sign > infinity
}

impl Expected {
    fn check(&self, tensor: &Tensor) -> Result<(), CheckpointError> {
        let fault = if tensor.shape[..] != self.shape[..] {
            ParamFault::Shape {
                found: tensor.shape.to_vec(),
                expected: self.shape.clone(),
            }
        } else if !(self.is_kind)(&tensor.dtype) {
            ParamFault::Kind {
                found: tensor.dtype,
                expected: self.kind,
            }
        } else {
            return Ok(());
        };
        Err(faulty(&tensor.name, fault))
    }
}

fn faulty(path: &str, fault: ParamFault) -> CheckpointError {
    CheckpointError::Parameter {
        path: path.to_owned(),
        fault,
    }
}

/// Collects what a file has to hold.
struct Expect<'a> {
    grown: HashMap<&'a str, &'a [usize]>,
    params: BTreeMap<String, Expected>,
}

impl ParamVisitor for Expect<'_> {
    fn float<const D: usize>(&mut self, path: &str, param: &Param<tensor::Tensor<D>>) {
        let grown = self.grown.get(path);
        let used = grown.map_or_else(|| used_shape(param), |shape| shape.to_vec());
        let expected = Expected {
            kind: FLOAT,
            is_kind: |dtype| dtype.is_float() || matches!(dtype, DType::QFloat(_)),
            shape: saved_shape(param, &used),
            used,
            dtype: param.is_initialized().then(|| param.base().dtype()),
        };
        self.params.insert(path.to_owned(), expected);
    }

    fn int<const D: usize>(&mut self, path: &str, param: &Param<tensor::Tensor<D, Int>>) {
        let shape = param.lazy_shape().to_vec();
        let expected = Expected {
            kind: "integers",
            is_kind: |dtype| dtype.is_int() || dtype.is_uint(),
            used: shape.clone(),
            shape,
            dtype: None,
        };
        self.params.insert(path.to_owned(), expected);
    }

    fn bool<const D: usize>(&mut self, path: &str, param: &Param<tensor::Tensor<D, Bool>>) {
        let shape = param.lazy_shape().to_vec();
        let expected = Expected {
            kind: "booleans",
            is_kind: DType::is_bool,
            used: shape.clone(),
            shape,
            dtype: None,
        };
        self.params.insert(path.to_owned(), expected);
    }
}
