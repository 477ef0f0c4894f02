use super::*;
use crate::store::{DeploymentFilter, Mark};

fn refresh() -> Effect {
    Effect::Refresh { change: 0, app: id("customer-a-base") }
}

fn sync() -> Effect {
    Effect::Sync {
        change: 1,
        app: id("customer-a-web"),
        request: id("d-1-1"),
        revision: commit('b'),
        reason: "image".into(),
    }
}

#[tokio::test]
async fn a_deployment_is_read_as_it_was_written() {
    let store = Fixture::new().await;
    let (first, _lease) = store.planned("first").await;
    assert_eq!(store.deployment(&first.brief.id).await.unwrap(), Some(first.clone()));
    assert_eq!(store.unfinished().await.unwrap().value, [first]);
    assert_eq!(store.deployment(&id("second")).await.unwrap(), None);
}

#[tokio::test]
async fn a_step_is_saved_with_its_journal_and_its_effects() {
    let store = Fixture::new().await;
    let (first, lease) = store.planned("first").await;
    store.send(&first.brief.id, &pause(), &Origin::cli("somebody"), at(2)).await.unwrap();
    let running = moved(&first, State::Running);
    let entries = [entry(&running)];
    let effects = [refresh(), sync()];
    let step = Save { taken: Some(1), ..save(&running, &entries, &effects, &lease) };
    let ids = store.save(step).await.unwrap();

    let name = &first.brief.id;
    assert_eq!(store.deployment(name).await.unwrap(), Some(running.clone()));
    assert_eq!(store.journal(name).await.unwrap().value, entries);
    assert_eq!(store.pending_effects(name).await.unwrap().value, [(ids[0], refresh()), (ids[1], sync())]);
    assert_eq!(store.inbox(name).await.unwrap().value, []);
    assert_eq!(store.any_inbox().await.unwrap(), []);

    // The next step settles one of the effects; the other is settled on its own.
    let paused = moved(&running, State::Paused { since: at(4), by: "jane".into() });
    let (next, effects) = ([entry(&paused)], [refresh()]);
    let step = Save { settled: &ids[..1], ..save(&paused, &next, &effects, &lease) };
    let later = store.save(step).await.unwrap();
    assert!(later[0] > ids[1], "ids never come again");
    store.settle_effects(name, &ids).await.unwrap();
    store.settle_effects(name, &ids).await.unwrap();
    assert_eq!(store.pending_effects(name).await.unwrap().value, [(later[0], refresh())]);
}

#[tokio::test]
async fn a_refused_step_leaves_nothing_behind() {
    let store = Fixture::new().await;
    let (first, lease) = store.planned("first").await;
    let running = moved(&first, State::Running);
    let (entries, effects) = ([entry(&running)], [sync()]);
    let outdated = Save { expected_version: 0, ..save(&running, &entries, &effects, &lease) };
    store.save(outdated.clone()).await.unwrap();
    let name = &first.brief.id;
    let before = (store.pending_effects(name).await.unwrap(), store.journal(name).await.unwrap());

    let error = store.save(outdated).await.unwrap_err();
    assert_eq!(error, StoreError::Conflict { id: "first".into(), expected: 0, found: 1 });
    // The row of the journal is there already: this fails after the state and before the effects.
    let broken = moved(&running, State::Running);
    assert!(store.save(save(&broken, &entries, &effects, &lease)).await.is_err());
    assert_eq!(store.deployment(name).await.unwrap(), Some(running.clone()));
    assert_eq!((store.pending_effects(name).await.unwrap(), store.journal(name).await.unwrap()), before);

    let still = Save { expected_version: 1, ..save(&running, &[], &[], &lease) };
    assert!(matches!(store.save(still).await, Err(StoreError::Conflict { .. })), "the version must rise");
    let other = moved(&deployment("other"), State::Running);
    let error = store.save(save(&other, &[], &[], &lease)).await.unwrap_err();
    assert_eq!(error, StoreError::NotFound("deployment other".into()));
}

#[tokio::test]
async fn a_worker_that_was_replaced_writes_nothing() {
    let store = Fixture::new().await;
    let (first, old) = store.planned("first").await;
    let event = store.accept(push_event("x", 'b', 'c')).await.unwrap().event;
    let ours = old.epoch();
    let running = moved(&first, State::Running);
    let step = save(&running, &[], &[], &old);
    let late = settlement(&event, vec![deployment("x")], &old);
    drop(old);
    let new = store.worker().await;
    let fenced = StoreError::Fenced { ours, found: new.epoch() };
    assert_eq!(store.save(step).await, Err(fenced.clone()));
    assert_eq!(store.settle_event(late).await, Err(fenced));
    assert_eq!(store.unfinished().await.unwrap().value, [first]);
    store.save(save(&running, &[], &[], &new)).await.unwrap();
}

#[tokio::test]
async fn a_finished_deployment_never_moves_again() {
    let store = Fixture::new().await;
    let (first, lease) = store.planned("first").await;
    let over = moved(&first, State::Succeeded { at: at(5) });
    let mark = Mark {
        customer: id("customer-a"),
        environment: id("production"),
        source: id("charts"),
        revision: commit('b'),
        digest: "abc".into(),
        updated_at: at(5),
    };
    store.save(Save { mark: Some(mark.clone()), ..save(&over, &[], &[], &lease) }).await.unwrap();
    let (customer, environment) = (&mark.customer, &mark.environment);
    assert_eq!(store.customer_mark(customer, environment).await.unwrap(), Some(mark.clone()));
    assert_eq!(store.customer_marks().await.unwrap().value, [mark]);

    let finished = StoreError::Finished("first".into());
    let undead = moved(&over, State::Running);
    assert_eq!(store.save(save(&undead, &[], &[], &lease)).await, Err(finished.clone()));
    assert_eq!(store.send(&first.brief.id, &pause(), &Origin::cli("somebody"), at(6)).await, Err(finished));
    let unknown = StoreError::NotFound("deployment x".into());
    assert_eq!(store.send(&id("x"), &pause(), &Origin::cli("somebody"), at(6)).await, Err(unknown));
    assert_eq!(store.unfinished().await.unwrap().value, []);
}

#[tokio::test]
async fn inputs_wait_in_order_and_their_ids_never_come_again() {
    let store = Fixture::new().await;
    let (first, _lease) = store.planned("first").await;
    let name = &first.brief.id;
    let resume = Input::Command { by: "joe".into(), command: Command::Resume };
    store.send(name, &pause(), &Origin::cli("somebody"), at(2)).await.unwrap();
    store.send(name, &resume, &Origin::cli("somebody"), at(3)).await.unwrap();
    assert_eq!(store.inbox(name).await.unwrap().value, [(1, pause()), (2, resume.clone())]);
    assert_eq!(store.any_inbox().await.unwrap(), std::slice::from_ref(name));
    store.drop_input(name, 1).await.unwrap();
    store.drop_input(name, 2).await.unwrap();
    store.drop_input(name, 2).await.unwrap();
    store.send(name, &resume, &Origin::cli("somebody"), at(4)).await.unwrap();
    assert_eq!(store.inbox(name).await.unwrap().value, [(3, resume)]);
}

#[tokio::test]
async fn deployments_are_listed_newest_first_filtered_and_page_by_page() {
    let store = Fixture::new().await;
    let (_, lease) = store.planned("d1").await;
    let event = store.accept(push_event("more", 'b', 'c')).await.unwrap().event;
    let mut other = deployment("d3");
    other.brief.plan.customer = id("customer-b");
    store.settle_event(settlement(&event, vec![deployment("d2"), other], &lease)).await.unwrap();
    let over = moved(&deployment("d2"), State::Failed { at: at(5), reason: "web".into() });
    store.save(save(&over, &[], &[], &lease)).await.unwrap();

    let list = async |filter: DeploymentFilter| {
        let found = store.deployments(&filter, 2).await.unwrap().value;
        found.into_iter().map(|row| row.id.to_string()).collect::<Vec<_>>()
    };
    let all = DeploymentFilter::default();
    assert_eq!(list(all.clone()).await, ["d3", "d2"]);
    assert_eq!(list(DeploymentFilter { before: Some(id("d2")), ..all.clone() }).await, ["d1"]);
    assert_eq!(list(DeploymentFilter { customer: Some(id("customer-b")), ..all.clone() }).await, ["d3"]);
    assert_eq!(list(DeploymentFilter { environment: Some(id("staging")), ..all.clone() }).await, [""; 0]);
    let failed = DeploymentFilter { state: Some("failed".into()), ..all };
    let found = store.deployments(&failed, 9).await.unwrap().value.remove(0);
    assert_eq!((found.id.as_str(), found.reason.as_deref()), ("d2", Some("web")));
    assert_eq!((found.finished, found.ended_at, found.purpose.as_str()), (true, Some(at(5)), "deploy"));
}
