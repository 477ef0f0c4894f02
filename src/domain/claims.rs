//! What a token says of its owner, once its signature, issuer, audience and times were found right.

use serde_json::{Map, Value};

/// How many groups of one person are looked at.
const GROUPS: usize = 1000;

/// How long a name may be.
const NAME_LENGTH: usize = 200;

/// Who it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// The name, of the claim that the configuration chooses.
    pub name: String,
    /// The groups.
    pub groups: Vec<String>,
}

/// Why a token with a right signature is not one for this interface.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ClaimError {
    /// It tells a client who logged in, and is no permission to call an interface.
    #[error("this is an ID token; an access token is needed")]
    IdToken,
    /// It is for getting further tokens.
    #[error("this is a refresh token; an access token is needed")]
    RefreshToken,
    /// The claim that names its owner is missing, or no text that could stand in a log.
    #[error("the token has no usable claim `{0}`, which is to name its owner")]
    NoName(String),
}

/// Whether a token may be used to call an interface. `kind` is the `typ` of its header.
///
/// An access token by RFC 9068 says so. Providers that do not follow it give `JWT` or nothing; there an ID token shows
/// by claims that OpenID Connect gives to it alone, or by Keycloak's own `typ` claim.
///
/// # Errors
/// What it is instead.
pub fn check_is_access_token(kind: Option<&str>, claims: &Map<String, Value>) -> Result<(), ClaimError> {
    let kind = kind.map(|kind| kind.to_ascii_lowercase());
    let kind = kind.as_deref().map(|kind| kind.strip_prefix("application/").unwrap_or(kind));
    if kind == Some("at+jwt") {
        return Ok(());
    }
    match claims.get("typ").and_then(Value::as_str) {
        Some("ID") => return Err(ClaimError::IdToken),
        Some("Refresh" | "Offline") => return Err(ClaimError::RefreshToken),
        Some(_) | None => {}
    }
    let of_id_tokens = ["nonce", "at_hash", "c_hash", "s_hash"];
    if of_id_tokens.iter().any(|claim| claims.contains_key(*claim)) {
        return Err(ClaimError::IdToken);
    }
    Ok(())
}

/// Who the owner of a token is.
///
/// # Errors
/// When nobody can say so.
pub fn person(
    claims: &Map<String, Value>,
    name_claim: &str,
    groups_claim: &str,
) -> Result<Person, ClaimError> {
    let fine = |name: &&str| {
        !name.trim().is_empty() && name.len() <= NAME_LENGTH && !name.chars().any(char::is_control)
    };
    let name = claims.get(name_claim).and_then(Value::as_str).filter(fine);
    let name = name.ok_or_else(|| ClaimError::NoName(name_claim.to_owned()))?;
    let groups = match claims.get(groups_claim) {
        Some(Value::Array(groups)) => {
            groups.iter().take(GROUPS).filter_map(Value::as_str).map(str::to_owned).collect()
        }
        // Some providers give a single group as a text.
        Some(Value::String(group)) => vec![group.clone()],
        Some(_) | None => Vec::new(),
    };
    Ok(Person { name: name.to_owned(), groups })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn map(value: Value) -> Map<String, Value> {
        let Value::Object(map) = value else { panic!("{value} is no object") };
        map
    }

    #[test]
    fn only_an_access_token_is_a_permission() {
        use ClaimError::{IdToken, RefreshToken};
        for (kind, claims, expected) in [
            (Some("at+jwt"), json!({}), Ok(())),
            (Some("application/AT+JWT"), json!({"nonce": "n"}), Ok(())),
            (Some("JWT"), json!({"scope": "x"}), Ok(())),
            (None, json!({}), Ok(())),
            (None, json!({"typ": "Bearer"}), Ok(())),
            (Some("JWT"), json!({"nonce": "n"}), Err(IdToken)),
            (Some("JWT"), json!({"at_hash": "h"}), Err(IdToken)),
            (Some("JWT"), json!({"c_hash": "h"}), Err(IdToken)),
            (Some("JWT"), json!({"typ": "ID"}), Err(IdToken)),
            (Some("JWT"), json!({"typ": "Refresh"}), Err(RefreshToken)),
        ] {
            assert_eq!(check_is_access_token(kind, &map(claims.clone())), expected, "{kind:?} {claims}");
        }
    }

    #[test]
    fn the_owner_is_named_by_the_chosen_claim() {
        let claims = map(json!({
            "sub": "42", "email": "jane@example.com", "empty": " ", "number": 1, "line": "a\nb",
            "groups": ["ops", 7, "dev"], "one": "ops",
        }));
        let check = |name: &str, groups: &str| person(&claims, name, groups);
        let jane = check("email", "groups").unwrap();
        assert_eq!((jane.name.as_str(), jane.groups), ("jane@example.com", vec!["ops".into(), "dev".into()]));
        assert_eq!(check("sub", "one").unwrap().groups, ["ops"]);
        assert_eq!(check("sub", "none").unwrap().groups, Vec::<String>::new());
        for missing in ["empty", "number", "line", "none"] {
            assert_eq!(check(missing, "groups"), Err(ClaimError::NoName(missing.into())));
        }
    }
}
