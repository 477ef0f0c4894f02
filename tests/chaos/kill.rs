//! `kill -9` of the server at random moments, most of them while deployments run, and a restart each time.
//!
//! Meanwhile commits are pushed, and every push is delivered several times: at once, one after the other, and
//! again after restarts. In the end the server is left alone until all is over, and [`crate::check`] judges.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use argocd_orchestrator::domain::names::Revision;
use argocd_orchestrator::store::{DeploymentFilter, EventFilter, Settings, Store};

use crate::check::{self, Seen};
use crate::crash::Site;
use crate::repository::Kind;
use crate::sensor::{Delivery, Moment, Sensors};
use crate::server::{self, Server};
use crate::world::World;

/// How long a push or a deployment may need to get going before the server is killed regardless.
const PATIENCE: Duration = Duration::from_secs(3);

/// How long everything may take to end once nothing is killed any more.
const END: Duration = Duration::from_secs(180);

/// Every so many kills the server stays away for long: longer than a service may take to become healthy, which
/// must not be held against services that did become healthy meanwhile.
const OUTAGE_EVERY: u32 = 70;
const OUTAGE: Duration = Duration::from_secs(7);

/// Exit code of a command that was refused because of the state that things are in.
const REFUSED: i32 = 5;

/// When the server is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum When {
    /// Before it is ready.
    Starting,
    /// In the middle of an Execute.
    Executing,
    /// Right after Execute's OK.
    Answered,
    /// Some time into a running deployment.
    Running,
    /// Right after a sync was decided on: before, while or after the cluster is asked for it.
    Deciding,
}

struct Scenario {
    world: World,
    rng: fastrand::Rng,
    sensors: Sensors,
    /// Every delivery there ever was.
    deliveries: Vec<Delivery>,
    /// Deliveries that come once more, and in which round.
    later: Vec<(u32, Delivery)>,
    round: u32,
    /// Events answered OK that were seen in a dead server's database.
    found: BTreeSet<String>,
    seen: Seen,
}

/// Runs it until the server was killed so often while a deployment was not over.
pub(crate) async fn run(world: World, kills: u32) -> anyhow::Result<()> {
    let began = Instant::now();
    let rng = fastrand::Rng::with_seed(world.seed);
    let mut scenario = Scenario {
        world,
        rng,
        sensors: Sensors::new(),
        deliveries: Vec::new(),
        later: Vec::new(),
        round: 0,
        found: BTreeSet::new(),
        seen: Seen::default(),
    };
    scenario.push(None);
    while scenario.seen.kills_unfinished < kills {
        ensure!(scenario.round < kills * 5 + 100, "too few kills meet a running deployment");
        let before = scenario.seen.kills_unfinished;
        scenario.round().await?;
        let now = scenario.seen.kills_unfinished;
        if now.is_multiple_of(10) && now > before {
            let Seen { pushes, resumed, .. } = &scenario.seen;
            let ledger = scenario.sensors.ledger();
            println!(
                "{now:>4} kills in unfinished deployments after {:>3} s: {pushes} pushes, {} answers, {resumed} resumed",
                began.elapsed().as_secs(),
                ledger.taken,
            );
        }
    }
    scenario.settle_down().await?;
    let Scenario { world, sensors, seen, .. } = scenario;
    check::check(&world, &sensors, seen, began.elapsed()).await
}

impl Scenario {
    /// One life of the server.
    async fn round(&mut self) -> anyhow::Result<()> {
        self.round += 1;
        let when = match self.rng.u32(0..100) {
            0..6 => When::Starting,
            6..16 => When::Executing,
            16..26 => When::Answered,
            26..50 => When::Deciding,
            _ => When::Running,
        };
        let mut server = Server::start(&self.world)?;
        if when == When::Starting {
            // Around the time at which it opens the database, becomes the worker and resumes.
            tokio::time::sleep(Duration::from_millis(self.rng.u64(0..120))).await;
            return self.kill(server, when).await;
        }
        server.ready().await?;
        let mut moments = self.sensors.moments();
        self.sensors.point_at(Some(server.address));
        self.deliver_again();
        match when {
            When::Starting => {}
            When::Executing | When::Answered => {
                self.push_or_repeat()?;
                let wanted = if when == When::Executing { Moment::Executing } else { Moment::Answered };
                let met = async { while moments.recv().await.is_ok_and(|moment| moment != wanted) {} };
                // A push that is not delivered in time is a round like any other.
                let _met = tokio::time::timeout(PATIENCE, met).await;
                if when == When::Executing {
                    tokio::time::sleep(Duration::from_micros(self.rng.u64(0..4_000))).await;
                }
            }
            When::Running | When::Deciding => {
                let idle = server.running() == 0 && self.sensors.open() == 0;
                if (idle && !self.soon_running(&server).await) || self.rng.u32(0..100) < 5 {
                    self.next_push()?;
                }
                self.soon_running(&server).await;
                tokio::time::sleep(Duration::from_millis(self.rng.u64(5..900))).await;
                if when == When::Deciding {
                    let decided = server.decided();
                    let end = Instant::now() + PATIENCE / 6;
                    while server.decided() == decided && Instant::now() < end {
                        tokio::time::sleep(Duration::from_micros(200)).await;
                    }
                    tokio::time::sleep(Duration::from_micros(self.rng.u64(0..4_000))).await;
                }
            }
        }
        self.kill(server, when).await
    }

    /// Waits until a deployment runs; gives up after a while.
    async fn soon_running(&mut self, server: &Server) -> bool {
        let end = Instant::now() + if self.sensors.open() == 0 { PATIENCE / 6 } else { PATIENCE };
        while server.running() == 0 {
            if Instant::now() >= end {
                return false;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        true
    }

    async fn kill(&mut self, server: Server, when: When) -> anyhow::Result<()> {
        self.seen.resumed += server.kill()?;
        self.sensors.point_at(None);
        let site = Site::of(&self.world).await?;
        let (unfinished, open) = (site.unfinished().await?, site.open_effects().await?);
        self.seen.kills += 1;
        self.seen.kills_with_effects += u32::from(open > 0);
        match when {
            When::Starting => self.seen.kills_starting += 1,
            When::Executing => self.seen.kills_executing += 1,
            When::Answered => self.seen.kills_answered += 1,
            When::Running => self.seen.kills_running += 1,
            When::Deciding => self.seen.kills_deciding += 1,
        }
        self.seen.kills_unfinished += u32::from(unfinished > 0);
        let answered: BTreeSet<String> = self.sensors.ledger().answers.values().flatten().cloned().collect();
        let new: BTreeSet<String> = answered.difference(&self.found).cloned().collect();
        site.has(&new).await?;
        self.found.extend(new);
        site.leave().await;
        if unfinished > 0 && self.seen.kills_unfinished.is_multiple_of(OUTAGE_EVERY) {
            tokio::time::sleep(OUTAGE).await;
            self.seen.outages += 1;
        }
        Ok(())
    }

    /// Deliveries whose time has come again.
    fn deliver_again(&mut self) {
        let round = self.round;
        let (due, later) = self.later.drain(..).partition(|(due, _)| *due <= round);
        self.later = later;
        let due: Vec<(u32, Delivery)> = due;
        for (_, delivery) in due {
            self.sensors.deliver(delivery);
        }
    }

    /// A new push, or one that is delivered once more.
    fn push_or_repeat(&mut self) -> anyhow::Result<()> {
        if self.rng.u32(0..100) < 30 {
            return self.next_push();
        }
        let chosen = self.rng.usize(0..self.deliveries.len());
        self.sensors.deliver(self.deliveries[chosen].clone());
        Ok(())
    }

    fn next_push(&mut self) -> anyhow::Result<()> {
        let kind = match self.rng.u32(0..100) {
            _ if self.world.repository.broken()? => Kind::Revert,
            0..40 => Kind::ImageTag,
            40..55 => Kind::OneService,
            55..75 => Kind::Fragile,
            75..85 => Kind::Chart,
            85..90 => Kind::Broken,
            _ => Kind::Revert,
        };
        // The first commit cannot be taken back.
        let kind = if self.deliveries.len() < 2 { Kind::ImageTag } else { kind };
        self.change(kind)
    }

    fn change(&mut self, kind: Kind) -> anyhow::Result<()> {
        let before = self.world.repository.head().clone();
        self.world.repository.change(kind, &mut self.rng)?;
        self.push(Some(&before));
        Ok(())
    }

    /// Delivers the head: up to three times at once, up to twice after restarts, and now and then as another
    /// delivery of the same push.
    fn push(&mut self, before: Option<&Revision>) {
        let after = self.world.repository.head().clone();
        let mut deliveries = vec![Delivery::of(self.deliveries.len(), before, &after)];
        if self.rng.u32(0..100) < 15 {
            deliveries.push(Delivery::of(self.deliveries.len() + 1, before, &after));
        }
        for delivery in deliveries {
            for _ in 0..self.rng.u32(1..=3) {
                self.sensors.deliver(delivery.clone());
            }
            for _ in 0..self.rng.u32(0..=2) {
                let due = self.round.saturating_add(self.rng.u32(1..=4));
                self.later.push((due, delivery.clone()));
            }
            self.deliveries.push(delivery);
        }
        self.seen.pushes += 1;
    }

    /// No more kills: a last push that nothing fails at, until all is over; then each delivery once more, a
    /// second server, and a stop as Kubernetes asks for it.
    async fn settle_down(&mut self) -> anyhow::Result<()> {
        self.world.configure(&self.world.script(false))?;
        let mut server = Server::start(&self.world)?;
        server.ready().await?;
        self.sensors.point_at(Some(server.address));
        self.round = u32::MAX;
        self.deliver_again();
        if self.world.repository.broken()? {
            self.change(Kind::Revert)?;
        }
        self.change(Kind::ImageTagAndChart)?;
        self.sensors.finish(END).await?;
        let store = Store::open(Settings::at(self.world.database())).await?;
        all_over(&store).await?;
        let before = store.deployments(&DeploymentFilter::default(), u32::MAX).await?;
        for delivery in &self.deliveries {
            self.sensors.deliver(delivery.clone());
        }
        self.deliver_again();
        self.sensors.finish(END).await?;
        all_over(&store).await?;
        let after = store.deployments(&DeploymentFilter::default(), u32::MAX).await?;
        ensure!(before == after, "deliveries that came again after everything was over led to deployments");
        store.close().await;
        second_is_refused(&self.world, &server)?;
        let (status, took, resumed) = server.stop()?;
        ensure!(status.success(), "the server did not stop well: {status}");
        ensure!(took < Duration::from_secs(10), "the server took {} s to stop", took.as_secs());
        self.seen.resumed += resumed;
        Ok(())
    }
}

/// Waits until every event is settled and every deployment is over.
async fn all_over(store: &Store) -> anyhow::Result<()> {
    let end = Instant::now() + END;
    let waiting = EventFilter { state: Some("accepted".into()), ..EventFilter::default() };
    loop {
        let (events, deployments) =
            (store.events(&waiting, 1_000).await?.value, store.unfinished_keys().await?);
        if events.is_empty() && deployments.is_empty() {
            return Ok(());
        }
        if Instant::now() >= end {
            let (events, deployments) = (events.len(), deployments.len());
            bail!("{events} events are not settled and {deployments} deployments are not over after {END:?}");
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

fn second_is_refused(world: &World, server: &Server) -> anyhow::Result<()> {
    let output = server::second(world)?;
    let said = String::from_utf8_lossy(&output.stderr);
    let code = output.status.code().context("the second server was killed")?;
    ensure!(code == REFUSED, "a second server exits with {code} instead of {REFUSED}: {said}");
    let holder = format!("process {}", server.pid());
    ensure!(said.contains(&holder), "a second server does not say that {holder} works already: {said}");
    Ok(())
}
