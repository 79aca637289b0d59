//! "Did you mean": the names nearest to one that does not exist.

/// What to add to a message about `given`, where `names` are those that exist: the nearest ones, or
/// a few of them where none is near, or that there are none. `what` is their plural.
#[must_use]
pub fn hint<'a>(given: &str, names: impl Iterator<Item = &'a str>, what: &str) -> String {
    let begins =
        |name: &str| given.len() > 2 && (name.starts_with(given) || given.starts_with(name));
    let far = |name: &str| {
        if begins(name) {
            1
        } else {
            distance(given, name)
        }
    };
    let mut all: Vec<(usize, &str)> = names.map(|name| (far(name), name)).collect();
    all.sort_unstable();
    all.dedup();
    if all.is_empty() {
        return format!("there are no {what}");
    }
    let limit = (given.len() / 3).max(2);
    let near: Vec<&str> = all
        .iter()
        .take_while(|(far, _)| *far <= limit)
        .map(|(_, name)| *name)
        .take(3)
        .collect();
    if near.is_empty() {
        let some: Vec<&str> = all.iter().map(|(_, name)| *name).take(5).collect();
        let more = if all.len() > some.len() { ", …" } else { "" };
        return format!("{what} are {}{more}", some.join(", "));
    }
    format!("did you mean {}?", near.join(" or "))
}

/// The one name that is nearest to `given`, if one is near.
#[must_use]
pub fn nearest<'a>(given: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let limit = (given.len() / 3).max(1);
    names
        .map(|name| (distance(given, name), name))
        .filter(|(far, _)| *far <= limit)
        .min()
        .map(|(_, name)| name)
}

/// Levenshtein's distance, over bytes: names are ASCII.
fn distance(left: &str, right: &str) -> usize {
    let (left, right) = (left.as_bytes(), right.as_bytes());
    // Nobody needs to know how far two long texts are apart; the table stays small.
    if left.len() > 200 || right.len() > 200 {
        return usize::MAX;
    }
    let mut before: Vec<usize> = (0..=right.len()).collect();
    for (i, a) in left.iter().enumerate() {
        let mut now = vec![i + 1];
        for (j, b) in right.iter().enumerate() {
            let changed = before[j] + usize::from(a != b);
            now.push(changed.min(before[j + 1] + 1).min(now[j] + 1));
        }
        before = now;
    }
    before[right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_answered_with_the_name_that_was_meant() {
        let names = ["customer", "article", "item"];
        assert_eq!(
            hint("custmer", names.into_iter(), "entities"),
            "did you mean customer?"
        );
        assert_eq!(
            hint("zzzzzz", names.into_iter(), "entities"),
            "entities are item, article, customer"
        );
        let longer = ["customer_id", "item"].into_iter();
        assert_eq!(
            hint("customer", longer, "keys"),
            "did you mean customer_id?"
        );
        assert_eq!(hint("x", [].into_iter(), "views"), "there are no views");
    }
}
