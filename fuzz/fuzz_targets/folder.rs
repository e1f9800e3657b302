//! Whatever stands in the index, the headers and the configuration of a Llama: it is rejected with a
//! typed error and nothing looks whole, or it is expanded into a folder that is what the plan says.
//! Nothing is written anywhere but into that folder.
#![no_main]

#[allow(dead_code)] // The tests use more of it.
#[path = "../../crates/burn-grow-cli/tests/it/common/mod.rs"]
mod common;
mod text;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::OnceLock;

use arbitrary::Arbitrary;
use burn_grow_cli::expand::Job;
use burn_grow_cli::family::shipped;
use burn_grow_cli::verify::verify;
use burn_grow_cli::{Error, Family, Folder, Model};
use burn_grow_core::{Expansion, InitPair};
use common::{Dir, llama};
use libfuzzer_sys::fuzz_target;
use text::{Format, Text};
use toml::{Table, Value};

const INDEX: &str = "model.safetensors.index.json";
/// A file of weights beside the folder, where an index must not lead.
const SECRET: &str = "secret.safetensors";
/// Bytes that a tensor may have here once its place follows from its shape.
const BYTES: usize = 1 << 12;

/// What a tensor is called instead.
const NAMES: [&str; 8] = [
    "model.layers.18446744073709551615.input_layernorm.weight",
    "model.layers.1000000000000.input_layernorm.weight",
    "model.layers.2.mlp.up_proj.weight",
    "layers.0.input_layernorm.weight",
    "model.layers.0.self_attn.rotary_emb.inv_freq",
    "score.weight",
    "__metadata__",
    "",
];
/// Where the index says that it is.
const PLACES: [&str; 8] = [
    "../secret.safetensors",
    "../../a/secret.safetensors",
    "model.safetensors",
    "model-00001-of-00002.safetensors",
    "config.json",
    "..",
    "/",
    "",
];
const TYPES: [(&str, usize); 8] = [
    ("F32", 32),
    ("F16", 16),
    ("BF16", 16),
    ("F64", 64),
    ("I64", 64),
    ("F8_E4M3", 8),
    ("F4", 4),
    ("BOOL", 8),
];

fuzz_target!(|input: Input<'_>| {
    let parent = ["/dev/shm", "/tmp", "."].map(Path::new);
    let parent = parent.into_iter().find(|parent| parent.is_dir());
    let root = tempfile::tempdir_in(parent.expect("a folder")).expect("a folder");
    let above = root.path().join("a");
    let (from, out) = (above.join("model"), above.join("out"));
    fs::create_dir_all(&from).expect("a folder");
    let sound = sound(input.sharded);
    fs::write(above.join(SECRET), &sound.weights[0].1).expect("written");
    input.write(sound, &from);
    let before = files(root.path());
    if let Err(error) = expand(&from, &out, &input.expansion()) {
        assert!(!error.to_string().is_empty());
        assert!(!out.exists(), "{error}");
    }
    let mut after = files(root.path());
    after.retain(|path, _| !path.starts_with("a/out/") && !path.starts_with("a/out.partial/"));
    assert_eq!(after, before);
});

/// Expands a folder, and checks that the result is whole and what the plan makes.
fn expand(from: &Path, out: &Path, expansion: &Expansion) -> Result<(), Error> {
    let open = |folder| Model::of(folder, family().clone(), &[]);
    let model = open(Folder::open(from)?)?;
    model.inspect()?;
    let growth = model.grow(expansion)?;
    let mut made = growth.new_folder(expansion);
    made.region = Some(growth.region());
    let job = Job {
        shard_bytes: 600,
        ..Job::new(&made, out)
    };
    job.write(&mut ())?;
    assert!(!out.with_file_name("out.partial").exists());
    let wide = Folder::open(out).expect("whole");
    let verified = verify(&made, &wide, &mut ()).expect("readable");
    assert_eq!(verified.differences, []);
    let again = open(wide).expect("of the family");
    again.inspect().expect("of the family");
    Ok(())
}

/// The family of all folders here: reading those that there are takes longer than all the rest.
fn family() -> &'static Family {
    static FAMILY: OnceLock<Family> = OnceLock::new();
    FAMILY.get_or_init(|| {
        let mut shipped = shipped().expect("sound").into_iter();
        shipped
            .find(|family| family.name == "llama")
            .expect("Llama")
    })
}

/// Every file under `root`, by its path from there.
fn files(root: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let name = path.strip_prefix(root).expect("inside");
            let name = name.to_str().expect("a name").to_owned();
            found.insert(name, fs::read(&path).expect("a file"));
        }
    }
    found
}

/// The files of a sound folder.
struct Sound {
    config: Value,
    index: Value,
    /// Names of files of weights, with their bytes.
    weights: Vec<(String, Vec<u8>)>,
}

fn sound(sharded: bool) -> &'static Sound {
    static SOUND: OnceLock<[Sound; 2]> = OnceLock::new();
    let sound = SOUND.get_or_init(|| [llama(), common::sharded(|_| {})].map(|it| Sound::of(&it)));
    &sound[usize::from(sharded)]
}

impl Sound {
    fn of(folder: &Dir) -> Self {
        let mut weights: Vec<(String, Vec<u8>)> = Vec::new();
        let mut index = Value::Table(Table::new());
        for (name, bytes) in files(&folder.path()) {
            if name.ends_with(".safetensors") {
                weights.push((name, bytes));
            } else if name == INDEX {
                index = serde_json::from_slice(&bytes).expect("an index");
            }
        }
        let config = folder.config.to_string();
        Self {
            config: serde_json::from_str(&config).expect("a configuration"),
            index,
            weights,
        }
    }
}

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    sharded: bool,
    expansion: u8,
    config: Option<Text<'a>>,
    index: Option<Text<'a>>,
    /// Tensors by number, each with another place in the index.
    places: Vec<(u8, u8)>,
    /// A single file may lie beside an index, and an index beside a single file.
    more: bool,
    weights: [Option<Weights<'a>>; 2],
}

/// How a file of weights is another than it should be.
#[derive(Arbitrary, Debug)]
struct Weights<'a> {
    missing: bool,
    header: Text<'a>,
    lies: Vec<(u8, Lie)>,
    /// Places follow from types and shapes, so that the rest can be looked at.
    placed: bool,
    /// The size of the header that the file begins with, if it is another.
    size: Option<u64>,
    /// Bytes that the file has too many, or too few.
    longer: i8,
}

/// What is said of a tensor instead.
#[derive(Arbitrary, Debug)]
enum Lie {
    Name(u8),
    Type(u8),
    /// The size of a dimension, about a power of two.
    Size(u8, u8, i8),
    /// One dimension more, or one less.
    Rank(bool),
}

impl Input<'_> {
    fn expansion(&self) -> Expansion {
        match self.expansion % 8 {
            0 => Expansion::by("hidden", 1.5),
            1 => Expansion::by("kv_heads", 2.0),
            2 => Expansion::to("layers", 3),
            3 => Expansion::to("vocab", 9).with_seed(7),
            4 => Expansion::by("inner", 2.0)
                .and_by("hidden", 2.0)
                .and_by("layers", 2.0),
            5 => Expansion::by("inner", 1.5).with_init(InitPair::RANDOM_ZERO),
            6 => Expansion::default(),
            _ => Expansion::by("inner", 2.0),
        }
    }

    fn write(&self, sound: &Sound, to: &Path) {
        let write = |name: &str, bytes: Vec<u8>| fs::write(to.join(name), bytes).expect("written");
        let text = |text: &Option<Text<'_>>, value: &Value| match text {
            Some(text) => text.write(value, Format::Json, |_| {}).unwrap_or_default(),
            None => serde_json::to_vec(value).expect("JSON"),
        };
        write("config.json", text(&self.config, &sound.config));
        if self.sharded || self.more {
            let mut index = sound.index.clone();
            self.misplace(&mut index);
            write(INDEX, text(&self.index, &index));
        }
        if self.sharded && self.more {
            write("model.safetensors", sound.weights[0].1.clone());
        }
        for ((name, bytes), weights) in sound.weights.iter().zip(&self.weights) {
            match weights {
                None => write(name, bytes.clone()),
                Some(weights) if weights.missing => {}
                Some(weights) => write(name, weights.bytes(bytes)),
            }
        }
    }

    /// Tensors that the index looks for elsewhere.
    fn misplace(&self, index: &mut Value) {
        let Some(Value::Table(places)) = index.get_mut("weight_map") else {
            return;
        };
        for (at, to) in self.places.iter().take(8) {
            let count = places.len().max(1);
            if let Some((_, place)) = places.iter_mut().nth(usize::from(*at) % count) {
                *place = PLACES[usize::from(*to) % PLACES.len()].into();
            }
        }
    }
}

impl Weights<'_> {
    fn bytes(&self, sound: &[u8]) -> Vec<u8> {
        let (size, rest) = sound.split_at(8);
        let size = u64::from_le_bytes(size.try_into().expect("eight bytes")) as usize;
        let (header, data) = rest.split_at(size);
        let header: Value = serde_json::from_slice(header).expect("a header");
        let mut length = data.len();
        let finish = |header: &mut Value| {
            if let Value::Table(tensors) = header {
                for (at, lie) in self.lies.iter().take(8) {
                    lie.tell(usize::from(*at), tensors);
                }
                if self.placed {
                    length = place(tensors);
                }
            }
        };
        let text = self.header.write(&header, Format::Json, finish);
        let text = text.unwrap_or_default();
        let size = self.size.unwrap_or(text.len() as u64);
        let mut file = size.to_le_bytes().to_vec();
        file.extend(text);
        let length = length.saturating_add_signed(self.longer.into());
        file.extend(data.iter().cycle().take(length));
        file
    }
}

impl Lie {
    fn tell(&self, at: usize, tensors: &mut Table) {
        let count = tensors.len().max(1);
        let Some(name) = tensors.keys().nth(at % count).cloned() else {
            return;
        };
        if let Self::Name(to) = self {
            let to = NAMES[usize::from(*to) % NAMES.len()];
            if let Some(tensor) = tensors.remove(&name) {
                tensors.insert(to.into(), tensor);
            }
            return;
        }
        let Some(Value::Table(tensor)) = tensors.get_mut(&name) else {
            return;
        };
        if let Self::Type(to) = self {
            let (to, _) = TYPES[usize::from(*to) % TYPES.len()];
            tensor.insert("dtype".into(), to.into());
            return;
        }
        let Some(Value::Array(shape)) = tensor.get_mut("shape") else {
            return;
        };
        match self {
            Self::Size(dim, bit, by) => {
                let count = shape.len().max(1);
                if let Some(size) = shape.get_mut(usize::from(*dim) % count) {
                    *size = (1_i64 << (bit % 63)).wrapping_add((*by).into()).into();
                }
            }
            Self::Rank(true) => shape.push(Value::Integer(1)),
            _ => {
                shape.pop();
            }
        }
    }
}

/// Gives every tensor the place that its type and shape ask for. Returns where they end.
fn place(tensors: &mut Table) -> usize {
    let mut end = 0;
    for tensor in tensors
        .iter_mut()
        .filter_map(|(_, tensor)| tensor.as_table_mut())
    {
        if let Some(length) = length(tensor) {
            let offsets = [end, end + length].map(|at| Value::Integer(at as i64));
            tensor.insert("data_offsets".into(), offsets.to_vec().into());
            end += length;
        }
    }
    end
}

/// The bytes of a tensor, if it may have so many.
fn length(tensor: &Table) -> Option<usize> {
    let dtype = tensor.get("dtype")?.as_str()?;
    let (_, bits) = TYPES.iter().find(|(name, _)| *name == dtype)?;
    let shape = tensor.get("shape")?.as_array()?;
    let sizes = shape
        .iter()
        .map(|size| usize::try_from(size.as_integer()?).ok());
    let bits = sizes
        .into_iter()
        .try_fold(*bits, |bits, size| bits.checked_mul(size?))?;
    (bits % 8 == 0 && bits / 8 <= BYTES).then_some(bits / 8)
}
