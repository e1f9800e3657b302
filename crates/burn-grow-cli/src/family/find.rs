//! The families that come with the program, and finding one.

use crate::error::{Error, suggestion};
use crate::folder::Folder;

use super::text::Family;

/// Lists files of `shipped/` with their names.
macro_rules! files {
    ($($name:literal),+ $(,)?) => {
        [$(($name, include_str!(concat!("shipped/", $name, ".toml")))),+]
    };
}

/// The files of `shipped/`.
const SHIPPED: [(&str, &str); 19] = files![
    "llama",
    "qwen2",
    "qwen3",
    "gemma2",
    "gemma3_text",
    "olmo2",
    "phi3",
    "granite",
    "cohere",
    "gpt2",
    "gpt_neox",
    "mixtral",
    "olmoe",
    "flex_olmo",
    "qwen2_moe",
    "qwen3_moe",
    "deepseek_v3",
    "bert",
    "vit",
];

/// Reads the families that come with the program.
///
/// # Errors
///
/// None that a test would not find.
pub fn shipped() -> Result<Vec<Family>, Error> {
    let families = SHIPPED.iter();
    families
        .map(|(name, text)| Family::parse(name, text))
        .collect()
}

/// Finds the family of a folder by the `model_type` of its configuration.
///
/// # Errors
///
/// Names the families that there are.
pub fn find(folder: &Folder) -> Result<Family, Error> {
    let model_type = folder.config.model_type()?;
    let families = shipped()?;
    let known: Vec<String> = families
        .iter()
        .flat_map(|it| it.model_types.clone())
        .collect();
    let mut families = families.into_iter();
    let found = families.find(|family| family.model_types.iter().any(|it| it == model_type));
    found.ok_or_else(|| Error::UnknownFamily {
        path: folder.config.path.clone(),
        model_type: model_type.into(),
        suggestion: suggestion(model_type, known.iter().map(String::as_str)),
        known,
    })
}

impl Family {
    /// Tells if a folder is one of the family, by what its configuration says.
    ///
    /// # Errors
    ///
    /// When its configuration does not name an architecture.
    pub fn has(&self, folder: &Folder) -> Result<bool, Error> {
        let model_type = folder.config.model_type()?;
        Ok(self.model_types.iter().any(|it| it == model_type))
    }
}
