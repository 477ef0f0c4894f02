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
        encoder.encode_histogram::<NoLabelSet>(spread.seconds, spread.count(), &spread.buckets, None)
    }

    fn metric_type(&self) -> MetricType {
        MetricType::Histogram
    }
}
