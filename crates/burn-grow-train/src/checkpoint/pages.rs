//! Text inside a module record: pages of bytes as integer parameters, `burn_grow.0`, `burn_grow.1`
//! and so on.
//!
//! Burn loads a parameter by its name and shape alone, so a record cannot be asked how long a text
//! is. Pages have one shape, and end where the record has no further one. A byte is an element,
//! which every integer type of every device holds; the last page is filled up with spaces.

use burn_core::module::{Devices, Module, ModuleMapper, ModuleVisitor, Param, ParamId};
use burn_core::store::{ModuleRecord, RecordError};
use burn_core::tensor::{DType, Device, Int, Tensor, TensorData};

use super::error::{CheckpointError, ParamFault};

/// The name of the pages in a record.
const NAME: &str = "burn_grow";
const CONTAINER: &str = "Struct:Growing";
/// The bytes of a page.
const LEN: usize = 256;

/// A text as the parameters of a module.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pages(Vec<Param<Tensor<1, Int>>>);

impl Pages {
    pub(crate) fn of(text: &[u8]) -> Self {
        let pages = text.chunks(LEN).enumerate().map(|(index, text)| {
            let spaces = core::iter::repeat_n(&b' ', LEN - text.len());
            page(index, text.iter().chain(spaces).copied().collect())
        });
        Self(pages.collect())
    }

    /// The text of a record; empty if it has none.
    pub(crate) fn text(record: ModuleRecord) -> Result<Vec<u8>, RecordError> {
        let record = record.allow_unused(true).allow_partial(true);
        // A number is a module without parameters.
        let loaded = Recorded::new(0_u8, Self::default()).try_load_record(record)?;
        let pages = loaded.pages.0.iter();
        Ok(pages
            .flat_map(|page| bytes(page.val().into_data()))
            .collect())
    }

    /// The text in the tensors of a file; empty if they hold none. Other tensors are not looked at.
    pub(crate) fn text_of_file(tensors: &[burn_pack::Tensor]) -> Result<Vec<u8>, CheckpointError> {
        let mut text = Vec::new();
        let mut pages: Vec<_> = tensors.iter().filter(|it| is_page(&it.name)).collect();
        pages.sort_by_key(|page| (page.name.len(), &page.name));
        for (index, tensor) in pages.into_iter().enumerate() {
            let path = tensor.name.clone();
            if path != self::path(index) {
                let fault = ParamFault::Unknown;
                return Err(CheckpointError::Parameter { path, fault });
            }
            if let Some(fault) = fault(tensor) {
                return Err(CheckpointError::Parameter { path, fault });
            }
            let values = tensor.to_bytes()?;
            let values = TensorData::from_bytes(values, tensor.shape.clone(), tensor.dtype);
            text.extend(bytes(values));
        }
        Ok(text)
    }

    /// Replaces the text in the tensors of a file, which stays in integers of the same type.
    pub(crate) fn replace_in_file(self, tensors: &mut Vec<burn_pack::Tensor>) {
        let first = tensors.iter().find(|tensor| tensor.name == path(0));
        let dtype = first.map_or(DType::I32, |tensor| tensor.dtype);
        tensors.retain(|tensor| !is_page(&tensor.name));
        for (index, page) in self.0.into_iter().enumerate() {
            let id = Some(page.id.val());
            let data = page.val().into_data().convert_dtype(dtype);
            let (bytes, shape, dtype) = data.into_parts();
            tensors.push(burn_pack::Tensor::new(path(index), dtype, shape, id, bytes));
        }
    }

    pub(crate) fn visit<V: ModuleVisitor>(&self, visitor: &mut V) {
        visitor.enter_module(NAME, CONTAINER);
        for (index, page) in self.0.iter().enumerate() {
            let index = index.to_string();
            visitor.enter_module(&index, CONTAINER);
            visitor.visit_int(page);
            visitor.exit_module(&index, CONTAINER);
        }
        visitor.exit_module(NAME, CONTAINER);
    }

    /// Maps pages until one is left as it is, uninitialized: then there is no further one.
    fn map<Mapper: ModuleMapper>(mapper: &mut Mapper) -> Self {
        let mut pages = Vec::new();
        mapper.enter_module(NAME, CONTAINER);
        loop {
            let index = pages.len();
            let name = index.to_string();
            mapper.enter_module(&name, CONTAINER);
            let page = mapper.map_int(page(index, vec![b' '; LEN]));
            mapper.exit_module(&name, CONTAINER);
            if !page.is_initialized() {
                break;
            }
            pages.push(page);
        }
        mapper.exit_module(NAME, CONTAINER);
        Self(pages)
    }
}

/// Returns true for the name of a page.
pub(crate) fn is_page(name: &str) -> bool {
    let rest = name.strip_prefix(NAME);
    rest.is_some_and(|rest| rest.starts_with('.'))
}

fn path(index: usize) -> String {
    format!("{NAME}.{index}")
}

fn fault(tensor: &burn_pack::Tensor) -> Option<ParamFault> {
    if tensor.shape[..] != [LEN] {
        return Some(ParamFault::Shape {
            found: tensor.shape.to_vec(),
            expected: vec![LEN],
        });
    }
    (!tensor.dtype.is_int() && !tensor.dtype.is_uint()).then_some(ParamFault::Kind {
        found: tensor.dtype,
        expected: "integers",
    })
}

/// Reads integers as bytes. Others become a control character, which JSON never contains.
fn bytes(data: TensorData) -> Vec<u8> {
    let values = data.iter::<i64>();
    values
        .map(|value| u8::try_from(value).unwrap_or(0))
        .collect()
}

/// A parameter that makes no tensor until someone reads it.
///
/// Its identity is always the same, so that a record of the same text is the same bytes.
fn page(index: usize, text: Vec<u8>) -> Param<Tensor<1, Int>> {
    let values = move |device: &Device, _| {
        let values: Vec<i32> = text.into_iter().map(i32::from).collect();
        Tensor::from_data(TensorData::new(values, [LEN]), device)
    };
    Param::uninitialized(
        ParamId::from(index as u64),
        values,
        Device::default(),
        false,
        [LEN].into(),
    )
}

/// A model beside the record of its run.
#[derive(Clone, Debug)]
pub(crate) struct Recorded<M> {
    inner: M,
    pages: Pages,
}

impl<M> Recorded<M> {
    pub(crate) fn new(inner: M, pages: Pages) -> Self {
        Self { inner, pages }
    }
}

impl<M: Module> Module for Recorded<M> {
    fn collect_devices(&self, devices: Devices) -> Devices {
        self.inner.collect_devices(devices)
    }

    fn fork(self, device: &Device) -> Self {
        let inner = self.inner.fork(device);
        Self { inner, ..self }
    }

    fn to_device(self, device: &Device) -> Self {
        let inner = self.inner.to_device(device);
        Self { inner, ..self }
    }

    fn train(self) -> Self {
        let inner = self.inner.train();
        Self { inner, ..self }
    }

    fn valid(&self) -> Self {
        Self {
            inner: self.inner.valid(),
            pages: self.pages.clone(),
        }
    }

    fn materialize(self) -> Self {
        let inner = self.inner.materialize();
        Self { inner, ..self }
    }

    fn visit<V: ModuleVisitor>(&self, visitor: &mut V) {
        self.inner.visit(visitor);
        self.pages.visit(visitor);
    }

    fn map<Mapper: ModuleMapper>(self, mapper: &mut Mapper) -> Self {
        Self {
            inner: self.inner.map(mapper),
            pages: Pages::map(mapper),
        }
    }
}
