//! The model against what was recorded on a real Argo CD 3.2.11 (contracts 4.2 to 4.7), in virtual time.

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

use super::log::LogKind;
use super::model::Model;
use super::script::{At, Behaviour, Exception, ExternalSync, Fail, How, Length, Range, Script, Speed};
use crate::domain::application::{
    Application, ApplicationSpec, BLOCKED_BY_WINDOW, HealthStatus, Phase, SyncStatus,
};
use crate::domain::names::{AppName, RequestId, Revision};
use crate::ports::{ClusterError, SyncRequest};

/// The time of the tests: so many milliseconds after twelve o'clock.
pub(super) fn at(millis: i64) -> Timestamp {
    "2026-09-01T12:00:00Z".parse::<Timestamp>().unwrap() + SignedDuration::from_millis(millis)
}

pub(super) fn app(name: &str) -> AppName {
    name.parse().unwrap()
}

pub(super) fn revision(digit: char) -> Revision {
    digit.to_string().repeat(40).parse().unwrap()
}

pub(super) fn request(id: &str) -> RequestId {
    id.parse().unwrap()
}

pub(super) fn spec(service: &str) -> ApplicationSpec {
    ApplicationSpec {
        name: app(&format!("c-{service}")),
        customer: "c".parse().unwrap(),
        environment: "production".parse().unwrap(),
        service: Some(service.parse().unwrap()),
        namespace: "c".parse().unwrap(),
        source: "values".parse().unwrap(),
        path: format!("charts/{service}"),
        values: None,
    }
}

pub(super) fn sync(service: &str, id: &str, digit: char) -> SyncRequest {
    SyncRequest {
        app: app(&format!("c-{service}")),
        request: request(id),
        revision: revision(digit),
        reason: "test".into(),
        epoch: 1,
    }
}

/// Picked up after 0.1 s, synced after 7.6 s more, healthy 20 s later; all comparisons take 0.1 s.
fn exact() -> Behaviour {
    Behaviour {
        pickup: Range::fixed(100),
        sync: Range::fixed(7_600),
        healthy: Range::fixed(20_000),
        stale: Range::fixed(150),
        comparison: Length::from_millis(100),
        refresh: Range::fixed(200),
        health_lag: Range::fixed(50),
        early_verdicts: 100,
        auto_refresh_jitter: Length::from_millis(0),
        retry_delay: Range::fixed(2_000),
        ..Behaviour::default()
    }
}

fn cluster(behaviour: Behaviour) -> Model {
    let mut model = Model::new(Script { default: behaviour, ..Script::default() });
    model.ensure(&[spec("web")], at(0));
    model
}

fn look(model: &mut Model, millis: i64) -> Application {
    model.application(&app("c-web"), at(millis)).unwrap()
}

/// What somebody sees: phase, sync status, health, and the second of `reconciledAt`.
fn seen(model: &mut Model, millis: i64) -> (Option<Phase>, SyncStatus, HealthStatus, Option<i64>) {
    let shown = look(model, millis);
    let second = shown.reconciled_at.map(|reconciled| reconciled.duration_since(at(0)).as_secs());
    (shown.operation.map(|operation| operation.phase), shown.sync.status, shown.health.status, second)
}

/// Deployed and healthy at revision a, then revision b requested at 50 s.
fn upgraded(behaviour: Behaviour) -> Model {
    let mut model = cluster(behaviour);
    model.sync(&sync("web", "one", 'a'), at(1_000)).unwrap();
    assert_eq!(look(&mut model, 40_000).health.status, HealthStatus::Healthy);
    model.sync(&sync("web", "two", 'b'), at(50_000)).unwrap();
    model
}

#[test]
fn a_new_application_is_missing_until_its_first_sync() {
    let mut model = cluster(exact());
    let shown = look(&mut model, 0);
    assert_eq!((shown.pinned, shown.reconciled_at, shown.sync.current), (None, None, false));
    let shown = look(&mut model, 500);
    assert_eq!(shown.sync.status, SyncStatus::OutOfSync);
    assert_eq!((shown.sync.revision, shown.sync.current), (None, true));
    assert_eq!(shown.health.status, HealthStatus::Missing);
    model.sync(&sync("web", "one", 'a'), at(1_000)).unwrap();
    assert_eq!(
        seen(&mut model, 8_750),
        (Some(Phase::Succeeded), SyncStatus::OutOfSync, HealthStatus::Missing, Some(8))
    );
    assert_eq!(seen(&mut model, 9_000).2, HealthStatus::Progressing);
    assert_eq!(seen(&mut model, 29_000).2, HealthStatus::Healthy);
}

#[test]
fn the_recorded_sequence_after_a_sync_is_shown() {
    let mut model = upgraded(exact());
    let shown = look(&mut model, 50_000);
    assert!(shown.is_busy() && shown.operation.is_none() && !shown.sync.current);
    assert_eq!(shown.pinned, Some(revision('b')));
    // The new pin is compared before the operation ends: current, and still the world of before.
    let shown = look(&mut model, 50_500);
    assert!(shown.sync.current && shown.sync.revision == Some(revision('b')));
    let running = shown.operation.unwrap();
    assert_eq!((running.phase, running.request), (Phase::Running, Some(request("two"))));
    assert_eq!(running.started_at, at(50_000));
    // Succeeded, finishedAt :57, reconciledAt :57, OutOfSync, Healthy: nothing of it is about the new revision.
    let old = (Some(Phase::Succeeded), SyncStatus::OutOfSync, HealthStatus::Healthy, Some(57));
    assert_eq!(seen(&mut model, 57_750), old);
    let operation = look(&mut model, 57_750).operation.unwrap();
    assert_eq!((operation.finished_at, operation.revision), (Some(at(57_000)), Some(revision('b'))));
    // A tenth of a second later the truth, with the same reconciledAt.
    let truth = (Some(Phase::Succeeded), SyncStatus::Synced, HealthStatus::Progressing, Some(57));
    assert_eq!(seen(&mut model, 57_850), truth);
    // And Healthy, which does not advance it either.
    let healthy = (Some(Phase::Succeeded), SyncStatus::Synced, HealthStatus::Healthy, Some(57));
    assert_eq!(seen(&mut model, 77_700), truth);
    assert_eq!(seen(&mut model, 77_750), healthy);
    // Only a full comparison does: one that is asked for, or the one that comes by itself.
    model.refresh(&app("c-web"), at(80_000)).unwrap();
    assert!(look(&mut model, 80_299).refresh_pending);
    assert_eq!(seen(&mut model, 80_300).3, Some(80));
    assert!(!look(&mut model, 80_300).refresh_pending);
    assert_eq!(seen(&mut model, 200_299).3, Some(80));
    assert_eq!(seen(&mut model, 200_300).3, Some(200));
}

#[test]
fn a_stale_window_shows_the_world_of_before_unless_somebody_asks() {
    let behaviour = Behaviour { stale: Range::fixed(30_000), early_verdicts: 0, ..exact() };
    let mut model = upgraded(behaviour.clone());
    assert_eq!(seen(&mut model, 87_699).1, SyncStatus::OutOfSync);
    assert_eq!(
        seen(&mut model, 87_700),
        (Some(Phase::Succeeded), SyncStatus::Synced, HealthStatus::Healthy, Some(87))
    );
    let mut model = upgraded(behaviour);
    model.refresh(&app("c-web"), at(59_000)).unwrap();
    assert_eq!(seen(&mut model, 59_299).2, HealthStatus::Healthy);
    assert_eq!(
        seen(&mut model, 59_300),
        (Some(Phase::Succeeded), SyncStatus::Synced, HealthStatus::Progressing, Some(59))
    );
}

#[test]
fn a_request_is_made_once_and_only_when_nothing_else_runs() {
    let mut model = cluster(exact());
    model.sync(&sync("web", "one", 'a'), at(1_000)).unwrap();
    let version = look(&mut model, 1_000).resource_version;
    assert_eq!(model.sync(&sync("web", "one", 'a'), at(1_000)), Ok(()));
    assert_eq!(look(&mut model, 1_000).resource_version, version);
    assert_eq!(model.sync(&sync("web", "two", 'b'), at(5_000)), Err(ClusterError::Busy(app("c-web"))));
    assert_eq!(
        model.external_sync(&app("c-web"), &revision('b'), at(5_000)),
        Err(ClusterError::Busy(app("c-web")))
    );
    assert_eq!(model.sync(&sync("web", "one", 'a'), at(60_000)), Ok(()), "finished, and still carried");
    assert_eq!(model.sync(&sync("db", "one", 'a'), at(60_000)), Err(ClusterError::Missing(app("c-db"))));
    let requested =
        model.log().iter().filter(|entry| matches!(entry.kind, LogKind::Requested { .. })).count();
    assert_eq!(requested, 1);
}

#[test]
fn a_running_operation_can_be_stopped_by_its_own_request() {
    let mut model = upgraded(exact());
    model.terminate(&app("c-web"), &request("two"), at(50_000)).unwrap();
    model.terminate(&app("c-web"), &request("one"), at(51_000)).unwrap();
    assert_eq!(seen(&mut model, 51_000).0, Some(Phase::Running), "not picked up, then another's");
    model.terminate(&app("c-web"), &request("two"), at(51_000)).unwrap();
    assert_eq!(seen(&mut model, 51_000).0, Some(Phase::Terminating));
    let shown = look(&mut model, 58_000);
    let operation = shown.operation.clone().unwrap();
    assert_eq!((operation.phase, operation.message.as_str()), (Phase::Failed, "Operation terminated"));
    assert!(!shown.is_busy());
    assert_eq!((shown.sync.status, shown.health.status), (SyncStatus::OutOfSync, HealthStatus::Healthy));
}

#[test]
fn a_closed_window_holds_an_operation_running() {
    let mut model = cluster(Behaviour { window_closed_until: Some(Length::from_millis(30_000)), ..exact() });
    model.sync(&sync("web", "one", 'a'), at(1_000)).unwrap();
    let operation = look(&mut model, 29_999).operation.unwrap();
    assert!(operation.phase == Phase::Running && operation.message.contains(BLOCKED_BY_WINDOW));
    let operation = look(&mut model, 30_000).operation.unwrap();
    assert!(operation.phase == Phase::Running && operation.message.is_empty());
    assert_eq!(seen(&mut model, 38_000).0, Some(Phase::Succeeded));
    let mut model = cluster(Behaviour { window_closed_until: Some(Length::from_millis(30_000)), ..exact() });
    model.sync(&sync("web", "one", 'a'), at(1_000)).unwrap();
    model.terminate(&app("c-web"), &request("one"), at(5_000)).unwrap();
    assert_eq!(seen(&mut model, 6_000).0, Some(Phase::Failed));
}

#[test]
fn a_retry_of_argo_cd_is_running_with_an_end() {
    let mut model = cluster(Behaviour { retries: 1, ..exact() });
    model.sync(&sync("web", "one", 'a'), at(1_000)).unwrap();
    let operation = look(&mut model, 9_000).operation.unwrap();
    assert!(operation.is_retrying() && operation.message.contains("Retrying attempt #1 at"));
    let operation = look(&mut model, 11_000).operation.unwrap();
    assert!(operation.phase == Phase::Running && !operation.is_retrying());
    assert_eq!(seen(&mut model, 19_000).0, Some(Phase::Succeeded));
    let started = model.log().iter().filter(|entry| entry.kind == LogKind::Started).count();
    assert_eq!(started, 1);
}

#[test]
fn somebody_elses_sync_carries_no_request_and_leaves_the_pin() {
    let other = ExternalSync { after: Length::from_millis(45_000), revision: Some(revision('c')) };
    let mut model = cluster(Behaviour { external_syncs: vec![other], ..exact() });
    model.sync(&sync("web", "one", 'a'), at(1_000)).unwrap();
    assert_eq!(model.sync(&sync("web", "two", 'b'), at(46_000)), Err(ClusterError::Busy(app("c-web"))));
    let shown = look(&mut model, 80_000);
    assert_eq!((shown.operation.clone().unwrap().request, shown.pinned.clone()), (None, Some(revision('a'))));
    assert_eq!(shown.operation.unwrap().revision, Some(revision('c')));
    assert_eq!((shown.sync.status, shown.health.status), (SyncStatus::OutOfSync, HealthStatus::Healthy));
}

fn failing(how: How) -> Behaviour {
    let fail = Fail { at: At::LaterRevisions, ..Fail::always(how) };
    Behaviour { fail: Some(fail), ..exact() }
}

#[test]
fn every_way_to_fail_shows_as_in_argo_cd() {
    let old = HealthStatus::Healthy;
    for (how, phase, status, before, after) in [
        (How::SyncFailed, Phase::Failed, SyncStatus::OutOfSync, old, old),
        (How::Error, Phase::Error, SyncStatus::Unknown, old, old),
        (
            How::Degraded,
            Phase::Succeeded,
            SyncStatus::Synced,
            HealthStatus::Progressing,
            HealthStatus::Degraded,
        ),
        (
            How::NeverHealthy,
            Phase::Succeeded,
            SyncStatus::Synced,
            HealthStatus::Progressing,
            HealthStatus::Progressing,
        ),
        (How::DegradesLater, Phase::Succeeded, SyncStatus::Synced, old, HealthStatus::Degraded),
    ] {
        let mut model = upgraded(failing(how));
        let wait = if how == How::DegradesLater { 80_000 } else { 60_000 };
        let shown = look(&mut model, wait);
        assert_eq!(shown.operation.unwrap().phase, phase, "{how:?}");
        assert_eq!((shown.sync.status, shown.health.status), (status, before), "{how:?}");
        assert_eq!(look(&mut model, 100_000).health.status, after, "{how:?}");
        assert_eq!(look(&mut model, 100_000).condition.is_some(), how == How::Error, "{how:?}");
        // Back to the first revision, which never failed.
        model.sync(&sync("web", "three", 'a'), at(100_000)).unwrap();
        let shown = look(&mut model, 140_000);
        assert_eq!(
            (shown.sync.status, shown.health.status),
            (SyncStatus::Synced, HealthStatus::Healthy),
            "{how:?}"
        );
        assert_eq!(shown.condition, None, "{how:?}");
    }
}

#[test]
fn a_flapping_service_is_by_turns_healthy_and_not() {
    let mut model = upgraded(failing(How::Flapping));
    let statuses: Vec<HealthStatus> =
        (0..4).map(|n| look(&mut model, 78_000 + n * 1_000).health.status).collect();
    let (up, down) = (HealthStatus::Healthy, HealthStatus::Degraded);
    assert_eq!(statuses, [up, down, up, down]);
}

#[test]
fn a_second_attempt_at_the_same_revision_can_succeed() {
    let fail = Fail { attempts: Some(1), ..Fail::always(How::Degraded) };
    let mut model = cluster(Behaviour { fail: Some(fail), ..exact() });
    model.sync(&sync("web", "one", 'a'), at(1_000)).unwrap();
    assert_eq!(look(&mut model, 40_000).health.status, HealthStatus::Degraded);
    model.sync(&sync("web", "two", 'a'), at(40_000)).unwrap();
    assert_eq!(look(&mut model, 80_000).health.status, HealthStatus::Healthy);
}

#[test]
fn speed_scales_every_duration_and_the_seconds() {
    let script = Script { default: exact(), speed: Speed::try_from(50.0).unwrap(), ..Script::default() };
    let mut model = Model::new(script);
    model.ensure(&[spec("web")], at(0));
    model.sync(&sync("web", "one", 'a'), at(20)).unwrap();
    let shown = look(&mut model, 175);
    assert_eq!(
        shown.operation.unwrap().finished_at,
        Some(at(160)),
        "8.7 s, cut down to 8 s, fifty times faster"
    );
    assert_eq!(look(&mut model, 580).health.status, HealthStatus::Healthy);
}

#[test]
fn changes_are_told_once_and_foreseen() {
    let mut model = upgraded(exact());
    assert_eq!(model.take_changed(), [app("c-web")]);
    assert_eq!(model.take_changed(), []);
    let mut changes = 0;
    while let Some(next) = model.next_change().filter(|next| *next < at(90_000)) {
        model.advance(next - SignedDuration::from_nanos(1));
        assert_eq!(model.take_changed(), [], "nothing before the time that was foreseen");
        model.advance(next);
        changes += model.take_changed().len();
    }
    assert!(changes >= 6, "{changes}");
}

#[derive(Debug, Clone)]
enum Act {
    Sync(u8, char),
    External(u8, char),
    Refresh(u8),
    Terminate(u8),
}

fn acts() -> impl Strategy<Value = Vec<(i64, Act)>> {
    let act = prop_oneof![
        4 => (0..3_u8, prop::sample::select(vec!['a', 'b', 'c'])).prop_map(|(app, digit)| Act::Sync(app, digit)),
        1 => (0..3_u8, prop::sample::select(vec!['a', 'd'])).prop_map(|(app, digit)| Act::External(app, digit)),
        2 => (0..3_u8).prop_map(Act::Refresh),
        1 => (0..3_u8).prop_map(Act::Terminate),
    ];
    prop::collection::vec((0..20_000_i64, act), 1..25)
}

const SERVICES: [&str; 3] = ["db", "api", "web"];

fn chancy(seed: u64) -> Script {
    let exception =
        |fail, retries| Exception { fail: Some(Some(fail)), retries: Some(retries), ..Exception::default() };
    Script {
        seed,
        services: [
            ("api".to_owned(), exception(Fail { at: At::LaterRevisions, ..Fail::always(How::Flapping) }, 0)),
            ("web".to_owned(), exception(Fail { attempts: Some(1), ..Fail::always(How::DegradesLater) }, 1)),
        ]
        .into(),
        ..Script::default()
    }
}

/// Runs the acts, looking around at every so many milliseconds in between.
fn play(seed: u64, acts: &[(i64, Act)], look_every: Option<i64>) -> (Vec<Application>, String) {
    let mut model = Model::new(chancy(seed));
    let specs = SERVICES.map(spec);
    model.ensure(&specs, at(0));
    let (mut now, mut looked) = (0, 0);
    for (index, (wait, act)) in acts.iter().enumerate() {
        now += wait;
        while let Some(every) = look_every.filter(|every| looked + every <= now) {
            looked += every;
            for spec in &specs {
                model.application(&spec.name, at(looked)).unwrap();
            }
            model.next_change();
        }
        let service = |index: &u8| SERVICES[usize::from(*index)];
        let name = |index: &u8| app(&format!("c-{}", service(index)));
        let _refused = match act {
            Act::Sync(app, digit) => model.sync(&sync(service(app), &format!("r{index}"), *digit), at(now)),
            Act::External(app, digit) => model.external_sync(&name(app), &revision(*digit), at(now)),
            Act::Refresh(app) => model.refresh(&name(app), at(now)),
            Act::Terminate(app) => {
                model.terminate(&name(app), &request(&format!("r{}", index.max(1) - 1)), at(now))
            }
        };
    }
    let shown = specs.map(|spec| model.application(&spec.name, at(now + 30_000)).unwrap());
    (shown.to_vec(), format!("{:?}", model.log()))
}

proptest! {
    #[test]
    fn looking_changes_nothing(seed: u64, acts in acts(), every in 1..5_000_i64) {
        prop_assert_eq!(play(seed, &acts, None), play(seed, &acts, Some(every)));
    }

    #[test]
    fn versions_grow_and_every_operation_ends(seed: u64, acts in acts()) {
        let mut model = Model::new(chancy(seed));
        model.ensure(&SERVICES.map(spec), at(0));
        let (mut now, mut version) = (0, 0);
        for (index, (wait, act)) in acts.iter().enumerate() {
            now += wait;
            if let Act::Sync(_, digit) = act {
                let _busy = model.sync(&sync("web", &format!("r{index}"), *digit), at(now));
            }
            let shown = look(&mut model, now);
            prop_assert!(shown.resource_version >= version);
            version = shown.resource_version;
        }
        prop_assert!(!look(&mut model, now + 60_000).is_busy());
    }
}
