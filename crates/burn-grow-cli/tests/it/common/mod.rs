//! Folders written by hand: nothing here is code of the crate but what is under test.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use burn_grow_cli::expand::{Job, Progress, Written};
use burn_grow_cli::{Error, Model};
use burn_grow_core::{Expansion, fnv1a};
use serde_json::{Map, Value, json};
use tempfile::TempDir;

/// Which file of a folder holds which tensor.
pub(crate) const INDEX: &str = "model.safetensors.index.json";

/// A tensor in memory.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Array {
    pub(crate) dtype: String,
    pub(crate) shape: Vec<usize>,
    pub(crate) bytes: Vec<u8>,
}

pub(crate) type Arrays = BTreeMap<String, Array>;

impl Array {
    pub(crate) fn f32(shape: &[usize], values: &[f32]) -> Self {
        assert_eq!(shape.iter().product::<usize>(), values.len());
        Self {
            dtype: "F32".into(),
            shape: shape.to_vec(),
            bytes: values
                .iter()
                .flat_map(|value| value.to_le_bytes())
                .collect(),
        }
    }

    /// Reads the numbers of a tensor of `F32`.
    pub(crate) fn values(&self) -> Vec<f32> {
        assert_eq!(self.dtype, "F32");
        let (values, _) = self.bytes.as_chunks();
        values
            .iter()
            .map(|value| f32::from_le_bytes(*value))
            .collect()
    }

    /// The numbers as `BF16`, which the ones of [`value`] are but for those near one.
    pub(crate) fn halved(&self) -> Self {
        let values = self.values();
        let upper = values.iter().flat_map(|value| {
            let [_, _, low, high] = value.to_le_bytes();
            [low, high]
        });
        Self {
            dtype: "BF16".into(),
            shape: self.shape.clone(),
            bytes: upper.collect(),
        }
    }
}

/// The number at place `index` of a tensor: between -1/8 and 1/8, or around 1 in a vector. Exact in
/// single precision, and the same in `golden.py`.
pub(crate) fn value(name: &str, shape: &[usize], index: usize) -> f32 {
    let mixed = (index as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let mixed = fnv1a(name.as_bytes()).wrapping_add(mixed);
    let mixed = (mixed ^ (mixed >> 31)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let number = (mixed >> 48) as f32 / 65_536.0 - 0.5;
    number / 4.0 + if shape.len() == 1 { 1.0 } else { 0.0 }
}

pub(crate) fn array(name: &str, shape: &[usize]) -> Array {
    let elements = shape.iter().product();
    let values: Vec<f32> = (0..elements)
        .map(|index| value(name, shape, index))
        .collect();
    Array::f32(shape, &values)
}

/// The matrix whose element at `(row, column)` is that of `old` at `row(row)` and `column(column)`,
/// times `factor`.
pub(crate) fn mapped(
    old: &Array,
    shape: [usize; 2],
    at: impl Fn(usize, usize) -> (usize, usize),
    factor: f32,
) -> Array {
    let values = old.values();
    let places = (0..shape[0]).flat_map(|row| (0..shape[1]).map(move |column| (row, column)));
    let new = places.map(|(row, column)| {
        let (row, column) = at(row, column);
        values[row * old.shape[1] + column] * factor
    });
    Array::f32(&shape, &new.collect::<Vec<_>>())
}

/// The bytes of a safetensors file.
pub(crate) fn safetensors(arrays: &Arrays) -> Vec<u8> {
    let mut header = Map::new();
    header.insert("__metadata__".into(), json!({ "format": "pt" }));
    let mut data = Vec::new();
    for (name, array) in arrays {
        let begin = data.len();
        data.extend(&array.bytes);
        let entry = json!({
            "dtype": array.dtype,
            "shape": array.shape,
            "data_offsets": [begin, data.len()],
        });
        header.insert(name.clone(), entry);
    }
    with_header(&Value::Object(header).to_string(), &data)
}

/// A file with this header and these bytes behind it.
pub(crate) fn with_header(header: &str, data: &[u8]) -> Vec<u8> {
    let mut file = (header.len() as u64).to_le_bytes().to_vec();
    file.extend(header.bytes());
    file.extend(data);
    file
}

/// Reads every tensor of the model in a folder, by a reader that knows nothing of the crate.
pub(crate) fn read(folder: &Path) -> Arrays {
    let mut arrays = Arrays::new();
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().expect("a name").to_string_lossy();
        if name.starts_with("model") && name.ends_with(".safetensors") {
            arrays.extend(read_file(&path));
        }
    }
    arrays
}

/// Reads every tensor of a file.
pub(crate) fn read_file(path: &Path) -> Arrays {
    let bytes = std::fs::read(path).expect("a file");
    let (size, rest) = bytes.split_at(8);
    let size = u64::from_le_bytes(size.try_into().expect("eight bytes")) as usize;
    let header: Map<String, Value> = serde_json::from_slice(&rest[..size]).expect("JSON");
    let tensors = header
        .into_iter()
        .filter(|(name, _)| name != "__metadata__");
    let arrays = tensors.map(|(name, entry)| {
        let offsets = [0, 1].map(|at| entry["data_offsets"][at].as_u64().expect("a place"));
        let [begin, end] = offsets.map(|at| size + at as usize);
        let array = Array {
            dtype: entry["dtype"].as_str().expect("a type").into(),
            shape: serde_json::from_value(entry["shape"].clone()).expect("a shape"),
            bytes: rest[begin..end].to_vec(),
        };
        (name, array)
    });
    arrays.collect()
}

/// Ends an expansion after so many bytes, as a crash would: nothing is tidied up.
pub(crate) struct Crash(pub(crate) u64);

impl Progress for Crash {
    fn begin(&mut self, _bytes: u64) {}

    fn advance(&mut self, bytes: u64) {
        self.0 = self.0.saturating_sub(bytes);
        assert!(self.0 > 0, "a crash");
    }
}

/// A folder that goes when the test ends.
pub(crate) struct Dir {
    root: TempDir,
    pub(crate) config: Value,
    pub(crate) arrays: Arrays,
}

impl Dir {
    pub(crate) fn new(config: Value, arrays: Arrays) -> Self {
        let root = tempfile::tempdir().expect("a folder");
        let folder = Self {
            root,
            config,
            arrays,
        };
        std::fs::create_dir(folder.path()).expect("a folder");
        folder.write();
        folder
    }

    /// Writes what it says again.
    pub(crate) fn write(&self) {
        self.file("config.json", self.config.to_string());
        self.file("model.safetensors", safetensors(&self.arrays));
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.root.path().join("model")
    }

    pub(crate) fn out(&self) -> PathBuf {
        self.root.path().join("out")
    }

    pub(crate) fn file(&self, name: &str, bytes: impl AsRef<[u8]>) {
        std::fs::write(self.path().join(name), bytes).expect("written");
    }

    pub(crate) fn remove(&self, name: &str) {
        std::fs::remove_file(self.path().join(name)).expect("removed");
    }

    pub(crate) fn open(&self) -> Result<Model, Error> {
        Model::open(&self.path(), None, &[])
    }

    /// Expands into [`out`](Self::out).
    pub(crate) fn expand(&self, expansion: &Expansion) -> Result<Written, Error> {
        self.expand_in_shards(expansion, u64::MAX)
    }

    pub(crate) fn expand_in_shards(
        &self,
        expansion: &Expansion,
        shard_bytes: u64,
    ) -> Result<Written, Error> {
        let model = self.open()?;
        let growth = model.grow(expansion)?;
        let (made, out) = (growth.new_folder(expansion), self.out());
        let job = Job {
            shard_bytes,
            ..Job::new(&made, &out)
        };
        job.write(&mut ())
    }

    /// Expands, and reads the result.
    pub(crate) fn expanded(&self, expansion: &Expansion) -> (Value, Arrays) {
        let out = self.out();
        if out.exists() {
            std::fs::remove_dir_all(&out).expect("removed");
        }
        self.expand(expansion).expect("expanded");
        (config(&out), read(&out))
    }
}

pub(crate) fn assert_same(found: &Arrays, expected: &Arrays) {
    let names = |arrays: &Arrays| arrays.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(found), names(expected));
    for (name, array) in expected {
        assert!(found[name] == *array, "{name}: {:?}", found[name]);
    }
}

pub(crate) fn config(folder: &Path) -> Value {
    let text = std::fs::read_to_string(folder.join("config.json")).expect("a configuration");
    serde_json::from_str(&text).expect("JSON")
}

/// A small Llama: vocabulary 7, hidden 8, inner 6, two key heads of two queries of two coordinates
/// each, two layers.
pub(crate) fn llama() -> Dir {
    let config = json!({
        "model_type": "llama",
        "architectures": ["LlamaForCausalLM"],
        "vocab_size": 7,
        "hidden_size": 8,
        "intermediate_size": 6,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "rms_norm_eps": 1e-5,
        "tie_word_embeddings": false,
    });
    Dir::new(config, llama_arrays())
}

pub(crate) fn llama_arrays() -> Arrays {
    let mut shapes: Vec<(String, Vec<usize>)> = vec![
        ("model.embed_tokens.weight".into(), vec![7, 8]),
        ("model.norm.weight".into(), vec![8]),
        ("lm_head.weight".into(), vec![7, 8]),
    ];
    for layer in 0..2 {
        let mut add = |name: &str, shape: &[usize]| {
            shapes.push((
                format!("model.layers.{layer}.{name}.weight"),
                shape.to_vec(),
            ));
        };
        add("input_layernorm", &[8]);
        add("post_attention_layernorm", &[8]);
        add("self_attn.q_proj", &[8, 8]);
        add("self_attn.k_proj", &[4, 8]);
        add("self_attn.v_proj", &[4, 8]);
        add("self_attn.o_proj", &[8, 8]);
        add("mlp.gate_proj", &[6, 8]);
        add("mlp.up_proj", &[6, 8]);
        add("mlp.down_proj", &[8, 6]);
    }
    let arrays = shapes.into_iter().map(|(name, shape)| {
        let array = array(&name, &shape);
        (name, array)
    });
    arrays.collect()
}

/// A folder of two shards, with the index that `change` makes of the right one.
pub(crate) fn sharded(change: impl FnOnce(&mut Value)) -> Dir {
    let folder = llama();
    folder.remove("model.safetensors");
    let mut shards = [Arrays::new(), Arrays::new()];
    let mut files = BTreeMap::new();
    for (name, array) in &folder.arrays {
        let shard = usize::from(name.contains("layers.1"));
        shards[shard].insert(name.clone(), array.clone());
        files.insert(name.clone(), shard_name(shard));
    }
    for (index, arrays) in shards.iter().enumerate() {
        folder.file(&shard_name(index), safetensors(arrays));
    }
    let mut index = json!({ "metadata": { "total_size": 1 }, "weight_map": files });
    change(&mut index);
    folder.file(INDEX, index.to_string());
    folder
}

pub(crate) fn shard_name(index: usize) -> String {
    format!("model-0000{}-of-00002.safetensors", index + 1)
}
