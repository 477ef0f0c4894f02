//! Chance that depends on the script's seed, the Application and what is drawn for, and on nothing else: not on
//! when somebody looks, nor on what else was drawn.

use crate::domain::names::AppName;

/// Streams of chance, so that one kind of draw never shifts another.
#[derive(Debug, Clone, Copy)]
pub(super) enum Chance {
    Pickup = 1,
    Sync,
    Healthy,
    Stale,
    Early,
    Retry,
    Stop,
    Refresh,
    AutoRefresh,
    Lag,
}

/// An even draw from `0.0..1.0`.
pub(super) fn share(seed: u64, chance: Chance, number: u64) -> f64 {
    let drawn = mixed(mixed(seed ^ (chance as u64)).wrapping_add(number));
    (drawn >> 11) as f64 / (1_u64 << 53) as f64
}

/// The seed of an Application.
pub(super) fn seed_of(seed: u64, name: &AppName) -> u64 {
    // FNV-1a over the name, so that each Application has its own chance.
    name.as_str().bytes().fold(mixed(seed) ^ 0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)
    })
}

/// SplitMix64: the same everywhere and for ever, which no library's generator promises.
fn mixed(value: u64) -> u64 {
    let mut z = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
