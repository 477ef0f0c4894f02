//! Named scenarios, each a short script and the story that it leads to.
//!
//! A plan has a line for each change: `name wave action previous dependency...`, with `-` for none. A script has
//! a line for each input: `second name fact`, where a fact is what Argo CD shows for the latest request, or
//! `second input`. A story has a line for each change of state and each effect, at its second.

mod backward;
mod checks;
mod forward;
mod people;
mod preview;
mod removal;

use std::collections::BTreeMap;
use std::fmt::Write as _;

use jiff::SignedDuration;

use super::*;
use crate::domain::application::{
    BLOCKED_BY_WINDOW, Comparison, Health, HealthStatus, Operation, Phase, Requested, SyncStatus,
};
use crate::domain::catalog::{Order, RollbackPolicy, Strategy};
use crate::domain::names::{Revision, Wave};
use crate::domain::plan::{Action, Baseline, Change, Purpose, Rendering, fingerprint};
use crate::domain::probe::Verdict;

fn second(count: i64) -> Timestamp {
    Timestamp::from_second(1_788_264_000 + count).unwrap()
}

fn revision(digit: char) -> Revision {
    digit.to_string().repeat(40).parse().unwrap()
}

fn policy() -> Policy {
    Policy {
        on_failure: OnFailure::Rollback,
        needs_approval: false,
        max_in_flight: 10,
        rollback_threshold: 1,
        max_retries: 3,
        retry_delay: SignedDuration::from_secs(10),
        health_timeout: SignedDuration::from_secs(100),
        degraded_grace: SignedDuration::from_secs(30),
        stabilisation: SignedDuration::ZERO,
        upkeep: Upkeep::Never,
        promotion: Promotion::default(),
        refresh_pause: SignedDuration::from_secs(1),
    }
}

fn brief(plan: &str, policy: Policy) -> Brief {
    let rendering = Rendering {
        image: "shop:1".into(),
        follows_image_tag: false,
        dependencies: fingerprint(&0),
        config: fingerprint(&1),
        chart: fingerprint(&2),
    };
    let mut changes: Vec<Change> = Vec::new();
    for line in plan.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let mut words = line.split_whitespace();
        let [name, wave, action, previous] = std::array::from_fn(|_| words.next().unwrap());
        let baseline = |digit: char| Baseline {
            revision: revision(digit),
            rendering: rendering.clone(),
            healthy_at: second(-100),
            health_check: None,
        };
        changes.push(Change {
            app: format!("c-{name}").parse().unwrap(),
            service: (name != "base").then(|| name.parse().unwrap()),
            wave: wave.parse().ok().map(Wave),
            action: match action {
                "sync" => Action::Sync,
                "gate" => Action::Gate,
                "leave" => Action::Leave,
                "hold" => Action::Hold { reason: "it failed before".into() },
                other => panic!("{other}"),
            },
            reasons: Vec::new(),
            requires: words
                .map(|word| changes.iter().position(|change| change.name() == word).unwrap() as u32)
                .collect(),
            priority: 0,
            rendering: rendering.clone(),
            previous: previous.chars().next().filter(|digit| *digit != '-').map(baseline),
            rollback: RollbackPolicy::default(),
            strategy: Strategy::default(),
            health_check: None,
        });
    }
    Brief {
        id: "d".parse().unwrap(),
        event: "e".parse().unwrap(),
        requested_by: "ada".into(),
        created_at: second(0),
        whole: true,
        digest: fingerprint(&0),
        path: "charts".into(),
        plan: Plan {
            customer: "c".parse().unwrap(),
            environment: "production".parse().unwrap(),
            namespace: "c".parse().unwrap(),
            source: "values".parse().unwrap(),
            revision: revision('b'),
            purpose: Purpose::Deploy,
            order: Order::Dependencies,
            changes,
            removed: Vec::new(),
            removals: Vec::new(),
            hash: "0123456789abcdef".parse().unwrap(),
        },
        policy,
    }
}

struct Play {
    deployment: Deployment,
    requests: BTreeMap<usize, (RequestId, Revision)>,
    finished: BTreeMap<usize, Timestamp>,
    journal: Vec<JournalEntry>,
    story: String,
}

impl Play {
    fn of(brief: Brief) -> Self {
        Self {
            deployment: Deployment::new(brief),
            requests: BTreeMap::new(),
            finished: BTreeMap::new(),
            journal: Vec::new(),
            story: String::new(),
        }
    }

    fn run(mut self, script: &str) -> Self {
        for line in script.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let (at, words) = line.split_once(' ').unwrap();
            let at: i64 = at.parse().unwrap();
            let input = self.input(words, second(at));
            // What was seen is taken in; what follows from it is decided with the time.
            let decides = !matches!(input, Input::Observed { .. });
            self.step(input, at);
            if !decides {
                self.step(Input::Timer, at);
            }
        }
        self
    }

    fn step(&mut self, input: Input, at: i64) {
        let before = self.deployment.progress.clone();
        let stepped = step(&mut self.deployment, input.clone(), second(at));
        if stepped.transitions.is_empty() {
            assert_eq!((&self.deployment.progress, &stepped.effects), (&before, &Vec::new()));
            return;
        }
        for Transition { service, from, to, .. } in &stepped.transitions {
            if from != to {
                writeln!(self.story, "{at} {}: {from} -> {to}", service.as_deref().unwrap_or("*")).unwrap();
            }
        }
        for effect in &stepped.effects {
            let told = match effect {
                Effect::Sync { change, request, revision, .. } => {
                    let change = *change as usize;
                    self.requests.insert(change, (request.clone(), revision.clone()));
                    self.finished.remove(&change);
                    format!("sync {} to {}", request.as_str(), &revision.short()[..1])
                }
                Effect::Refresh { app, .. } => format!("refresh {}", &app.as_str()[2..]),
                Effect::Terminate { request, .. } => format!("terminate {request}"),
                Effect::Promote { app, .. } => format!("promote {}", &app.as_str()[2..]),
                Effect::AbortRollout { app, .. } => format!("abort {}", &app.as_str()[2..]),
                Effect::TakeOver { app, .. } => format!("take over {}", &app.as_str()[2..]),
                Effect::Automate { app, .. } => format!("automate {}", &app.as_str()[2..]),
                Effect::Remember { service, baseline, .. } => {
                    format!("remember {service} at {}", &baseline.revision.short()[..1])
                }
                Effect::Quarantine { service, .. } => format!("quarantine {service}"),
                Effect::Remove { app, .. } => format!("remove {}", &app.as_str()[2..]),
                Effect::Forget { service } => format!("forget {service}"),
            };
            writeln!(self.story, "{at} ! {told}").unwrap();
        }
        let (seq, at) = (self.deployment.progress.version, second(at));
        self.journal.push(JournalEntry { seq, at, input, transitions: stepped.transitions });
    }

    fn input(&mut self, words: &str, now: Timestamp) -> Input {
        let bob = |command| Input::Command { by: "bob".into(), command };
        let reason = || "because".to_owned();
        match words.split_whitespace().collect::<Vec<_>>()[..] {
            ["start"] => Input::Start,
            ["tick"] => Input::Timer,
            ["back"] => Input::Resumed,
            ["outage"] => Input::Unreachable { reason: "no route".into() },
            ["superseded"] => Input::Superseded { by: "d2".parse().unwrap() },
            ["pause"] => bob(Command::Pause),
            ["resume"] => bob(Command::Resume),
            ["abort"] => bob(Command::Abort { reason: reason() }),
            ["rollback"] => bob(Command::Rollback { reason: reason() }),
            ["reject"] => bob(Command::Reject { reason: reason() }),
            ["approve", hash] => bob(Command::Approve { plan: Some(hash.into()) }),
            ["skip", service] => bob(Command::Skip { service: service.into() }),
            ["retry", service] => bob(Command::Retry { service: Some(service.into()) }),
            [service, fact] if self.removal(service).is_some() => {
                let removal = self.removal(service).unwrap() as u32;
                let changes = self.deployment.brief.plan.changes.len() as u32;
                match fact {
                    "refused" => Input::NotRemoved { removal, reason: "not ours".into() },
                    "gone" => Input::Observed { change: changes + removal, application: None },
                    "there" => {
                        let application = self.application(0, "idle", now).map(Box::new);
                        Input::Observed { change: changes + removal, application }
                    }
                    other => panic!("{other}"),
                }
            }
            [service, fact] => {
                let changes = &self.deployment.brief.plan.changes;
                let change = changes.iter().position(|change| change.name() == service).unwrap();
                let application = self.application(change, fact, now).map(Box::new);
                Input::Observed { change: change as u32, application }
            }
            ref other => panic!("{other:?}"),
        }
    }

    fn removal(&self, service: &str) -> Option<usize> {
        self.deployment.brief.plan.removals.iter().position(|removal| removal.service.as_str() == service)
    }

    /// What Argo CD shows: of the latest request, or of the past where there was none.
    fn application(&mut self, change: usize, fact: &str, now: Timestamp) -> Option<Application> {
        let planned = &self.deployment.brief.plan.changes[change];
        let ours = self.requests.get(&change).cloned();
        let revision = ours.as_ref().map(|(_, revision)| revision.clone());
        let revision =
            revision.or_else(|| planned.previous.as_ref().map(|previous| previous.revision.clone()));
        let request = ours.map(|(request, _)| request);
        let operation = |phase, finished_at, request, message: &str| Operation {
            request,
            phase,
            message: message.to_owned(),
            started_at: now,
            finished_at,
            revision: revision.clone(),
        };
        let mut app = Application {
            name: planned.app.clone(),
            resource_version: 1,
            pinned: revision.clone(),
            requested: None,
            operation: None,
            sync: Comparison { status: SyncStatus::Synced, revision: revision.clone(), current: true },
            health: Health { status: HealthStatus::Healthy, message: String::new() },
            reconciled_at: None,
            refresh_pending: false,
            condition: None,
            check: None,
        };
        let health = match fact {
            "gone" => return None,
            "idle" => return Some(app),
            "pending" => {
                app.requested = Some(Requested { request, revision });
                return Some(app);
            }
            "running" | "window" => {
                let message = if fact == "window" { BLOCKED_BY_WINDOW } else { "" };
                app.operation = Some(operation(Phase::Running, None, request, message));
                return Some(app);
            }
            "failed" => {
                app.operation = Some(operation(Phase::Failed, Some(now), request, "no such kind"));
                return Some(app);
            }
            "others" => {
                app.operation = Some(operation(Phase::Running, None, None, ""));
                return Some(app);
            }
            // Succeeded, and nothing more is known: the health is that of before.
            "synced" => {
                self.finished.insert(change, now);
                app.reconciled_at = Some(now);
                HealthStatus::Healthy
            }
            "healthy" => HealthStatus::Healthy,
            "unchecked" | "failing" | "passing" => {
                let reason = "GET /health answered 503".to_owned();
                app.check = Some(match fact {
                    "unchecked" => Verdict::Unknown { reason },
                    "failing" => Verdict::Failing { reason },
                    _ => Verdict::Passing,
                });
                HealthStatus::Healthy
            }
            "progressing" => HealthStatus::Progressing,
            "degraded" => HealthStatus::Degraded,
            "suspended" => HealthStatus::Suspended,
            other => panic!("{other}"),
        };
        if let Some(request) = request {
            let finished = *self.finished.entry(change).or_insert(now - SignedDuration::from_secs(1));
            app.operation = Some(operation(Phase::Succeeded, Some(finished), Some(request), ""));
        }
        app.reconciled_at = Some(now);
        app.health.status = health;
        Some(app)
    }
}

/// Compares a story, line by line, and its replay with its state.
#[track_caller]
fn check(brief: Brief, script: &str, expected: &str) -> Deployment {
    let play = Play::of(brief).run(script);
    let expected: Vec<&str> = expected.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let found: Vec<&str> = play.story.lines().collect();
    assert_eq!(found, expected, "\n{}", play.story);
    assert_eq!(replay(play.deployment.brief.clone(), &play.journal), play.deployment);
    play.deployment
}

const SHOP: &str = "
    base - leave a
    db 0 sync a base
    api 1 sync a db
    web 2 sync a api";
