//! Histograms that are counted elsewhere.

use prometheus_client::encoding::{EncodeMetric, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;

use crate::store::Spread;

/// What is counted in buckets by somebody else, as a histogram.
#[derive(Debug)]
pub(super) struct Counted(pub(super) Spread);

impl EncodeMetric for Counted {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> Result<(), std::fmt::Error> {
        let Self(spread) = self;
        let buckets: Vec<(f64, u64)> = spread
            .buckets
            .iter()
            // The library writes the infinite bound as it writes the largest number.
            .map(|(bound, count)| (if bound.is_infinite() { f64::MAX } else { *bound }, *count))
            .collect();
        encoder.encode_histogram::<NoLabelSet>(spread.seconds, spread.count(), &buckets, None)
    }

    fn metric_type(&self) -> MetricType {
        MetricType::Histogram
    }
}
