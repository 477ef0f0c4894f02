//! What a wish would lead to if it were stored now. Nothing is.

use jiff::Timestamp;

use super::App;
use super::intake::{self, Later};
use super::wish::Wish;
use crate::domain::deployment::{Deployment, State};
use crate::store::{EventState, Outcome, StoredEvent};

/// What a wish would lead to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Foresight {
    /// To this deployment.
    Deployment(Box<Deployment>),
    /// To nothing, and why.
    Nothing(String),
}

/// Works on a wish as the worker would, up to what it would store.
///
/// # Errors
/// When something does not answer now.
pub async fn foresee(app: &App, wish: Wish, now: Timestamp) -> Result<Foresight, Later> {
    let (id, request) = wish.request();
    let event = StoredEvent {
        id,
        request,
        received_at: now,
        state: EventState::Accepted { due_at: now, attempts: 0, reason: None },
        deployments: Vec::new(),
    };
    // The epoch is only looked at when a settlement is stored.
    let settlement = intake::settle(app, &event, 0, now).await?;
    let made = settlement.deployments.into_iter().next();
    Ok(match (made, settlement.outcome) {
        (Some(made), _) => {
            if let State::Rejected { reason, .. } = made.state() {
                Foresight::Nothing(reason.clone())
            } else {
                Foresight::Deployment(Box::new(made))
            }
        }
        (
            None,
            Outcome::Ignored { reason } | Outcome::Rejected { reason, .. } | Outcome::Superseded { reason },
        ) => Foresight::Nothing(reason),
        (None, Outcome::Planned) => Foresight::Nothing("the same is under way already".to_owned()),
    })
}
