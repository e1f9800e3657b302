//! Whatever happened to the files of a checkpoint, the checks reject it with a typed error or it loads
//! and the run goes on; nothing is written to the files.
#![no_main]

#[path = "../../tests/tests/harness/mod.rs"]
mod harness;

use std::fs;
use std::path::Path;
use std::sync::OnceLock;

use arbitrary::Arbitrary;
use burn::data::dataloader::batcher::Batcher;
use burn::module::Module;
use burn::optim::lr_scheduler::LrSchedulerRecord;
use burn::optim::lr_scheduler::linear::LinearLrSchedulerConfig;
use burn::store::ModuleRecord;
use burn::tensor::{DType, Device};
use burn::train::TrainStep;
use burn_grow::train::Growing;
use burn_grow::prelude::*;
use burn_grow::{Growth, Rewarmup};
use burn_pack::{Bytes, Reader, Scalar, Tensor, Writer};
use harness::{Net, Rows, Strategy, adamw, run, training};
use libfuzzer_sys::fuzz_target;

const EPOCH: usize = 1;
const NAMES: [&str; 3] = ["model-1.bpk", "optim-1.bpk", "scheduler-1.bpk"];

fuzz_target!(|input: Input<'_>| {
    let files: [Vec<u8>; 3] = core::array::from_fn(|file| input.file(file));
    let parent = ["/dev/shm", "/tmp", "."].map(Path::new);
    let parent = parent.into_iter().find(|parent| parent.is_dir());
    let directory = tempfile::tempdir_in(parent.expect("a directory")).expect("a directory");
    let (from, to) = (directory.path(), directory.path().join("to"));
    let path = |name: &str| from.join("checkpoint").join(name);
    fs::create_dir(from.join("checkpoint")).expect("a directory");
    for (name, bytes) in NAMES.iter().zip(&files) {
        fs::write(path(name), bytes).expect("written");
        read_pack(bytes);
    }

    let checked = callback(7).check_checkpoint(from, EPOCH, narrow());
    let newest = callback(7).last_good_epoch(from, narrow());
    match (&checked, &newest) {
        (Ok(position), Ok(Some(newest))) => {
            assert_eq!((EPOCH, *position), (newest.epoch, newest.position));
        }
        (Err(error), Err(newest)) => assert_eq!(error.to_string(), newest.to_string()),
        other => panic!("the checks disagree: {other:?}"),
    }
    // Here the second expansion is due at the checkpoint.
    let due = callback(6);
    let expanded = due.expand_checkpoint(from, EPOCH, &to, narrow());
    for (name, bytes) in NAMES.iter().zip(&files) {
        assert_eq!(&fs::read(path(name)).expect("still there"), bytes);
    }

    if checked.is_ok() {
        resume(from, callback(7), 1);
    }
    // Another type of floats than here is expanded all the same.
    if checked.is_ok() && expanded.is_ok() {
        due.check_checkpoint(&to, EPOCH, narrow()).expect("sound");
        resume(&to, callback(6), 0);
    }
});

/// A run that expanded after three steps, was saved after six, and expands again after `second`.
fn callback(second: usize) -> WidthExpansionCallback {
    WidthExpansionCallback::builder(Strategy::Single.total_steps())
        .expand(At::step(3), grow(Expansion::by("inner", 2.0)))
        .expand(At::step(second), grow(Expansion::by("hidden", 1.5)))
        .build(narrow())
        .expect("a plan")
}

fn grow(expansion: Expansion) -> Growth {
    Growth::new(expansion).with_rewarmup(Rewarmup::cosine(0.0).paper())
}

fn narrow() -> &'static Net {
    static NARROW: OnceLock<Net> = OnceLock::new();
    NARROW.get_or_init(|| Net::new(4, 4, 0.0, &Device::flex().autodiff()))
}

/// The files of a sound checkpoint.
fn sound() -> &'static [Vec<u8>; 3] {
    static FILES: OnceLock<[Vec<u8>; 3]> = OnceLock::new();
    FILES.get_or_init(|| {
        let directory = tempfile::tempdir().expect("a directory");
        run(
            &callback(7),
            directory.path(),
            Strategy::Single,
            None,
            EPOCH,
        );
        let path = |name| directory.path().join("checkpoint").join(name);
        NAMES.map(|name| fs::read(path(name)).expect("saved"))
    })
}

/// Reads everything in a file from memory.
fn read_pack(bytes: &[u8]) {
    let bytes = Bytes::from_bytes_vec(bytes.to_vec());
    let tensors = Reader::from_bytes(bytes).and_then(Reader::into_tensors);
    for tensor in tensors.into_iter().flatten() {
        let _ = tensor.into_bytes();
    }
}

/// Goes on as a resumed run does; after one step comes the next expansion.
fn resume(directory: &Path, callback: WidthExpansionCallback, steps: usize) {
    let path = |name| directory.join("checkpoint").join(name);
    // Where a run that fails says so.
    let training = training::<Growing<Net>>(directory, Strategy::Single, EPOCH + 1);
    let _training = callback.attach(training);
    let record = ModuleRecord::load(path(NAMES[0])).expect("checked");
    let model = callback.wrap(narrow().clone());
    let mut model = model.try_load_record(record).expect("checked");
    let mut optim = adamw().load(path(NAMES[1])).expect("checked");
    let record = LrSchedulerRecord::load(path(NAMES[2])).expect("checked");
    let total = Strategy::Single.total_steps();
    let scheduler = LinearLrSchedulerConfig::new(2e-2, 1e-3, total).init();
    let mut scheduler = scheduler.expect("a schedule").load_record(record);
    for step in 0..steps {
        let items = (4 * step..4 * step + 4).collect();
        let batch = Rows.batch(items, &Device::flex().autodiff());
        let output = TrainStep::step(&model, batch);
        model = model.optimize(&mut optim, scheduler.step(), output.grads);
    }
}

/// What happened to the files: first in what they say, then byte by byte.
#[derive(Arbitrary, Debug)]
struct Input<'a> {
    edits: Vec<(u8, Edit<'a>)>,
    damages: Vec<(u8, Damage<'a>)>,
}

/// Another thing that a file says, in sound bytes.
#[derive(Arbitrary, Debug)]
enum Edit<'a> {
    Scalar(u8, Number),
    NewScalar(&'a str, Number),
    NoScalar(u8),
    Metadata(&'a str, &'a str),
    Shape(u8, Vec<u8>),
    Values(u8, u16, &'a [u8]),
    Type(u8, u8),
    Identity(u8, Option<u8>),
    Name(u8, &'a str),
    Twice(u8, &'a str),
    NoTensor(u8),
}

#[derive(Arbitrary, Debug)]
enum Number {
    Small(i8),
    /// A power of two, and by how much it is missed.
    Near(u8, i8),
    Any(u64),
    Float(f64),
    Bool(bool),
}

impl Number {
    fn scalar(&self) -> Scalar {
        match *self {
            Self::Small(value) => Scalar::Int(value.into()),
            Self::Near(bit, by) => {
                Scalar::UInt((1_u64 << (bit % 64)).wrapping_add_signed(by.into()))
            }
            Self::Any(value) => Scalar::UInt(value),
            Self::Float(value) => Scalar::Float(value),
            Self::Bool(value) => Scalar::Bool(value),
        }
    }
}

#[derive(Arbitrary, Debug)]
enum Damage<'a> {
    Flipped(u16, u8),
    Spliced(u16, u8, &'a [u8]),
    Truncated(u16),
    Swapped(u8),
    Raw(&'a [u8]),
}

const TYPES: [DType; 8] = [
    DType::F32,
    DType::F64,
    DType::F16,
    DType::BF16,
    DType::I64,
    DType::I8,
    DType::U32,
    DType::U8,
];

impl Input<'_> {
    fn file(&self, file: usize) -> Vec<u8> {
        let mut bytes = sound()[file].clone();
        let of = |other: u8| usize::from(other) % NAMES.len() == file;
        let edits = self.edits.iter().filter(|(other, _)| of(*other));
        let edits: Vec<_> = edits.map(|(_, edit)| edit).collect();
        if !edits.is_empty() {
            bytes = edited(&bytes, &edits).unwrap_or(bytes);
        }
        for (_, damage) in self.damages.iter().filter(|(other, _)| of(*other)) {
            damage.apply(&mut bytes);
        }
        bytes
    }
}

impl Damage<'_> {
    fn apply(&self, bytes: &mut Vec<u8>) {
        let len = bytes.len();
        match *self {
            Self::Flipped(at, bit) if len > 0 => bytes[usize::from(at) % len] ^= 1 << (bit % 8),
            Self::Flipped(..) => {}
            Self::Spliced(at, removed, with) => {
                let start = usize::from(at) % (len + 1);
                let end = (start + usize::from(removed)).min(len);
                bytes.splice(start..end, with.iter().copied());
            }
            Self::Truncated(at) => bytes.truncate(usize::from(at) % (len + 1)),
            Self::Swapped(file) => *bytes = sound()[usize::from(file) % NAMES.len()].clone(),
            Self::Raw(with) => *bytes = with.to_vec(),
        }
    }
}

/// The file with other contents, unless the writer rejects them.
fn edited(bytes: &[u8], edits: &[&Edit<'_>]) -> Option<Vec<u8>> {
    let reader = Reader::from_bytes(Bytes::from_bytes_vec(bytes.to_vec())).ok()?;
    let (mut scalars, mut metadata) = (reader.scalars().clone(), reader.metadata().clone());
    let tensors = reader.into_tensors().ok()?.into_iter();
    let mut tensors: Vec<_> = tensors
        .map(Tensor::into_parts)
        .collect::<Result<_, _>>()
        .ok()?;
    for edit in edits {
        let scalar = |at: &u8| {
            scalars
                .keys()
                .nth(usize::from(*at) % scalars.len().max(1))
                .cloned()
        };
        let index = |at: &u8| usize::from(*at) % tensors.len().max(1);
        match edit {
            Edit::Scalar(at, number) => {
                scalars.extend(scalar(at).map(|name| (name, number.scalar())));
            }
            Edit::NewScalar(name, number) => {
                scalars.insert((*name).into(), number.scalar());
            }
            Edit::NoScalar(at) => {
                scalar(at).map(|name| scalars.remove(&name));
            }
            Edit::Metadata(key, value) => {
                metadata.insert((*key).into(), (*value).into());
            }
            Edit::NoTensor(at) if !tensors.is_empty() => {
                tensors.remove(index(at));
            }
            Edit::Twice(at, name) if !tensors.is_empty() => {
                let mut twice = tensors[index(at)].clone();
                twice.0 = (*name).into();
                tensors.push(twice);
            }
            Edit::Shape(at, _)
            | Edit::Values(at, ..)
            | Edit::Type(at, _)
            | Edit::Identity(at, _)
            | Edit::Name(at, _)
                if !tensors.is_empty() =>
            {
                let index = index(at);
                let identity = |of: &u8| tensors[usize::from(*of) % tensors.len()].3;
                let other = match edit {
                    Edit::Identity(_, of) => of.as_ref().and_then(identity),
                    _ => None,
                };
                let (name, dtype, shape, id, bytes) = &mut tensors[index];
                let mut values = bytes.to_vec();
                match edit {
                    Edit::Shape(_, sizes) => {
                        *shape = sizes
                            .iter()
                            .take(6)
                            .map(|size| usize::from(*size))
                            .collect::<Vec<_>>()
                            .into();
                    }
                    Edit::Values(_, start, with) => {
                        let values = values.iter_mut().skip(usize::from(*start));
                        values.zip(*with).for_each(|(value, with)| *value = *with);
                    }
                    Edit::Type(_, other) => *dtype = TYPES[usize::from(*other) % TYPES.len()],
                    Edit::Identity(..) => *id = other,
                    Edit::Name(_, other) => *name = (*other).into(),
                    _ => {}
                }
                let elements: usize = shape.iter().product();
                // Only so much fits in what is worth trying.
                values.resize((elements * dtype.size()).min(1 << 16), 0);
                *bytes = Bytes::from_bytes_vec(values);
            }
            _ => {}
        }
    }
    let tensors = tensors
        .into_iter()
        .map(|(name, dtype, shape, id, bytes)| Tensor::new(name, dtype, shape, id, bytes));
    let mut writer = Writer::new(tensors.collect());
    for (name, value) in &scalars {
        writer = writer.with_scalar(name, *value);
    }
    for (key, value) in &metadata {
        writer = writer.with_metadata(key, value);
    }
    Some(writer.into_bytes().ok()?.to_vec())
}
