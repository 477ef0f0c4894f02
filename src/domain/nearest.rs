//! The known name that somebody probably meant.

/// The name among `among` that is nearest to `wanted`, where one is near enough to be a slip of the finger:
/// at most a third of its letters differ (inserted, left out, replaced or swapped with a neighbour), and at
/// most three. Of several equally near ones the first.
pub fn nearest<'a>(wanted: &str, among: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let wanted: Vec<char> = wanted.chars().collect();
    let near = |name: &&str| {
        let name: Vec<char> = name.chars().collect();
        let allowed = (wanted.len().max(name.len()) / 3).clamp(1, 3);
        // A long text is not compared at all: the length alone says that it is too far.
        (wanted.len().abs_diff(name.len()) <= allowed)
            .then(|| distance(&wanted, &name))
            .filter(|&d| d <= allowed)
    };
    among
        .filter_map(|name| near(&name).map(|distance| (distance, name)))
        .min_by_key(|pair| pair.0)
        .map(|pair| pair.1)
}

/// Damerau and Levenshtein's distance, in which no part is edited twice.
fn distance(a: &[char], b: &[char]) -> usize {
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for (i, &x) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, &y) in b.iter().enumerate() {
            let mut least = (last[j] + usize::from(x != y)).min(last[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && x == b[j - 1] && a[i - 1] == y {
                least = least.min(before[j - 1] + 1);
            }
            row.push(least);
        }
        before = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_finger_finds_its_name() {
        let names = ["user-service", "payment-service", "redis", "postgres"];
        for (wanted, found) in [
            ("user-servic", Some("user-service")),
            ("usre-service", Some("user-service")),
            ("paymentservice", Some("payment-service")),
            ("rediss", Some("redis")),
            ("postgresql", Some("postgres")),
            ("kafka", None),
            ("", None),
        ] {
            assert_eq!(nearest(wanted, names.into_iter()), found, "{wanted:?}");
        }
    }
}
