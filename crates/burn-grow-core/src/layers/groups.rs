//! Channels that lie in groups, and the layouts that keep a growing axis inside its groups.

use crate::describe::layout::Term;
use crate::describe::role::Role;

/// Returns the role of the channels of one group, if `role` lays them out group by group: `groups`
/// times, or a multiple of that. Returns `None` where a copied channel would land in another group.
pub(super) fn within(role: &Role, groups: usize) -> Option<Role> {
    if groups == 1 {
        return Some(role.clone());
    }
    let mut role = role.clone();
    let [part] = role.parts.as_mut_slice() else {
        return None;
    };
    match part.terms.first_mut() {
        Some(Term::Fixed(blocks)) if *blocks > 0 && blocks.is_multiple_of(groups) => {
            *blocks /= groups;
            if *blocks == 1 {
                part.terms.remove(0);
            }
            Some(role)
        }
        _ => None,
    }
}

/// Returns `true` if `role` moves channels in whole groups of `size`, so that groups are added.
pub(super) fn whole(role: &Role, size: usize) -> bool {
    role.parts.iter().all(|part| match part.terms.last() {
        Some(Term::Fixed(unit)) => unit.is_multiple_of(size),
        _ => size == 1,
    })
}

/// Gives every unit of `role` `size` coordinates.
pub(super) fn times(role: &Role, size: usize) -> Role {
    match size {
        1 => role.clone(),
        size => role.clone().with_unit(size),
    }
}

/// Says what to write on a side whose axis would cross the borders of its `groups`.
pub(super) fn advice(attribute: &str, role: &Role, groups: usize) -> String {
    let axes: Vec<_> = role.axes().map(|axis| format!("\"{axis}\"")).collect();
    format!(
        "`{attribute}` would copy channels of one of its {groups} groups into another: lay them \
         out group by group, `{attribute}({}, groups = {groups})`, here and wherever these \
         channels are made or read",
        axes.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_is_what_a_layout_repeats() {
        let role = Role::gain("channels").with_groups(4);
        assert_eq!(within(&role, 4), Some(Role::gain("channels")));
        assert_eq!(
            within(&role, 2),
            Some(Role::gain("channels").with_groups(2))
        );
        assert_eq!(within(&role, 1), Some(role.clone()));
        assert_eq!(within(&role, 3), None);
        assert_eq!(within(&Role::gain("channels").with_unit(4), 4), None);
        assert_eq!(within(&role.clone().then(role), 4), None);
    }

    #[test]
    fn groups_move_as_a_whole_when_the_unit_holds_them() {
        let role = Role::gain("groups").with_unit(4);
        assert_eq!(
            [1, 2, 3, 4].map(|size| whole(&role, size)),
            [true, true, false, true]
        );
        assert!(whole(&Role::gain("channels"), 1));
        assert!(!whole(&Role::gain("channels"), 2));
    }
}
