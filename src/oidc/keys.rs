//! The provider's keys, as it published them last.

use std::time::Duration;

use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, JwkSet, KeyAlgorithm, PublicKeyUse};
use jsonwebtoken::{Algorithm, AlgorithmFamily, DecodingKey};
use tokio::time::Instant;

/// How long keys are used without asking whether they still count.
const FRESH: Duration = Duration::from_secs(3600);

/// How often an unknown key makes us ask again at most, so that made-up tokens cannot make us flood the provider.
const PAUSE: Duration = Duration::from_secs(10);

/// How many keys are kept.
const MOST: usize = 100;

/// The keys, and when they were asked for.
#[derive(Debug, Default)]
pub(super) struct Keys {
    set: Vec<Jwk>,
    asked_at: Option<Instant>,
    read_at: Option<Instant>,
}

impl Keys {
    pub(super) fn is_empty(&self) -> bool {
        self.set.is_empty()
    }

    pub(super) fn are_fresh(&self) -> bool {
        // Asked for in vain is no reason to ask at each request either.
        let read = self.read_at.is_some_and(|at| at.elapsed() < FRESH);
        read || (!self.set.is_empty() && !self.may_ask())
    }

    pub(super) fn may_ask(&self) -> bool {
        self.asked_at.is_none_or(|at| at.elapsed() >= PAUSE)
    }

    /// Whether the provider is to be asked for a token's key.
    pub(super) fn wants(&self, id: Option<&str>, algorithm: Algorithm) -> bool {
        self.may_ask() && (!self.are_fresh() || self.find(id, algorithm).is_none())
    }

    pub(super) fn asked(&mut self) {
        self.asked_at = Some(Instant::now());
    }

    pub(super) fn keep(&mut self, set: JwkSet) {
        self.set = set.keys.into_iter().take(MOST).collect();
        self.read_at = Some(Instant::now());
    }

    /// The key with this id that can check this algorithm. Without an id there must be just one that can.
    pub(super) fn find(&self, id: Option<&str>, algorithm: Algorithm) -> Option<DecodingKey> {
        let mut fitting = self
            .set
            .iter()
            .filter(|key| checks(key, algorithm))
            .filter(|key| id.is_none_or(|id| key.common.key_id.as_deref() == Some(id)));
        let key = fitting.next()?;
        if id.is_none() && fitting.next().is_some() {
            return None;
        }
        DecodingKey::from_jwk(key).ok()
    }
}

/// Whether a key is meant for signatures of this algorithm. A key never checks an algorithm of another kind, so that a
/// public key cannot be taken for a shared secret.
#[allow(clippy::wildcard_enum_match_arm, reason = "what is not listed checks nothing")]
fn checks(key: &Jwk, algorithm: Algorithm) -> bool {
    let signs = key.common.public_key_use.as_ref().is_none_or(|usage| *usage == PublicKeyUse::Signature);
    let named = key.common.key_algorithm.as_ref();
    let same = named.is_none_or(|named| *named == KeyAlgorithm::from(algorithm));
    let kind = match &key.algorithm {
        AlgorithmParameters::RSA(_) => algorithm.family() == AlgorithmFamily::Rsa,
        AlgorithmParameters::EllipticCurve(curve) => match algorithm {
            Algorithm::ES256 => curve.curve == EllipticCurve::P256,
            Algorithm::ES384 => curve.curve == EllipticCurve::P384,
            _ => false,
        },
        AlgorithmParameters::OctetKeyPair(_) => algorithm == Algorithm::EdDSA,
        _ => false,
    };
    signs && same && kind
}
