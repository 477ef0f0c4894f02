//! What a plain scalar is to Helm.

use super::Resolved;

/// go-yaml v2's `resolve` for a scalar that is neither quoted nor tagged.
pub(super) fn resolve_plain(text: &str) -> Resolved<'_> {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Resolved::Null,
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => {
            return Resolved::Bool(true);
        }
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => {
            return Resolved::Bool(false);
        }
        ".nan" | ".NaN" | ".NAN" => return Resolved::Float(f64::NAN),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => return Resolved::Float(f64::INFINITY),
        "-.inf" | "-.Inf" | "-.INF" => return Resolved::Float(f64::NEG_INFINITY),
        _ => {}
    }
    let number = match text.as_bytes()[0] {
        b'.' => float(text),
        b'0'..=b'9' | b'+' | b'-' => {
            let plain: String = text.chars().filter(|c| *c != '_').collect();
            integer(&plain).or_else(|| float(&plain))
        }
        _ => None,
    };
    number.unwrap_or(Resolved::Text(text))
}

/// Go's `strconv.ParseInt(text, 0, 64)`, and as a float what needs more than 64 bits.
fn integer(text: &str) -> Option<Resolved<'static>> {
    let (negative, digits) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let radix = |prefix: &str| digits.get(..2).is_some_and(|head| head.eq_ignore_ascii_case(prefix));
    let (base, digits) = match digits {
        _ if radix("0x") => (16, &digits[2..]),
        _ if radix("0o") => (8, &digits[2..]),
        _ if radix("0b") => (2, &digits[2..]),
        _ if digits.len() > 1 && digits.starts_with('0') => (8, &digits[1..]),
        _ => (10, digits),
    };
    if digits.is_empty() || !digits.chars().all(|c| c.is_digit(base)) {
        return None;
    }
    let value = i128::from_str_radix(digits, base).ok().map(|value| if negative { -value } else { value });
    match value.map(|value| (i64::try_from(value), value)) {
        Some((Ok(value), _)) => Some(Resolved::Int(value)),
        Some((Err(_), value)) => Some(Resolved::Float(value as f64)),
        // More digits than anybody means: as large as a float gets without being infinite.
        None => Some(float(digits).unwrap_or(Resolved::Float(f64::MAX))),
    }
}

/// A decimal number such as go-yaml's `yamlStyleFloat` takes; one too large for a float is a text to it.
fn float(text: &str) -> Option<Resolved<'static>> {
    let digits = |c: char| c.is_ascii_digit();
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let decimal = unsigned.chars().all(|c| digits(c) || matches!(c, '.' | 'e' | 'E' | '+' | '-'));
    if !decimal || !unsigned.starts_with(|c| digits(c) || c == '.') {
        return None;
    }
    text.parse().ok().filter(|value: &f64| value.is_finite()).map(Resolved::Float)
}
