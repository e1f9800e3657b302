//! Which runs of an experiment are compared with each other, by the points of their grids.

use anyhow::{Result, bail};

/// Runs that are compared with one reference, by their places in a list.
#[derive(Clone, Debug, PartialEq)]
pub struct Group {
    /// The points of grids that all of them share, as in `axis=both`; empty where there is one
    /// group.
    pub points: Vec<String>,
    /// The reference, if there is one.
    pub reference: Option<usize>,
    /// All of them, the reference included.
    pub members: Vec<usize>,
}

impl Group {
    /// Gives the name of a run without what all runs of the group share.
    pub fn short(&self, name: &str) -> String {
        let shared = |part: &&str| self.points.iter().any(|point| point == part);
        let parts: Vec<_> = name.split('/').filter(|part| !shared(part)).collect();
        parts.join("/")
    }
}

/// Sorts runs by the reference they are compared with.
///
/// The reference is named without the points that it shares with those it is compared with:
/// `sparkling/rho=2` is `sparkling/axis=both/rho=2` to the runs at `axis=both`, and
/// `sparkling/axis=inner/rho=2` to those at `axis=inner`, which makes two groups. Without a
/// reference all runs are one group.
///
/// # Errors
///
/// When no run is called like the reference, and when a run shares its points with none of these.
pub fn groups(reference: Option<&str>, names: &[&str]) -> Result<Vec<Group>> {
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
        bail!(
            "there is no run `{reference}`: the runs are {}",
            names.join(", ")
        );
    }
    let alone = (0..names.len()).find(|index| {
        let inside = |group: &Group| group.members.contains(index);
        !groups.iter().any(inside)
    });
    if let Some(index) = alone {
        bail!(
            "run `{}` is compared with nothing: no run called like the reference `{reference}` is at its \
             point",
            names[index]
        );
    }
    Ok(groups)
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
    fn runs_are_compared_with_the_reference_at_their_point() {
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
    fn a_reference_that_cannot_be_one_is_rejected() {
        let cases = [
            ("sparkling/rho=3", "sparkling/axis=both/rho=2.0"),
            ("sparklin", "small/axis=both"),
            (
                "sparkling",
                "run `small/axis=both` is compared with nothing",
            ),
        ];
        for (reference, message) in cases {
            let error = groups(Some(reference), &NAMES).expect_err("a mistake");
            assert!(error.to_string().contains(message), "{error}");
        }
    }
}
