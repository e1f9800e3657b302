//! Parameters and optimizer records as plain bytes, in a canonical order.

use std::collections::BTreeMap;

use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::ModuleOptimizer;
use burn::tensor::{Bytes, DType, Tensor, TensorData};
use burn_pack::{Reader, Scalar};

/// One parameter: its identity, its flags, and every bit of its value.
#[derive(Clone, Debug, PartialEq)]
pub struct ParamDump {
    /// Its identity.
    pub id: u64,
    /// Its shape.
    pub shape: Vec<usize>,
    /// Its data type.
    pub dtype: DType,
    /// Its value.
    pub bytes: Vec<u8>,
    /// Whether it requires a gradient.
    pub require_grad: bool,
    /// Its gradient checkpointing strategy, if it is on an autodiff device.
    pub checkpointing: Option<String>,
}

impl ParamDump {
    /// Its values.
    pub fn values(&self) -> Vec<f32> {
        floats(self.dtype, &self.shape, &self.bytes)
    }
}

/// The float parameters of `model`, by path.
pub fn params<M: Module>(model: &M) -> BTreeMap<String, ParamDump> {
    #[derive(Default)]
    struct Dump {
        path: Vec<String>,
        params: BTreeMap<String, ParamDump>,
    }
    impl ModuleVisitor for Dump {
        fn enter_module(&mut self, name: &str, _container_type: &str) {
            self.path.push(name.to_owned());
        }

        fn exit_module(&mut self, _name: &str, _container_type: &str) {
            self.path.pop();
        }

        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            let tensor = param.val();
            let dump = ParamDump {
                id: param.id.val(),
                shape: tensor.dims().to_vec(),
                dtype: tensor.dtype(),
                require_grad: tensor.is_require_grad(),
                checkpointing: tensor
                    .gradient_checkpointing_strategy()
                    .map(|strategy| format!("{strategy:?}")),
                bytes: tensor.into_data().as_bytes().to_vec(),
            };
            self.params.insert(self.path.join("."), dump);
        }
    }
    let mut dump = Dump::default();
    model.visit(&mut dump);
    dump.params
}

/// The bytes of the record of `model`.
pub fn model_bytes<M: Module>(model: &M) -> Vec<u8> {
    let bytes = model.clone().into_record().into_bytes();
    bytes.expect("a model record").to_vec()
}

/// One state tensor of an optimizer record.
#[derive(Clone, Debug, PartialEq)]
pub struct StateDump {
    /// The parameter it belongs to.
    pub param: u64,
    /// Its shape.
    pub shape: Vec<usize>,
    /// Its data type.
    pub dtype: DType,
    /// Its value.
    pub bytes: Vec<u8>,
}

impl StateDump {
    /// Its values.
    pub fn values(&self) -> Vec<f32> {
        floats(self.dtype, &self.shape, &self.bytes)
    }
}

/// An optimizer record. Burn writes one in the order of a hash map, so two records of one state
/// differ in their raw bytes; these are the same bytes by name.
#[derive(Clone, Debug, PartialEq)]
pub struct RecordDump {
    /// The state tensors.
    pub tensors: BTreeMap<String, StateDump>,
    /// The scalars, regions among them.
    pub scalars: BTreeMap<String, Scalar>,
    /// The path of every parameter.
    pub paths: BTreeMap<String, String>,
}

impl RecordDump {
    /// The regions recorded for the parameter `id`.
    pub fn regions(&self, id: u64) -> usize {
        (0..)
            .take_while(|index| self.scalars.contains_key(&format!("{id}.grow.{index}.age")))
            .count()
    }
}

/// The record of `optim`.
pub fn record(optim: &ModuleOptimizer) -> RecordDump {
    record_of(Reader::from_bytes(optim.into_bytes().expect("written")).expect("read"))
}

/// The optimizer record that `reader` reads.
pub fn record_of(reader: Reader) -> RecordDump {
    let (scalars, paths) = (reader.scalars().clone(), reader.metadata().clone());
    let tensors = reader.into_tensors().expect("tensors").into_iter();
    let tensors = tensors.map(|tensor| {
        let (name, dtype, shape, id, bytes) = tensor.into_parts().expect("parts");
        let dump = StateDump {
            param: id.expect("an identity"),
            shape: shape.to_vec(),
            dtype,
            bytes: bytes.to_vec(),
        };
        (name, dump)
    });
    RecordDump {
        tensors: tensors.collect(),
        scalars,
        paths,
    }
}

/// The values of a float tensor of any type that `f32` holds without loss.
fn floats(dtype: DType, shape: &[usize], bytes: &[u8]) -> Vec<f32> {
    let bytes = Bytes::from_bytes_vec(bytes.to_vec());
    let data = TensorData::from_bytes(bytes, shape.to_vec(), dtype);
    data.convert::<f32>().try_to_vec().expect("floats")
}
