//! A scenario from a number: what is deployed, by which rules, how the cluster behaves, who interferes, and how
//! unreliable everything is. The same number always gives the same scenario.

use argocd_orchestrator::adapters::simulated::script::{
    At, Behaviour, Exception, Fail, How, Length, Range, Script,
};
use argocd_orchestrator::domain::application::ApplicationSpec;
use argocd_orchestrator::domain::catalog::{Order, RollbackPolicy, Strategy};
use argocd_orchestrator::domain::deployment::{Brief, Command, Input, OnFailure, Policy, Promotion, Upkeep};
use argocd_orchestrator::domain::names::{Revision, Wave};
use argocd_orchestrator::domain::plan::{Action, Baseline, Change, Plan, Purpose, Rendering, fingerprint};
use fastrand::Rng;
use jiff::{SignedDuration, Timestamp};

/// When deployments are made; what was deployed before them was healthy by then.
pub(crate) fn noon() -> Timestamp {
    Timestamp::from_second(1_788_264_000).unwrap()
}

pub(crate) fn millis(count: u64) -> SignedDuration {
    SignedDuration::from_millis(i64::try_from(count).unwrap())
}

/// A commit of one repeated digit.
pub(crate) fn revision(digit: char) -> Revision {
    digit.to_string().repeat(40).parse().unwrap()
}

/// How unreliable the world between us and the cluster is, in percent where nothing else is said.
#[derive(Debug, Clone, Default)]
pub(crate) struct Chaos {
    /// Crashes per thousand boundaries.
    pub(crate) crash: u32,
    /// Facts that arrive later than newer ones.
    pub(crate) late: u32,
    /// Facts that arrive twice.
    pub(crate) twice: u32,
    /// Changes of which nobody tells; the next full look finds them.
    pub(crate) missed: u32,
    /// Calls that fail.
    pub(crate) unavailable: u32,
    /// Calls that are done, and whose answer is lost.
    pub(crate) unanswered: u32,
    /// Syncs that the cluster refuses.
    pub(crate) refused: u32,
    /// Full looks that find the cluster away.
    pub(crate) outage: u32,
}

/// All that a schedule follows from.
#[derive(Debug, Clone)]
pub(crate) struct Scenario {
    /// The number it was made from.
    pub(crate) seed: u64,
    /// What is to be done and by which rules.
    pub(crate) brief: Brief,
    /// The Applications, in the order of the plan.
    pub(crate) specs: Vec<ApplicationSpec>,
    /// How the cluster behaves while the past is set up, and then.
    pub(crate) before: Script,
    pub(crate) script: Script,
    /// When it is started.
    pub(crate) start: Timestamp,
    /// What people want, and when.
    pub(crate) commands: Vec<(Timestamp, Input)>,
    /// What others sync, and when.
    pub(crate) externals: Vec<(Timestamp, usize, Revision)>,
    /// From one look at everything to the next.
    pub(crate) look: SignedDuration,
    pub(crate) chaos: Chaos,
    /// Services neither lose their health nor are synced by others: then what the log says of order is exact.
    pub(crate) calm: bool,
}

impl Scenario {
    pub(crate) fn new(seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let rng = &mut rng;
        let purpose = match rng.u32(0..100) {
            0..=86 => Purpose::Deploy,
            87..=92 => Purpose::Check,
            _ => Purpose::Rollback,
        };
        let plan = plan(rng, seed, purpose);
        let calm = rng.u32(0..100) < 55;
        let policy = policy(rng);
        let before = Script { seed, default: brisk(), ..Script::default() };
        let before = if calm { before } else { with_waning_gates(rng, before, &plan) };
        let script = script(rng, seed, &plan, calm);
        let start = noon() + millis(rng.u64(0..2_500));
        let horizon = 20_000 + rng.u64(0..100_000);
        let commands = commands(rng, &plan, start, horizon);
        let externals = if calm { Vec::new() } else { externals(rng, &plan, start, horizon) };
        let specs = plan.changes.iter().map(|change| spec(&plan, change)).collect();
        let brief = Brief {
            id: "d".parse().unwrap(),
            event: "e".parse().unwrap(),
            requested_by: "ada".into(),
            created_at: noon(),
            whole: true,
            digest: plan.hash.clone(),
            path: "charts".into(),
            plan,
            policy,
        };
        let chaos = chaos(rng);
        let look = millis(rng.u64(3_000..30_000));
        Self { seed, brief, specs, before, script, start, commands, externals, look, chaos, calm }
    }

    /// How often a change may be tried.
    pub(crate) fn attempts(&self, change: usize) -> u32 {
        let policy = &self.brief.policy;
        let own = self.brief.plan.changes[change].rollback.failure_threshold;
        own.unwrap_or(policy.rollback_threshold).min(policy.max_retries + 1).max(1)
    }

    /// A time in which everything must be over once nobody interferes any more: each service uses up all of its
    /// attempts in both directions, its check, and the patience with health that is lost again, one after the
    /// other.
    pub(crate) fn patience(&self) -> SignedDuration {
        let policy = &self.brief.policy;
        let attempt = policy.health_timeout + policy.retry_delay + self.look + SignedDuration::from_secs(30);
        let rounds: u32 =
            (0..self.brief.plan.changes.len()).map(|change| 2 * self.attempts(change) + 8).sum();
        attempt * i32::try_from(rounds).unwrap()
    }
}

/// What precedes a change where waves are the order.
pub(crate) fn rank(change: &Change) -> u32 {
    change.wave.map_or(0, |Wave(wave)| wave + 1)
}

fn spec(plan: &Plan, change: &Change) -> ApplicationSpec {
    ApplicationSpec {
        name: change.app.clone(),
        customer: plan.customer.clone(),
        environment: plan.environment.clone(),
        service: change.service.clone(),
        namespace: plan.namespace.clone(),
        source: plan.source.clone(),
        path: "charts".into(),
        values: None,
    }
}

fn plan(rng: &mut Rng, seed: u64, purpose: Purpose) -> Plan {
    let order = if rng.bool() { Order::Waves } else { Order::Dependencies };
    let services = 3 + rng.usize(0..12).min(rng.usize(0..12));
    let mut waves: Vec<u32> = (0..services).map(|_| rng.u32(0..4)).collect();
    waves.sort_unstable();
    let density = rng.u32(5..60);
    let touched = if rng.u32(0..3) == 0 { 100 } else { rng.u32(20..100) };
    let known = if rng.u32(0..4) == 0 { rng.u32(0..100) } else { 100 };
    let rendering = Rendering {
        image: String::new(),
        follows_image_tag: false,
        dependencies: fingerprint(&0),
        config: fingerprint(&1),
        chart: fingerprint(&2),
    };
    let baseline = Baseline {
        revision: revision('a'),
        rendering: rendering.clone(),
        healthy_at: noon(),
        health_check: None,
    };
    let mut changes = Vec::with_capacity(services + 1);
    for position in 0..=services {
        let previous = (purpose != Purpose::Deploy || rng.u32(0..100) < known).then(|| baseline.clone());
        let action = match purpose {
            Purpose::Deploy if previous.is_none() && rng.u32(0..40) == 0 => held(),
            Purpose::Deploy if previous.is_none() || rng.u32(0..100) < touched => Action::Sync,
            Purpose::Deploy if rng.u32(0..12) == 0 => held(),
            Purpose::Check if rng.u32(0..4) > 0 => Action::Gate,
            Purpose::Rollback if rng.u32(0..3) > 0 => Action::Sync,
            Purpose::Deploy | Purpose::Check | Purpose::Rollback => Action::Leave,
        };
        let mut requires: Vec<u32> = (1..position as u32).filter(|_| rng.u32(0..100) < density).collect();
        if position > 0 {
            requires.insert(0, 0);
        }
        changes.push(Change {
            app: if position == 0 { "c-base".into() } else { format!("c-s{position:02}") }.parse().unwrap(),
            service: (position > 0).then(|| format!("s{position:02}").parse().unwrap()),
            wave: position.checked_sub(1).map(|service| Wave(waves[service])),
            action,
            reasons: Vec::new(),
            requires,
            priority: rng.u64(0..100),
            rendering: rendering.clone(),
            previous,
            strategy: Strategy::default(),
            rollback: RollbackPolicy {
                enabled: rng.u32(0..100) < 92,
                auto_rollback: rng.u32(0..100) < 92,
                max_versions: 5,
                failure_threshold: (rng.u32(0..4) == 0).then(|| rng.u32(1..4)),
            },
            health_check: None,
        });
    }
    if purpose == Purpose::Deploy {
        gate_what_is_waited_for(&mut changes, order);
    }
    Plan {
        customer: "c".parse().unwrap(),
        environment: "production".parse().unwrap(),
        namespace: "c".parse().unwrap(),
        source: "values".parse().unwrap(),
        // A sync that was forced goes to the revision that runs already.
        revision: revision(if rng.u32(0..25) == 0 { 'a' } else { 'b' }),
        purpose,
        order,
        changes,
        removed: Vec::new(),
        removals: Vec::new(),
        hash: fingerprint(&seed),
    }
}

fn held() -> Action {
    Action::Hold { reason: "it failed before".into() }
}

fn gate_what_is_waited_for(changes: &mut [Change], order: Order) {
    let last = changes.iter().filter(|change| change.action == Action::Sync).map(rank).max();
    let mut needed = vec![false; changes.len()];
    for position in (0..changes.len()).rev() {
        needed[position] |= order == Order::Waves && last.is_some_and(|last| rank(&changes[position]) < last);
        if needed[position] || changes[position].action == Action::Sync {
            for required in changes[position].requires.clone() {
                needed[required as usize] = true;
            }
        }
        if needed[position] && changes[position].action == Action::Leave {
            changes[position].action = Action::Gate;
        }
    }
}

fn policy(rng: &mut Rng) -> Policy {
    let seconds = |rng: &mut Rng, choices: &[u64]| millis(choices[rng.usize(0..choices.len())] * 1_000);
    Policy {
        promotion: Promotion::default(),
        upkeep: [Upkeep::Never, Upkeep::Forward, Upkeep::Always][rng.usize(0..3)],
        on_failure: match rng.u32(0..10) {
            0..=4 => OnFailure::Rollback,
            5..=6 => OnFailure::Stop,
            _ => OnFailure::Continue,
        },
        needs_approval: rng.u32(0..10) == 0,
        max_in_flight: if rng.bool() { rng.u32(1..5) } else { 100 },
        rollback_threshold: rng.u32(1..4),
        max_retries: rng.u32(0..4),
        retry_delay: seconds(rng, &[0, 1, 5, 20]),
        health_timeout: seconds(rng, &[15, 30, 45, 90]),
        degraded_grace: seconds(rng, &[0, 1, 5, 20]),
        stabilisation: seconds(rng, &[0, 0, 0, 1, 4]),
        refresh_pause: millis(rng.u64(200..2_000)),
    }
}

/// How the past was set up: quickly, and well.
fn brisk() -> Behaviour {
    Behaviour {
        pickup: Range::fixed(10),
        sync: Range::fixed(100),
        healthy: Range::fixed(100),
        stale: Range::fixed(100),
        comparison: Length::from_millis(10),
        refresh: Range::fixed(10),
        health_lag: Range::fixed(10),
        early_verdicts: 0,
        auto_refresh: Length::from_millis(0),
        ..Behaviour::default()
    }
}

/// Some of what is not touched is not well when it is looked at.
fn with_waning_gates(rng: &mut Rng, mut script: Script, plan: &Plan) -> Script {
    for change in &plan.changes {
        if change.action != Action::Sync && rng.u32(0..10) == 0 {
            let exception = Exception {
                fail: Some(Some(Fail::always(How::DegradesLater))),
                degrades_after: Some(Length::from_millis(rng.u64(5_000..60_000))),
                recovers_after: Some(rng.bool().then(|| Length::from_millis(rng.u64(500..40_000)))),
                ..Exception::default()
            };
            script.services.insert(change.name().to_owned(), exception);
        }
    }
    script
}

fn script(rng: &mut Rng, seed: u64, plan: &Plan, calm: bool) -> Script {
    let range = |rng: &mut Rng, from: u64, to: u64| {
        let (one, other) = (rng.u64(from..to), rng.u64(from..to));
        Range::millis(one.min(other), one.max(other))
    };
    let default = Behaviour {
        pickup: range(rng, 10, 600),
        sync: range(rng, 100, 5_000),
        healthy: range(rng, 50, 12_000),
        stale: if rng.u32(0..10) == 0 { range(rng, 5_000, 40_000) } else { range(rng, 50, 3_000) },
        comparison: Length::from_millis(rng.u64(10..600)),
        refresh: range(rng, 10, 400),
        health_lag: range(rng, 10, 400),
        early_verdicts: [0, 50, 100][rng.usize(0..3)],
        auto_refresh: Length::from_millis(if rng.u32(0..4) == 0 { 20_000 } else { 0 }),
        auto_refresh_jitter: Length::from_millis(5_000),
        retries: u32::from(rng.u32(0..8) == 0) * rng.u32(1..3),
        retry_delay: range(rng, 500, 5_000),
        ..Behaviour::default()
    };
    let resolution = if rng.u32(0..6) == 0 { 0 } else { 1_000 };
    let mut script =
        Script { seed, default, timestamp_resolution: Length::from_millis(resolution), ..Script::default() };
    let trouble = [0, 5, 15, 40][rng.usize(0..4)];
    for change in &plan.changes {
        if rng.u32(0..100) < trouble {
            script.services.insert(change.name().to_owned(), trouble_of(rng, calm));
        }
    }
    script
}

fn trouble_of(rng: &mut Rng, calm: bool) -> Exception {
    let how = match rng.u32(0..if calm { 4 } else { 6 }) {
        0 => How::SyncFailed,
        1 => How::Error,
        2 => How::Degraded,
        3 => How::NeverHealthy,
        4 => How::Flapping,
        _ => How::DegradesLater,
    };
    let at = match rng.u32(0..6) {
        0 => At::EveryRevision,
        1..=3 => At::LaterRevisions,
        _ => At::Revision(revision('b')),
    };
    let fail =
        Fail { how, at, from_attempt: rng.u32(1..3), attempts: (rng.u32(0..3) > 0).then(|| rng.u32(1..4)) };
    Exception {
        fail: (rng.u32(0..8) > 0).then_some(Some(fail)),
        flapping_period: Some(Length::from_millis(rng.u64(300..8_000))),
        degrades_after: Some(Length::from_millis(rng.u64(300..30_000))),
        recovers_after: Some(rng.bool().then(|| Length::from_millis(rng.u64(300..40_000)))),
        retries: (rng.u32(0..6) == 0).then(|| rng.u32(1..4)),
        window_closed_until: (rng.u32(0..5) == 0).then(|| Some(Length::from_millis(rng.u64(10_000..90_000)))),
        healthy: (rng.u32(0..5) == 0).then(|| Range::fixed(rng.u64(10_000..60_000))),
        ..Exception::default()
    }
}

fn commands(rng: &mut Rng, plan: &Plan, start: Timestamp, horizon: u64) -> Vec<(Timestamp, Input)> {
    let count = [0, 0, 1, 2, 4][rng.usize(0..5)];
    let mut commands: Vec<(Timestamp, Input)> = (0..count)
        .map(|_| {
            let at = start - millis(1_000) + millis(rng.u64(0..horizon));
            (at, interference(rng, plan))
        })
        .collect();
    commands.sort_by_key(|(at, _)| *at);
    commands
}

/// Something that a person may want at any time.
pub(crate) fn interference(rng: &mut Rng, plan: &Plan) -> Input {
    let service = |rng: &mut Rng| plan.changes[rng.usize(0..plan.changes.len())].name().to_owned();
    let reason = || "because".to_owned();
    let command = match rng.u32(0..20) {
        0..=2 => Command::Pause,
        3..=5 => Command::Resume,
        6 => Command::Abort { reason: reason() },
        7..=9 => Command::Retry { service: (rng.u32(0..4) == 0).then(|| service(rng)) },
        10..=12 => Command::Skip { service: service(rng) },
        13 => Command::Rollback { reason: reason() },
        14 => Command::Approve { plan: None },
        15 => Command::Approve { plan: Some(plan.hash.to_string()) },
        16 => Command::Reject { reason: reason() },
        _ => return Input::Superseded { by: "d2".parse().unwrap() },
    };
    Input::Command { by: "bob".into(), command }
}

fn externals(
    rng: &mut Rng,
    plan: &Plan,
    start: Timestamp,
    horizon: u64,
) -> Vec<(Timestamp, usize, Revision)> {
    let count = [0, 0, 2, 8][rng.usize(0..4)];
    let mut externals: Vec<_> = (0..count)
        .map(|_| {
            let at = start + millis(rng.u64(0..horizon));
            (at, rng.usize(0..plan.changes.len()), revision(['a', 'b', 'c'][rng.usize(0..3)]))
        })
        .collect();
    externals.sort_by_key(|(at, _, _)| *at);
    externals
}

fn chaos(rng: &mut Rng) -> Chaos {
    if rng.u32(0..4) == 0 {
        return Chaos::default();
    }
    let mut some = |most: u32| if rng.bool() { rng.u32(0..most) } else { 0 };
    Chaos {
        crash: some(60),
        late: some(40),
        twice: some(30),
        missed: some(40),
        unavailable: some(25),
        unanswered: some(15),
        refused: some(4),
        outage: some(40),
    }
}
