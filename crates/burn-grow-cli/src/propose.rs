//! A family for an architecture that nobody knows, proposed from names and sizes.
//!
//! Which sizes are equal tells most: a dimension as long as `hidden_size` probably lies on
//! `hidden`. Where several sizes are equal, or a matrix may be stored either way round, the
//! proposal says so.

use std::collections::{BTreeMap, BTreeSet};

use crate::folder::{Dtype, Folder};

/// Keys of configurations and what they store.
const KEYS: [(&str, &str); 20] = [
    ("vocab_size", "vocab"),
    ("hidden_size", "hidden"),
    ("n_embd", "hidden"),
    ("d_model", "hidden"),
    ("dim", "hidden"),
    ("intermediate_size", "inner"),
    ("ffn_dim", "inner"),
    ("n_inner", "inner"),
    ("d_ff", "inner"),
    ("ffn_hidden_size", "inner"),
    ("num_hidden_layers", "layers"),
    ("n_layer", "layers"),
    ("num_layers", "layers"),
    ("n_layers", "layers"),
    ("num_attention_heads", "heads"),
    ("n_head", "heads"),
    ("n_heads", "heads"),
    ("num_experts", "experts"),
    ("num_local_experts", "experts"),
    ("n_routed_experts", "experts"),
];

/// Tensors whose names differ in numbers only.
struct Kind {
    /// The name, with axes in place of the numbers.
    name: String,
    shape: Vec<usize>,
    /// True if the first number is a stack and the last one a dimension.
    experts: bool,
}

/// Proposes a family for `folder`, as the text of a file for `--family`.
pub fn propose(folder: &Folder) -> String {
    let widths = Widths::of(folder);
    let kinds = kinds(folder);
    let model_type = folder.config.model_type().unwrap_or("unknown");
    let mut text = format!(
        "# Proposed from the names and sizes of the tensors: check every line.\n\
         name = \"{model_type}\"\nmodel_types = [\"{model_type}\"]\n\n[config]\n"
    );
    let mut write = |line: String| text.push_str(&(line + "\n"));
    for (key, layout) in &widths.keys {
        match layout {
            Some(layout) => write(format!("{key} = {layout}")),
            None => write(format!("# {key}: nothing is known about it")),
        }
    }
    if widths.head_dim.is_some() {
        write("\n[frozen]\nhead_dim = \"not looked at\"".into());
    }
    if let Some(head) = tied_head(folder, &kinds) {
        write("\n# Nothing tells which tensor the head is tied to, if there is one.".into());
        write(format!(
            "[tied]\ndefault = true\ntensors = {{ \"lm_head.weight\" = \"{head}\" }}"
        ));
    }
    write("\n[tensors]".into());
    for kind in &kinds {
        let Proposed { roles, doubts } = widths.roles(kind, &kinds);
        for doubt in doubts {
            write(format!("# {doubt}"));
        }
        let roles: Vec<_> = roles.iter().map(|role| format!("\"{role}\"")).collect();
        write(format!("\"{}\" = [{}]", kind.name, roles.join(", ")));
    }
    if tied_head(folder, &kinds).is_some() {
        write("\"lm_head.weight\" = [\"vocab(vocab)\", \"fan_in(hidden)\"]".into());
    }
    text
}

/// The embedding of a model without a head.
fn tied_head<'a>(folder: &Folder, kinds: &'a [Kind]) -> Option<&'a str> {
    let causal = folder
        .config
        .architectures()
        .iter()
        .any(|it| it.ends_with("LM"));
    let vocab = folder.config.size("vocab_size").ok().flatten()?;
    let mut tables = kinds
        .iter()
        .filter(|kind| kind.shape.len() == 2 && kind.shape[0] == vocab);
    let first = tables.next()?;
    (causal && tables.next().is_none()).then_some(first.name.as_str())
}

/// Groups the tensors by their names.
fn kinds(folder: &Folder) -> Vec<Kind> {
    let mut shapes: BTreeMap<String, (BTreeSet<Vec<usize>>, usize)> = BTreeMap::new();
    for (name, stored) in &folder.tensors {
        if !matches!(stored.dtype, Dtype::Float(_)) {
            continue;
        }
        let mut numbers = 0;
        let pieces = name.split('.').map(|piece| match piece.parse::<usize>() {
            Ok(_) => {
                numbers += 1;
                let axis = if numbers == 1 { "layers" } else { "experts" };
                format!("{{{axis}}}")
            }
            Err(_) => piece.to_owned(),
        });
        let name = pieces.collect::<Vec<_>>().join(".");
        let (shapes, found) = shapes.entry(name).or_default();
        shapes.insert(stored.shape.clone());
        *found = numbers;
    }
    let kinds = shapes.into_iter().map(|(name, (shapes, numbers))| Kind {
        name,
        shape: shapes.into_iter().next().unwrap_or_default(),
        experts: numbers == 2,
    });
    kinds.collect()
}

/// What sizes mean.
struct Widths {
    /// The keys of the configuration that are sizes, with what they store as TOML.
    keys: Vec<(String, Option<String>)>,
    /// Layouts by their size, the likeliest first.
    layouts: Vec<(usize, String)>,
    head_dim: Option<usize>,
}

/// The roles of a kind of tensors, and what speaks against them.
struct Proposed {
    roles: Vec<String>,
    doubts: Vec<String>,
}

impl Widths {
    fn of(folder: &Folder) -> Self {
        let config = &folder.config;
        let size = |key: &str| config.size(key).ok().flatten();
        let stored = |axis: &str| {
            let mut keys = KEYS.iter().filter(|(_, other)| *other == axis);
            keys.find_map(|(key, _)| Some((*key, size(key)?)))
        };
        let mut keys = Vec::new();
        let mut layouts = Vec::new();
        let grouped = size("num_key_value_heads");
        for (key, axis) in KEYS {
            if stored(axis).is_some_and(|(first, _)| first == key) {
                let layout = match (axis, grouped) {
                    ("heads", Some(_)) => "kv_heads x queries",
                    (axis, _) => axis,
                };
                keys.push((key.to_owned(), Some(format!("\"{layout}\""))));
            }
        }
        for axis in ["vocab", "hidden", "inner"] {
            layouts.extend(stored(axis).map(|(_, size)| (size, axis.to_owned())));
        }
        let head_dim = Self::heads(&stored, &size, &mut keys, &mut layouts);
        let sizes = config
            .values
            .iter()
            .filter(|(_, value)| value.as_u64().is_some());
        for (key, _) in sizes {
            if !keys.iter().any(|(known, _)| known == key) {
                keys.push((key.clone(), None));
            }
        }
        Self {
            keys,
            layouts,
            head_dim,
        }
    }

    /// The layouts of heads, and the keys that store them.
    fn heads<'a>(
        stored: &impl Fn(&str) -> Option<(&'a str, usize)>,
        size: &impl Fn(&str) -> Option<usize>,
        keys: &mut Vec<(String, Option<String>)>,
        layouts: &mut Vec<(usize, String)>,
    ) -> Option<usize> {
        let (heads_key, heads) = stored("heads")?;
        let (hidden_key, hidden) = stored("hidden")?;
        let head_dim = size("head_dim");
        let width = head_dim.or_else(|| hidden.checked_div(heads))?;
        let rule = format!("{hidden_key} / {heads_key}");
        let known = match head_dim {
            Some(_) => "default",
            None => "always",
        };
        keys.push((
            "head_dim".into(),
            Some(format!("{{ is = \"head_dim\", {known} = \"{rule}\" }}")),
        ));
        let queries = match size("num_key_value_heads") {
            Some(groups) => {
                let layout = format!("{{ is = \"kv_heads\", default = \"{heads_key}\" }}");
                keys.push(("num_key_value_heads".into(), Some(layout)));
                layouts.push((groups * width, "kv_heads x head_dim".into()));
                "kv_heads x queries x head_dim"
            }
            None => "heads x head_dim",
        };
        layouts.push((heads * width, queries.into()));
        layouts.push((3 * heads * width, format!("3 x {queries}")));
        layouts.push((width, "head_dim".into()));
        Some(width)
    }

    /// The likeliest layout of a size, and the others.
    fn layout(&self, size: usize, attention: bool) -> (Option<&str>, Vec<&str>) {
        let fits = self.layouts.iter().filter(|(other, _)| *other == size);
        let mut fits: Vec<&str> = fits.map(|(_, layout)| layout.as_str()).collect();
        if attention {
            // Heads first.
            fits.sort_by_key(|layout| !layout.contains("heads"));
        }
        let mut fits = fits.into_iter();
        (fits.next(), fits.collect())
    }

    fn roles(&self, kind: &Kind, kinds: &[Kind]) -> Proposed {
        let mut doubts = Vec::new();
        let name = kind.name.as_str();
        let has = |words: &[&str]| words.iter().any(|word| name.contains(word));
        let output = has(&["o_proj", "out_proj", "c_proj", "output", "dense"]);
        let sides = self.sides(kind, kinds, &mut doubts);
        let dims = kind.shape.iter().zip(&sides).map(|(size, side)| {
            // The side of an attention matrix that is heads: what it makes, but for its last one.
            let heads = has(&["attn", "attention"]) && (*side == "fan_in") == output;
            let (first, others) = self.layout(*size, heads);
            let Some(layout) = first else {
                return "-".to_owned();
            };
            if !others.is_empty() {
                let others = others.join("` or `");
                doubts.push(format!(
                    "the size {size} of `{layout}` is also that of `{others}`"
                ));
            }
            match (*side, layout) {
                ("fan_out" | "fan_in", "vocab") => "vocab(vocab)".into(),
                ("fan_out", _) if has(&["gate"]) => format!("gate({layout})"),
                (side, _) => format!("{side}({layout})"),
            }
        });
        let mut roles: Vec<String> = dims.collect();
        if kind.experts {
            roles.insert(0, "gain(experts)".into());
        }
        Proposed { roles, doubts }
    }

    /// Whether each dimension is made or read.
    fn sides(&self, kind: &Kind, kinds: &[Kind], doubts: &mut Vec<String>) -> Vec<&'static str> {
        let (module, rest) = kind.name.rsplit_once('.').unwrap_or(("", &kind.name));
        let beside = |rest: &str| {
            let name = format!("{module}.{rest}");
            kinds.iter().find(|other| other.name == name)
        };
        let table = ["embed", "wte", "wpe"]
            .iter()
            .any(|it| kind.name.contains(it));
        match kind.shape.as_slice() {
            [_] => {
                let matrix = beside("weight").filter(|it| rest == "bias" && it.shape.len() > 1);
                vec![if matrix.is_some() { "fan_out" } else { "gain" }]
            }
            [_, _] if table => vec!["fan_out", "fan_out"],
            [rows, columns] => {
                let bias = beside("bias").map(|bias| bias.shape.as_slice());
                if rows != columns && bias == Some(&[*columns]) {
                    return vec!["fan_in", "fan_out"];
                }
                if rows == columns {
                    let name = &kind.name;
                    doubts.push(format!("`{name}` is square: it may be stored as [in, out]"));
                }
                vec!["fan_out", "fan_in"]
            }
            shape => {
                if !shape.is_empty() {
                    doubts.push(format!("`{}` has {} dimensions", kind.name, shape.len()));
                }
                vec!["gain"; shape.len()]
            }
        }
    }
}
