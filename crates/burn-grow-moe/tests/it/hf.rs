//! Cases that `make.py` wrote, and how far a model is from them.

// Every test file uses a part of it.
#![allow(dead_code)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use burn::tensor::{Device, Int, Tensor, TensorData};
use burn_grow_core::{Blueprint, Expansion, Plan};
use burn_grow_moe::{MoeTransformer, Site};
use burn_store::{ModuleStore, SafetensorsStore, bridge};

use crate::common::{gradients, largest, largest_difference, values};

/// The file of a case with the outputs of `transformers`.
pub(crate) const EXPECTED: &str = "expected.safetensors";

/// A shape and its numbers.
pub(crate) type Numbers = (Vec<usize>, Vec<f64>);

/// A model that `transformers` saved, with its outputs.
pub(crate) struct Case {
    /// Family, tied or not, and how heads are shared.
    pub(crate) name: String,
    pub(crate) folder: PathBuf,
    expected: BTreeMap<String, Numbers>,
}

/// The difference of one tensor, relative to the largest number of it.
pub(crate) struct Row {
    pub(crate) tensor: String,
    pub(crate) error: f64,
}

/// The cases of a folder.
pub(crate) fn cases(folder: &Path) -> Vec<Case> {
    let mut folders: Vec<PathBuf> = std::fs::read_dir(folder)
        .expect("a folder of cases")
        .map(|entry| entry.expect("readable").path())
        .filter(|path| path.is_dir())
        .collect();
    folders.sort();
    let case = |folder: PathBuf| Case {
        name: folder.file_name().expect("named").to_string_lossy().into(),
        expected: tensors(&folder.join(EXPECTED)),
        folder,
    };
    folders.into_iter().map(case).collect()
}

/// The cases that are committed.
pub(crate) fn golden() -> Vec<Case> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden-hf");
    let cases = cases(&folder);
    assert_eq!(cases.len(), 8, "two families, tied or not, grouped or not");
    cases
}

/// Every tensor of a safetensors file.
pub(crate) fn tensors(path: &Path) -> BTreeMap<String, Numbers> {
    let mut store = SafetensorsStore::from_file(path);
    let all = store.get_all_tensors().expect("a safetensors file");
    let numbers = all.iter().map(|(name, tensor)| {
        let data = bridge::to_data(tensor).expect("read");
        let shape = data.shape().to_vec();
        (name.clone(), (shape, data.iter::<f64>().collect()))
    });
    numbers.collect()
}

impl Case {
    pub(crate) fn model(&self, device: &Device) -> MoeTransformer {
        match MoeTransformer::from_hf(&self.folder, device) {
            Ok(model) => model,
            Err(error) => panic!("{}: {error}", self.name),
        }
    }

    fn numbers(&self, name: &str) -> &Numbers {
        let found = self.expected.get(name);
        found.unwrap_or_else(|| panic!("{} has no `{name}`", self.name))
    }

    fn ids(&self, name: &str, device: &Device) -> Tensor<2, Int> {
        let (shape, ids) = self.numbers(name);
        let ids: Vec<i64> = ids.iter().map(|id| *id as i64).collect();
        Tensor::from_data(TensorData::new(ids, shape.clone()), device)
    }

    fn row(&self, name: String, found: Vec<f64>) -> Row {
        let (_, expected) = self.numbers(&name);
        let error = largest_difference(&found, expected) / largest(expected);
        Row {
            tensor: name,
            error,
        }
    }

    /// The relative error of a model's logits.
    pub(crate) fn logits_error(&self, model: &MoeTransformer, device: &Device) -> f64 {
        let logits = model.forward(self.ids("tokens", device)).logits;
        self.row("activation logits".into(), values(logits)).error
    }

    /// Everything the case knows: activations, losses and gradients. All of it is compared.
    pub(crate) fn compare(&self, device: &Device) -> Vec<Row> {
        let device = &device.clone().autodiff();
        let mut model = self.model(device);
        model.router_z_loss = self.numbers("coefficient router z-loss").1[0];

        let mut rows = Vec::new();
        let mut last = None;
        let mut see = |site: Site, activation: &Tensor<3>| {
            rows.push(self.row(format!("activation {site}"), values(activation.clone())));
            if matches!(site, Site::Block(_)) {
                last = Some(activation.clone());
            }
        };
        let output = model.forward_hooked(self.ids("tokens", device), &mut see);
        let last = last.expect("a layer");
        let normed = model.norm.forward(last);
        rows.push(self.row("activation final norm".into(), values(normed)));

        let loss = model.loss_of(&output, self.ids("targets", device));
        for (name, value) in [
            ("cross entropy", loss.cross_entropy),
            ("load balancing", loss.load_balancing),
            ("router z-loss", loss.z_loss),
            ("training loss", loss.total.clone()),
        ] {
            rows.push(self.row(format!("loss {name}"), values(value)));
        }
        for (path, gradient) in gradients(&model, &loss.total.backward()) {
            let (name, transposed) = name_of(&path);
            let name = format!("gradient {name}");
            let gradient = if transposed {
                transpose(&gradient, &self.numbers(&name).0)
            } else {
                gradient
            };
            rows.push(self.row(name, gradient));
        }
        let inputs = ["tokens", "targets", "coefficient router z-loss"];
        assert_eq!(rows.len() + inputs.len(), self.expected.len());
        rows
    }
}

/// The name of a parameter in `transformers`, and true if its matrices are transposed there.
fn name_of(path: &str) -> (String, bool) {
    let name = path
        .replace("blocks.", "model.layers.")
        .replace("embedding.", "model.embed_tokens.")
        .replace("attention_norm.", "input_layernorm.")
        .replace("feed_forward_norm.", "post_attention_layernorm.")
        .replace("attention.", "self_attn.")
        .replace("feed_forward.router.linear", "mlp.gate")
        .replace("feed_forward.", "mlp.experts.")
        .replace(".gamma", ".weight");
    let name = if name.starts_with("norm.") {
        format!("model.{name}")
    } else {
        name
    };
    let transposed = !name.contains("norm") && !name.contains("embed_tokens");
    (name, transposed)
}

/// Numbers of `[.., columns, rows]` as `[.., rows, columns]`, which is `shape`.
fn transpose(numbers: &[f64], shape: &[usize]) -> Vec<f64> {
    let (rows, columns) = (shape[shape.len() - 2], shape[shape.len() - 1]);
    let matrices = numbers.chunks(rows * columns);
    let turned = |matrix: &[f64]| -> Vec<f64> {
        let at = |row: usize, column: usize| matrix[column * rows + row];
        (0..rows)
            .flat_map(|row| (0..columns).map(move |column| at(row, column)))
            .collect()
    };
    matrices.flat_map(turned).collect()
}

/// The expansions that keep the logits and that the family of `model` can express, by name.
pub(crate) fn expressible(model: &MoeTransformer) -> Vec<(&'static str, Expansion)> {
    let inner = Expansion::by("inner", 2.0);
    let hidden = Expansion::by("hidden", 2.0);
    let of_its_own = [
        ("hidden", hidden.clone()),
        ("hidden and inner", hidden.clone().and_by("inner", 2.0)),
    ];
    // The heads of an OLMoE are as large as its stream is wide, divided by their number.
    let along = [
        (
            "hidden and kv_heads",
            hidden.clone().and_by("kv_heads", 2.0),
        ),
        (
            "hidden, queries and inner",
            hidden.and_by("queries", 2.0).and_by("inner", 2.0),
        ),
    ];
    let rest = match model.config().qk_norm {
        burn_grow_moe::QkNorm::PerHead => of_its_own,
        burn_grow_moe::QkNorm::FullWidth => along,
    };
    [("inner", inner)].into_iter().chain(rest).collect()
}

pub(crate) fn grown(model: &MoeTransformer, expansion: &Expansion) -> MoeTransformer {
    let blueprint = Blueprint::of(model).expect("described");
    let plan = Plan::new(&blueprint, expansion).expect("planned");
    plan.apply(model.clone()).expect("applied")
}
