//! What a saved model has to hold, checked without loading it.
//!
//! Burn's loading takes the structure of a file for granted and panics, at the latest in the next step,
//! where it does not hold. A file has no checksum: a flipped bit in a value is found only where it makes
//! a NaN.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use burn_core::module::{Module, ModuleVisitor, Param};
use burn_core::store::RecordError;
use burn_core::tensor::{self, Bool, DType, Int};
use burn_grow_core::Plan;
use burn_grow_optim::RawRecord;
use burn_pack::{Reader, Tensor};

use crate::checkpoint::{CheckpointError, Marks, Pages, ParamFault, decode, is_page};
use crate::saved_order::{saved_shape, used_shape};
use crate::state::State;

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

    /// The file of the optimizer that trained the model.
    pub(crate) fn open_optimizer(&self, path: &Path) -> Result<RawRecord, CheckpointError> {
        let record = RawRecord::read(Reader::from_file_exact(path)?)?;
        let shape = |(_, id, shape): &(_, u64, Vec<usize>)| (*id, shape.clone());
        record.check(&self.params.iter().map(shape).collect())?;
        Ok(record)
    }
}

/// What a model file remembers of its run.
pub(crate) fn state(path: &Path, marks: &Marks) -> Result<State, CheckpointError> {
    let tensors = Reader::from_file_exact(path)?.into_tensors()?;
    decode(&Pages::text_of_file(&tensors)?, marks)
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
    /// `plan` is the last one that a model like `model` has grown by.
    pub(crate) fn of<M: Module>(model: &M, plan: Option<&Plan>) -> Self {
        let mut visitor = Visitor {
            path: Vec::new(),
            grown: HashMap::new(),
            params: BTreeMap::new(),
        };
        for param in plan.iter().flat_map(|plan| plan.params()) {
            visitor.grown.insert(&param.path, &param.new_shape);
        }
        model.visit(&mut visitor);
        Self {
            params: visitor.params,
        }
    }

    /// Whether `tensors` are these parameters, by path, kind and shape.
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

    /// Whether floats have the types that they have in the model: loading takes over those of the file,
    /// and the next step would mix them.
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

/// Whether these little-endian bytes are NaN: more than infinity, the sign aside.
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

struct Visitor<'a> {
    path: Vec<String>,
    grown: HashMap<&'a str, &'a [usize]>,
    params: BTreeMap<String, Expected>,
}

impl Visitor<'_> {
    fn expect(
        &mut self,
        kind: &'static str,
        is_kind: fn(&DType) -> bool,
        shape: Vec<usize>,
        used: Vec<usize>,
        dtype: Option<DType>,
    ) {
        let expected = Expected {
            kind,
            is_kind,
            shape,
            used,
            dtype,
        };
        self.params.insert(self.path.join("."), expected);
    }
}

impl ModuleVisitor for Visitor<'_> {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<tensor::Tensor<D>>) {
        let is_kind: fn(&DType) -> bool =
            |dtype| dtype.is_float() || matches!(dtype, DType::QFloat(_));
        let grown = self.grown.get(self.path.join(".").as_str());
        let used = grown.map_or_else(|| used_shape(param), |shape| shape.to_vec());
        let dtype = param.is_initialized().then(|| param.base().dtype());
        self.expect(FLOAT, is_kind, saved_shape(param, &used), used, dtype);
    }

    fn visit_int<const D: usize>(&mut self, param: &Param<tensor::Tensor<D, Int>>) {
        let is_kind: fn(&DType) -> bool = |dtype| dtype.is_int() || dtype.is_uint();
        let shape = param.lazy_shape().to_vec();
        self.expect("integers", is_kind, shape.clone(), shape, None);
    }

    fn visit_bool<const D: usize>(&mut self, param: &Param<tensor::Tensor<D, Bool>>) {
        let shape = param.lazy_shape().to_vec();
        let is_kind: fn(&DType) -> bool = |dtype| dtype.is_bool();
        self.expect("booleans", is_kind, shape.clone(), shape, None);
    }
}
