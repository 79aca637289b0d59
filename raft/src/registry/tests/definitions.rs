//! Reading definition files: what is taken, what is refused, and where the fault is said to lie.

use super::{SHOP, parse_yaml};
use crate::registry::{definition::Regions, literal::Literal, place_of_object};

fn check_fault(yaml: &str, line: u64, words: &[&str]) {
    let error = parse_yaml("shop.yaml", yaml).unwrap_err();
    let text = error.to_string();
    assert_eq!(error.line, line, "{text}");
    let place = format!("shop.yaml:{line}:{}: ", error.column);
    assert!(text.starts_with(&place), "{text}");
    for word in words {
        assert!(text.contains(word), "{word:?} is not in {text:?}");
    }
}

#[test]
fn the_example_reads_as_it_is_written() {
    let files = parse_yaml("shop.yaml", SHOP).unwrap();
    let view = &files[0].views[0];
    assert_eq!(
        (view.version, view.ttl.unwrap().to_string().as_str()),
        (1, "30d")
    );
    assert!(matches!(&view.regions, Some(Regions::Only(names)) if names[0].as_str() == "eu"));
    assert_eq!(view.features[0].default, Some(Literal::Integer(0)));
    assert_eq!(view.features[1].default, None);
    assert_eq!(files[0].services[0].features[0].to_string(), "activity:*");
}

#[test]
fn several_documents_of_one_file_are_several_files() {
    let files = parse_yaml("a.yaml", "project: a\n---\nproject: b\n").unwrap();
    assert_eq!(files.len(), 2);
}

#[test]
fn floats_that_are_no_numbers_are_kept() {
    let yaml = |default: &str| {
        format!(
            "project: p\nentities: [{{name: e, keys: [{{name: k, type: int64}}]}}]\nviews:\n  - name: v\n    \
             entity: e\n    features: [{{name: f, type: float64, default: {default}}}]\n"
        )
    };
    for (written, kept) in [
        (".nan", "NaN"),
        ("-.inf", "-Infinity"),
        ("\"Infinity\"", "Infinity"),
    ] {
        let files = parse_yaml("f.yaml", &yaml(written)).unwrap();
        assert_eq!(
            files[0].views[0].features[0].default,
            Some(Literal::Text(kept.into()))
        );
    }
    let none = parse_yaml("f.yaml", &yaml("null")).unwrap();
    assert_eq!(none[0].views[0].features[0].default, Some(Literal::Null));
}

#[test]
fn faults_are_told_with_their_line() {
    check_fault(
        &SHOP.replace("type: int32", "type: int33"),
        19,
        &["int33", "types are bool"],
    );
    check_fault(
        &SHOP.replace("name: orders,", "name: Orders,"),
        19,
        &["Orders", "lower-case"],
    );
    check_fault(
        &SHOP.replace("name: views,", "name: orders,"),
        20,
        &["feature orders is defined twice"],
    );
    check_fault(
        &SHOP.replace("ttl: 30d", "ttl: 30 days"),
        15,
        &["30 days", "none"],
    );
    check_fault(&SHOP.replace("ttl: 30d", "tlt: 30d"), 15, &["tlt"]);
    check_fault(
        &SHOP.replace("default: 0", "default: zero"),
        19,
        &["zero", "int32"],
    );
    check_fault(
        &SHOP.replace("default: 0", "default: 5000000000"),
        19,
        &["int32"],
    );
    check_fault(
        &SHOP.replace("combine: sum", "combine: max, default: x"),
        20,
        &["\"x\""],
    );
    check_fault(&SHOP.replace("activity:*", "activity"), 24, &["no colon"]);
    check_fault(
        &SHOP.replace("shard_by: [customer_id]", "shard_by: [item, item]"),
        8,
        &["twice"],
    );
    check_fault(&SHOP.replace("[eu]", "[]"), 16, &["regions"]);
    check_fault("project: shop\nviews: 3\n", 2, &[]);
    check_fault("", 1, &["project: NAME"]);
    check_fault("project: shop\nproject: shop\n", 2, &["project"]);
}

#[test]
fn too_much_is_refused() {
    let features: Vec<_> = (0..2_049)
        .map(|n| format!("      - {{ name: f{n}, type: bool }}\n"))
        .collect();
    let view = format!(
        "project: p\nviews:\n  - name: v\n    entity: e\n    features:\n{}",
        features.concat()
    );
    check_fault(&view, 6, &["2049", "2048"]);
    let wide: Vec<_> = (0..16)
        .map(|n| format!("      - {{ name: f{n}, type: \"vector<float32, 16384>\" }}\n"))
        .collect();
    let view = format!(
        "project: p\nviews:\n  - name: v\n    entity: e\n    features:\n{}",
        wide.concat()
    );
    check_fault(&view, 6, &["split the view"]);
    let nested = format!(
        "project: p\nviews: {}{}\n",
        "[".repeat(200),
        "]".repeat(200)
    );
    assert!(parse_yaml("n.yaml", &nested).is_err());
    let long = format!("project: p # {}\n", "x".repeat(5 << 20));
    assert!(
        parse_yaml("n.yaml", &long)
            .unwrap_err()
            .to_string()
            .contains("split it")
    );
}

#[test]
fn aliases_do_not_blow_up() {
    let mut yaml = String::from("project: p\nviews:\n  - &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for level in 1..12 {
        let items = vec![format!("*a{}", level - 1); 10].join(", ");
        yaml += &format!("  - &a{level} [{items}]\n");
    }
    assert!(parse_yaml("bomb.yaml", &yaml).is_err());
}

#[test]
fn a_fault_is_told_with_its_column_and_what_was_meant() {
    let check = |yaml: String, place: (u64, u64), words: &str| {
        let error = parse_yaml("shop.yaml", &yaml).unwrap_err();
        assert_eq!((error.line, error.column), place, "{error}");
        assert!(error.message.contains(words), "{words:?} is not in {error}");
    };
    check(
        SHOP.replace("ttl: 30d", "tlt: 30d"),
        (15, 5),
        "there is no field tlt here; did you mean ttl?",
    );
    check(
        SHOP.replace("name: orders, type: int32", "name: orders, type: integer"),
        (19, 31),
        "did you mean int64?",
    );
    check(
        SHOP.replace("copies: every_node", "copies: everynode"),
        (11, 13),
        "did you mean every_node?",
    );
    check(
        SHOP.replace("    entity: customer\n", ""),
        (17, 5),
        "field entity is missing",
    );
    check(
        SHOP.replace("name: views,", "name: orders,"),
        (20, 9),
        "feature orders is defined twice",
    );
    check(
        SHOP.replace("tags: [core]", "tags: [core]\n    tags: [new]"),
        (18, 5),
        "tags is given twice",
    );
}

#[test]
fn an_object_of_a_plan_is_found_in_its_file() {
    let place = |object| place_of_object(SHOP, object);
    assert_eq!(place("entity customer_item"), Some((6, 5)));
    assert_eq!(place("view activity@1"), Some((13, 5)));
    assert_eq!(place("feature activity@1:views"), Some((13, 5)));
    assert_eq!(place("service model_v1"), Some((23, 5)));
    assert_eq!(place("view activity@2"), None);
}
