//! Layouts and roles as text, `fan_out(kv_heads x queries x 64)`: parsed as they are printed.

use core::str::FromStr;

use super::layout::{Layout, Term};
use super::role::{Part, Role, RoleKind};
use crate::error::GrowError;

const KINDS: [RoleKind; 5] = [
    RoleKind::FanOut,
    RoleKind::FanIn,
    RoleKind::Gate,
    RoleKind::Gain,
    RoleKind::Vocab,
];

impl FromStr for Layout {
    type Err = GrowError;

    fn from_str(text: &str) -> Result<Self, GrowError> {
        let terms = text.split(" x ").map(|term| {
            let term = term.trim();
            let name = |character: char| character.is_alphanumeric() || "_-.".contains(character);
            if let Ok(size) = term.parse() {
                return Some(Term::Fixed(size));
            }
            let named = !term.is_empty() && term.chars().all(name);
            named.then(|| Term::Axis(term.into()))
        });
        let terms = terms.collect::<Option<_>>();
        let terms = terms.ok_or_else(|| GrowError::RoleText { text: text.into() })?;
        Ok(Self { terms })
    }
}

impl FromStr for Role {
    type Err = GrowError;

    fn from_str(text: &str) -> Result<Self, GrowError> {
        let malformed = || GrowError::RoleText { text: text.into() };
        let parts = text.split(" + ").map(|part| {
            let part = part.trim();
            let Some((kind, layout)) = part.split_once('(') else {
                // A stretch that never grows has no role.
                let layout: Layout = part.parse().map_err(|_| malformed())?;
                let kind = RoleKind::Gain;
                let fixed = layout.axes().next().is_none();
                let terms = layout.terms;
                return fixed.then_some(Part { kind, terms }).ok_or_else(malformed);
            };
            let mut kinds = KINDS.into_iter();
            let kind = kinds.find(|known| known.to_string() == kind.trim());
            let layout = layout.strip_suffix(')').ok_or_else(malformed)?;
            let layout: Layout = layout.parse().map_err(|_| malformed())?;
            Ok(Part {
                kind: kind.ok_or_else(malformed)?,
                terms: layout.terms,
            })
        });
        let parts = parts.collect::<Result<_, _>>()?;
        Ok(Self { parts })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_reads_back_what_it_prints() {
        let queries = Role::fan_out("kv_heads").and("queries").with_unit(64);
        let keys = Role::fan_out("kv_heads").with_unit(64);
        for role in [
            Role::gain("hidden"),
            Role::vocab("vocab"),
            Role::fan_in("experts").with_groups(3),
            Role::gate("inner").then(Role::fan_out("inner")),
            queries.then(keys.clone()).then(keys).then(Role::fixed(5)),
        ] {
            assert_eq!(role.to_string().parse(), Ok(role));
        }
        for text in [
            "",
            "hidden",
            "fan_out",
            "fan_out(",
            "fan_out()",
            "fan(a)",
            "gain(a b)",
        ] {
            assert!(text.parse::<Role>().is_err(), "{text}");
        }
    }
}
