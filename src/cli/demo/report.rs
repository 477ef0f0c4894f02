//! What the demo ends with: told by the cluster's own record, not by what the orchestrator believes.

use std::sync::Arc;

use console::Style;
use jiff::Timestamp;
use serde::Serialize;

use crate::adapters::simulated::Simulated;
use crate::adapters::simulated::log::violations_between;
use crate::app::App;
use crate::cli::output::grid::{Cell, Grid, wrap};
use crate::cli::output::stream::Stream;
use crate::cli::{Failure, output};
use crate::domain::application::{HealthStatus, SyncStatus};
use crate::domain::catalog::Order;
use crate::domain::names::{CustomerId, DeploymentId, Revision, ServiceName};
use crate::domain::review::{WaveReview, review};

/// All deployments of the demo.
#[derive(Debug, Default, Serialize)]
pub(super) struct Report {
    deployments: Vec<Run>,
    order: Order,
    order_violations: usize,
}

/// One deployment of the demo.
#[derive(Debug, Serialize)]
struct Run {
    id: DeploymentId,
    customer: CustomerId,
    revision: Revision,
    state: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// Services in the catalogue.
    services: usize,
    /// Services that were synced.
    touched: usize,
    /// Services that the cluster shows healthy at the end.
    healthy: usize,
    /// Services that were taken back.
    rolled_back: usize,
    rollback_order: Vec<String>,
    /// Syncs that the cluster saw start before what they wait for was healthy.
    order_violations: usize,
    waves: Vec<WaveReview>,
    makespan_seconds: f64,
    critical_path_seconds: f64,
    critical_path: Vec<String>,
}

impl Report {
    /// Adds a deployment that is over.
    pub(super) async fn add(
        &mut self,
        app: &App,
        cluster: &Arc<Simulated>,
        id: &DeploymentId,
        order: Order,
    ) -> Result<(), Failure> {
        let deployment = crate::cli::system::find(&app.store, id).await?;
        let journal = app.store.journal(id).await?.value;
        let plan = &deployment.brief.plan;
        let review = review(&deployment.brief, &journal);
        let mut healthy = 0;
        for change in plan.changes.iter().filter(|change| change.service.is_some()) {
            let read = app.cluster.application(&change.app).await;
            let read = read.map_err(|error| Failure::new(crate::cli::Exit::Unavailable, error))?;
            let fine = |status: HealthStatus, sync: SyncStatus| {
                status == HealthStatus::Healthy && sync == SyncStatus::Synced
            };
            healthy += usize::from(read.is_some_and(|read| fine(read.health.status, read.sync.status)));
        }
        let from = deployment.progress.started_at.unwrap_or(deployment.brief.created_at);
        let until = deployment.state().ended_at().unwrap_or_else(Timestamp::now);
        let violations =
            violations_between(&cluster.log(), &plan.requirements(), &plan.revision, from, until);
        self.order = order;
        self.order_violations += violations.len();
        self.deployments.push(Run {
            id: id.clone(),
            customer: plan.customer.clone(),
            revision: plan.revision.clone(),
            state: deployment.state().word().to_owned(),
            reason: deployment.state().reason(),
            services: plan.service_count(),
            touched: plan.touched_count(),
            healthy,
            rolled_back: review
                .rollback_order
                .iter()
                .filter(|name| *name != crate::domain::names::BASE)
                .count(),
            rollback_order: review.rollback_order,
            order_violations: violations.len(),
            waves: review.waves,
            makespan_seconds: review.makespan_seconds,
            critical_path_seconds: review.critical_path_seconds,
            critical_path: review.critical_path,
        });
        Ok(())
    }

    /// Whether everything ended as it should: healthy, or (where a failure was asked for) taken back.
    pub(super) fn is_as_expected(&self, fail: Option<&ServiceName>) -> bool {
        let healthy = self.deployments.iter().all(|run| run.healthy == run.services);
        let first_ones = self.deployments.len() / 2;
        let states = self.deployments.iter().enumerate().all(|(position, run)| {
            let failing = fail.is_some() && position >= first_ones && run.touched > 0;
            run.state == if failing { "failed" } else { "succeeded" }
        });
        healthy && states && self.order_violations == 0
    }

    /// For people.
    pub(super) fn summary(&self) -> String {
        let headings = [
            "CUSTOMER",
            "REVISION",
            "STATE",
            "TOUCHED",
            "HEALTHY",
            "TAKEN BACK",
            "VIOLATIONS",
            "TOOK",
            "CRITICAL PATH",
        ];
        let mut table = Grid::new(&headings);
        for run in &self.deployments {
            table.row([
                Cell::from(run.customer.to_string()),
                Cell::from(run.revision.short().to_owned()),
                output::state_cell(&run.state),
                Cell::from(format!("{}/{}", run.touched, run.services)),
                Cell::from(format!("{}/{}", run.healthy, run.services)),
                Cell::from(run.rolled_back.to_string()),
                Cell::from(run.order_violations.to_string()),
                Cell::from(output::length(run.makespan_seconds)),
                Cell::from(output::length(run.critical_path_seconds)),
            ]);
        }
        let mut text = format!("\n{}\n", table.render(Stream::Out.width()));
        if let [first, ..] = self.deployments.as_slice() {
            text.push_str(&waves(first));
        }
        for run in self.deployments.iter().filter(|run| run.reason.is_some()) {
            let reason = run.reason.as_deref().unwrap_or_default();
            let line = format!("{} {}: {}", run.customer, run.revision.short(), output::plain(reason));
            text.push_str(&format!("\n{}\n", wrap(&line, Stream::Out.width()).join("\n")));
            if !run.rollback_order.is_empty() {
                let list = format!("taken back in this order: {}", run.rollback_order.join(", "));
                text.push_str(&wrap(&list, Stream::Out.width()).join("\n"));
                text.push('\n');
            }
        }
        text
    }
}

/// The waves of a deployment as bars over its time.
fn waves(run: &Run) -> String {
    // Beside the bars stand the wave's name, its services and its time.
    let width = Stream::Out.width().saturating_sub(36).clamp(10, 50) as f64;
    let scale = width / run.makespan_seconds.max(f64::MIN_POSITIVE);
    let mut text = format!("\nwaves of {} {}\n", run.customer, run.revision.short());
    for wave in &run.waves {
        let name = wave.wave.map_or_else(|| "shared part".to_owned(), |wave| format!("wave {wave}"));
        let (start, end) = (wave.started_seconds.unwrap_or(0.0), wave.ended_seconds.unwrap_or(0.0));
        let before = " ".repeat((start * scale).round() as usize);
        let bar = "█".repeat(((end - start) * scale).round().max(1.0) as usize);
        let bar = output::paint(&Style::new().green(), &bar);
        text.push_str(&format!(
            "  {name:<12} {:>2} services {before}{bar} {}\n",
            wave.services,
            output::length(end - start)
        ));
    }
    text
}
