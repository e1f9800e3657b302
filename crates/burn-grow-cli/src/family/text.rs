//! A family as its file writes it, read and checked.

use std::collections::BTreeMap;

use burn_grow_core::GrowError;
use burn_grow_core::describe::{Axis, Layout, Role, RoleKind, Together};
use serde::Deserialize;

use super::key::{Key, KeyText};
use super::name::Name;
use crate::error::Error;

/// What the tensors and the configuration of an architecture mean.
#[derive(Clone, Debug)]
pub struct Family {
    /// Name of the family.
    pub name: String,
    /// The `model_type`s of its `config.json`s.
    pub model_types: Vec<String>,
    /// The keys of `config.json` that store widths.
    pub keys: Vec<Key>,
    /// Axes that cannot grow, with the reason.
    pub frozen: BTreeMap<Axis, String>,
    /// Axes that grow together or not at all.
    pub together: Vec<Together>,
    /// How many units of an axis take part in one token, by the axis.
    pub active: BTreeMap<Axis, Layout>,
    /// Keys of `config.json` with an item for every block of a stack.
    pub lists: BTreeMap<String, List>,
    /// Tensors that are the same as others where `config.json` says so.
    pub tied: Option<Tied>,
    /// Tensors that the model multiplies by the root of a width, which the numbers make up for.
    pub root_of: Vec<(Name, Axis)>,
    /// Buffers that are carried over as they are.
    pub kept: Vec<Name>,
    /// The roles of the tensors.
    pub tensors: Vec<(Name, Vec<Option<Role>>)>,
    /// True if layers need not have the same tensors.
    pub unlike_blocks: bool,
    /// Why new blocks cannot begin as the identity, if they cannot.
    pub no_identity: Option<String>,
}

/// Tensors that a model has once and uses twice.
#[derive(Clone, Debug)]
pub struct Tied {
    /// The key of `config.json` that says so.
    pub flag: String,
    /// What a missing key says.
    pub default: bool,
    /// The classes whose models have the second use; all where there is none.
    pub architectures: Vec<String>,
    /// The tensor that is stored, by the name of the one that is not.
    pub tensors: BTreeMap<String, Name>,
    /// The key of `config.json` that the second use is multiplied or divided by, if there is one.
    pub factor: Option<TiedFactor>,
}

/// A key of `config.json` with a factor of what a tied tensor makes.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TiedFactor {
    /// Name of the key.
    pub key: String,
    /// True if the model divides by it.
    #[serde(default)]
    pub divides: bool,
    /// What a missing key says.
    pub default: f64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TiedText {
    #[serde(default = "flag")]
    flag: String,
    default: bool,
    #[serde(default)]
    architectures: Vec<String>,
    tensors: BTreeMap<String, String>,
    factor: Option<TiedFactor>,
}

/// A key of `config.json` with an item for every block of a stack.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct List {
    /// The axis of the stack.
    pub along: Axis,
    /// True if blocks are alike where the key is missing.
    #[serde(default)]
    pub optional: bool,
}

fn flag() -> String {
    "tie_word_embeddings".into()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Text {
    name: String,
    model_types: Vec<String>,
    config: BTreeMap<String, KeyText>,
    #[serde(default)]
    frozen: BTreeMap<Axis, String>,
    #[serde(default)]
    together: Vec<Together>,
    #[serde(default)]
    active: BTreeMap<Axis, String>,
    #[serde(default)]
    lists: BTreeMap<String, List>,
    tied: Option<TiedText>,
    #[serde(default)]
    root_of: BTreeMap<String, Axis>,
    #[serde(default)]
    kept: Vec<String>,
    #[serde(default)]
    unlike_blocks: bool,
    no_identity: Option<String>,
    tensors: BTreeMap<String, Vec<String>>,
}

impl Family {
    /// Reads a family. `source` names it in messages.
    ///
    /// # Errors
    ///
    /// Names the entry at fault.
    pub fn parse(source: &str, text: &str) -> Result<Self, Error> {
        let fault = |place: &str, message: String| Error::Family {
            family: source.into(),
            place: place.into(),
            message,
        };
        let text: Text = toml::from_str(text).map_err(|error| fault("TOML", error.to_string()))?;
        let name = |text: &str| Name::parse(text).map_err(|message| fault(text, message));
        let keys = text.config.into_iter();
        let keys = keys.map(|(key, text)| text.parse(&key).map_err(|error| fault(&key, error)));
        let active = text.active.into_iter().map(|(axis, part)| {
            let layout: Layout = part.parse().map_err(Error::Grow)?;
            Ok((axis, layout))
        });
        let tensors = text.tensors.into_iter().map(|(tensor, roles)| {
            let roles = roles.iter().map(|role| match role.as_str() {
                "-" => Ok(None),
                role => role.parse().map(Some),
            });
            let roles = roles.collect::<Result<Vec<_>, _>>();
            let roles = roles.map_err(|error: GrowError| fault(&tensor, error.to_string()))?;
            Ok::<_, Error>((name(&tensor)?, roles))
        });
        let tied = text.tied.map(|tied| {
            let tensors = tied.tensors.into_iter();
            let tensors = tensors.map(|(tensor, source)| Ok((tensor, name(&source)?)));
            Ok::<_, Error>(Tied {
                flag: tied.flag,
                default: tied.default,
                architectures: tied.architectures,
                tensors: tensors.collect::<Result<_, Error>>()?,
                factor: tied.factor,
            })
        });
        let family = Self {
            tied: tied.transpose()?,
            keys: keys.collect::<Result<_, _>>()?,
            active: active.collect::<Result<_, Error>>()?,
            tensors: tensors.collect::<Result<_, _>>()?,
            kept: text
                .kept
                .iter()
                .map(|it| name(it))
                .collect::<Result<_, _>>()?,
            root_of: text
                .root_of
                .into_iter()
                .map(|(tensor, axis)| Ok((name(&tensor)?, axis)))
                .collect::<Result<_, Error>>()?,
            name: text.name,
            model_types: text.model_types,
            frozen: text.frozen,
            together: text.together,
            lists: text.lists,
            unlike_blocks: text.unlike_blocks,
            no_identity: text.no_identity,
        };
        family.check(source)
    }

    /// Returns the family if its entries agree with each other.
    fn check(self, source: &str) -> Result<Self, Error> {
        let fault = |place: &str, message: String| Error::Family {
            family: source.into(),
            place: place.into(),
            message,
        };
        for key in &self.keys {
            let expression = match &key.rule {
                super::Rule::Stored => continue,
                super::Rule::Default(it) | super::Rule::Always(it) => it,
            };
            let known = |name: &str| self.keys.iter().any(|key| key.name == name);
            if let Some(unknown) = expression.keys().find(|name| !known(name)) {
                let message = format!("`{unknown}` is no key of `[config]`");
                return Err(fault(&key.name, message));
            }
        }
        if let Some(Tied {
            tensors,
            factor: Some(factor),
            ..
        }) = &self.tied
            && tensors.len() != 1
        {
            let message = "it is a factor of one tied tensor, and there is another number of them";
            return Err(fault(&factor.key, message.into()));
        }
        for (name, roles) in &self.tensors {
            let dimensions = name.axes().filter(|axis| is_dimension(axis, roles));
            if dimensions.count() > 1 {
                let message = "more than one number of it is a dimension".into();
                return Err(fault(name.text(), message));
            }
        }
        let lies = |axis: &Axis| {
            let roles = self
                .tensors
                .iter()
                .flat_map(|(_, roles)| roles.iter().flatten());
            let mut on_dimensions = roles.flat_map(Role::axes);
            let mut numbered = self.tensors.iter().flat_map(|(name, _)| name.axes());
            on_dimensions.any(|other| other == axis) || numbered.any(|other| other == axis)
        };
        let mut named = self.frozen.keys().chain(self.active.keys());
        if let Some(axis) = named.find(|axis| !lies(axis) && !self.is_stored(axis)) {
            return Err(fault(axis.as_str(), "no tensor lies on this axis".into()));
        }
        Ok(self)
    }

    /// Tells if a key stores the width of `axis`.
    fn is_stored(&self, axis: &Axis) -> bool {
        self.keys
            .iter()
            .any(|key| key.layout.axes().any(|other| other == axis))
    }
}

/// Tells if a number along `axis` in the name of a tensor is its first dimension: whole tensors
/// that go along with the axis.
pub(crate) fn is_dimension(axis: &Axis, roles: &[Option<Role>]) -> bool {
    let Some(Some(role)) = roles.first() else {
        return false;
    };
    *role == Role::new(RoleKind::Gain, axis.clone())
}
