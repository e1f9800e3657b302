//! Whatever lies where a checkpoint should be is rejected with a typed error or can be resumed from.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::OnceLock;

use crate::harness::{Net, Strategy, adamw, run};
use burn::module::Module;
use burn::store::ModuleRecord;
use burn::tensor::{DType, Device, Shape, TensorData};
use burn_grow::TrainError;
use burn_grow::prelude::*;
use burn_grow::train::CheckpointError;
use burn_grow::{Growth, Rewarmup};
use burn_pack::{Bytes, Reader, Scalar, Writer};
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::strategy::Strategy as Generated;
use rstest::rstest;

/// Name, type, shape, parameter and bytes of a tensor.
type Entry = (String, DType, Shape, Option<u64>, Bytes);
type Scalars = BTreeMap<String, Scalar>;

const NAMES: [&str; 3] = ["model-1.bpk", "optim-1.bpk", "scheduler-1.bpk"];

fn narrow() -> Net {
    Net::new(4, 4, 0.0, &Device::flex().autodiff())
}

fn grow(expansion: Expansion) -> Growth {
    Growth::new(expansion).with_rewarmup(Rewarmup::cosine(0.0).paper())
}

fn callback() -> WidthExpansionCallback {
    WidthExpansionCallback::builder(Strategy::Single.total_steps())
        .expand(At::step(3), grow(Expansion::by("inner", 2.0)))
        .expand(At::step(9), grow(Expansion::by("hidden", 1.5)))
        .build(&narrow())
        .unwrap()
}

/// The files of a checkpoint after an expansion, model first.
fn sound() -> &'static [Vec<u8>; 3] {
    static FILES: OnceLock<[Vec<u8>; 3]> = OnceLock::new();
    FILES.get_or_init(|| {
        let directory = tempfile::tempdir().unwrap();
        run(&callback(), directory.path(), Strategy::Single, None, 1);
        NAMES.map(|name| fs::read(directory.path().join("checkpoint").join(name)).unwrap())
    })
}

/// The sound checkpoint in `directory`, but for one of its files.
fn write(directory: &Path, file: usize, bytes: &[u8]) {
    let checkpoints = directory.join("checkpoint");
    fs::create_dir_all(&checkpoints).unwrap();
    for (other, name) in NAMES.iter().enumerate() {
        let bytes = if other == file {
            bytes
        } else {
            &sound()[other]
        };
        fs::write(checkpoints.join(name), bytes).unwrap();
    }
}

/// What the check says of the sound checkpoint but for one of its files, which it leaves as it is.
fn rejection(file: usize, bytes: &[u8]) -> String {
    let directory = tempfile::tempdir().unwrap();
    write(directory.path(), file, bytes);
    let checked = callback().check_checkpoint(directory.path(), 1, &narrow());
    let found = fs::read(directory.path().join("checkpoint").join(NAMES[file])).unwrap();
    assert_eq!(found, bytes);
    checked.unwrap_err().to_string()
}

fn reader(file: usize) -> Reader {
    Reader::from_bytes(Bytes::from_bytes_vec(sound()[file].clone())).unwrap()
}

/// The file again, with these tensors and scalars.
fn rewritten(file: usize, tensors: Vec<burn_pack::Tensor>, scalars: Scalars) -> Vec<u8> {
    let mut writer = Writer::new(tensors);
    for (name, value) in scalars {
        writer = writer.with_scalar(&name, value);
    }
    for (name, text) in reader(file).metadata() {
        writer = writer.with_metadata(name, text);
    }
    writer.into_bytes().unwrap().to_vec()
}

/// What happened to a file.
#[derive(Clone, Debug)]
enum Damage {
    Truncated(Index),
    Extended(Vec<u8>),
    Flipped(Vec<(Index, u8)>),
    /// Only in what describes the tensors: there most bits count.
    HeadFlipped(Vec<(Index, u8)>),
    Replaced(Vec<u8>),
    Swapped(usize),
    Zeroed(Index, usize),
}

fn damage() -> impl Generated<Value = Damage> {
    let flips = || prop::collection::vec((any::<Index>(), 0_u8..8), 1..4);
    prop_oneof![
        1 => any::<Index>().prop_map(Damage::Truncated),
        1 => prop::collection::vec(any::<u8>(), 1..300).prop_map(Damage::Extended),
        1 => flips().prop_map(Damage::Flipped),
        4 => flips().prop_map(Damage::HeadFlipped),
        1 => prop::collection::vec(any::<u8>(), 0..300).prop_map(Damage::Replaced),
        1 => (0_usize..3).prop_map(Damage::Swapped),
        1 => (any::<Index>(), 1_usize..600)
            .prop_map(|(at, length)| Damage::Zeroed(at, length)),
    ]
}

impl Damage {
    fn apply(&self, file: usize) -> Vec<u8> {
        let mut bytes = sound()[file].clone();
        let head = u32::from_le_bytes(bytes[6..10].try_into().unwrap()) as usize + 10;
        let mut flip = |flips: &[(Index, u8)], length| {
            for (at, bit) in flips {
                bytes[at.index(length)] ^= 1 << bit;
            }
        };
        match self {
            Self::Truncated(at) => bytes.truncate(at.index(bytes.len())),
            Self::Extended(more) => bytes.extend(more),
            Self::Flipped(flips) => flip(flips, sound()[file].len()),
            Self::HeadFlipped(flips) => flip(flips, head),
            Self::Replaced(other) => bytes = other.clone(),
            Self::Swapped(other) => bytes = sound()[*other].clone(),
            Self::Zeroed(at, length) => {
                let start = at.index(bytes.len());
                let end = (start + length).min(bytes.len());
                bytes[start..end].fill(0);
            }
        }
        bytes
    }
}

/// Runs `act` and says whether it panicked, which is not printed.
fn panics<T>(act: impl FnOnce() -> T) -> Result<T, ()> {
    static QUIET: OnceLock<()> = OnceLock::new();
    QUIET.get_or_init(|| std::panic::set_hook(Box::new(|_| {})));
    catch_unwind(AssertUnwindSafe(act)).map_err(|_| ())
}

/// Reads a file as Burn does, whatever it is.
fn load(directory: &Path) {
    let path = |name| directory.join("checkpoint").join(name);
    if let Ok(record) = ModuleRecord::load(path(NAMES[0])) {
        let _ = callback().wrap(narrow()).try_load_record(record);
    }
    let _ = adamw().load(path(NAMES[1]));
}

/// `PROPTEST_CASES` asks for more.
fn config() -> ProptestConfig {
    let given = std::env::var_os("PROPTEST_CASES").is_some();
    let default = ProptestConfig::default();
    ProptestConfig {
        cases: if given { default.cases } else { 150 },
        failure_persistence: None,
        ..default
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn a_damaged_checkpoint_is_rejected_or_resumed_from(file in 0_usize..3, damage in damage()) {
        let directory = tempfile::tempdir().unwrap();
        let damaged = damage.apply(file);
        write(directory.path(), file, &damaged);
        let checked = panics(|| callback().check_checkpoint(directory.path(), 1, &narrow()));
        let good = panics(|| callback().last_good_epoch(directory.path(), &narrow()));
        for (other, name) in NAMES.iter().enumerate() {
            let expected = if other == file { &damaged } else { &sound()[other] };
            let found = fs::read(directory.path().join("checkpoint").join(name)).unwrap();
            prop_assert_eq!(&found, expected);
        }
        match checked {
            Err(()) => prop_assert!(false, "the check panicked"),
            Ok(Err(error)) => {
                prop_assert!(matches!(error, TrainError::Checkpoint { .. }), "{}", error);
                prop_assert!(matches!(good, Ok(Err(_))));
            }
            Ok(Ok(_)) => {
                let epoch = good.map(|good| good.map(|good| good.map(|good| good.epoch)));
                prop_assert!(matches!(epoch, Ok(Ok(Some(1)))));
                let resumed = panics(|| {
                    run(&callback(), directory.path(), Strategy::Single, Some(1), 2)
                });
                prop_assert!(resumed.is_ok(), "passed the check, then panicked");
            }
        }
    }

    #[test]
    fn reading_a_damaged_pack_panics_never(file in 0_usize..3, damage in damage()) {
        let bytes = damage.apply(file);
        let read = panics(|| {
            let reader = Reader::from_bytes(Bytes::from_bytes_vec(bytes)).ok()?;
            let tensors = reader.into_tensors().ok()?;
            tensors.into_iter().try_for_each(|tensor| tensor.into_bytes().map(drop)).ok()
        });
        prop_assert!(read.is_ok());
    }
}

/// What no optimizer writes, in sound bytes.
#[rstest]
#[case::of_no_parameter("5.__rank", Some(Scalar::UInt(100)), "belongs to no parameter")]
#[case::of_a_rank_beside("+{id}.__rank", Some(Scalar::UInt(1)), "belongs to no parameter")]
#[case::of_no_rank("{id}.__rank", None, "does not follow its parameter")]
#[case::of_another_rank("{id}.__rank", Some(Scalar::UInt(7)), "does not follow its parameter")]
#[case::after_too_many_steps("{id}.time", Some(Scalar::UInt(u64::MAX)), "counts more steps")]
#[case::of_too_old_a_region("{id}.grow.0.age", Some(Scalar::UInt(u64::MAX)), "is no region")]
#[case::of_half_a_region("{id}.grow.0.age", None, "is no region")]
#[case::of_a_region_without_a_version("{id}.grow.0.version", None, "is no region")]
#[case::of_a_later_version("{id}.grow.0.version", Some(Scalar::UInt(2)), "of a version that this")]
#[case::of_a_region_out_of_turn(
    "{id}.grow.7.rho",
    Some(Scalar::Float(1.0)),
    "entries of no region"
)]
#[case::of_a_region_with_more("{id}.grow.0.more", Some(Scalar::UInt(1)), "entries of no region")]
#[case::of_no_rate("{id}.grow.0.rho", Some(Scalar::Float(f64::NAN)), "is NaN")]
fn a_state_of_odd_scalars_is_rejected(
    #[case] name: &str,
    #[case] value: Option<Scalar>,
    #[case] expected: &str,
) {
    let grown = reader(1).scalars().clone();
    let grown = grown
        .keys()
        .filter_map(|name| name.strip_suffix(".grow.0.age"));
    let grown: Vec<_> = grown.map(str::to_owned).collect();
    let stateless = |id: &String| {
        let tensors = reader(1).into_tensors().unwrap();
        !tensors
            .iter()
            .any(|tensor| tensor.param_id == id.parse().ok())
    };
    assert!(
        grown.iter().any(stateless),
        "the idle parameter has a region and no tensor"
    );
    for id in grown {
        let mut scalars = reader(1).scalars().clone();
        let name = name.replace("{id}", &id);
        match value {
            Some(value) => scalars.insert(name, value),
            None => scalars.remove(&name),
        };
        let tensors = reader(1).into_tensors().unwrap();
        let error = rejection(1, &rewritten(1, tensors, scalars));
        assert!(error.contains(expected), "{error}");
    }
}

/// Whoever mends one fault after the other is told of the first one left, the same every time.
#[test]
fn of_several_faults_the_first_is_named() {
    let all = || reader(0).into_tensors().unwrap();
    let mut names: Vec<_> = all().into_iter().map(|tensor| tensor.name).collect();
    names.retain(|name| name.contains("weight"));
    names.sort();
    assert!(names.len() > 2);
    for kept in 0..names.len() {
        let mut tensors = all();
        tensors.retain(|tensor| !names[kept..].contains(&tensor.name));
        let error = rejection(0, &rewritten(0, tensors, reader(0).scalars().clone()));
        let expected = format!("parameter `{}` is missing", names[kept]);
        assert!(error.contains(&expected), "{error}");
    }
    let mut scalars = reader(1).scalars().clone();
    let ranks = scalars.keys().filter(|name| name.ends_with(".__rank"));
    let mut ranks: Vec<String> = ranks.cloned().collect();
    ranks.sort_by_key(|name| name.split_once('.').unwrap().0.parse::<u64>().unwrap());
    assert!(ranks.len() > 2);
    for rank in ranks.iter().rev() {
        scalars.insert(rank.clone(), Scalar::UInt(7));
        let tensors = reader(1).into_tensors().unwrap();
        let error = rejection(1, &rewritten(1, tensors, scalars.clone()));
        let expected = format!("state `{rank}` does not follow its parameter");
        assert!(error.contains(&expected), "{error}");
    }
}

/// The sound model file with another record of its run, one byte an integer as in every file.
fn with_record(edit: impl FnOnce(String) -> String) -> Vec<u8> {
    let mut tensors = reader(0).into_tensors().unwrap();
    let (mut pages, rest): (Vec<_>, Vec<_>) = tensors
        .drain(..)
        .partition(|tensor| tensor.name.starts_with("burn_grow."));
    pages.sort_by_key(|page| (page.name.len(), page.name.clone()));
    let bytes = pages.into_iter().flat_map(|page| {
        let (_, dtype, shape, _, bytes) = page.into_parts().unwrap();
        let data = TensorData::from_bytes(bytes, shape, dtype);
        data.iter::<i64>().collect::<Vec<_>>()
    });
    let text: Vec<u8> = bytes.map(|byte| u8::try_from(byte).unwrap()).collect();
    let mut text = edit(String::from_utf8(text).unwrap().trim_end().to_owned()).into_bytes();
    text.resize(text.len().next_multiple_of(256), b' ');
    let pages = text.chunks(256).enumerate().map(|(index, page)| {
        let values: Vec<i32> = page.iter().map(|byte| i32::from(*byte)).collect();
        let (bytes, shape, dtype) = TensorData::new(values, [256]).into_parts();
        let (name, id) = (format!("burn_grow.{index}"), Some(index as u64));
        burn_pack::Tensor::new(name, dtype, shape, id, bytes)
    });
    let tensors = rest.into_iter().chain(pages).collect();
    rewritten(0, tensors, reader(0).scalars().clone())
}

/// The error of the check and, in the same words, of Burn's loading.
fn rejected(model: &[u8]) -> CheckpointError {
    let directory = tempfile::tempdir().unwrap();
    write(directory.path(), 0, model);
    let checked = callback().check_checkpoint(directory.path(), 1, &narrow());
    let TrainError::Checkpoint { source, .. } = checked.unwrap_err() else {
        panic!("another error");
    };
    let path = directory.path().join("checkpoint").join(NAMES[0]);
    let record = ModuleRecord::load(path).unwrap();
    let loaded = callback().wrap(narrow()).try_load_record(record);
    let loaded = loaded.err().unwrap().to_string();
    assert!(loaded.contains(&source.to_string()), "{loaded}");
    source
}

#[test]
fn a_checkpoint_of_another_version_is_rejected_and_both_versions_are_named() {
    let same = with_record(|record| record);
    let directory = tempfile::tempdir().unwrap();
    write(directory.path(), 0, &same);
    callback()
        .check_checkpoint(directory.path(), 1, &narrow())
        .unwrap();
    let newer = rejected(&with_record(|record| {
        record.replace(r#""version":1"#, r#""version":7,"pace":[]"#)
    }));
    let CheckpointError::Version { found, supported } = newer else {
        panic!("{newer}");
    };
    assert_eq!((found, supported), (7, 1));
}

#[test]
fn a_checkpoint_without_a_record_of_its_run_is_rejected() {
    let tensors = reader(0).into_tensors().unwrap().into_iter();
    let mut tensors: Vec<_> = tensors
        .filter(|tensor| !tensor.name.starts_with("burn_grow."))
        .collect();
    let bare = rewritten(0, tensors.clone(), reader(0).scalars().clone());
    let error = rejected(&bare);
    assert!(matches!(error, CheckpointError::NoRun), "{error}");
    // As before there were versions.
    let (bytes, shape, dtype) = TensorData::new(vec![6_i32, 1, 0], [3]).into_parts();
    let name = "burn_grow_clock".to_owned();
    tensors.push(burn_pack::Tensor::new(name, dtype, shape, Some(0), bytes));
    let old = rewritten(0, tensors, reader(0).scalars().clone());
    let error = rejected(&old);
    assert!(matches!(error, CheckpointError::NoRun), "{error}");
}

#[rstest]
#[case::text("{", "[")]
#[case::a_negative_step(r#""step":6"#, r#""step":-6"#)]
#[case::a_step_beyond_any_run(r#""step":6"#, r#""step":18446744073709551615"#)]
#[case::an_expansion_after_the_checkpoint(r#"[{"step":3"#, r#"[{"step":9"#)]
fn a_damaged_record_of_a_run_is_rejected(#[case] from: &str, #[case] to: &str) {
    rejected(&with_record(|record| {
        assert!(record.contains(from), "{record}");
        record.replacen(from, to, 1)
    }));
}

/// Burn would load it, and mix types in the next step.
#[test]
fn a_model_in_another_float_type_is_rejected() {
    let halved = reader(0).into_tensors().unwrap().into_iter().map(|tensor| {
        let (name, dtype, shape, id, bytes) = tensor.into_parts().unwrap();
        let data = TensorData::from_bytes(bytes, shape, dtype);
        let data = match dtype {
            DType::F32 => data.convert_dtype(DType::F16),
            _ => data,
        };
        let (bytes, shape, dtype) = data.into_parts();
        burn_pack::Tensor::new(name, dtype, shape, id, bytes)
    });
    let scalars = reader(0).scalars().clone();
    let error = rejection(0, &rewritten(0, halved.collect(), scalars));
    assert!(error.contains("holds F16, not F32"), "{error}");
}

/// On these Burn's own loading panics, the check names what is wrong.
#[rstest]
#[case::of_a_state_of_no_parameter(
    |tensors: &mut [Entry], _: &mut Scalars| tensors[0].3 = None,
    "belongs to no parameter"
)]
#[case::of_a_state_without_dimensions(
    |tensors: &mut [Entry], scalars: &mut Scalars| {
        let id = tensors[0].3.unwrap();
        *scalars.get_mut(&format!("{id}.__rank")).unwrap() = Scalar::UInt(0);
    },
    "does not follow its parameter"
)]
fn the_check_is_needed(#[case] damage: fn(&mut [Entry], &mut Scalars), #[case] expected: &str) {
    let tensors = reader(1).into_tensors().unwrap().into_iter();
    let mut tensors: Vec<Entry> = tensors.map(|tensor| tensor.into_parts().unwrap()).collect();
    let mut scalars = reader(1).scalars().clone();
    damage(&mut tensors, &mut scalars);
    let tensors = tensors.into_iter().map(|(name, dtype, shape, id, bytes)| {
        burn_pack::Tensor::new(name, dtype, shape, id, bytes)
    });
    let damaged = rewritten(1, tensors.collect(), scalars);
    let error = rejection(1, &damaged);
    assert!(error.contains(expected), "{error}");
    let directory = tempfile::tempdir().unwrap();
    write(directory.path(), 1, &damaged);
    assert!(panics(|| load(directory.path())).is_err());
}
