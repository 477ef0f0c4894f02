//! "Did you mean ..?": the known name that is nearest to one that is not known.

/// Longer texts are no misspelt names, and comparing them would only cost time.
const LONGEST: usize = 128;

/// The one among the known names that `wanted` is most likely a misspelling of; none when all are too far off.
///
/// Near is at most one slip for three characters, and three in all: a character too many, too few, another one, or
/// two neighbours swapped. Upper and lower case count as the same. Of equally near names the first wins.
pub fn nearest<'a>(wanted: &str, among: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    if wanted.len() > LONGEST {
        return None;
    }
    let wanted = letters(wanted);
    let mut within = (wanted.len() / 3).clamp(1, 3);
    let mut best = None;
    for name in among {
        if name.len() > LONGEST {
            continue;
        }
        if let Some(slips) = distance(&wanted, &letters(name), within) {
            best = Some(name);
            if slips == 0 {
                break;
            }
            within = slips - 1;
        }
    }
    best
}

fn letters(text: &str) -> Vec<char> {
    text.chars().map(|c| c.to_ascii_lowercase()).collect()
}

/// Restricted Damerau-Levenshtein distance; none when it is more than `within`.
fn distance(a: &[char], b: &[char], within: usize) -> Option<usize> {
    if a.len().abs_diff(b.len()) > within {
        return None;
    }
    // Only the cells next to the diagonal can stay within; all others count as too far.
    let far = within + 1;
    let mut before = vec![far; b.len() + 1];
    let mut above: Vec<usize> = (0..=b.len()).collect();
    let mut row = before.clone();
    for i in 1..=a.len() {
        let (low, high) = (i.saturating_sub(within).max(1), b.len().min(i + within));
        row[low - 1] = if low == 1 { i } else { far };
        let mut least = row[low - 1];
        for j in low..=high {
            let changed = above[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            row[j] = changed.min(above[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                row[j] = row[j].min(before[j - 2] + 1);
            }
            least = least.min(row[j]);
        }
        if least > within {
            return None;
        }
        if let Some(beyond) = row.get_mut(high + 1) {
            *beyond = far;
        }
        std::mem::swap(&mut before, &mut above);
        std::mem::swap(&mut above, &mut row);
    }
    Some(above[b.len()]).filter(|slips| *slips <= within)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(wanted: &str, among: &[&str], expected: Option<&str>) {
        assert_eq!(nearest(wanted, among.iter().copied()), expected, "{wanted}");
    }

    #[test]
    fn a_misspelt_name_is_recognised() {
        let services = ["user-service", "auth-service", "postgres", "redis", "web-ui"];
        check("user-servic", &services, Some("user-service"));
        check("postgers", &services, Some("postgres"));
        check("POSTGRES", &services, Some("postgres"));
        check("reids", &services, Some("redis"));
        check("webui", &services, Some("web-ui"));
        check("kafka", &services, None);
        check("", &services, None);
        check("x", &[], None);
    }

    #[test]
    fn the_nearest_wins_and_of_equals_the_first() {
        check("image", &["images", "image", "imagePrefix"], Some("image"));
        check("por", &["port", "pot"], Some("port"));
    }

    #[test]
    fn a_swap_of_neighbours_is_one_slip() {
        let distance = |a, b| distance(&letters(a), &letters(b), 9);
        assert_eq!(distance("ab", "ba"), Some(1));
        assert_eq!(distance("abc", "abc"), Some(0));
        assert_eq!(distance("", "abc"), Some(3));
        assert_eq!(distance("kitten", "sitting"), Some(3));
    }

    proptest::proptest! {
        #[test]
        fn a_bound_only_hides_what_is_beyond_it(a in "[ab]{0,9}", b in "[ab]{0,9}", within in 0usize..6) {
            let exact = distance(&letters(&a), &letters(&b), 20);
            let bounded = distance(&letters(&a), &letters(&b), within);
            proptest::prop_assert_eq!(bounded, exact.filter(|slips| *slips <= within));
        }
    }

    #[test]
    fn a_huge_text_costs_nothing() {
        check(&"a".repeat(10_000_000), &["port"], None);
    }
}
