//! Routes: how a dense model becomes one with experts, as data.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use crate::error::{Error, suggestion};

/// Lists files of `shipped/routes` with their names.
macro_rules! files {
    ($($name:literal),+ $(,)?) => {
        [$(($name, include_str!(concat!("shipped/routes/", $name, ".toml")))),+]
    };
}

/// The files of `shipped/routes`.
const SHIPPED: [(&str, &str); 4] = files![
    "llama_mixtral",
    "qwen3_qwen3_moe",
    "olmo2_flex_olmo",
    "olmo2_olmoe",
];

/// How a model of one family becomes one of another, whose experts are copies of its feed-forward.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Route {
    /// The family of the dense model.
    pub from: String,
    /// The family of the model with experts.
    pub to: String,
    /// What the `config.json` of the new model calls it.
    pub model_type: String,
    /// The classes that the new family has, by the ends of their names.
    pub kinds: Vec<String>,
    /// How the names of an expert's tensors end, with `{experts}` for its number, by how those of
    /// the feed-forward end. All other tensors keep their names.
    pub experts: BTreeMap<String, String>,
    /// The router.
    pub router: RouterRoute,
    /// Keys that `config.json` gets.
    #[serde(default)]
    pub set: BTreeMap<String, Value>,
    /// What there is to know about the dense model, by its `model_type`.
    pub models: BTreeMap<String, DenseModel>,
}

/// The router of a model with experts.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RouterRoute {
    /// How the name of its tensor ends.
    pub tensor: String,
    /// The standard deviation of what is drawn.
    pub deviation: Deviation,
    /// The key that says if the weights of the experts of a token are made to sum to one; `None`
    /// where they always are.
    pub normalized: Option<String>,
}

/// A standard deviation that the configuration has.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Deviation {
    /// The key.
    pub key: String,
    /// What a missing key says.
    pub default: f64,
}

/// What there is to know about the configuration of a dense model.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DenseModel {
    /// The beginnings of the names of its classes.
    pub classes: Classes,
    /// What a missing key means, where it means something else to the new model.
    #[serde(default)]
    pub missing: BTreeMap<String, Missing>,
    /// Keys that only one of the two models reads.
    #[serde(default)]
    pub removed: Vec<String>,
    /// Keys of which the new model knows one value only.
    #[serde(default)]
    pub only: BTreeMap<String, Only>,
}

/// Beginnings of the names of classes, such as `Llama` of `LlamaForCausalLM`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Classes {
    /// That of the dense model.
    pub dense: String,
    /// That of the new model.
    pub sparse: String,
}

/// What a missing key means.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub enum Missing {
    /// A value, unless another key, inside of others by dots, says it.
    Unless {
        /// The value.
        value: Value,
        /// The other key.
        unless: String,
    },
    /// A value.
    Value(Value),
}

/// The one value that a key may have.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Only {
    /// The value.
    pub is: Value,
    /// Why.
    pub reason: String,
}

/// A route that does not exist.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Impossible {
    from: String,
    to: String,
    impossible: String,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Text {
    Impossible(Impossible),
    Possible(Box<Route>),
}

impl Text {
    fn ends(&self) -> (&str, &str) {
        match self {
            Self::Impossible(route) => (&route.from, &route.to),
            Self::Possible(route) => (&route.from, &route.to),
        }
    }
}

/// Reads the routes that come with the program.
fn shipped() -> Result<Vec<Text>, Error> {
    let routes = SHIPPED.iter().map(|(name, text)| {
        toml::from_str(text).map_err(|error: toml::de::Error| Error::Family {
            family: (*name).into(),
            place: "TOML".into(),
            message: error.to_string(),
        })
    });
    routes.collect()
}

/// Finds the way from one family to another.
///
/// # Errors
///
/// Names the ways that there are, or says why there can be none.
pub fn route(from: &str, to: &str) -> Result<Route, Error> {
    let routes = shipped()?;
    let names = |route: &Text| {
        let (from, to) = route.ends();
        format!("`{from}` to `{to}`")
    };
    let possible = routes.iter().filter(|it| matches!(it, Text::Possible(_)));
    let known: Vec<String> = possible.map(names).collect();
    let suggestion = suggestion(to, routes.iter().map(|route| route.ends().1));
    let mut routes = routes.into_iter();
    match routes.find(|route| route.ends() == (from, to)) {
        Some(Text::Possible(route)) => Ok(*route),
        Some(Text::Impossible(route)) => Err(Error::Impossible {
            from: route.from,
            to: route.to,
            reason: route.impossible,
        }),
        None => Err(Error::NoRoute {
            from: from.into(),
            to: to.into(),
            suggestion,
            known,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::family::shipped as families;

    #[test]
    fn every_route_leads_from_a_family_to_a_family() {
        let families = families().expect("families");
        let known = |name: &str| families.iter().any(|family| family.name == name);
        for text in shipped().expect("routes") {
            let (from, to) = text.ends();
            assert!(known(from) && known(to), "{from} {to}");
            let Text::Possible(route) = &text else {
                continue;
            };
            let dense = families.iter().find(|it| it.name == from).expect("known");
            let types: Vec<&String> = route.models.keys().collect();
            let mut all: Vec<&String> = dense.model_types.iter().collect();
            all.sort();
            assert_eq!(types, all);
            let numbered = route.experts.values().all(|it| it.contains("{experts}"));
            assert!(numbered, "{from} {to}");
        }
    }
}
