//! GitHub's signature of a webhook: HMAC-SHA256 over the body as it came.
//!
//! Contract: `X-Hub-Signature-256: sha256=<64 lower-case hexadecimal digits>`. Anything else is no signature.

use axum::http::{HeaderMap, HeaderName};
use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;

const HEADER: HeaderName = HeaderName::from_static("x-hub-signature-256");

/// A signature that has the right form. Whether it is right is not known before the body is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Signature([u8; 32]);

impl Signature {
    /// The one signature of a request; none where there is none, or more than one.
    pub(super) fn of(headers: &HeaderMap) -> Option<Self> {
        let mut given = headers.get_all(HEADER).iter();
        let (Some(value), None) = (given.next(), given.next()) else { return None };
        let digits = value.to_str().ok()?.strip_prefix("sha256=")?.as_bytes();
        if digits.len() != 64 {
            return None;
        }
        let digit = |byte: u8| match byte {
            b'0'..=b'9' => Some(byte - b'0'),
            b'a'..=b'f' => Some(byte - b'a' + 10),
            _ => None,
        };
        let mut bytes = [0; 32];
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks(2)) {
            let [high, low] = pair else { return None };
            *byte = digit(*high)? << 4 | digit(*low)?;
        }
        Some(Self(bytes))
    }

    /// Whether one of the secrets made it of this body. All are tried, each compared in constant time.
    pub(super) fn is_of(self, body: &[u8], secrets: &[SecretString]) -> bool {
        let mut right = false;
        for secret in secrets {
            // A key of any length is one.
            let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.expose_secret().as_bytes()) else {
                continue;
            };
            mac.update(body);
            right |= mac.verify_slice(&self.0).is_ok();
        }
        right
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    /// GitHub's own example: secret `It's a Secret to Everybody`, body `Hello, World!`.
    const RIGHT: &str = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";

    fn judge(values: &[&str]) -> bool {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(HEADER, HeaderValue::from_str(value).unwrap());
        }
        let secrets = ["old".into(), "It's a Secret to Everybody".into()];
        Signature::of(&headers).is_some_and(|signature| signature.is_of(b"Hello, World!", &secrets))
    }

    #[test]
    fn only_the_one_right_signature_is_one() {
        assert!(judge(&[RIGHT]));
        let upper = RIGHT.to_uppercase().replace("SHA256", "sha256");
        let other = format!("{}8", &RIGHT[..RIGHT.len() - 1]);
        let sha1 = RIGHT.replace("sha256", "sha1");
        for wrong in [&upper, &other, &sha1, &RIGHT[..RIGHT.len() - 2], &RIGHT[7..], "sha256=", ""] {
            assert!(!judge(&[wrong]), "{wrong}");
        }
        assert!(!judge(&[RIGHT, RIGHT]));
        assert!(!judge(&[]));
    }
}
