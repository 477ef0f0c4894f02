//! Histograms that are counted elsewhere.

use prometheus_client::encoding::{EncodeMetric, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;

use super::ByTime;
use crate::domain::spread::Spread;
use crate::ports::ApiTimes;

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

/// The same for each sort of request to the Kubernetes API.
#[derive(Debug)]
pub(super) struct CountedCalls(pub(super) Vec<ApiTimes>);

impl EncodeMetric for CountedCalls {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> Result<(), std::fmt::Error> {
        let Self(all) = self;
        for ApiTimes { verb, resource, took } in all {
            let labels = ByTime { verb, resource };
            let mut encoder = encoder.encode_family(&labels)?;
            encoder.encode_histogram::<NoLabelSet>(took.seconds, took.count(), &took.buckets, None)?;
        }
        Ok(())
    }

    fn metric_type(&self) -> MetricType {
        MetricType::Histogram
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
