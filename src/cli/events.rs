//! `events` and `dead-letters`: what arrived, and what became of it.

use clap::{Args, Subcommand};
use jiff::Timestamp;

use super::output::grid::{Cell, Grid};
use super::output::stream::Stream;
use super::system::System;
use super::{Common, Exit, Failure, output};
use crate::domain::names::{CustomerId, EventId};
use crate::view::event::{EventView, LetterView};

/// Options of `events`.
#[derive(Debug, Args)]
pub struct Events {
    /// Only for this customer
    #[arg(long)]
    customer: Option<CustomerId>,
    /// Only in this state: `accepted`, `planned`, `ignored`, `rejected` or `superseded`
    #[arg(long)]
    state: Option<String>,
    /// How many at most
    #[arg(long, default_value_t = 20)]
    limit: u32,
}

/// Options of `dead-letters`.
#[derive(Debug, Args)]
pub struct Letters {
    #[command(subcommand)]
    action: Option<Action>,
    /// How many at most
    #[arg(long, default_value_t = 20)]
    limit: u32,
}

/// What to do with a dead letter.
#[derive(Debug, Subcommand)]
enum Action {
    /// Try one again, for instance after its source was configured; only by a server
    Replay {
        /// Which
        id: EventId,
    },
}

pub(super) async fn events(common: &Common, options: &Events) -> Result<Exit, Failure> {
    let system = System::existing(common).await?;
    let found = system.events(options.customer.as_ref(), options.state.as_deref(), options.limit).await?;
    system.close().await;
    output::print(common.output, &found, || table_of_events(&found))?;
    Ok(Exit::Success)
}

pub(super) async fn letters(common: &Common, options: &Letters) -> Result<Exit, Failure> {
    let system = System::existing(common).await?;
    if let Some(Action::Replay { id }) = &options.action {
        let System::There(client) = &system else {
            let message = "a dead letter is tried again by a running server: give --server";
            return Err(Failure::new(Exit::Usage, message));
        };
        let receipt = client.replay(id).await?;
        output::write(&format!("{id} became the event {}", receipt.event))?;
        return Ok(Exit::Success);
    }
    let found = system.letters(options.limit).await?;
    system.close().await;
    output::print(common.output, &found, || table_of_letters(&found))?;
    Ok(Exit::Success)
}

fn table_of_events(events: &[EventView]) -> String {
    if events.is_empty() {
        return "no events".into();
    }
    let mut table = Grid::new(&["EVENT", "RECEIVED", "CUSTOMER", "BY", "STATE", "DEPLOYMENTS", "REASON"]);
    for event in events {
        let deployments: Vec<_> = event.deployments.iter().map(ToString::to_string).collect();
        let customer = event.request.customer.as_ref().map(ToString::to_string);
        table.row([
            Cell::from(event.id.to_string()),
            Cell::from(moment(event.received_at)),
            Cell::from(customer.unwrap_or_default()),
            Cell::from(&event.request.requested_by),
            output::state_cell(&event.state),
            Cell::from(deployments.join(", ")),
            Cell::from(event.reason.as_deref().unwrap_or_default()),
        ]);
    }
    table.render(Stream::Out.width())
}

fn table_of_letters(letters: &[LetterView]) -> String {
    if letters.is_empty() {
        return "no dead letters".into();
    }
    let mut table = Grid::new(&["LETTER", "LAST", "COUNT", "FAULT"]);
    for letter in letters {
        let fault = letter.faults.first().map(|fault| fault.message.as_str());
        table.row([
            Cell::from(letter.id.to_string()),
            Cell::from(moment(letter.last_at)),
            Cell::from(letter.count),
            Cell::from(fault.unwrap_or_default()),
        ]);
    }
    table.render(Stream::Out.width())
}

fn moment(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%SZ").to_string()
}
