use crate::experiment::{Experiment, Figure};
use crate::result::tests::result;
use crate::result::{RunResult, Expanded};
use crate::measure::{Scores, Hits};
use crate::page::curves::curves;
use crate::page::figure::figure;
use crate::page::gather::{Results, Scratch};
use crate::spec::{Group, groups};
use crate::page::{Page, tables};

fn results(name: &str, losses: [(u64, f64); 2]) -> Results {
    let rows = losses.map(|(seed, loss)| RunResult {
        seed,
        loss,
        expansions: Vec::new(),
        cosine: None,
        ..result(name)
    });
    Results {
        name: name.into(),
        wide: false,
        scratch: None,
        published: None,
        seeds: rows.to_vec(),
    }
}

/// An arm that grows, one that does not, one from scratch, and one that is not run.
fn compared() -> Vec<Results> {
    let paper = |loss| {
        Some(Figure {
            loss,
            saved: None,
            speed: None,
        })
    };
    let mut sparkling = results("sparkling/axis=both", [(0, 1.125), (1, 1.25)]);
    for row in &mut sparkling.seeds {
        (row.flops, row.flops_counted, row.cosine) = (3e12, 4.5e12, Some(0.25));
        (row.wall_s, row.steps) = (Some(60.0), 100);
    }
    sparkling.scratch = Some(Scratch {
        flops: 4e12,
        counted: 5e12,
    });
    sparkling.figure = Some(Figure {
        loss: 2.2415,
        saved: Some(0.35),
        speed: Some(1.49),
    });
    let mut small = results("small/axis=both", [(1, 1.5), (2, 1.0)]);
    small.figure = paper(2.3673);
    let mut scratch = results("from-scratch/axis=both", [(0, 1.0), (1, 1.375)]);
    scratch.wide = true;
    for row in &mut scratch.seeds {
        // A second a step; the grown run took 60 for 100 of them.
        (row.wall_s, row.steps) = (Some(50.0), 50);
    }
    let mut absent = results("not-run/axis=both", [(0, 0.0), (1, 0.0)]);
    absent.seeds.clear();
    vec![sparkling, small, scratch, absent]
}

fn grouped(compared: &[Results], reference: Option<&str>) -> Group {
    let names: Vec<&str> = compared.iter().map(|results| results.name.as_str()).collect();
    let mut groups = groups(reference, &names).expect("groups");
    assert_eq!(groups.len(), 1);
    groups.remove(0)
}

#[test]
fn losses_stand_beside_those_of_the_reference_and_the_papers() {
    let compared = compared();
    let group = grouped(&compared, Some("sparkling"));
    let expected = "\
| arm | seeds | loss | minus sparkling, paired | seeds of that sign | paper: loss | paper: minus sparkling |
|---|---|---|---|---|---|---|
| sparkling | 2 | 1.1875 +- 0.0884 |  |  | 2.2415 |  |
| small | 2 | 1.2500 +- 0.3536 | +0.2500 | 1 of 1 | 2.3673 | +0.1258 |
| from-scratch | 2 | 1.1875 +- 0.2652 | +0.0000 +- 0.1768 | 0 of 2 |  |  |
";
    assert_eq!(tables::losses(&group, &compared), expected);
}

#[test]
fn without_a_reference_or_figures_their_columns_are_left_out() {
    let compared = vec![results("a", [(0, 1.0), (1, 2.0)])];
    let group = grouped(&compared, None);
    let expected = "| arm | seeds | loss |\n|---|---|---|\n| a | 2 | 1.5000 +- 0.7071 |\n";
    assert_eq!(tables::losses(&group, &compared), expected);
}

#[test]
fn several_groups_stand_side_by_side() {
    let compared = [
        results("off/steps=10", [(0, 1.5), (1, 1.25)]),
        results("peak/steps=10/rho=2.0", [(0, 1.25), (1, 1.0)]),
        results("off/steps=20", [(0, 1.0), (1, 1.0)]),
        results("peak/steps=20/rho=2.0", [(0, 1.5), (2, 9.0)]),
        Results {
            rows: Vec::new(),
            ..results("peak/steps=20/rho=3.0", [(0, 0.0), (1, 0.0)])
        },
    ];
    let names: Vec<&str> = compared.iter().map(|results| results.name.as_str()).collect();
    let groups = groups(Some("off"), &names).expect("groups");
    let expected = "\
| arm | steps=10 | steps=20 |
|---|---|---|
| off | 1.3750 +- 0.1768 | 1.0000 +- 0.0000 |
| peak/rho=2.0 | -0.2500 +- 0.0000 | +0.5000 |
";
    assert_eq!(
        tables::overview(&groups, &compared).as_deref(),
        Some(expected)
    );
    assert_eq!(tables::overview(&groups[..1], &compared), None);
}

#[test]
fn savings_are_against_the_last_model_from_scratch() {
    let compared = compared();
    let group = grouped(&compared, Some("sparkling"));
    let table = tables::costs(&group, &compared);
    let row = table.lines().nth(2).expect("a row");
    assert_eq!(
        row,
        "| sparkling | 100 | 75136 | 3.000e12 | 4.500e12 | 25 % | 10 % | 60 +- 0 | 40 +- 0 % | 35 % | 1.49x |"
    );
    let scratch = table.lines().nth(4).expect("a row");
    assert!(
        scratch.contains("| from-scratch | 50 | 75136 |"),
        "{scratch}"
    );
}

#[test]
fn seconds_of_another_model_or_not_known_are_not_compared() {
    let saved = |change: fn(&mut RunResult)| {
        let mut compared = compared();
        compared[2].seeds.iter_mut().for_each(change);
        let group = grouped(&compared, Some("sparkling"));
        tables::costs(&group, &compared).contains("saved seconds")
    };
    assert!(saved(|_| ()));
    assert!(!saved(|row| row.wall_s = None));
    assert!(!saved(|row| row.active += 1.0));
}

#[test]
fn scores_are_percents_of_what_there_is() {
    let mut compared = compared();
    for (row, right) in compared[0].seeds.iter_mut().zip([4, 6]) {
        row.scores = Scores {
            next_byte: Hits { right, of: 10 },
            closing: Hits { right: 0, of: 0 },
            ..row.scores
        };
        row.expansions = vec![Expanded {
            step: 50,
            loss_before: 1.25,
            loss_after: 1.5,
            max_logit_diff: 0.0,
            copy_cosine: None,
        }];
    }
    let group = grouped(&compared, Some("sparkling"));
    let table = tables::scores(&group, &compared[..]);
    let row = table.lines().nth(2).expect("a row");
    assert_eq!(
        row,
        "| sparkling | 50.00 +- 14.14 % | 50.00 +- 0.00 % | 33.33 +- 0.00 % | 100.00 +- 0.00 % | +0.2500 +- 0.0000 | 0.2500 +- 0.0000 |"
    );
    assert!(!table.contains("closing brackets"));
}

#[test]
fn the_figure_has_a_dot_for_every_seed_of_both() {
    let compared = compared();
    let drawing = figure(&grouped(&compared, Some("sparkling")), &compared).expect("a figure");
    // small shares one seed with the reference, from-scratch two.
    assert_eq!(drawing.matches(r#"class="seed""#).count(), 3);
    assert_eq!(drawing.matches(r#"class="mean""#).count(), 2);
    assert!(drawing.contains(">small<") && !drawing.contains(">not-run<"));
    assert!(drawing.starts_with(r#"<svg xmlns="http://www.w3.org/2000/svg" "#));
    let losses = figure(&grouped(&compared, None), &compared).expect("a figure");
    assert_eq!(losses.matches(r#"class="seed""#).count(), 6);
    let nothing = vec![compared[3].clone()];
    assert_eq!(figure(&grouped(&nothing, None), &nothing), None);
}

#[test]
fn curves_are_drawn_while_they_can_be_told_apart() {
    let mut many = compared();
    let drawing = curves(&grouped(&many, Some("sparkling")), &many).expect("curves");
    assert_eq!(drawing.matches(r#"class="line "#).count(), 3);
    for index in 0..13 {
        many.push(results(
            &format!("arm {index}/axis=both"),
            [(0, 1.0), (1, 1.0)],
        ));
    }
    assert!(curves(&grouped(&many, Some("sparkling")), &many).is_some());
    many.push(results("one more/axis=both", [(0, 1.0), (1, 1.0)]));
    assert_eq!(curves(&grouped(&many, Some("sparkling")), &many), None);
}

fn demo() -> Vec<(String, Experiment)> {
    let demo = Experiment::demo().expect("the demonstration");
    vec![("demo".into(), demo)]
}

#[test]
fn a_page_is_filled_between_its_marks_and_left_alone_elsewhere() {
    let text = "# Page\n<!-- experiment: demo -->\nold\n<!-- end -->\nmore\n";
    let page = Page::of(text, &demo(), &[]).expect("a page");
    assert!(page.text.starts_with("# Page\n<!-- experiment: demo -->\n"));
    assert!(page.text.ends_with("yet.\n<!-- end -->\nmore\n"));
    assert!(!page.text.contains("old") && page.text.contains("cargo xtask experiment demo"));
    let best = "<!-- equal FLOPs: demo -->\nold\n<!-- end -->\n";
    let page = Page::of(&format!("{text}{best}"), &demo(), &[]).expect("a page");
    assert!(
        page.text
            .contains("<!-- equal FLOPs: demo -->\n| arms | tokens for")
    );
    assert!(!page.text.contains("old"));
    // What was filled fills to itself.
    assert_eq!(Page::of(&page.text, &demo(), &[]).expect("a page"), page);
    let none = Page::of("# Page\n", &demo(), &[]).expect("no row, no place");
    assert_eq!(none.text, "# Page\n");
}

#[test]
fn a_place_that_cannot_be_filled_is_named() {
    let place = "<!-- experiment: demo -->\n<!-- end -->\n";
    let cases = [
        ("<!-- experiment: demo -->\n".to_owned(), "does not end"),
        (
            "<!-- experiment: demo\n<!-- end -->".to_owned(),
            "does not end",
        ),
        (
            format!("<!-- experiment: demo -->\n{place}"),
            "does not end",
        ),
        (
            place.replace("demo", "dmo"),
            "`<!-- experiment: dmo -->` is of no",
        ),
        (place.repeat(2), "there twice"),
        (
            "<!-- equal FLOPs: demo, dmo -->\n<!-- end -->".to_owned(),
            "`<!-- equal FLOPs: demo, dmo -->` names what is no experiment",
        ),
    ];
    for (text, message) in cases {
        let error = Page::of(&text, &demo(), &[]).expect_err("a mistake");
        assert!(error.to_string().contains(message), "{error}");
    }
}

#[test]
fn figures_of_arms_that_are_gone_are_removed() {
    let folder = tempfile::tempdir().expect("a directory");
    let figures = folder.path().join("results");
    std::fs::create_dir_all(&figures).expect("a directory");
    std::fs::write(figures.join("gone.svg"), "<svg/>").expect("written");
    let page = Page {
        text: "text\n".into(),
        figures: [("new.svg".to_owned(), "<svg></svg>\n".to_owned())].into(),
    };
    page.write(folder.path(), "page.md").expect("written");
    assert_eq!(Page::read(folder.path(), "page.md").expect("read"), page);
}
