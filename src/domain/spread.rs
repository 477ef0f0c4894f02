//! How long things took, counted in buckets that never grow.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Durations, counted.
#[derive(Debug)]
pub struct Durations {
    /// The upper bound of each bucket in seconds, rising, and how many are in it and in none before it.
    buckets: Vec<(f64, AtomicU64)>,
    longer: AtomicU64,
    nanoseconds: AtomicU64,
}

/// How durations are spread, since they are counted.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Spread {
    /// Upper bound of each bucket in seconds, and how many are in it and in no bucket before it; the last bound is
    /// infinite.
    pub buckets: Vec<(f64, u64)>,
    /// All durations together, in seconds.
    pub seconds: f64,
}

impl Spread {
    /// How many durations there are.
    pub fn count(&self) -> u64 {
        self.buckets.iter().map(|(_, count)| count).sum()
    }
}

impl Durations {
    /// None is counted yet. The bounds are in seconds, and rise; what is longer than the last is counted apart.
    pub fn new(bounds: &[f64]) -> Self {
        Self {
            buckets: bounds.iter().map(|bound| (*bound, AtomicU64::new(0))).collect(),
            longer: AtomicU64::new(0),
            nanoseconds: AtomicU64::new(0),
        }
    }

    /// Counts one.
    pub fn add(&self, took: Duration) {
        let seconds = took.as_secs_f64();
        let bucket = self.buckets.iter().find(|(bound, _)| seconds <= *bound);
        let count = bucket.map_or(&self.longer, |(_, count)| count);
        count.fetch_add(1, Ordering::Relaxed);
        let nanoseconds = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        self.nanoseconds.fetch_add(nanoseconds, Ordering::Relaxed);
    }

    /// How they are spread by now.
    pub fn spread(&self) -> Spread {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let mut buckets: Vec<(f64, u64)> =
            self.buckets.iter().map(|(bound, count)| (*bound, read(count))).collect();
        buckets.push((f64::INFINITY, read(&self.longer)));
        Spread { buckets, seconds: read(&self.nanoseconds) as f64 / 1e9 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_duration_is_in_the_first_bucket_that_holds_it() {
        let durations = Durations::new(&[0.0001, 0.00025, 0.5, 1.0, 2.5]);
        for microseconds in [100, 101, 1_000_000, 3_600_000_000] {
            durations.add(Duration::from_micros(microseconds));
        }
        let spread = durations.spread();
        let filled: Vec<(f64, u64)> =
            spread.buckets.iter().filter(|(_, count)| *count > 0).copied().collect();
        assert_eq!(filled, [(0.0001, 1), (0.00025, 1), (1.0, 1), (f64::INFINITY, 1)]);
        assert_eq!(spread.count(), 4);
        assert!((spread.seconds - 3_601.000_201).abs() < 1e-9, "{}", spread.seconds);
    }
}
