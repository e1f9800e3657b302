use crate::error::DemoError;

/// Arms that are compared with one reference, by their places in a list.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Group {
    /// The points of grids that all of them share, as in `axis=both`; empty where there is one group.
    pub(crate) points: Vec<String>,
    /// The reference, if there is one.
    pub(crate) reference: Option<usize>,
    /// The arms, the reference among them.
    pub(crate) members: Vec<usize>,
}

impl Group {
    /// The name of an arm without what all arms of the group share.
    pub(super) fn short(&self, name: &str) -> String {
        let shared = |part: &&str| self.points.iter().any(|point| point == part);
        let parts: Vec<_> = name.split('/').filter(|part| !shared(part)).collect();
        parts.join("/")
    }
}

/// Sorts arms by the reference they are compared with.
///
/// The reference is named without the points that it shares with those it is compared with: `sparkling/rho=2`
/// is `sparkling/axis=both/rho=2` to the arms at `axis=both`, and `sparkling/axis=inner/rho=2` to those at
/// `axis=inner`, which makes two groups. Without a reference all arms are one.
///
/// # Errors
///
/// When no arm is called like the reference, and when an arm shares its points with none of these.
pub(crate) fn groups(reference: Option<&str>, names: &[&str]) -> Result<Vec<Group>, DemoError> {
    let Some(reference) = reference else {
        return Ok(vec![Group {
            points: Vec::new(),
            reference: None,
            members: (0..names.len()).collect(),
        }]);
    };
    let wanted: Vec<&str> = reference.split('/').collect();
    let is_member = |name: &str, points: &[String]| {
        let parts: Vec<_> = name.split('/').collect();
        points.iter().all(|point| parts.contains(&point.as_str()))
    };
    let mut groups = Vec::new();
    for (index, name) in names.iter().enumerate() {
        let parts: Vec<_> = name.split('/').collect();
        let called = parts[0] == wanted[0] && wanted.iter().all(|part| parts.contains(part));
        if !called {
            continue;
        }
        let own = parts.into_iter().filter(|part| !wanted.contains(part));
        let points: Vec<String> = own.map(String::from).collect();
        let members = names.iter().enumerate();
        let members = members.filter(|(_, name)| is_member(name, &points));
        groups.push(Group {
            members: members.map(|(index, _)| index).collect(),
            reference: Some(index),
            points,
        });
    }
    if groups.is_empty() {
        return Err(DemoError::UnknownArm {
            name: reference.to_owned(),
            known: names.join(", "),
        });
    }
    let alone = (0..names.len()).find(|index| {
        let inside = |group: &Group| group.members.contains(index);
        !groups.iter().any(inside)
    });
    match alone {
        Some(index) => Err(DemoError::NotCompared {
            arm: names[index].to_owned(),
            reference: reference.to_owned(),
        }),
        None => Ok(groups),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: [&str; 6] = [
        "small/axis=both",
        "sparkling/axis=both/rho=2.0",
        "sparkling/axis=both/rho=1.3",
        "small/axis=inner",
        "sparkling/axis=inner/rho=2.0",
        "sparkling/axis=inner/rho=1.3",
    ];

    #[test]
    fn arms_are_compared_with_the_reference_at_their_point() {
        let groups = groups(Some("sparkling/rho=2.0"), &NAMES).expect("groups");
        let group = |point: &str, reference, members: [usize; 3]| Group {
            points: vec![point.to_owned()],
            reference: Some(reference),
            members: members.to_vec(),
        };
        assert_eq!(
            groups,
            [
                group("axis=both", 1, [0, 1, 2]),
                group("axis=inner", 4, [3, 4, 5]),
            ]
        );
        assert_eq!(groups[0].short(NAMES[2]), "sparkling/rho=1.3");
    }

    #[test]
    fn without_points_or_a_reference_there_is_one_group() {
        let names = ["small", "sparkling", "naive-copy"];
        let all = |reference| Group {
            points: Vec::new(),
            reference,
            members: vec![0, 1, 2],
        };
        assert_eq!(groups(None, &names).expect("groups"), [all(None)]);
        let found = groups(Some("naive-copy"), &names).expect("groups");
        assert_eq!(found, [all(Some(2))]);
    }

    #[test]
    fn a_reference_that_cannot_be_one_is_refused() {
        let cases = [
            ("sparkling/rho=3", "sparkling/axis=both/rho=2.0"),
            ("sparklin", "small/axis=both"),
            ("sparkling", "arm `small/axis=both` is compared with none"),
        ];
        for (reference, message) in cases {
            let error = groups(Some(reference), &NAMES).expect_err("a mistake");
            assert!(error.to_string().contains(message), "{error}");
        }
    }
}
