//! The simulated Argo CD told the truth: what a real one (3.2.11) showed during five kinds of sync is recorded in
//! `tests/fixtures/traces`, and the simulated one has to show what leads to the same judgements, in the same order.
//!
//! `scripts/e2e-tests.sh --scenario recorded-traces` with `RECORD_TRACES=FOLDER` records them anew.

use std::path::Path;

use argocd_orchestrator::adapters::argocd;
use argocd_orchestrator::adapters::simulated::model::Model;
use argocd_orchestrator::adapters::simulated::script::{At, Behaviour, Fail, How, Range, Script};
use argocd_orchestrator::domain::application::{Application, ApplicationSpec};
use argocd_orchestrator::domain::gate::{self, Progress};
use argocd_orchestrator::domain::names::{AppName, RequestId, Revision};
use argocd_orchestrator::ports::SyncRequest;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

/// All versions of an Application that a real Argo CD showed, oldest first.
fn recorded(name: &str) -> Vec<Application> {
    let file =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/traces").join(format!("{name}.jsonl"));
    let text = std::fs::read_to_string(&file).unwrap();
    let read = |line: &str| argocd::understand(&serde_json::from_str::<Value>(line).unwrap()).unwrap();
    text.lines().map(read).collect()
}

/// What the gate makes of each version, the same in a row once: of our request first, then of the health.
fn judgements(trace: &[Application], request: &RequestId, revision: &Revision) -> Vec<String> {
    let mut told: Vec<String> = Vec::new();
    let mut known = false;
    for app in trace {
        let progress = gate::progress(app, request, revision, known);
        let judged = match &progress {
            Progress::Open(seen) => {
                known |= seen.is_ours();
                seen.to_string()
            }
            Progress::Succeeded { finished_at } => match gate::verdict(app, revision, *finished_at) {
                Ok(()) => "healthy".to_owned(),
                Err(doubt) => doubt.to_string(),
            },
            // What the cluster says of the reason is its own business.
            Progress::Failed { .. } => "failed".to_owned(),
            Progress::Lost => "overtaken".to_owned(),
        };
        if told.last() != Some(&judged) {
            told.push(judged);
        }
    }
    told
}

/// The same situation on the simulated one.
struct Rehearsal {
    model: Model,
    now: Timestamp,
    trace: Vec<Application>,
}

fn app() -> AppName {
    "c-web".parse().unwrap()
}

fn revision(digit: char) -> Revision {
    digit.to_string().repeat(40).parse().unwrap()
}

fn request(id: &str, digit: char) -> SyncRequest {
    SyncRequest {
        app: app(),
        request: id.parse().unwrap(),
        revision: revision(digit),
        reason: String::new(),
        epoch: 1,
    }
}

impl Rehearsal {
    fn new(seed: u64, behaviour: Behaviour) -> Self {
        let now: Timestamp = "2026-11-01T12:00:00Z".parse().unwrap();
        let mut model = Model::new(Script { seed, default: behaviour, ..Script::default() });
        let spec = ApplicationSpec {
            name: app(),
            customer: "c".parse().unwrap(),
            environment: "production".parse().unwrap(),
            service: Some("web".parse().unwrap()),
            namespace: "c-production".parse().unwrap(),
            source: "values".parse().unwrap(),
            path: "charts/c".into(),
            values: None,
        };
        model.ensure(&[spec], now);
        Self { model, now, trace: Vec::new() }
    }

    /// Lets time pass, and notes every version that is shown.
    fn pass(&mut self, seconds: i64) {
        let end = self.now + SignedDuration::from_secs(seconds);
        while let Some(next) = self.model.next_change().filter(|next| *next <= end) {
            self.now = next;
            self.note();
        }
        self.now = end;
        self.note();
    }

    fn note(&mut self) {
        let shown = self.model.application(&app(), self.now).unwrap();
        if self.trace.last() != Some(&shown) {
            self.trace.push(shown);
        }
    }

    fn sync(&mut self, id: &str, digit: char) {
        self.model.sync(&request(id, digit), self.now).unwrap();
        self.note();
    }

    /// Lets time pass until the last operation has ended.
    fn ended(&mut self) {
        for _ in 0..100_000 {
            let shown = self.model.application(&app(), self.now).unwrap();
            if !shown.is_busy() {
                return;
            }
            self.now = self.model.next_change().unwrap_or(self.now);
            self.note();
        }
        panic!("the operation never ends");
    }
}

/// What is common to all: deployed at commit a before the trace begins.
fn deployed(seed: u64, behaviour: Behaviour) -> Rehearsal {
    let mut rehearsal = Rehearsal::new(seed, behaviour);
    rehearsal.sync("d.web.1", 'a');
    rehearsal.pass(60);
    rehearsal.trace.clear();
    rehearsal.note();
    rehearsal
}

/// As on the test cluster: quick, and every comparison after a sync is a stale one.
fn quick() -> Behaviour {
    Behaviour {
        pickup: Range::fixed(100),
        sync: Range::fixed(400),
        healthy: Range::fixed(3_000),
        stale: Range::fixed(100),
        retry_delay: Range::fixed(2_000),
        ..Behaviour::default()
    }
}

fn failing(how: How) -> Behaviour {
    Behaviour { fail: Some(Fail { at: At::LaterRevisions, ..Fail::always(how) }), ..quick() }
}

const ASKED: &str = "the request has not reached its Application";
const PENDING: &str = "Argo CD has not picked the request up";
const RUNNING: &str = "its sync is running";
const STALE: &str = "its health is from before the sync; waiting for a fresh comparison";

/// The recorded one leads to these judgements, and the simulated one to the same, whatever its chance is.
fn check(name: &str, expected: &[&str], behaviour: impl Fn() -> Behaviour, play: impl Fn(&mut Rehearsal)) {
    let real = recorded(name);
    // What was asked for in the trace: the first request of ours that was not there at its beginning.
    let before = real[0].operation.as_ref().and_then(|operation| operation.request.clone());
    let asked = real
        .iter()
        .filter_map(|app| app.requested.as_ref())
        .find(|requested| requested.request.is_some() && requested.request != before)
        .unwrap();
    let real = judgements(&real, asked.request.as_ref().unwrap(), asked.revision.as_ref().unwrap());
    assert_eq!(real, expected, "{name}: recorded");
    for seed in 0..50 {
        let mut rehearsal = deployed(seed, behaviour());
        play(&mut rehearsal);
        let simulated = judgements(&rehearsal.trace, &"d.web.2".parse().unwrap(), &revision('b'));
        assert_eq!(simulated, real, "{name}, seed {seed}: simulated against recorded");
    }
}

#[test]
fn an_upgrade_is_shown_as_a_real_argo_cd_shows_it() {
    check("upgrade", &[ASKED, PENDING, RUNNING, STALE, "it is Progressing", "healthy"], quick, |rehearsal| {
        rehearsal.sync("d.web.2", 'b');
        rehearsal.ended();
        rehearsal.pass(1);
        rehearsal.model.refresh(&app(), rehearsal.now).unwrap();
        rehearsal.pass(30);
    });
}

#[test]
fn a_failing_sync_is_shown_as_a_real_argo_cd_shows_it() {
    check(
        "failing-sync",
        &[ASKED, PENDING, RUNNING, "failed"],
        || failing(How::SyncFailed),
        |rehearsal| {
            rehearsal.sync("d.web.2", 'b');
            rehearsal.pass(30);
        },
    );
}

#[test]
fn a_sync_that_argo_cd_retries_is_shown_as_a_real_argo_cd_shows_it() {
    check(
        "retried-sync",
        &[ASKED, PENDING, RUNNING, "its sync failed, and Argo CD retries it", RUNNING, "failed"],
        || Behaviour { retries: 1, ..failing(How::SyncFailed) },
        |rehearsal| {
            rehearsal.sync("d.web.2", 'b');
            rehearsal.pass(30);
        },
    );
}

#[test]
fn an_overtaken_sync_is_shown_as_a_real_argo_cd_shows_it() {
    check("overtaken-sync", &[ASKED, PENDING, RUNNING, STALE, "overtaken"], quick, |rehearsal| {
        rehearsal.sync("d.web.2", 'b');
        rehearsal.ended();
        rehearsal.model.external_sync(&app(), &revision('a'), rehearsal.now).unwrap();
        rehearsal.note();
        rehearsal.pass(30);
    });
}

#[test]
fn a_sync_that_is_stopped_is_shown_as_a_real_argo_cd_shows_it() {
    check(
        "terminated-sync",
        &[ASKED, PENDING, RUNNING, "its sync is being stopped", "failed"],
        || Behaviour { sync: Range::fixed(20_000), ..quick() },
        |rehearsal| {
            rehearsal.sync("d.web.2", 'b');
            rehearsal.pass(3);
            rehearsal.model.terminate(&app(), &"d.web.2".parse().unwrap(), rehearsal.now).unwrap();
            rehearsal.note();
            rehearsal.pass(30);
        },
    );
}
