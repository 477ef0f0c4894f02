//! Limits that hold before anything of a request is read: its size, how long it may take, how many there are.

use std::net::IpAddr;
use std::num::NonZeroU32;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_LENGTH;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use governor::clock::{Clock, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};

use super::Server;
use super::connection::Peer;
use super::problem::Problem;
use crate::config::http::RateLimit;

/// How many requests an address may send.
pub(super) struct Rate {
    limiter: Option<DefaultKeyedRateLimiter<IpAddr>>,
    /// How many addresses are remembered before those are forgotten that have paused for long enough.
    most: usize,
}

/// From so many addresses on, those that have paused are forgotten.
const ADDRESSES: usize = 10_000;

impl Rate {
    pub(super) fn new(settings: RateLimit) -> Self {
        let quota = NonZeroU32::new(settings.per_second)
            .map(|rate| Quota::per_second(rate).allow_burst(NonZeroU32::new(settings.burst).unwrap_or(rate)));
        Self { limiter: quota.map(RateLimiter::keyed), most: ADDRESSES }
    }

    /// Counts a request. Where it is one too many, in how many seconds the next one may come.
    fn count(&self, address: IpAddr) -> Result<(), u32> {
        let Some(limiter) = &self.limiter else { return Ok(()) };
        if limiter.len() > self.most {
            limiter.retain_recent();
        }
        limiter.check_key(&whose(address)).map_err(|until| {
            let wait = until.wait_time_from(DefaultClock::default().now()).as_secs();
            u32::try_from(wait).unwrap_or(u32::MAX).saturating_add(1)
        })
    }
}

/// Whoever has an IPv6 address has its whole network, and could send each request from another one of it.
fn whose(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => IpAddr::V6((address.to_bits() >> 64 << 64).into()),
    }
}

/// Keeps the limits. A body without a length is cut where it is read.
pub(super) async fn keep(State(server): State<Server>, request: Request, next: Next) -> Response {
    let peer = request.extensions().get::<Peer>();
    if let Some(Err(seconds)) = peer.map(|peer| server.rate.count(peer.address)) {
        return Problem::too_many("too many requests from this address", seconds).into_response();
    }
    let length =
        request.headers().get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    let max = server.settings.max_body;
    if length.is_some_and(|length| length > max.as_u64()) {
        return Problem::new(StatusCode::PAYLOAD_TOO_LARGE, format!("a body may have {max}")).into_response();
    }
    let Ok(_place) = server.places.try_acquire() else {
        return Problem::later("too many requests at once; try again", 1).into_response();
    };
    match tokio::time::timeout(server.timeout(), next.run(request)).await {
        Ok(response) => response,
        Err(_) => Problem::later("it took too long", 5).into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_cannot_use_up_what_others_may_send() {
        let rate = Rate::new(RateLimit { per_second: 1, burst: 3 });
        let address = |text: &str| text.parse::<IpAddr>().unwrap();
        for _ in 0..3 {
            assert_eq!(rate.count(address("192.0.2.1")), Ok(()));
        }
        assert!(matches!(rate.count(address("192.0.2.1")), Err(1..=2)));
        assert_eq!(rate.count(address("192.0.2.2")), Ok(()));
        for last in 1..=3 {
            assert_eq!(rate.count(address(&format!("2001:db8::{last}"))), Ok(()));
        }
        assert!(rate.count(address("2001:db8::ffff")).is_err());
        assert_eq!(rate.count(address("2001:db8:0:1::1")), Ok(()));
        let unlimited = Rate::new(RateLimit { per_second: 0, burst: 0 });
        assert!((0..10_000).all(|_| unlimited.count(address("192.0.2.1")).is_ok()));
    }

    #[test]
    fn addresses_that_have_paused_are_forgotten() {
        let rate = Rate { most: 10, ..Rate::new(RateLimit { per_second: 1_000_000, burst: 1 }) };
        for last in 0..=255 {
            assert_eq!(rate.count(IpAddr::from([192, 0, 2, last])), Ok(()));
        }
        assert!(rate.limiter.is_some_and(|limiter| limiter.len() < 100));
    }
}
